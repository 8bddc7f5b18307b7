# SPDX-License-Identifier: MIT
"""The clock is put forth and back beneath a running postern: it hangs on none of it.

callfault gives the program another CLOCK_REALTIME than the machine's, which nobody touches.
"""
import contextlib
import os
import struct
import time

import pytest

import harness
from lab import RELEASES, mailhost, postern, processes, wait

CONTROL = "/run/faults-control"
CLOCK_AT, CONTROL_BYTES = 32, 104
HOUR, YEAR = 3600, 365 * 86400
TO_1970, TO_2106 = "1970", "2106"
STEPS = {"an hour forth": HOUR, "an hour back": -HOUR, "ten years forth": 10 * YEAR,
         "ten years back": -10 * YEAR, "to 1970": TO_1970, "to 2106": TO_2106}
SLACK_S = 60
OFFSETS = {TO_1970: lambda: 3 - int(time.time()), TO_2106: lambda: 2**32 - int(time.time()) + 5}
# Of processor time in a second of doing nothing.
IDLE_S, BUSY_S = 2, 0.5


def seconds_of(step):
    return OFFSETS[step]() if step in OFFSETS else step


class Clock:
    """What the program takes for the time, by the machine's."""

    def __init__(self, mail):
        self._path = mail.path(CONTROL)
        with open(self._path, "wb") as control:
            control.write(bytes(CONTROL_BYTES))

    def put(self, step):
        seconds = seconds_of(step)
        with open(self._path, "r+b") as control:
            control.seek(CLOCK_AT)
            control.write(struct.pack("q", seconds * 10**9))


class UnderClock(postern.Postern):
    """A watcher below callfault."""

    def start(self):
        self.process = self.mail.spawn(
            [f"{harness.INSIDE}/callfault", "--control", CONTROL, "--clock", mailhost.POSTERN,
             *postern.WATCH])
        return self

    def watcher_pid(self):
        return wait.until(lambda: next(iter(processes.children(self.process.pid)), None),
                          "the watcher")

    def stop(self, number=None):
        os.kill(self.watcher_pid(), 15)
        return self.process.wait()

    def processor_s(self):
        with open(f"/proc/{self.watcher_pid()}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="session", params=RELEASES[-1:])
def release(request):
    """It is postern's clock; of the servers one release is enough."""
    return request.param


@pytest.fixture
def clock(live_mail):
    return Clock(live_mail)


@pytest.fixture
def watching(live_mail, clock):
    live_mail.configure_postern(postern.conf("resync = 1\n"))
    running = UnderClock(live_mail).start()
    running.wait_current()
    yield running
    with contextlib.suppress(ProcessLookupError):
        assert running.stop() == 0


def swap(mail, port):
    mail.configure_postern(postern.conf("resync = 1\n" + postern.twins_at(submission=port)))


def all_is_in_force(watching, port):
    watching.wait_twins({**mailhost.TWIN_PORTS, "submission": port})


def test_a_running_postern_follows_no_clock(live_mail, clock, watching):
    """Steps while it settles, applies, verifies, and between two resyncs."""
    for n, step in enumerate(STEPS.values()):
        swap(live_mail, 20587 + n)
        clock.put(step)
        all_is_in_force(watching, 20587 + n)
        clock.put(0)
        # It goes on looking by itself, and no more often than it is to.
        looks, spent = watching.status()["counts"]["looks"], watching.processor_s()
        watching.wait_for(lambda s, before=looks: s["counts"]["looks"] > before, "a resync")
        time.sleep(IDLE_S)
        now = watching.status()["counts"]["looks"]
        assert now - looks <= IDLE_S + 12, step
        assert watching.processor_s() - spent < BUSY_S * (IDLE_S + 10), step


def test_a_retry_comes_after_the_clock_was_put(live_mail, clock, watching):
    """What has failed is tried again after its wait, whatever the clock says meanwhile."""
    for n, step in enumerate((10 * YEAR, -10 * YEAR, TO_1970)):
        with open(live_mail.path(mailhost.MASTER_CF + ".tmp"), "wb") as _:
            pass
        live_mail.remove(mailhost.MASTER_CF + ".tmp")
        os.mkdir(live_mail.path(mailhost.MASTER_CF + ".tmp"))
        swap(live_mail, 21587 + n)
        watching.wait_for(lambda s: s["outcome"] == "failed", "a failure")
        clock.put(step)
        os.rmdir(live_mail.path(mailhost.MASTER_CF + ".tmp"))
        all_is_in_force(watching, 21587 + n)
        clock.put(0)


def test_files_are_written_whatever_the_clock_says(live_mail, clock):
    """Postfix's programs wait for a main.cf younger than two seconds; ours is never that young."""
    options = [f"{harness.INSIDE}/callfault", "--control", CONTROL, "--clock"]
    for name, step in STEPS.items():
        clock.put(step)
        said = live_mail.run([*options, *harness.command(), "patch"]).stderr
        assert "reloaded" in said, name
        start = time.monotonic()
        live_mail.run(["postconf", "-h", "mail_name"])
        assert time.monotonic() - start < 2, name
        stamp = os.stat(live_mail.path(mailhost.MAIN_CF)).st_mtime
        assert abs(stamp - time.time() - seconds_of(step)) < SLACK_S, name
        nothing = live_mail.run([*options, *harness.command(), "patch"]).stderr
        assert "nothing to do" in nothing, name
        live_mail.run([*options, *harness.command(), "revert"])
    clock.put(0)
