# SPDX-License-Identifier: MIT
"""Which faults each system call can have, and the points of a recorded run."""
import errno
import re
import zlib
from typing import NamedTuple

# What a call of that name can fail with.  "done" is made and reports failure all the same, as close
# does; "short" moves half of the bytes.
_OPEN = ("ENOMEM", "EMFILE", "EIO", "EINTR")
_CREATE = ("ENOSPC", "EROFS")
_CHANGE = ("EIO", "EROFS", "ENOSPC", "ENOMEM")
_SOCKET = ("ENOMEM", "EINTR", "EAGAIN")
_ERRORS = {
    "openat": _OPEN,
    "openat2": (*_OPEN, "EAGAIN"),
    "open": _OPEN,
    "read": ("EIO", "EINTR", "EAGAIN", "ENOMEM"),
    "pread64": ("EIO", "EINTR"),
    "write": ("ENOSPC", "EIO", "EROFS", "EINTR", "EAGAIN", "ENOMEM"),
    "fsync": ("EIO", "ENOSPC", "EROFS", "EINTR"),
    "ftruncate": ("EIO", "ENOSPC", "EROFS", "EINTR"),
    "newfstatat": ("EIO", "ENOMEM"),
    "fstat": ("EIO", "ENOMEM"),
    "statx": ("EIO", "ENOMEM"),
    "readlink": ("EIO", "ENOMEM"),
    "readlinkat": ("EIO", "ENOMEM"),
    "getdents64": ("EIO", "ENOMEM"),
    "renameat": _CHANGE,
    "linkat": _CHANGE,
    "unlinkat": ("EIO", "EROFS", "ENOMEM"),
    "mkdirat": _CHANGE,
    "fchmod": ("EIO", "EROFS", "EINTR"),
    "fchown": ("EIO", "EROFS", "EINTR"),
    "utimensat": ("EIO", "EROFS"),
    "fsetxattr": _CHANGE,
    "flistxattr": ("EIO", "ENOMEM"),
    "fgetxattr": ("EIO", "ENOMEM"),
    "flock": ("EINTR", "EAGAIN", "ENOMEM"),
    "clone": ("EAGAIN", "ENOMEM"),
    "clone3": ("EAGAIN", "ENOMEM"),
    "fork": ("EAGAIN", "ENOMEM"),
    "vfork": ("EAGAIN", "ENOMEM"),
    "execve": ("EAGAIN", "ENOMEM", "EMFILE", "EIO"),
    "pipe2": ("EMFILE", "ENOMEM"),
    "dup": ("EMFILE",),
    "dup2": ("EMFILE", "EINTR"),
    "dup3": ("EMFILE", "EINTR"),
    "pidfd_open": ("EMFILE", "ENOMEM"),
    "pidfd_send_signal": ("EAGAIN", "ENOMEM"),
    "socket": ("EMFILE", "ENOMEM"),
    "bind": ("ENOMEM", "EIO"),
    "connect": _SOCKET,
    "sendto": _SOCKET,
    "sendmsg": _SOCKET,
    "recvfrom": _SOCKET,
    "recvmsg": _SOCKET,
    "epoll_create1": ("EMFILE", "ENOMEM"),
    "epoll_ctl": ("ENOMEM", "ENOSPC"),
    "epoll_wait": ("EINTR",),
    "epoll_pwait2": ("EINTR",),
    "poll": ("EINTR", "ENOMEM"),
    "ppoll": ("EINTR", "ENOMEM"),
    "clock_nanosleep": ("EINTR",),
    "nanosleep": ("EINTR",),
    "wait4": ("EINTR",),
    "getrandom": ("EAGAIN", "EINTR"),
    "inotify_init1": ("EMFILE", "ENOMEM"),
    "inotify_add_watch": ("ENOSPC", "ENOMEM"),
    "mmap": ("ENOMEM", "EAGAIN"),
}
# Of a name that is not in the table.
_OTHER = ("ENOMEM",)
# What the kernel does not let fail.
_NEVER = {"exit_group", "exit", "rt_sigreturn", "getpid", "getppid", "gettid", "getuid", "geteuid",
          "getgid", "getegid", "set_tid_address", "set_robust_list", "rseq", "arch_prctl",
          "sched_yield", "restart_syscall"}
_DONE = {"close": ("EIO", "EINTR"), "fsync": ("EIO",)}
_MOVES = {"read", "write", "pread64", "recvfrom", "sendto"}
_O_CREAT = 0o100

_NUMBER = re.compile(r"(?<=\.postern-new\.)[0-9a-f]{16}|\d+")
_LINE = re.compile(r"(\d+) (\d+) (\S+) (\S+) = (-?\d+)(.*)")


class Call(NamedTuple):
    process: int
    number: int
    name: str
    access: int  # of an open: its flags; else the second argument
    result: int
    rest: str    # files and names
    place: str   # what it is done to, whatever numbers are in there

    @property
    def is_of_messages(self):
        """It writes to the program's own standard error."""
        return self.name == "write" and "faults-said" in self.rest


class Point(NamedTuple):
    call: Call
    action: str

    @property
    def at(self):
        return f"{self.call.process}.{self.call.number}"

    @property
    def kind(self):
        return f"{self.call.name} {self.action}"

    @property
    def fault(self):
        """Which fault at which file, by which of our processes, in whatever recording."""
        return self.call.process == 0, self.call.name, self.call.place, self.action

    @property
    def is_kill(self):
        return self.action in ("before", "after", "amid")

    def __str__(self):
        return f"{self.at} {self.call.name}{self.call.rest[:200]} {self.action}"


def _place(rest, names):
    """Without numbers, also a temporary file's; but what is asked of one server, of the other, or
    of whomever else, are three things."""
    def named(found):
        return f"/proc/{names.get(int(found[1]), 'N')}"

    return _NUMBER.sub("N", re.sub(r"/proc/(\d+)", named, re.sub(r" \S+$", "", rest)))


def read_calls(path, names=None):
    """`names` are those of processes, by number."""
    with open(path, encoding="utf-8", errors="replace") as log:
        found = [_LINE.match(line) for line in log]
    return [Call(int(m[1]), int(m[2]), m[3], int(m[4], 16), int(m[5]), m[6],
                 _place(m[6], names or {})) for m in found if m]


def actions(call, kills):
    """All that can become of a call."""
    if kills and call.name != "exit_group":
        yield from ("before", "after")
        if call.name in ("write", "sendto") and call.result > 1:
            yield "amid"
    elif kills:
        yield "before"
    if kills or call.name in _NEVER:
        return
    names = _ERRORS.get(call.name, _OTHER)
    if call.name.startswith("openat") and call.access & _O_CREAT:
        names = (*names, *_CREATE)
    if call.name != "close":
        yield from (f"errno:{getattr(errno, name)}" for name in names)
    yield from (f"done:{getattr(errno, name)}" for name in _DONE.get(call.name, ()))
    if call.name in _MOVES and call.result > 1:
        yield "short"


def points_of(calls, kills):
    return [Point(call, action) for call in calls for action in actions(call, kills)]


def spread(points, dice, per_kind=1):
    """First `per_kind` of each kind of fault, then all others; both in an order of the dice."""
    points = list(points)
    dice.shuffle(points)
    first, rest, seen = [], [], {}
    for point in points:
        count = seen.get(point.kind, 0)
        (first if count < per_kind else rest).append(point)
        seen[point.kind] = count + 1
    return first, rest


def thinned(points, most):
    """No more than `most` of the same fault at the same thing: a table that is read 20 times."""
    kept, seen = [], {}
    for point in points:
        seen[point.fault] = seen.get(point.fault, 0) + 1
        if seen[point.fault] <= most:
            kept.append(point)
    return kept


def shared(points, share, shares):
    """One of so many parts; another recording, of another host, has the same faults in it."""
    return [point for point in points if zlib.crc32(repr(point.fault).encode()) % shares == share]


def chosen(calls, job):
    """The points that a job asks for, of calls that were recorded."""
    points = points_of(calls, job["kills"])
    if job["thin"]:
        points = thinned(points, job["thin"])
    return shared(points, *job["share"])
