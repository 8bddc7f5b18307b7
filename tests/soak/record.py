# SPDX-License-Identifier: MIT
"""What the harness itself did and when: the only thing by which a failure may be explained.

Times are those of the wall clock (time.time()), which all processes of the harness and the JSON
lines of postern's log share.
"""
import collections
import contextlib
import threading
import time
from typing import NamedTuple

POSTFIX, DOVECOT, WATCHER = "postfix", "dovecot", "watcher"


class Window(NamedTuple):
    """A span of time in which servers could not be counted on, by the harness's own doing."""

    what: str
    servers: frozenset
    begin: float
    end: float

    def covers(self, server, begin, end):
        return server in self.servers and self.begin <= end and begin <= self.end


class Kill(NamedTuple):
    """One process that was killed, and who was connected to it: {(address, port)}."""

    what: str
    pid: int  # as its host counts
    at: float
    peers: frozenset


class Record:
    def __init__(self, clock=time.time):
        self.clock = clock
        self.begun = clock()
        self.windows = []
        self.kills = []
        self.looks_killed = []  # (when it began, when it was killed)
        self.watcher_ends = []
        self.events = []  # (time, what): all acts and swaps
        self.counts = collections.Counter()
        self.problems = collections.Counter()
        self._lock = threading.Lock()

    def count(self, what, n=1):
        with self._lock:
            self.counts[what] += n

    def problem(self, text):
        """What must not be; the same words are told once, with their number."""
        with self._lock:
            self.problems[text] += 1

    def event(self, what):
        self.events.append((self.clock(), what))

    def events_about(self, begin, end, slack_s=0.5):
        """What the harness did meanwhile, for whoever has to understand a failure."""
        return [f"{what} at {at - begin:+.2f} s" for at, what in self.events
                if begin - slack_s <= at <= end + slack_s]

    def killed(self, what, pid, peers=()):
        self.kills.append(Kill(what, pid, self.clock(), frozenset(peers)))
        self.count(f"killed: {what}")
        self.event(f"killed: {what} {pid}")

    @contextlib.contextmanager
    def window(self, what, *servers):
        """Open until the block is left, which is when the harness has seen them work again."""
        begin = self.clock()
        # Open-ended meanwhile, so that nobody finds a gap when the block is left by an error.
        try:
            yield
        finally:
            self.windows.append(Window(what, frozenset(servers), begin, self.clock()))

    def window_covering(self, server, begin, end, slack_s=0.0):
        return next((w for w in self.windows if w.covers(server, begin, end + slack_s)), None)

    def share_of_windows(self, server, begin, end):
        """The part of the time that windows of this server take up."""
        spans = sorted((max(w.begin, begin), min(w.end, end)) for w in self.windows
                       if server in w.servers)
        total, until = 0.0, begin
        for first, last in spans:
            first = max(first, until)
            if last > first:
                total += last - first
                until = last
        return total / (end - begin)
