# SPDX-License-Identifier: MIT
"""Fixtures of the fault tests, and how much of all points is tried.

Without --all, as in continuous integration: at least one point of each kind of fault, and others in
an order of the printed seed until the time is over.  With --all: every point.
"""
import os
import re
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)

import harness  # noqa: E402  (the paths above come first)
from lab import RELEASES, Lab, mailhost, started  # noqa: E402

def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="every point, however long it takes")
    parser.addoption("--seed", type=int, default=int(time.time()), help="of the order of points")
    parser.addoption("--thin", type=int, default=0,
                     help="with --all: so many at most of the same fault at the same file")


@pytest.fixture(scope="session", params=RELEASES)
def release(request):
    return request.param


@pytest.fixture(scope="session", autouse=True)
def postern_built():
    binary = mailhost.postern_binary()
    assert os.access(binary, os.X_OK), f"{binary} is not there: build it, or set POSTERN"


@pytest.fixture
def idle_mail(release):
    """A mail host whose servers do not run, ready for trials."""
    with Lab(release, with_balancer=False) as lab:
        harness.prepare(lab.mail)
        yield lab.mail


@pytest.fixture
def live_mail(release):
    with started(release) as lab:
        harness.prepare(lab.mail)
        yield lab.mail


class Effort:
    """How much is tried, and what is said of it."""

    def __init__(self, config, said):
        self._all = config.getoption("all")
        self._say = said
        self.thin = config.getoption("thin")
        self.seed = config.getoption("seed")

    def of(self, budget_s):
        return 0 if self._all else budget_s

    # What part of the points may be missed; a look that comes after its rehearsal has less to do.
    MISSED, MISSED_OF_A_LOOK = 1 / 3, 3 / 4

    def check(self, result, what, missed_most=MISSED):
        said = (f"{what}: {result['tried']} of {result.get('points', 0)} points tried, "
                f"{result['tried'] - result['missed']} faults had "
                f"(seed {self.seed}, {result['took_s']} s)")
        self._say(said)
        assert result["faults"] == [], f"{said}\n" + "\n\n".join(result["faults"][:10])
        assert result["tried"] > 0, said
        # A process may make a call less than the time before, the more so beside others; and a few
        # points are a small sample.
        assert result["missed"] <= max(4, result["tried"] * missed_most), result
        assert result["missed"] < result["tried"], result


@pytest.fixture
def effort(request):
    # Properties come from pytest-xdist's processes, too.
    return Effort(request.config,
                  lambda said: request.node.user_properties.append(("points", said)))


def pytest_terminal_summary(terminalreporter):
    terminalreporter.section("points tried")
    tried = 0
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, said in getattr(report, "user_properties", ()):
                if name == "points" and report.when == "call":
                    terminalreporter.write_line(said)
                    tried += int(re.search(r": (\d+) of", said)[1])
    terminalreporter.write_line(f"points tried in all: {tried}")
