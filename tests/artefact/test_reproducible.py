# SPDX-License-Identifier: MIT
"""Built twice, from two copies that have nothing in common but their content: the same bytes."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOBODY = 65534
LIMIT_S = 600
PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
LONG_AGO = 1_000_000_000


def copy_checkout(target, age=None):
    """What git has or would have."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
            if age is not None:
                os.utime(target / name, (age, age))
    return target


def build(folder, jobs, prefix=(), environment=None, umask=0o022):
    script = f"cmake --preset release && cmake --build --preset release -j {jobs}"
    done = subprocess.run([*prefix, "sh", "-c", script], cwd=folder, timeout=LIMIT_S, check=False,
                          env={**PATH, **(environment or {})}, umask=umask, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-3000:]
    return (folder / "build" / "release" / "postern").read_bytes()


@pytest.fixture(scope="module")
def programs():
    """Two builds: another folder, time, user, host, umask, locale, time zone, number of jobs."""
    with tempfile.TemporaryDirectory(prefix="reproducible-") as name:
        top = pathlib.Path(name)
        top.chmod(0o755)
        yield build_twice(top)


def build_twice(top):
    here = copy_checkout(top / "a")
    there = copy_checkout(top / "a longer name" / "of_another" / "postern-tree", LONG_AGO)
    for path in (there, *there.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    first = build(here, 2, environment={"HOME": "/root", "LC_ALL": "C", "TZ": "UTC"})
    other_host = ("unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec setpriv '
                  f'--reuid={NOBODY} --regid={NOBODY} --clear-groups -- "$@"', "sh")
    second = build(there, 1, other_host, {"HOME": "/nonexistent", "LC_ALL": "C.UTF-8",
                                          "TZ": "Asia/Kathmandu", "USER": "nobody",
                                          "SOURCE_DATE_EPOCH": "86400"}, 0o077)
    return first, second


def test_two_builds_are_the_same_bytes(programs):
    sums = [hashlib.sha256(program).hexdigest() for program in programs]
    print("\n" + "\n".join(sums))
    assert sums[0] == sums[1]


def test_the_program_under_test_is_those_bytes(programs):
    tested = pathlib.Path(os.environ.get("POSTERN", ROOT / "build" / "release" / "postern"))
    assert tested.read_bytes() == programs[0]


def test_neither_folder_nor_host_is_in_it(programs):
    for word in (str(ROOT), "/build/release", "of_another", "postern-tree", os.uname().nodename + "."):
        assert word.encode() not in programs[1], word
