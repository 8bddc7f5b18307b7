# SPDX-License-Identifier: MIT
"""What /proc tells about the processes of a running postern, and running it as a real process 1."""
import contextlib
import os
import re

from . import confine, mailhost, postern, wait

SUPERVISOR, WATCHER, LOOK = "postern", "postern-watch", "postern-look"


def children(pid):
    """The processes that this one started, all threads' of it."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as listed:
                found += [int(word) for word in listed.read().split()]
    return found


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def name(pid):
    """The process's name; None when it has gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
            return comm.read().strip()
    return None


def status(pid):
    """/proc/PID/status as {field: text}; empty when it has gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as lines:
            return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)
    return {}


def is_alive(pid):
    """It is there, and no zombie."""
    return status(pid).get("State", "Z")[0] not in "ZX"


def capabilities(pid, field="CapEff"):
    """The set of a /proc/PID/status field, as names without "CAP_"."""
    bits = int(status(pid)[field], 16)
    return {each for number, each in enumerate(confine.CAPABILITIES) if bits >> number & 1}


def descriptors(pid):
    """How many files it holds open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def look_of(watcher):
    """The look that runs, if one does."""
    return next((pid for pid in children(watcher) if name(pid) == LOOK), None)


def of_postern(host):
    """All of postern's processes in a host, by its name or its program."""
    found = []
    mounts = os.readlink(f"/proc/{host.pid}/ns/mnt")
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{entry}/ns/mnt") == mounts and \
                    os.readlink(f"/proc/{entry}/exe").startswith(mailhost.POSTERN) and \
                    is_alive(entry):
                found.append(int(entry))
    return found


class Init(postern.Postern):
    """`postern run` as process 1 of a process namespace of its own in the mail host.

    `before` is shell text that comes first: limits, say.  The namespace's end is unshare's, whose
    exit status is postern's.
    """

    def __init__(self, mail, argv, before="", options=(), env=None):
        super().__init__(mail, env=env)
        self._argv = argv
        self._before = before
        self._options = options

    def start(self):
        script = f'mount -t proc proc /proc && {self._before or ":"} && exec "$@"'
        self.process = self.mail.spawn(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount", "sh", "-c", script, "sh",
             mailhost.POSTERN, *self._options, "run", "--", *self._argv], env=self._env)
        return self

    def supervisor_pid(self):
        """Process 1, as this machine numbers it; once it is postern."""
        def found():
            return next((pid for pid in children(self.process.pid) if name(pid) == SUPERVISOR),
                        None)
        return wait.until(found, lambda: f"postern to be process 1: {self.process.output}")

    def child_pid(self):
        """CMD's number, as this machine has it."""
        return wait.until(
            lambda: next((pid for pid in children(self.supervisor_pid())
                          if name(pid) not in (SUPERVISOR, WATCHER, LOOK, None)), None),
            "CMD to start")

    def send(self, number):
        """A signal to process 1."""
        os.kill(self.supervisor_pid(), number)

    def _companion(self):
        return next((pid for pid in children(self.supervisor_pid()) if name(pid) == WATCHER), None)


def inner_number(pid):
    """What a process calls itself."""
    return int(re.split(r"\s+", status(pid)["NSpid"])[-1])
