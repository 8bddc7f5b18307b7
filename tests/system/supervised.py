# SPDX-License-Identifier: MIT
"""A command under `postern run`: started, looked at in /proc, and gone without a trace at the end.

Processes have the numbers that this machine has for them, also below a supervisor that is PID 1 of
a namespace of its own.
"""
import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile

from lab import mailhost, processes, wait

# Where the watching process looks: no mail server is there, and so it never is this machine's own.
EMPTY_ROOT = tempfile.mkdtemp(prefix="postern-root-")
atexit.register(shutil.rmtree, EMPTY_ROOT, ignore_errors=True)
os.environ["POSTERN_TRUSTED_NETWORKS"] = "192.0.2.1"
NEW_PIDS = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

PYTHON = (sys.executable, "-I", "-S", "-u", "-c")

# Says "ready", and then every signal that comes, with its value.  Dies of none but SIGKILL.
RECORDER = r"""
import ctypes, os, signal
signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
libc = ctypes.CDLL(None)
class Info(ctypes.Structure):
    _fields_ = [("signo", ctypes.c_int), ("errno", ctypes.c_int), ("code", ctypes.c_int),
                ("pad", ctypes.c_int), ("pid", ctypes.c_int), ("uid", ctypes.c_int),
                ("value", ctypes.c_long), ("rest", ctypes.c_char * 96)]
everything = (ctypes.c_uint64 * 16)(*[2 ** 64 - 1] * 16)
info = Info()
os.write(1, b"ready\n")
while True:
    number = libc.sigwaitinfo(everything, ctypes.byref(info))
    if number > 0 and number != signal.SIGCHLD:
        queued = info.code == -1
        os.write(1, (f"{number} {info.value}\n" if queued else f"{number}\n").encode())
"""


def recorder():
    return [*PYTHON, RECORDER]


def python(program):
    return [*PYTHON, program]


def postern_run(*words, level="warning"):
    """The start of a command line.  At that level nothing is said unless something is wrong."""
    return [mailhost.postern_binary(), "--root", EMPTY_ROOT,
            "--socket", os.path.join(EMPTY_ROOT, "status.sock"), "--log-level", level, "run", *words]


def switches(pid):
    """How often the process was given the processor: the number of its wake-ups, and more."""
    return {name: int(processes.status(pid)[name]) for name in
            ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")}


def _leads_a_group(pid):
    fields = processes.status(pid)
    return fields and fields["NSpgid"].split()[-1] == fields["NSpid"].split()[-1]


# -- the supervisor

class Supervised:
    """`postern run OPTIONS -- COMMAND`, as a child of ours or as PID 1 of a namespace."""

    def __init__(self, command, *options, as_init=False, level="debug", before=None, **popen):
        self._said = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*(NEW_PIDS if as_init else ()), *postern_run(*options, "--", *command, level=level)],
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": self._said,
               "preexec_fn": before, **popen})
        self.pid = self._find_init() if as_init else self.process.pid

    def _find_init(self):
        outside = self.process.pid

        def init():
            found = [pid for pid in processes.children(outside)
                     if processes.name(pid) == processes.SUPERVISOR]
            # It may be over already; then nobody asks for the number.
            return found or self.process.poll() is not None
        found = wait.until(init, "postern in its namespace")
        return found[0] if isinstance(found, list) else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        processes.kill_all([*processes.descendants(self.process.pid), self.process.pid])
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        if self.process.stdout:
            self.process.stdout.close()
        self._said.close()

    # -- what it and its command say

    def said(self):
        """What stands on standard error so far."""
        # Not by seeking: the place in the file is the writers', too.
        fd = self._said.fileno()
        return os.pread(fd, os.fstat(fd).st_size, 0).decode()

    def wait_said(self, pattern):
        return wait.until(lambda: re.search(pattern, self.said()),
                          lambda: f"{pattern!r} in {self.said()!r}")

    def line(self):
        """The next line of the command's standard output, without its end; None at the end."""
        line = self.process.stdout.readline().decode()
        return line.rstrip("\n") if line else None

    def ready(self):
        """Wait until the command has said so."""
        assert self.line() == "ready", self.said()
        return self

    # -- processes

    @property
    def child(self):
        """The number of the command, as this machine counts, once it runs."""
        def found():
            return [pid for pid in processes.children(self.pid)
                    if processes.name(pid) not in (*processes.OURS, None)
                    and _leads_a_group(pid)]
        return wait.until(found, "the command")[0]

    def companion_now(self):
        found = [pid for pid in processes.children(self.pid)
                 if processes.name(pid) == processes.WATCHER and processes.state(pid) == "S"]
        return found[0] if found else None

    @property
    def companion(self):
        return wait.until(self.companion_now, "the watching process")

    def send(self, *numbers):
        for number in numbers:
            os.kill(self.pid, number)
        return self

    def wait_state(self, wanted, pid=None):
        pid = pid or self.pid
        wait.until(lambda: processes.state(pid) in wanted,
                   lambda: f"state {wanted}, not {processes.state(pid)!r}")

    def status(self):
        """Wait for the end; the exit status, as a shell has it."""
        status = self.process.wait(timeout=wait.LIMIT_S)
        return status if status >= 0 else 128 - status


def run(command, *options, **keywords):
    """Run to the end: (exit status, standard output, standard error)."""
    with Supervised(command, *options, **keywords) as supervised:
        text = supervised.process.stdout.read().decode() if supervised.process.stdout else ""
        return supervised.status(), text, supervised.said()
