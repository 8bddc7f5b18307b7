# SPDX-License-Identifier: MIT
"""The image: one static file that anybody may run; its labels; the same bytes from every build."""
import pathlib
import re
import subprocess
import time

import building
import pytest
from lab import podman as lab
from lab import tree, wait

SIZE_LIMIT_BYTES = 2 * 1000 * 1000
USER = 65532
MACHINES = {"amd64": "Advanced Micro Devices X86-64", "arm64": "AArch64"}
NETWORKS = "POSTERN_TRUSTED_NETWORKS=192.0.2.0/24"
# With nothing but what the image itself says: no capability, no network, nothing to write to.
BARE = ("--rm", "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges",
        "--network=none")


def readelf(*options):
    return subprocess.run(["readelf", "--wide", *map(str, options)], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


@pytest.fixture(scope="session", params=["podman", "buildah"])
def native(request):
    """The image of this machine's own kind, of both builders."""
    fixture = {"podman": "images", "buildah": "images_again"}[request.param]
    return request.getfixturevalue(fixture)[lab.native_architecture()]


def test_it_says_its_version(native, commit):
    done = lab.podman("run", *BARE, native.tag, "version")
    assert done.stdout == f"postern {commit['version']}\n"


def test_without_a_command_it_helps(native):
    done = lab.podman("run", *BARE, native.tag)
    assert done.stdout == lab.podman("run", *BARE, native.tag, "help").stdout
    assert re.search(r"^  patch ", done.stdout, re.M)


@pytest.mark.parametrize("options, user", [((), USER), (("--user=0:0",), 0)])
def test_it_runs_as_nobody_in_particular_unless_told(native, options, user):
    """The image has no other program, so one is lent to it, with its libraries."""
    with tree.hold(building.RELEASE):
        usr = pathlib.Path(tree.path(building.RELEASE), "usr")
        loader = next(usr.glob("lib/*/ld-linux-*"))
        done = lab.podman("run", *BARE, *options, "--volume", f"{usr}:/usr:ro", "--env", NETWORKS,
                          native.tag, "run", "--", pathlib.Path("/usr", loader.relative_to(usr)),
                          "/usr/bin/id")
    assert re.findall(r"\b[ug]id=(\d+)", done.stdout) == [str(user)] * 2


def test_an_error_reaches_the_one_who_started_it(native):
    done = lab.podman("run", *BARE, native.tag, "patch", check=False)
    assert done.returncode == 2
    assert "trusted-networks" in done.stderr


@pytest.mark.parametrize("arch", building.ARCHES)
def test_it_holds_one_file(images, commit, arch):
    entry, content = building.read_layer(images[arch].archive)
    assert entry.isreg() and (entry.mode & 0o7777, entry.uid, entry.gid) == (0o755, 0, 0)
    assert entry.mtime == commit["epoch"]
    assert 500_000 < len(content) < SIZE_LIMIT_BYTES


@pytest.mark.parametrize("arch", building.ARCHES)
def test_its_file_is_static_and_of_the_wanted_architecture(binaries, arch):
    assert re.search(rf"^ +Machine: +{MACHINES[arch]}$", readelf("--file-header", binaries[arch]),
                     re.M)
    assert "INTERP" not in readelf("--program-headers", binaries[arch])
    assert "(NEEDED)" not in readelf("--dynamic", binaries[arch])
    assert re.search(r"GNU_STACK .* RW ", readelf("--program-headers", binaries[arch]))


@pytest.mark.parametrize("arch", building.ARCHES)
def test_its_configuration_says_how_to_run_it(images, arch):
    _, configuration, _ = building.read_archive(images[arch].archive)
    assert (configuration["os"], configuration["architecture"]) == ("linux", arch)
    inner = configuration["config"]
    assert inner["User"] == f"{USER}:{USER}"
    assert inner["Entrypoint"] == ["/postern"]
    assert inner["Cmd"] == ["help"]


@pytest.mark.parametrize("arch", building.ARCHES)
def test_its_labels_say_what_it_is(images, commit, arch):
    _, configuration, _ = building.read_archive(images[arch].archive)
    prefix = "org.opencontainers.image."
    labels = {key.removeprefix(prefix): value
              for key, value in configuration["config"]["Labels"].items()
              if key.startswith(prefix)}
    assert "@" not in labels.pop("source")
    assert labels == {"title": "postern", "licenses": "MIT", "version": commit["version"],
                      "description": "PROXY protocol twins for Postfix and Dovecot",
                      "revision": commit["revision"], "created": commit["created"]}
    assert re.sub(r"\.0+Z$", "Z", configuration["created"]) == commit["created"]


@pytest.mark.parametrize("arch", building.ARCHES)
def test_two_builds_of_a_commit_are_the_same_bytes(images, images_again, arch):
    """Another folder, another time, another program that builds."""
    first, second = images[arch].archive, images_again[arch].archive
    assert building.read_layer(first)[1] == building.read_layer(second)[1]
    manifests = [building.read_archive(archive) for archive in (first, second)]
    assert manifests[0][1]["rootfs"]["diff_ids"] == manifests[1][1]["rootfs"]["diff_ids"]
    assert manifests[0][0] == manifests[1][0]


def test_the_plain_program_is_the_same_from_every_folder(tmp_path):
    found = []
    for name in ("one", "quite/another/folder"):
        copy = building.copy_checkout(tmp_path / name)
        for command in (["cmake", "--preset", "release"],
                        ["cmake", "--build", "--preset", "release"]):
            subprocess.run(command, cwd=copy, check=True, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=building.BUILD_LIMIT_S)
        found.append((copy / "build" / "release" / "postern").read_bytes())
        # The next one is compiled in another second.
        wait.until(lambda start=int(time.time()): int(time.time()) > start, "the next second")
    assert found[0] == found[1]
    assert str(tmp_path).encode() not in found[0]


# -- the file for arm64, on the emulator of Debian 13: that of Debian 12 has no openat2(2)

def emulated(*arguments):
    return lab.podman("run", "--rm", "--network=none", *arguments, check=False)


@pytest.fixture(scope="session")
def emulator():
    return lab.image_with("trixie", "qemu-user")


def test_the_file_for_arm64_says_its_version(binaries, emulator, commit):
    done = emulated("--volume", f"{binaries['arm64']}:/postern:ro", emulator,
                    "qemu-aarch64", "/postern", "version")
    assert (done.stdout, done.returncode) == (f"postern {commit['version']}\n", 0)


@pytest.mark.parametrize("release", tree.RELEASES)
def test_the_file_for_arm64_finds_what_that_for_amd64_finds(binaries, emulator, release):
    held = tree.hold(release)
    arguments = ("--volume", f"{tree.path(release)}:/mail:ro", "--env", NETWORKS)
    with held:
        found = [emulated(*arguments, "--volume", f"{binaries[arch]}:/postern:ro", emulator,
                          *runner, "/postern", "--root", "/mail", "check", "--json")
                 for arch, runner in (("amd64", ()), ("arm64", ("qemu-aarch64",)))]
    assert found[0].stdout.count("12525") >= 1
    assert (found[1].stdout, found[1].returncode) == (found[0].stdout, found[0].returncode)
