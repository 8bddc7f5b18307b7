# SPDX-License-Identifier: MIT
"""What /proc tells about processes, by the numbers that this machine has for them."""
import contextlib
import os
import signal

from . import confine, wait

SUPERVISOR, WATCHER, LOOK = "postern", "postern-watch", "postern-look"
REHEARSAL = "postern-judge"
GUARD = "postern-guard"  # before the command of `run` starts
OURS = (SUPERVISOR, WATCHER, LOOK, REHEARSAL, GUARD)
# More than a watcher waits after a change before it begins, with a rehearsal or a look.
QUIET_S = wait.slowed(0.3)


def read(pid, file):
    """The text of /proc/PID/file; "" when the process has gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(f"/proc/{pid}/{file}", encoding="utf-8", errors="replace") as opened:
            return opened.read()
    return ""


def everybody():
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def children(pid):
    """The processes that this one started, all threads' of it."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += [int(word) for word in read(pid, f"task/{thread}/children").split()]
    return found


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def name(pid):
    """The process's name; None when it has gone."""
    return read(pid, "comm").strip() or None


def status(pid):
    """/proc/PID/status as {field: text}; empty when it has gone."""
    return dict(line.split(":\t", 1) for line in read(pid, "status").splitlines() if ":\t" in line)


def state(pid):
    """"S", "T", "Z" and so on; "" when it has gone."""
    return status(pid).get("State", "")[:1]


def is_gone(pid):
    """Also a zombie has."""
    return state(pid) in ("", "Z", "X")


def inner_number(pid):
    """What a process calls itself, in the innermost of its namespaces."""
    return int(status(pid)["NSpid"].split()[-1])


def with_inner_number(pid, number):
    """The process that the host of one of its processes knows by a number."""
    space = os.readlink(f"/proc/{pid}/ns/pid")
    for other in everybody():
        # Some have ended; some of the machine's own may be closed to us.
        with contextlib.suppress(OSError, KeyError):
            if os.readlink(f"/proc/{other}/ns/pid") == space and inner_number(other) == number:
                return other
    raise ProcessLookupError(number)


def names_of(bits):
    """A set of capabilities as /proc/PID/status has it, as names without "CAP_"."""
    return {each for number, each in enumerate(confine.CAPABILITIES) if int(bits, 16) >> number & 1}


def capabilities(pid, field="CapEff"):
    """The set of a /proc/PID/status field."""
    return names_of(status(pid)[field])


def descriptors(pid):
    """How many files it holds open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def open_files(pid):
    """What its descriptors lead to, as paths within its root; none when it has gone."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed in between
                found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


def child_of(pid, named):
    """The one that it started of this name, if it runs."""
    return next((child for child in children(pid) if name(child) == named), None)


def look_of(watcher):
    """The look that runs, if one does."""
    return child_of(watcher, LOOK)


def wait_quiet(watcher):
    """Until it, a function tells which, has nothing left to do of what it has heard of.

    Whoever has asked it has gone meanwhile, for its side, too.
    """
    wait.until_lasting(lambda: not children(watcher()), QUIET_S, "nobody to be at work")


def with_mounts_of(pid):
    """The processes of a host, whoever their parent is: those with the mounts of one of them."""
    mounts = os.readlink(f"/proc/{pid}/ns/mnt")
    found = []
    for other in everybody():
        # Some of the machine's own processes may be closed to us; none of the lab's is.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if os.readlink(f"/proc/{other}/ns/mnt") == mounts:
                found.append(other)
    return found


@contextlib.contextmanager
def stopped(pid):
    """It does nothing from the block's first line to its last.

    nsenter(1) stops with what it has started, and goes on by itself alone.
    """
    parent = int(status(pid)["PPid"])
    os.kill(pid, signal.SIGSTOP)
    try:
        wait.until(lambda: state(pid) == "T", "it to stop")  # kill(2) may be over before that
        yield
    finally:
        for each in (pid, parent):
            os.kill(each, signal.SIGCONT)


def kill_all(pids, number=signal.SIGKILL):
    """Those that are there still."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
