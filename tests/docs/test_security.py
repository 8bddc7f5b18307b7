# SPDX-License-Identifier: MIT
"""Every promise of SECURITY.md names tests, and each of them is there."""
import re
import subprocess
import sys

from documents import SECURITY
from program import REPOSITORY

REFERENCE = re.compile(r"`(tests/[\w/.-]+?)(?:::(\w+))?`")
HEADING = "| promised | shown by |"
COLLECT_LIMIT_S = 120


def promises(text):
    """[(what is promised, who shows it)] of all tables of promises."""
    found = []
    for table in re.findall(rf"^{re.escape(HEADING)}\n\|[-|]+\n((?:\|.*\n)+)", text, re.M):
        for line in table.splitlines():
            promised, shown = line.strip("| ").rsplit(" | ", 1)
            found.append((promised, shown))
    return found


def references(text):
    return set(REFERENCE.findall(text))


def defined_in_c(path):
    """The names of a cmocka program's tests that it also runs."""
    text = path.read_text()
    defined = set(re.findall(r"^static void (\w+)\(void \*\*state\)", text, re.M))
    return {name for name in defined if len(re.findall(rf"\b{name}\b", text)) > 1}


def collected(files):
    """{(file, name)} of the tests that pytest finds; a file that it cannot read fails."""
    found = set()
    for folder in sorted({file.parent for file in files}):
        names = sorted(file.name for file in files if file.parent == folder)
        done = subprocess.run([sys.executable, "-m", "pytest", "--collect-only", "-q", "-p",
                               "no:cacheprovider", *names], cwd=folder, text=True,
                              timeout=COLLECT_LIMIT_S, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, done.stdout[-3000:]
        for name in names:
            tests = set(re.findall(rf"^(?:\S*/)?{re.escape(name)}::(\w+)", done.stdout, re.M))
            found |= {(str((folder / name).relative_to(REPOSITORY)), test) for test in tests}
    return found


def stale(text):
    """What a text names that is not there."""
    wanted = references(text)
    paths = {path: REPOSITORY / path for path, _ in wanted}
    missing = {(path, name) for path, name in wanted
               if not paths[path].is_file() and (name or not paths[path].is_dir())}
    wanted -= missing
    python = {paths[path] for path, name in wanted if path.endswith(".py")}
    there = collected(python)
    for path, name in wanted:
        if path.endswith(".c") and name:
            there |= {(path, test) for test in defined_in_c(paths[path])}
        elif not name and not path.endswith((".py", ".c")):
            there.add((path, ""))
    return sorted(missing | (wanted - there))


def test_every_promise_names_a_test():
    rows = promises(SECURITY.read_text())
    assert len(rows) > 40
    assert [promised for promised, shown in rows if not references(shown)] == []


def test_every_attacker_of_the_first_table_has_promises():
    text = SECURITY.read_text()
    anchors = re.findall(r"\| \[here\]\(#([\w-]+)\) \|", text)
    assert len(anchors) > 6
    sections = re.split(r"^## ", text, flags=re.M)
    for anchor in anchors:
        of_it = [part for part in sections
                 if re.sub(r"[^\w -]", "", part.split("\n")[0].lower()).replace(" ", "-") == anchor]
        assert len(of_it) == 1, anchor
        assert promises(of_it[0]), anchor


def test_every_test_that_is_named_is_there():
    assert stale(SECURITY.read_text()) == []


def test_what_is_not_there_is_found():
    """The control, for each way in which a name can be wrong."""
    wrong = ["tests/system/test_gone.py::test_x", "tests/docs/test_security.py::test_gone",
             "tests/unit/test_base.c::gone", "tests/gone/run", "tests/docs/test_security.py",
             "tests/unit/test_base.c"]
    right = ["tests/docs/test_security.py::test_what_is_not_there_is_found",
             "tests/lab/make-tree"]
    found = stale(" ".join(f"`{name}`" for name in wrong + right))
    assert ["::".join(filter(None, pair)) for pair in found] == sorted(wrong)
