# SPDX-License-Identifier: MIT
"""The shipped binary: static, hardened, small, and content with an empty root.

    pytest tests/artefact           $POSTERN, or build/release/postern

The shipped file is stripped, and a static file keeps no list of what it calls.  So stack protector
and FORTIFY are looked for twice: in the shipped file, by the words that only their failure handlers
carry, and in the project's own object files, by the calls that each of them makes.  The objects are
those of the same build tree: $POSTERN_OBJECTS, or the folder that the binary is in.
"""
import json
import os
import pathlib
import re
import stat
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("POSTERN", ROOT / "build" / "release" / "postern"))
OBJECTS = pathlib.Path(os.environ.get("POSTERN_OBJECTS", BINARY.parent))
SIZE_LIMIT_BYTES = 2 * 1000 * 1000
RUN_LIMIT_S = 20


def readelf(*options, path=BINARY):
    return subprocess.run(["readelf", "--wide", *options, str(path)], check=True, text=True,
                          stdout=subprocess.PIPE, env={**os.environ, "LC_ALL": "C"}).stdout


def dynamic():
    """{tag: values} of the dynamic section."""
    found = {}
    for tag, value in re.findall(r"^ *0x[0-9a-f]+ \((\w+)\) +(.*)$", readelf("--dynamic"), re.M):
        found.setdefault(tag, []).append(value)
    return found


def segments():
    """[(type, flags)] of the program headers."""
    pattern = r"^  ([A-Z_]+) +(?:0x[0-9a-f]+ ){5}([RWE ]{3}) 0x"
    found = re.findall(pattern, readelf("--program-headers"), re.M)
    assert found
    return found


def sections():
    """{name: (address, size)}"""
    pattern = r"^ +\[ *\d+\] (\S+) +\S+ +([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)"
    return {name: (int(address, 16), int(size, 16))
            for name, address, size in re.findall(pattern, readelf("--sections"), re.M)}


def objects():
    """{source: names that its object leaves to others}"""
    found = {}
    for folder in ("patchers", "sidecar"):
        for path in sorted((OBJECTS / folder / "CMakeFiles").rglob("*.c.o")):
            lines = readelf("--symbols", path=path).splitlines()
            names = {line.split()[-1] for line in lines if " UND " in line}
            found[f"{folder}/{path.name}"] = names - {"UND"}
    assert found, f"no objects under {OBJECTS}: name their build tree in POSTERN_OBJECTS"
    return found


@pytest.fixture(scope="module", autouse=True)
def built():
    assert os.access(BINARY, os.X_OK), f"{BINARY} is not there: build it, or set POSTERN"


def test_it_is_static():
    assert [kind for kind, _ in segments() if kind == "INTERP"] == []
    assert "NEEDED" not in dynamic()


def test_it_is_position_independent():
    assert re.search(r"^ +Type: +DYN ", readelf("--file-header"), re.M)
    assert any("PIE" in value for value in dynamic()["FLAGS_1"])
    assert "TEXTREL" not in dynamic()


def test_its_relocations_are_read_only_and_done_at_start():
    assert "GNU_RELRO" in [kind for kind, _ in segments()]
    flags = " ".join(dynamic().get("FLAGS", []) + dynamic().get("FLAGS_1", []))
    assert "NOW" in flags.split() or "BIND_NOW" in flags.split()
    # All of the table of addresses lies in the part that becomes read-only.
    start, size = map(lambda number: int(number, 16), re.search(
        r"GNU_RELRO +0x[0-9a-f]+ (0x[0-9a-f]+) 0x[0-9a-f]+ 0x[0-9a-f]+ (0x[0-9a-f]+)",
        readelf("--program-headers")).groups())
    address, length = sections()[".got"]
    assert start <= address and address + length <= start + size
    assert ".got.plt" not in sections() or sections()[".got.plt"][0] < start + size


def test_no_segment_is_both_writable_and_executable():
    assert ("GNU_STACK", "RW ") in segments()
    assert [s for s in segments() if "W" in s[1] and "E" in s[1]] == []


def test_its_stack_is_protected():
    # What __stack_chk_fail says before it ends the program.
    assert b"stack smashing detected" in BINARY.read_bytes()
    protected = [name for name, used in objects().items() if "__stack_chk_fail" in used]
    # Whatever has an array on its stack: by far the most modules.
    assert len(protected) > len(objects()) / 2, sorted(set(objects()) - set(protected))


def test_it_is_fortified():
    # What __chk_fail says before it ends the program.
    assert b"buffer overflow detected" in BINARY.read_bytes()
    used = set().union(*objects().values())
    fortified = {name for name in used if re.fullmatch(r"__\w+_chk", name)}
    assert {"__snprintf_chk", "__vsnprintf_chk"} <= fortified
    assert len(fortified) >= 5, sorted(fortified)
    # Formats are checked everywhere, not here and there: no plain twin is left.
    plain = {name for name in ("sprintf", "vsnprintf", "fprintf", "asprintf", "vasprintf")
             if name in used}
    assert plain == set()


def test_it_is_stripped():
    assert ".symtab" not in sections()
    assert [name for name in sections() if name.startswith(".debug")] == []


def test_it_looks_for_nothing_at_run_time_and_is_nobodys():
    assert not {"RPATH", "RUNPATH", "SONAME"} & set(dynamic())
    assert stat.S_IMODE(BINARY.stat().st_mode) & 0o6000 == 0


def test_where_and_by_whom_it_was_built_is_not_in_it():
    data = BINARY.read_bytes()
    for word in (str(ROOT), "/usr/src/", "/build/release/", "/home/"):
        assert word.encode() not in data, word


def compile_commands():
    """[the words of each of the project's compiler calls]"""
    listed = json.loads((OBJECTS / "compile_commands.json").read_text())
    assert len(listed) > 50
    return [(entry["file"], entry["command"].split()) for entry in listed]


def test_every_file_is_compiled_with_the_hardening():
    wanted = {"-fstack-protector-strong", "-fstack-clash-protection", "-fPIE",
              "-ftrivial-auto-var-init=zero", "-D_FORTIFY_SOURCE=3"}
    for name, words in compile_commands():
        assert wanted <= set(words), (name, wanted - set(words))


def test_it_is_smaller_than_two_megabytes():
    assert BINARY.stat().st_size < SIZE_LIMIT_BYTES


# -- in an empty root

@pytest.fixture
def empty_root(tmp_path):
    assert os.geteuid() == 0, "chroot(2) needs root"
    (tmp_path / "postern").write_bytes(BINARY.read_bytes())
    (tmp_path / "postern").chmod(0o755)

    def run(*arguments):
        def enter():
            os.chroot(tmp_path)
            os.chdir("/")

        return subprocess.run(["/postern", *arguments], preexec_fn=enter, env={}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, timeout=RUN_LIMIT_S)
    return run


def test_it_says_its_version_in_an_empty_root(empty_root):
    done = empty_root("version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"postern \d+\.\d+\.\d+\n", done.stdout)


def test_it_helps_in_an_empty_root(empty_root):
    done = empty_root("help")
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("patch", "check", "probe", "revert", "version", "help"):
        assert re.search(rf"^  {command} ", done.stdout, re.M), command


def test_it_says_what_is_missing_in_an_empty_root(empty_root):
    done = empty_root("patch")
    assert done.returncode == 2
    assert "trusted-networks" in done.stderr
    assert len(done.stderr.splitlines()) == 1
