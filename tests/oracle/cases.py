# SPDX-License-Identifier: MIT
"""What the two sides read: golden files, the fuzzers' corpora, and how many files are generated.

POSTERN_ORACLE_COUNT scales the number of generated files (1 is the default); a failure names the
seed, and POSTERN_ORACLE_SEED=SEED POSTERN_ORACLE_COUNT=0 runs that one alone.
"""
import glob
import os
import re

import pytest

SCALE = float(os.environ.get("POSTERN_ORACLE_COUNT", "1"))
FIRST_SEED = int(os.environ.get("POSTERN_ORACLE_SEED", "0"))
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def seeds(count):
    return range(FIRST_SEED, FIRST_SEED + max(1, int(count * SCALE)))


def files(*patterns):
    """(name, text) of the files below tests/ that match; one character a byte."""
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(TESTS, pattern))):
            with open(path, "rb") as file:
                yield os.path.relpath(path, TESTS), file.read().decode("latin-1")


def dovecot_trees():
    """(name, {path: text}) of golden trees; "==> PATH <==" stands before each file."""
    for name, text in files("golden/dovecot/*.in"):
        parts = re.split(r"(?m)^==> (.*) <==\n", text)
        yield name, dict(zip(parts[1::2], parts[2::2]))
    for name, text in files("fuzz/corpus/dovecot_conf/*"):
        yield name, {"/etc/dovecot/dovecot.conf": text}


def rows(text):
    """Lines: str.splitlines() would also split at form feeds and the like."""
    return text.removesuffix("\n").split("\n") if text else []


def first_difference(theirs, ours):
    for number in range(max(len(theirs), len(ours))):
        left = theirs[number] if number < len(theirs) else None
        right = ours[number] if number < len(ours) else None
        if left != right:
            return f"theirs: {left!r}\n  ours:   {right!r}"
    return None


class Faults:
    """Collects disagreements, so that one run shows them all."""

    SHOWN = 5

    def __init__(self):
        self._found = []

    def add(self, name, what, text=""):
        self._found.append(f"{name}: {what[:1000]}\n  input: {text!r}"[:2500])

    def check(self, cases):
        assert cases > 0
        if self._found:
            pytest.fail(f"{len(self._found)} disagreements in {cases} cases\n"
                        + "\n".join(self._found[:self.SHOWN]),
                        pytrace=False)
