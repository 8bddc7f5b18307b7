# SPDX-License-Identifier: MIT
"""postern run: orphans are reaped while CMD runs, and what is left is ended when CMD has ended."""
import os
import re
import signal
import subprocess

import pytest

import kernel_calls
import supervised
from lab import processes, wait

pytestmark = pytest.mark.usefixtures("postern_built")

SUB_REAPER_WARNING = "warning: run: neither PID 1 nor able to be a sub-reaper"

# Makes orphans that end at once or a little later, says so, and goes on.
ORPHANS = r"""
import os, sys, time
count, pause = int(sys.argv[1]), float(sys.argv[2])
for _ in range(count):
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(pause)
        os._exit(0)
    os.wait()
print("ready", flush=True)
sys.stdin.read()
"""

# CMD forks one recorder for each line of standard input but the last, and then exits with 3.
LEAVING = r"""
import os, sys
made = 0
for line in sys.stdin:
    program = line.strip()
    if program == "end":
        os._exit(3)
    if os.fork() == 0:
        if program == "session":
            os.setsid()
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.execv(sys.argv[1], sys.argv[1:])
"""


def zombies(run):
    return [pid for pid in processes.descendants(run.pid) if processes.state(pid) == "Z"]


def reaped(run):
    """Their numbers, as it knows them."""
    return re.findall(r"reaped process (\d+)", run.said())


# -- while CMD runs

def test_orphans_are_reaped(supervise, as_init):
    run = supervise([*supervised.python(ORPHANS), "100", "0.05"], as_init=as_init,
                    stdin=subprocess.PIPE).ready()
    wait.until(lambda: len(reaped(run)) >= 100, "100 orphans")
    wait.until(lambda: not zombies(run), "no zombie")
    assert "warning" not in run.said()
    run.process.stdin.close()
    assert run.status() == 0


def test_each_reaped_orphan_is_told_at_debug_level(supervise):
    run = supervise(["/bin/sh", "-c", "(sleep 0.01 & echo $!); echo ready; read line"],
                    stdin=subprocess.PIPE)
    pid = run.line()
    run.ready().wait_said(f"debug: run: reaped process {pid}\n")


def test_a_burst_of_a_thousand_exits_loses_none(supervise, as_init):
    """All at once: they are children of ours, stopped, and killed by one call."""
    program = r"""
import os, signal, sys, time
for _ in range(10):
    if os.fork() == 0:
        os.setsid()
        for _ in range(100):
            if os.fork() == 0:
                while True:
                    time.sleep(60)
        os._exit(0)
for _ in range(10):
    os.wait()
print("ready", flush=True)
sys.stdin.readline()
"""
    run = supervise(supervised.python(program), as_init=as_init, stdin=subprocess.PIPE,
                    level="debug").ready()
    child = run.child
    # By their program: the watching process has its name a moment after its start.
    name = processes.name(child)
    orphans = wait.until(lambda: len(found := [
        pid for pid in processes.children(run.pid)
        if pid != child and processes.name(pid) == name]) == 1000 and found, "1000 orphans")
    numbers = {str(processes.inner_number(pid)) for pid in orphans}
    # From outside its namespace, PID 1 can be stopped as well.
    with processes.stopped(run.pid):
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
        # One SIGCHLD waits for us by then, and stands for all of them.
        wait.until(lambda: all(processes.state(pid) == "Z" for pid in orphans), "1000 zombies")
    wait.until(lambda: numbers <= set(reaped(run)), lambda: f"1000 reaped, not {len(reaped(run))}")
    assert zombies(run) == []
    run.process.stdin.close()
    assert run.status() == 0
    assert len(reaped(run)) >= 1001


def test_the_end_of_the_command_is_not_lost_in_a_burst(supervise, as_init):
    script = "i=0; while [ $i -lt 100 ]; do (sleep 0 &) ; i=$((i + 1)); done; exit 11"
    assert supervise(["/bin/sh", "-c", script], as_init=as_init).status() == 11


def test_not_being_able_to_reap_is_warned_about(supervise):
    run = supervise(["/bin/sh", "-c", "(sleep 60 & echo $!); echo ready; read line; exit 0"],
                    stdin=subprocess.PIPE, before=lambda: kernel_calls.refuse_prctl(
                        kernel_calls.PR_SET_CHILD_SUBREAPER, 1))
    orphan = int(run.line())
    try:
        run.ready().wait_said(SUB_REAPER_WARNING + ": orphans are not reaped: "
                              "Operation not permitted")
        wait.until(lambda: int(processes.status(orphan)["PPid"]) not in (run.child, run.pid),
                   "another parent for the orphan")
        # Nothing else has changed.
        run.process.stdin.close()
        assert run.status() == 0
        assert not processes.is_gone(orphan)
    finally:
        processes.kill_all([orphan])


# -- when CMD has ended

class Leaving:
    """A command that leaves processes behind: each records its signals in standard output."""

    def __init__(self, supervise, *options, **how):
        self.run = supervise([*supervised.python(LEAVING), *supervised.recorder()], *options,
                             stdin=subprocess.PIPE, **how)

    def leave(self, *kinds):
        for kind in kinds:
            self.run.process.stdin.write(f"{kind}\n".encode())
            self.run.process.stdin.flush()
            self.run.ready()
        return self

    def end(self):
        self.run.process.stdin.write(b"end\n")
        self.run.process.stdin.close()
        return self.run


@pytest.mark.parametrize("options", [(), ("--process-group",)], ids=["child", "group"])
def test_what_is_left_gets_term_and_its_time(supervise, as_init, options):
    """In CMD's process group, and in a session of its own."""
    leaving = Leaving(supervise, *options, "--grace", "1", as_init=as_init)
    run = leaving.leave("group", "session").end()
    # SIGTERM, and SIGCONT in case it is stopped.
    assert sorted(run.line() for _ in range(4)) == ["15", "15", "18", "18"]
    run.wait_said("2 processes are left, and have 1 s to end")
    assert run.status() == 3
    assert run.line() is None
    assert "notice: run: what is left is killed" in run.said()


def test_what_ends_in_its_time_is_not_waited_for(supervise, as_init):
    script = "sleep 600 & setsid sleep 600 & echo ready; exit 4"
    run = supervise(["/bin/sh", "-c", script], "--grace", "600", as_init=as_init)
    assert run.status() == 4
    assert "killed" not in run.said()


def test_without_a_grace_period_all_is_killed_at_once(supervise, as_init):
    run = Leaving(supervise, "--grace", "0", as_init=as_init).leave("group", "session").end()
    assert run.status() == 3
    assert "what is left is killed" in run.said()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_second_term_cuts_the_grace_period_short(supervise, as_init, number):
    run = Leaving(supervise, "--grace", "600", as_init=as_init).leave("group").end()
    assert run.line() == "15"
    # Others do not.
    run.send(signal.SIGUSR1, signal.SIGHUP, signal.SIGWINCH)
    run.send(number)
    assert run.status() == 3
    assert "goes to process" not in run.said()


def test_what_is_stopped_is_continued_to_end(supervise, as_init):
    run = supervise(["/bin/sh", "-c", "sleep 600 & echo ready; read line; exit 6"], "--grace",
                    "600", as_init=as_init, stdin=subprocess.PIPE).ready()
    sleeper = processes.children(run.child)[0]
    os.kill(sleeper, signal.SIGSTOP)
    run.wait_state("T", sleeper)
    run.process.stdin.close()
    assert run.status() == 6
    assert "killed" not in run.said()


# Thirty that run away: each goes on as its own child, in a new session, again and again.
RUNNING_AWAY = r"""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(30):
    if os.fork() == 0:
        for _ in range(4000):
            time.sleep(0.005)
            if os.fork():
                os._exit(0)
            os.setsid()
        os._exit(0)
print("ready", flush=True)
os.read(0, 1)
os._exit(8)
"""


def test_what_is_made_while_we_kill_is_killed_too(supervise, as_init, tmp_path):
    program = f"{RUNNING_AWAY}# {tmp_path}"  # others may run at the same time
    run = supervise(supervised.python(program), "--grace", "0", as_init=as_init,
                    stdin=subprocess.PIPE, level="info").ready()
    run.process.stdin.close()
    assert run.status() == 8
    assert "left behind" not in run.said()
    assert not [pid for pid in processes.everybody()
                if program in processes.read(pid, "cmdline")]


def test_nobody_is_signalled_while_the_command_runs(supervise, as_init):
    """1, 2, 3 go to CMD, and what it started hears nothing."""
    leaving = Leaving(supervise, as_init=as_init, before=lambda: kernel_calls.block_signals(
        [1, 2, 3]))
    run = leaving.leave("session").run
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        run.send(number)
        run.wait_said(f"{number.name} goes to process")
    leaving.end()
    assert run.line() == "15"
    run.send(signal.SIGTERM)
    assert run.status() == 3


def test_processes_of_others_are_left_alone(supervise):
    bystander = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    try:
        run = Leaving(supervise, "--grace", "0").leave("group", "session").end()
        assert run.status() == 3
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_no_zombie_is_left_by_a_double_fork(supervise):
    """As the first process: the daemon's parent is gone, and it ends itself."""
    run = supervise(["/bin/sh", "-c", "(sleep 0.05 &) ; echo ready; read line"], as_init=True,
                    stdin=subprocess.PIPE).ready()
    wait.until(lambda: len(reaped(run)) == 1, "the orphan")
    assert zombies(run) == []
