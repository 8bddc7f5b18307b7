# SPDX-License-Identifier: MIT
"""postern run: what is sent to it reaches CMD, all of it, as it was sent or as it is rewritten."""
import os
import signal
import subprocess

import pytest

import kernel_calls
import supervised
from lab import processes, wait

pytestmark = pytest.mark.usefixtures("postern_built")

STOPPING = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
NOT_FORWARDED = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
# Those the C library keeps to itself; Python cannot wait for them.
HIDDEN = {32, 33}
PLAIN = [number for number in range(1, 32) if number not in STOPPING | NOT_FORWARDED]
REAL_TIME = list(range(34, 65))


def received(run, number):
    """Send it; what the command says then."""
    return run.send(number).line()


@pytest.mark.parametrize("options", [(), ("--process-group",)], ids=["child", "group"])
def test_every_signal_reaches_the_command_in_order(supervise, as_init, options):
    run = supervise(supervised.recorder(), *options, as_init=as_init).ready()
    for number in [*PLAIN, *REAL_TIME]:
        assert received(run, number) == str(number)


def test_signals_that_python_cannot_wait_for_are_forwarded_too(supervise, as_init):
    for number in HIDDEN:
        run = supervise(["/bin/sleep", "60"], as_init=as_init)
        assert run.child
        assert run.send(number).status() == 128 + number


def test_queued_signals_keep_their_order_and_their_values(supervise, as_init):
    run = supervise(supervised.recorder(), as_init=as_init).ready()
    for value in range(50):
        kernel_calls.sigqueue(run.pid, 40, value)
    assert [run.line() for _ in range(50)] == [f"40 {value}" for value in range(50)]
    # One that was sent without a value comes without.
    assert received(run, 40) == "40"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
@pytest.mark.parametrize("options", [(), ("--process-group",)], ids=["child", "group"])
def test_a_command_without_handlers_dies_of_it(supervise, as_init, number, options):
    run = supervise(["/bin/sleep", "60"], *options, as_init=as_init)
    assert run.child
    assert run.send(number).status() == 128 + number


def test_sigchld_is_not_forwarded(supervise, as_init):
    run = supervise(supervised.recorder(), as_init=as_init).ready()
    run.send(signal.SIGCHLD, signal.SIGUSR1)
    assert run.line() == str(int(signal.SIGUSR1))
    assert "SIGCHLD goes" not in run.said()


# -- the process group

FAMILY = r"""
import os, signal, time
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    print("ready", flush=True)
    while True:
        time.sleep(60)
_, status = os.waitpid(pid, 0)
raise SystemExit(40 + os.WTERMSIG(status))
"""


def test_with_the_process_group_a_grandchild_gets_it_too(supervise, as_init):
    run = supervise(supervised.python(FAMILY), "--process-group", as_init=as_init).ready()
    assert run.send(signal.SIGUSR1).status() == 40 + signal.SIGUSR1


def test_without_the_process_group_only_the_command_gets_it(supervise, as_init):
    run = supervise(supervised.python(FAMILY), as_init=as_init).ready()
    grandchild = processes.children(run.child)[0]
    run.send(signal.SIGUSR1)
    run.wait_said("SIGUSR1 goes to process")
    # Had it been sent to the grandchild, it would be dead before this arrives.
    run.send(signal.SIGCHLD, signal.SIGCONT)
    run.wait_said("SIGCONT goes to process")
    assert not processes.is_gone(grandchild)
    os.kill(grandchild, signal.SIGUSR2)
    assert run.status() == 40 + signal.SIGUSR2


def test_a_whole_pipeline_ends_by_one_term(supervise, as_init):
    """Six processes: two shells' pipelines in the background, and what they started."""
    script = "(yes | tail -f) >/dev/null & (yes | tail -f) >/dev/null & echo ready; wait"
    run = supervise(["/bin/sh", "-c", script], "--process-group", as_init=as_init).ready()

    def at_work():
        names = [processes.name(pid) for pid in processes.descendants(run.pid)]
        return names.count("yes") == 2 and names.count("tail") == 2
    wait.until(at_work, "two pipelines")
    below = processes.descendants(run.pid)
    assert run.send(signal.SIGTERM).status() == 128 + signal.SIGTERM
    assert all(processes.is_gone(pid) for pid in below)


# -- rewriting

@pytest.mark.parametrize("rules,becomes", [
    (["TERM:TERM"], [(15, 15), (2, 2)]),
    (["TERM:INT"], [(15, 2), (2, 2), (1, 1)]),
    (["TERM:INT,INT:TERM"], [(15, 2), (2, 15), (1, 1)]),
    (["15:2", "SIGINT:15"], [(15, 2), (2, 15)]),
    (["1:31,31:1"], [(1, 31), (31, 1), (15, 15)]),
    (["TERM:QUIT", "TERM:HUP"], [(15, 1)]),
    (["USR1:RTMIN+1,RTMAX:USR2"], [(10, 35), (64, 12)]),
    (["INT:0"], [(2, None), (15, 15)]),
    (["WINCH:0", "INT:0"], [(28, None), (2, None), (15, 15), (28, None), (1, 1)]),
])
@pytest.mark.parametrize("options", [(), ("--process-group",)], ids=["child", "group"])
def test_signals_are_rewritten(supervise, rules, becomes, options):
    rewrites = [word for rule in rules for word in ("--rewrite", rule)]
    run = supervise(supervised.recorder(), *options, *rewrites).ready()
    for number, expected in becomes:
        if expected:
            assert received(run, number) == str(expected)
        else:
            run.send(number)
    # Had one that is dropped come through, it would be here instead of this.
    assert received(run, 50) == "50"
    for number in {number for number, expected in becomes if expected is None}:
        assert f"{signal.Signals(number).name} is dropped\n" in run.said()


def test_a_signal_rewritten_to_kill_kills(supervise):
    run = supervise(supervised.recorder(), "--rewrite", "TERM:KILL").ready()
    assert run.send(signal.SIGTERM).status() == 128 + signal.SIGKILL


# -- before, while and after

def test_a_signal_that_waited_when_we_were_started_is_forwarded(supervise):
    """It came while we were being started: blocked, and pending over our exec."""
    def before():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        os.kill(os.getpid(), signal.SIGUSR1)
    run = supervise(supervised.recorder(), before=before).ready()
    assert run.line() == str(int(signal.SIGUSR1))


def test_signals_between_fork_and_exec_reach_the_command(postern_built):
    """CMD's process is held by a tracer before its first instruction."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(writing, 1)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM, 40})
            kernel_calls.ptrace(kernel_calls.TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            command = supervised.postern_run("--", *supervised.recorder())
            os.execv(command[0], command)
        finally:
            os._exit(1)
    os.close(writing)
    child = None
    try:
        child = kernel_calls.wait_until_it_starts_a_child(pid)
        for number in (40, signal.SIGTERM, signal.SIGUSR1):
            os.kill(pid, number)
        kernel_calls.ptrace(kernel_calls.DETACH, pid)
        kernel_calls.ptrace(kernel_calls.DETACH, child)
        with open(reading, encoding="ascii") as said:
            lines = [said.readline().rstrip("\n") for _ in range(4)]
        assert lines[0] == "ready"
        assert sorted(lines[1:]) == ["10", "15", "40"]
    finally:
        processes.kill_all({pid, child} - {None} | {*processes.descendants(pid)})
        os.waitpid(pid, kernel_calls.WALL)


def test_the_command_may_end_while_signals_pour_in(supervise, as_init):
    """Nobody is left to send to, which is no failure, and the status is not lost."""
    script = "trap '' USR1 USR2 WINCH; echo ready; read line; exit 7"
    for _ in range(20):
        run = supervise(["/bin/sh", "-c", script], as_init=as_init, level="warning",
                        stdin=subprocess.PIPE).ready()
        run.send(signal.SIGUSR1, signal.SIGUSR2)
        run.process.stdin.close()
        try:
            while run.process.poll() is None:
                run.send(signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
        except ProcessLookupError:
            pass
        assert run.status() == 7
        assert run.said() == ""


def test_a_killed_command_is_noticed(supervise, as_init):
    run = supervise(supervised.recorder(), as_init=as_init).ready()
    os.kill(run.child, signal.SIGKILL)
    assert run.status() == 128 + signal.SIGKILL


def test_a_command_in_the_hands_of_a_tracer_is_not_taken_for_ended(supervise, as_init):
    run = supervise(["/bin/sleep", "60"], as_init=as_init)
    with kernel_calls.stopped_by_a_tracer(run.child):
        run.send(signal.SIGUSR2, signal.SIGTERM)
        run.wait_said("SIGTERM goes to process")
        run.wait_said("SIGUSR2 goes to process")
        run.wait_state("S")
        assert "ended" not in run.said()
    assert run.status() in (128 + signal.SIGTERM, 128 + signal.SIGUSR2)


TRACED = r"""
import ctypes, os, signal
ctypes.CDLL(None).ptrace(0, 0, None, None)
print("ready", flush=True)
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_a_command_that_asks_to_be_traced_is_not_taken_for_ended(supervise, as_init):
    """Then its signals are reported to us as if we were a debugger."""
    run = supervise(supervised.python(TRACED), as_init=as_init).ready()
    child = run.child
    run.wait_state("t", child)
    run.send(signal.SIGCHLD, signal.SIGCONT)
    run.wait_said("SIGCONT goes to process")
    run.wait_state("S")
    assert "ended" not in run.said()
    os.kill(child, signal.SIGKILL)
    assert run.status() == 128 + signal.SIGKILL


def test_a_stopped_command_gets_its_signals_when_it_goes_on(supervise, as_init):
    run = supervise(["/bin/sleep", "60"], as_init=as_init)
    child = run.child
    os.kill(child, signal.SIGSTOP)
    run.wait_state("T", child)
    run.send(signal.SIGTERM)
    run.wait_said("SIGTERM goes to process")
    # It was not the terminal's doing: we go on.
    run.wait_state("S")
    assert processes.state(child) == "T"
    assert run.send(signal.SIGCONT).status() == 128 + signal.SIGTERM


# -- the parent's death

def test_the_parents_death_is_forwarded(postern_built):
    """As tini -p: the parent dies, and CMD is told by the signal that was chosen."""
    reading, writing = os.pipe()
    hold, release = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.dup2(writing, 1)
        os.close(release)
        child = os.fork()
        if child == 0:
            command = supervised.postern_run("--parent-death-signal", "USR1", "--",
                                             *supervised.recorder())
            os.execv(command[0], command)
        os.read(hold, 1)
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(writing)
    os.close(hold)
    with open(reading, encoding="ascii") as said:
        below = processes.children(parent)
        try:
            assert said.readline() == "ready\n"
            below = processes.children(parent)
            os.close(release)
            os.waitpid(parent, 0)
            assert said.readline() == f"{int(signal.SIGUSR1)}\n"
        finally:
            processes.kill_all([each for one in below for each in processes.descendants(one)])
            processes.kill_all(below)
