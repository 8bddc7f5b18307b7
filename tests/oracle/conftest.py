# SPDX-License-Identifier: MIT
"""Fixtures of the oracle tests: a judge of each Debian release, and our reader."""
import os
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)

import judge as judge_module  # noqa: E402  (the paths above come first)
from lab import RELEASES  # noqa: E402


@pytest.fixture(scope="session")
def reading():
    binary = judge_module.reading_binary()
    assert os.access(binary, os.X_OK), f"{binary} is not there: build it, or set POSTERN_READING"
    reader = judge_module.Reading()
    yield reader
    reader.close()


@pytest.fixture(scope="session", params=RELEASES)
def release_judge(request):
    with tempfile.TemporaryDirectory(prefix="postern-oracle.") as folder, \
            judge_module.Judge(request.param, folder) as judge:
        yield judge


@pytest.fixture
def judge(release_judge):
    yield release_judge
    release_judge.forget()
