# SPDX-License-Identifier: MIT
"""Fixtures of the system tests: labs of both Debian releases."""
import contextlib
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

pytest.register_assert_rewrite("lab")

import lab as lab_package  # noqa: E402  (the path above comes first)
import supervised  # noqa: E402
from lab import mailhost, sanitizers  # noqa: E402


# What nohup and the like ignore, every program below would ignore, too; a handler is not inherited.
for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(ignored) == signal.SIG_IGN:
        signal.signal(ignored, lambda *_: None)


@pytest.fixture(scope="session", params=lab_package.RELEASES)
def release(request):
    return request.param


@pytest.fixture(scope="session")
def postern_built():
    """For every test that runs postern: a missing binary is a failure, not a skip."""
    binary = mailhost.postern_binary()
    assert os.access(binary, os.X_OK), f"{binary} is not there: build it, or set POSTERN"
    return binary


@pytest.fixture
def lab(release):
    """A fresh lab of one's own: servers run, no balancer, nothing patched."""
    with lab_package.started(release) as running:
        yield running


@pytest.fixture
def idle_lab(release):
    """A fresh lab whose servers do not run."""
    with lab_package.Lab(release, with_balancer=False) as configured:
        yield configured


@pytest.fixture
def pod_lab(release, postern_built):
    """A fresh lab whose mail host is a container of a pod, with a sidecar; servers run."""
    with lab_package.started(release, pod=True) as running:
        yield running


@pytest.fixture
def idle_pod(release, postern_built):
    """The same; its servers do not run."""
    with lab_package.Lab(release, with_balancer=False, pod=True) as configured:
        yield configured


@pytest.fixture
def balanced_lab(release):
    """A fresh lab with HAProxy (v2) and nginx (v1) in front."""
    with lab_package.started(release, haproxy=True, nginx=True) as running:
        yield running


@pytest.fixture(scope="module")
def patched(release, postern_built):
    """One patched lab for all tests of a module that only look and talk."""
    with lab_package.started(release, haproxy=True, nginx=True) as running:
        running.mail.patch()
        running.mail.wait_listening(mailhost.TWIN_PORTS.values())
        yield running


@pytest.fixture
def supervise(postern_built):
    """Starts a command under `postern run`; all of it is gone at the end of the test."""
    with contextlib.ExitStack() as started:
        yield lambda *command, **how: started.enter_context(
            supervised.Supervised(*command, **how))


@pytest.fixture
def without_leak_check(monkeypatch):
    """For processes that end without memory, descriptors or leave to make another one."""
    for name, value in sanitizers.WITHOUT_LEAKS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=[False, True], ids=["sub-reaper", "pid1"])
def as_init(request):
    """Both ways to be a supervisor: below others, and as the first process."""
    return request.param
