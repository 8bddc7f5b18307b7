# SPDX-License-Identifier: MIT
"""Fixtures: what stands on the wire, and pods of the chart in each mode on each release."""
import contextlib
import os
import sys

import pytest

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                os.path.dirname(os.path.abspath(__file__))]

pytest.register_assert_rewrite("lab")

import chart  # noqa: E402  (the path above comes first)
import stage as stage_module  # noqa: E402
from lab import mailhost, tree  # noqa: E402


def pytest_collection_modifyitems(items):
    """Tests that share pods go to one worker: those of a file and a release."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{params.get('release')}"))


@pytest.fixture(scope="session", params=tree.RELEASES)
def release(request):
    return request.param


@pytest.fixture(scope="session", params=chart.MODES)
def mode(request):
    return request.param


@pytest.fixture(scope="session", params=[mode for mode in chart.MODES if mode != "init"])
def live_mode(request):
    """The modes in which postern keeps running."""
    return request.param


@pytest.fixture(scope="session")
def stage():
    """The wire with a balancer, clients and an outsider; pods come and go."""
    binary = mailhost.postern_binary()
    assert os.access(binary, os.X_OK), f"{binary} is not there: build it, or set POSTERN"
    with stage_module.Stage() as standing:
        yield standing


@pytest.fixture
def play(stage):
    """Runs pods until the test's end: play(release, values)."""
    with contextlib.ExitStack() as running:
        yield lambda release, values, **how: running.enter_context(
            stage.mail_pod(release, values, **how))


@pytest.fixture(scope="module")
def mail(stage, release, mode):
    """A pod that runs and is ready, for all tests of a module that only look and talk."""
    with stage.mail_pod(release, chart.values(mode)) as running:
        yield running


@pytest.fixture(scope="module")
def live(stage, release, live_mode):
    """The same in a mode that follows changes, for tests that put back what they change."""
    with stage.mail_pod(release, chart.values(live_mode)) as running:
        yield running
