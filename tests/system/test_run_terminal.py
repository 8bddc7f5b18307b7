# SPDX-License-Identifier: MIT
"""postern run with a terminal: who is in the foreground, job control, and signals that stop."""
import os
import pty
import re
import select
import signal
import time

import pytest

import supervised
from lab import processes, wait

pytestmark = pytest.mark.usefixtures("postern_built")

INTERRUPT, SUSPEND, END_OF_FILE = b"\x03", b"\x1a", b"\x04"
STOPPING = [signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU]


class Terminal:
    """A terminal whose session leader is the given command."""

    def __init__(self, *command):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                os.environ.update(PS1="prompt> ", TERM="dumb")
                os.execvp(command[0], command)
            finally:
                os._exit(1)
        self.shown = ""
        self._status = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        processes.kill_all([*processes.descendants(self.pid)])
        if self._status is None:
            processes.kill_all([self.pid])
            os.waitpid(self.pid, 0)
        os.close(self.master)

    def _read(self, within):
        if not select.select([self.master], [], [], within)[0]:
            return False
        try:
            self.shown += os.read(self.master, 4096).decode(errors="replace")
        except OSError:  # the other side is closed
            return False
        return True

    def expect(self, pattern):
        """Wait until that is shown; what came before is forgotten."""
        deadline = time.monotonic() + wait.LIMIT_S
        while not (found := re.search(pattern, self.shown)):
            left = deadline - time.monotonic()
            assert left > 0, f"waited for {pattern!r}: {self.shown!r}"
            self._read(min(left, 0.1))
        self.shown = self.shown[found.end():]
        return found

    def type(self, data):
        os.write(self.master, data if isinstance(data, bytes) else data.encode())

    def wait_foreground(self, name):
        """
        Wait until that program has the terminal.  What is typed earlier may be lost: it comes
        while the shell changes the terminal's mode, and the program waits for a line for ever.
        """
        def has_it():
            leader = os.tcgetpgrp(self.master)
            return processes.name(leader) == name and \
                processes.state(leader) == "S"
        wait.until(has_it, f"{name} in the foreground")

    def status(self):
        def ended():
            self._read(0)  # a full terminal would hold it up
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = status
            return pid
        wait.until(ended, lambda: f"its end; shown: {self.shown!r}")
        return os.waitstatus_to_exitcode(self._status)


@pytest.fixture
def terminal(postern_built):
    """Starts a command as leader of a session with a terminal."""
    opened = []

    def start(*command):
        opened.append(Terminal(*command))
        return opened[-1]
    yield start
    for each in opened:
        each.__exit__()


def under_postern(*command, as_init=False, options=()):
    return [*(supervised.NEW_PIDS if as_init else ()),
            *supervised.postern_run(*options, "--", *command)]


# -- the terminal is the command's

def test_what_is_typed_reaches_the_command_and_its_answer_comes_back(terminal, as_init):
    tty = terminal(*under_postern("/usr/bin/tac", as_init=as_init))
    tty.type("first\nsecond\n" + END_OF_FILE.decode())
    tty.expect(r"first\r\nsecond\r\n.*second\r\nfirst\r\n")
    assert tty.status() == 0


def test_a_shell_ends_with_its_status(terminal, as_init):
    tty = terminal(*under_postern("/bin/sh", "-i", as_init=as_init))
    tty.expect("prompt> ")
    tty.type("exit 0\n")
    assert tty.status() == 0


def test_the_interrupt_key_ends_the_command(terminal, as_init):
    tty = terminal(*under_postern("/bin/sh", "-c", "echo ready; exec sleep 60", as_init=as_init))
    tty.expect("ready")
    tty.type(INTERRUPT)
    assert tty.status() == 128 + signal.SIGINT


def test_a_shell_has_job_control(terminal, as_init):
    """The terminal is its controlling one, and it is in the foreground."""
    tty = terminal(*under_postern("/bin/bash", "--norc", "-m", "-i", as_init=as_init))
    tty.expect("prompt> ")
    tty.type("sleep 61\n")
    tty.expect("sleep 61\r\n")
    pid = tty.pid
    wait.until(lambda: any(processes.read(each, "cmdline") == "sleep\00061\0"
                           for each in processes.descendants(pid)), "sleep")
    tty.type(SUSPEND)
    tty.expect(r"Stopped\s+sleep 61")
    tty.type("kill %1; fg; exit 5\n")
    assert tty.status() == 5
    assert "no job control" not in tty.shown


def test_the_terminal_is_given_back_at_the_end(terminal):
    """A script goes on reading from it when the command has ended."""
    script = '"$@"; read line; echo "read $line"; exit 3'
    tty = terminal("/bin/sh", "-c", script, "sh", *under_postern("/bin/echo", "over"))
    tty.expect("over")
    tty.type("more\n")
    tty.expect("read more")
    assert tty.status() == 3


@pytest.mark.parametrize("how", ["signal", "hangup"])
def test_a_session_leader_forwards_the_first_hangup(terminal, how):
    """dumb-init has to swallow one, as it gives its terminal up; here nothing is lost."""
    tty = terminal(*under_postern(*supervised.python(
        "import os, signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])\n"
        "os.write(1, b'ready')\n"
        "signal.sigwait([signal.SIGHUP])\n"
        "os._exit(21)\n")))
    tty.expect("ready")
    if how == "signal":
        os.kill(tty.pid, signal.SIGHUP)
        assert tty.status() == 21
        return
    # The terminal goes away: the kernel sends SIGHUP to the session's leader and to the foreground.
    os.close(tty.master)
    tty.master = os.open("/dev/null", os.O_RDWR)
    assert tty.status() == 21


# -- with a shell that looks on

def shell(terminal):
    tty = terminal("/bin/bash", "--norc", "-i")
    tty.expect("prompt> ")
    return tty


def test_suspended_and_continued_in_a_shell(terminal):
    """The whole way: ^Z, the shell has the terminal, fg, the command has it again."""
    tty = shell(terminal)
    tty.type(" ".join(under_postern("/bin/cat")) + "\n")
    for word in ("one", "two", "three"):
        tty.wait_foreground("cat")
        tty.type(f"{word}\n")
        tty.expect(rf"{word}\r\n(?s:.*){word}\r\n")
        tty.type(SUSPEND)
        tty.expect(r"Stopped(?s:.*)prompt> ")
        tty.type("echo in the shell\n")
        tty.expect(r"[\r\n]in the shell\r\n(?s:.*)prompt> ")
        tty.type("fg\n")
        tty.expect("run -- /bin/cat\r\n")
    tty.wait_foreground("cat")
    tty.type("last\n")
    tty.expect(r"last\r\n(?s:.*)last\r\n")
    tty.type(END_OF_FILE)
    tty.expect("prompt> ")
    tty.type("echo status $?\n")
    tty.expect(r"[\r\n]status 0\r\n")


def test_in_the_background_it_stops_when_it_reads(terminal):
    tty = shell(terminal)
    tty.type(" ".join(under_postern("/bin/cat")) + " &\n")
    tty.expect("prompt> ")

    def stopped():
        return [pid for pid in processes.descendants(tty.pid)
                if processes.state(pid) == "T" and
                processes.name(pid) == "postern"]
    wait.until(stopped, "postern to stop with its command")
    tty.type("fg\n")
    tty.expect("run -- /bin/cat\r\n")
    tty.wait_foreground("cat")
    tty.type("text\n")
    tty.expect(r"text\r\n(?s:.*)text\r\n")
    tty.type(END_OF_FILE)
    tty.expect("prompt> ")


def test_an_old_report_that_the_command_stopped_does_not_stop_us_again(terminal):
    """Stopped and continued by signals; the report waits for us when we go on."""
    tty = terminal(*under_postern("/bin/sleep", "60"))
    tty.wait_foreground("sleep")
    child = os.tcgetpgrp(tty.master)
    for _ in range(5):
        os.kill(tty.pid, signal.SIGTSTP)
        for pid in (tty.pid, child):
            wait.until(lambda pid=pid: processes.state(pid) == "T", "both to stop")
        os.kill(tty.pid, signal.SIGCONT)
        for pid in (tty.pid, child):
            wait.until(lambda pid=pid: processes.state(pid) == "S", "both to go on")
    os.kill(tty.pid, signal.SIGTERM)
    assert tty.status() == 128 + signal.SIGTERM


# -- signals that stop, sent to us

@pytest.mark.parametrize("number", STOPPING)
@pytest.mark.parametrize("options", [(), ("--process-group",)], ids=["child", "group"])
def test_we_stop_after_the_command_and_go_on_with_it(supervise, number, options):
    run = supervise(["/bin/sleep", "60"], *options)
    child = run.child
    for _ in range(3):
        run.send(number)
        run.wait_state("T")
        run.wait_state("T", child)
        run.send(signal.SIGCONT)
        run.wait_state("S")
        run.wait_state("S", child)
    assert run.send(signal.SIGTERM).status() == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_process_forwards_and_does_not_stop(supervise, number):
    """Nobody could continue it."""
    run = supervise(["/bin/sleep", "60"], as_init=True)
    child = run.child
    run.send(number)
    run.wait_state("T", child)
    run.wait_state("S")
    run.send(signal.SIGCONT)
    run.wait_state("S", child)
    assert run.send(signal.SIGTERM).status() == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", STOPPING)
@pytest.mark.parametrize("options", [(), ("--process-group",)], ids=["child", "group"])
def test_a_command_that_handles_them_gets_both(supervise, number, options):
    run = supervise(supervised.recorder(), *options).ready()
    run.send(number)
    assert run.line() == str(int(number))
    run.wait_state("T")
    run.wait_state("S", run.child)
    run.send(signal.SIGCONT)
    assert run.line() == str(int(signal.SIGCONT))
    run.wait_state("S")


@pytest.mark.parametrize("rewrites,expected", [
    (["TSTP:TERM,TTIN:USR1,TTOU:0"], {20: "15", 21: "10", 22: None}),
    (["20:18,21:20,22:21"], {20: "18", 21: "20", 22: "21"}),
])
def test_rewritten_ones_stop_us_all_the_same(supervise, rewrites, expected):
    options = [word for rule in rewrites for word in ("--rewrite", rule)]
    run = supervise(supervised.recorder(), *options).ready()
    for number, becomes in expected.items():
        run.send(number)
        run.wait_state("T")
        if becomes:
            assert run.line() == becomes
        run.send(signal.SIGCONT)
        assert run.line() == "18"
        run.wait_state("S")


def test_rewritten_to_stop_the_command_cannot_refuse(supervise):
    run = supervise(supervised.recorder(), "--rewrite", "TSTP:STOP").ready()
    child = run.child
    run.send(signal.SIGTSTP)
    run.wait_state("T")
    run.wait_state("T", child)
    run.send(signal.SIGCONT)
    assert run.line() == "18"
    run.wait_state("S", child)


def test_what_is_sent_while_we_are_stopped_is_forwarded_afterwards(supervise):
    run = supervise(supervised.recorder()).ready()
    run.send(signal.SIGTSTP)
    assert run.line() == "20"
    run.wait_state("T")
    run.send(signal.SIGUSR1, 40, signal.SIGCONT)
    # Those that wait together have no order.
    assert sorted(run.line() for _ in range(3)) == ["10", "18", "40"]
