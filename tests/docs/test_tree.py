# SPDX-License-Identifier: MIT
"""What is said of the tree itself: modules, libraries, packages, scripts, benchmarks."""
import os
import re
import subprocess

from documents import CONTRIBUTING, README, fenced
from program import REPOSITORY, SIDECAR


def test_every_module_is_in_the_picture_of_the_tree_and_no_other():
    picture = fenced(CONTRIBUTING, "")[0]
    for folder, following in (("patchers", "sidecar"), ("sidecar", "scripts")):
        text = re.search(rf"^{folder}/(.*?)^{following}/", picture, re.S | re.M)[1]
        modules = {path.stem for path in (REPOSITORY / folder).rglob("*.[ch]")}
        named = [re.compile(word.replace("*", r"\w+")) for word in re.findall(r"[a-z][\w*]+", text)]
        assert len(modules) > 10
        for module in modules:
            assert any(name.fullmatch(module) for name in named), (folder, module)
        for word in re.findall(r"(?:^  |;  |, )([a-z]+_[\w*]+)", text, re.M):
            name = re.compile(word.replace("*", r"\w+"))
            assert any(name.fullmatch(module) for module in modules), (folder, word)


def test_each_door_of_a_library_is_named():
    headers = {"libconfuse": "confuse.h", "libcap-ng": "cap-ng.h", "libevent": "event2/",
               "jansson": "jansson.h", "libmd": "sha2.h", "libseccomp": "seccomp.h",
               "inotify-tools": "inotifytools/"}
    table = dict(re.findall(r"^\| ([\w-]+)[^|]* \| (`sidecar.*) \|$", CONTRIBUTING.read_text(),
                            re.M))
    assert set(table) == set(headers)
    for library, header in headers.items():
        doors = {f"sidecar/{path.name}" for path in SIDECAR.glob("*.[ch]")
                 if re.search(rf"^#include <{header}", path.read_text(), re.M)}
        assert set(re.findall(r"`([^`]+)`", table[library])) == doors, library


def test_every_table_of_the_benchmarks_is_described():
    program = REPOSITORY / "tests" / "bench" / "run"
    done = subprocess.run(["/usr/bin/python3", str(program), "--help"], text=True, timeout=30,
                          stdout=subprocess.PIPE, check=True)
    names = re.search(r"--only NAME,\.\.\.\s+(\w+(?:,\s+\w+)+)", done.stdout)[1]
    described = re.search(r"^\| table \|.*\n\|[-|]+\n((?:\|.*\n)+)", CONTRIBUTING.read_text(),
                          re.M)[1]
    assert re.findall(r"^\| `(\w+)` \|", described, re.M) == re.split(r",\s+", names)


def test_readme_names_the_packages_that_a_build_needs():
    text = (REPOSITORY / "scripts" / "lib" / "packages.sh").read_text()
    needed = re.search(r"BUILD_PACKAGES=\(([^)]*)\)", text)[1].split()
    shown = re.search(r"^apt-get install (.*?[^\\])\n", README.read_text(), re.S | re.M)[1]
    assert shown.replace("\\", " ").split() == needed


def test_readme_opens_with_commands_that_are_there():
    commands = [line.split()[0] for line in fenced(README, "sh")[0].splitlines()]
    assert commands == ["scripts/demo", "scripts/test"]
    for command in commands:
        assert os.access(REPOSITORY / command, os.X_OK), command
