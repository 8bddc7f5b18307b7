# SPDX-License-Identifier: MIT
"""Waiting for a condition, always with a limit and a sentence about what was awaited."""
import time


class TooLate(AssertionError):
    """What was awaited did not come within its limit."""


def until(probe, what, within=10.0, every=0.01):
    """Call probe until it returns something true; return that."""
    deadline = time.monotonic() + within
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise TooLate(f"waited {within:g} s for {what() if callable(what) else what}")
        time.sleep(every)
