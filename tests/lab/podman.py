# SPDX-License-Identifier: MIT
"""podman and buildah as the lab uses them: with a storage of their own (see make-podman).

    podman("run", "--rm", base_image("bookworm"), "true")

What a test makes it names by `name()` and registers with `at_end()`: a guardian process removes it
when the test's process is gone, however that ended.
"""
import atexit
import hashlib
import itertools
import os
import subprocess

from . import tree

MAKE_PODMAN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "make-podman")
MAKE_LIMIT_S = 3600
RUN_LIMIT_S = 600
GUARDIAN_LIMIT_S = 120

# Each line is a command; they are run, the last first, when this process has closed its end.
GUARDIAN = """
trap '' HUP INT TERM
mapfile -t lines
for ((i = ${#lines[@]} - 1; i >= 0; i--)); do
    IFS=$'\\t' read -r -a words <<<"${lines[i]}"
    timeout -k 5 60 "${words[@]}" >/dev/null 2>&1 </dev/null
done
"""

_environment = {}
_bases = set()
_numbers = itertools.count(1)
_guardian = []


def _make(*releases):
    done = subprocess.run([MAKE_PODMAN, *releases], stdout=subprocess.PIPE, text=True,
                          timeout=MAKE_LIMIT_S, check=True)
    _environment.update(line.split("=", 1) for line in done.stdout.splitlines())


def environment():
    """os.environ, and what makes podman and buildah use the lab's storage."""
    if not _environment:
        _make()
    return {**os.environ, **_environment}


def run(command, check=True, timeout=RUN_LIMIT_S, **options):
    """subprocess.run in that environment; text, output captured, nothing on standard input."""
    settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                "text": True, "env": environment(), **options}
    if "input" in settings:
        del settings["stdin"]
    done = subprocess.run(command, timeout=timeout, **settings)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def podman(*arguments, **options):
    """A CompletedProcess of `podman ARGUMENTS`; see run()."""
    return run(["podman", *map(str, arguments)], **options)


def buildah(*arguments, **options):
    return run(["buildah", *map(str, arguments)], **options)


def native_architecture():
    """As Debian and the image formats call it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def base_image(release):
    """The name of an image of Debian 12 or 13 with no more than its essential packages and apt."""
    assert release in tree.RELEASES
    if release not in _bases:
        _make(release)
        _bases.add(release)
    return f"localhost/postern-base:{release}"


def image_with(release, *packages):
    """The name of an image of base_image() with these packages; made once, kept in the cache."""
    base = base_image(release)
    digest = podman("image", "inspect", "--format", "{{.Id}}", base).stdout.strip()
    text = " ".join(sorted(packages))
    key = hashlib.sha256(f"{digest} {text}".encode()).hexdigest()[:16]
    image = f"localhost/postern-packages:{key}"
    if podman("image", "exists", image, check=False).returncode != 0:
        podman("build", "--quiet", "--network=host", "--tag", image, "-", timeout=MAKE_LIMIT_S,
               input=f"FROM {base}\nRUN apt-get -q update && DEBIAN_FRONTEND=noninteractive "
                     f"apt-get -q install --yes --no-install-recommends {text} && "
                     "apt-get clean && rm -rf /var/lib/apt/lists/*\n")
    return image


def name(kind="test"):
    """A name for a container, pod, image or volume that no other process uses."""
    return f"postern-{kind}-{os.getpid()}-{next(_numbers)}"


def at_end(*command):
    """Run `podman COMMAND` when this process is gone, even killed: `at_end("rm", "-f", name)`."""
    if not _guardian:
        _guardian.append(subprocess.Popen(
            ["/bin/bash", "-c", GUARDIAN], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment(), start_new_session=True, cwd="/"))
        atexit.register(_end_guardian)
    line = "\t".join(["podman", *map(str, command)]) + "\n"
    _guardian[0].stdin.write(line.encode())
    _guardian[0].stdin.flush()


def _end_guardian():
    _guardian[0].stdin.close()
    _guardian[0].wait(GUARDIAN_LIMIT_S)
