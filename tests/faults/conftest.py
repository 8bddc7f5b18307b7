# SPDX-License-Identifier: MIT
"""Fixtures of the fault tests, and how much of all points is tried.

Without --all, as in continuous integration: at least one point of each kind of fault, and others in
an order of the printed seed until the time is over; of allocations first one for each way through
the program to them.  With --all: every point.
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
                     help="so many at most of the same fault at the same file, or of the "
                          "allocations that the program comes to on the same way")
    parser.addoption("--shares", type=int, default=1,
                     help="each test's points are tried in so many mail hosts")


def pytest_generate_tests(metafunc):
    """Whoever makes an effort makes a share of it."""
    shares = metafunc.config.getoption("shares")
    if "share" in metafunc.fixturenames and shares > 1:
        metafunc.parametrize("share", range(shares), indirect=True,
                             ids=[f"{n}of{shares}" for n in range(1, shares + 1)])


@pytest.fixture
def share(request):
    return getattr(request, "param", 0)


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

    MISSED = 1 / 3  # what part of the points may be

    def __init__(self, config, share, said):
        self.all = config.getoption("all")
        self.seed = config.getoption("seed")
        self._say = said
        self._thin = config.getoption("thin")
        self.share = share, config.getoption("shares")

    def of(self, budget_s):
        """What a trial needs to know of it; the time counts where not all is tried."""
        return {"seed": self.seed, "budget_s": 0 if self.all else budget_s, "thin": self._thin,
                "share": self.share}

    def check(self, result, what):
        said = (f"{what}: {result['tried']} of {result.get('points', 0)} points tried, "
                f"{result['tried'] - result['missed']} faults had "
                f"(seed {self.seed}, {result['took_s']} s)")
        self._say(said)
        assert result["faults"] == [], f"{said}\n" + "\n\n".join(result["faults"][:10])
        if self.share[1] > 1 and result.get("points") == 0:
            return  # of few points a share may have none
        assert result["tried"] > 0, said
        # A process may make a call less than the time before, the more so beside others; and a few
        # points are a small sample.
        assert result["missed"] <= max(4, result["tried"] * self.MISSED), result
        assert result["missed"] < result["tried"], result


@pytest.fixture
def effort(request, share):
    # Properties come from pytest-xdist's processes, too.
    return Effort(request.config, share,
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
