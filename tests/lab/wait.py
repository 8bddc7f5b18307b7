# SPDX-License-Identifier: MIT
"""Waiting for a condition, always with a limit and a sentence about what was awaited."""
import contextlib
import os
import time

# How many times as long all may take as with what ships (tests/sanitized).
SLOWNESS = float(os.environ.get("POSTERN_SLOWNESS", "1"))


def slowed(seconds):
    return seconds * SLOWNESS


# No measure of speed: what is awaited comes at once on a quiet machine, and on a loaded one it may
# take long.  So it is far beyond what any server, client or tool of the lab needs.
LIMIT_S = slowed(60.0)


class TooLate(AssertionError):
    """What was awaited did not come within its limit."""


def until(probe, what, within=LIMIT_S, every=0.01, passing=()):
    """Call probe until it returns something true; return that.

    `passing` are exceptions that mean: not yet.
    """
    deadline = time.monotonic() + within
    while True:
        with contextlib.suppress(*passing):
            result = probe()
            if result:
                return result
        if time.monotonic() >= deadline:
            raise TooLate(f"waited {within:g} s for {what() if callable(what) else what}")
        time.sleep(every)


def until_lasting(probe, seconds, what):
    """Until it has been true for so long, whenever it was called."""
    since = time.monotonic()

    def lasts():
        nonlocal since
        now = time.monotonic()
        if not probe():
            since = now
        return now - since > seconds
    until(lasts, what)
