# SPDX-License-Identifier: MIT
"""postern run when something is lacking - memory, descriptors, processes, /proc - and when idle."""
import errno
import os
import re
import resource
import signal
import subprocess
import time

import pytest

import kernel_calls
import supervised
from lab import processes, wait

pytestmark = pytest.mark.usefixtures("postern_built")

IDLE_S = 2


def takes(run, *numbers):
    """It forwards still."""
    for number in numbers:
        run.send(number)
        assert run.line() == str(int(number))


def leaving(script="sleep 600 & setsid sleep 600 & echo ready; read line; exit 3"):
    return ["/bin/sh", "-c", script]


# -- idle

def test_idle_it_does_not_wake_up(supervise, as_init):
    run = supervise(supervised.recorder(), as_init=as_init).ready()
    takes(run, signal.SIGUSR1)
    run.wait_state("S")
    before = supervised.switches(run.pid)
    time.sleep(IDLE_S)
    assert supervised.switches(run.pid) == before
    # It was not deaf.
    takes(run, signal.SIGUSR2)
    assert supervised.switches(run.pid) != before


# -- nobody who reads what it says

def test_a_broken_pipe_of_its_own_is_no_signal_for_the_command(supervise, as_init):
    """What it says at this level would end CMD by SIGPIPE, again and again."""
    ours, theirs = os.pipe()
    run = supervise(supervised.recorder(), as_init=as_init, stderr=theirs).ready()
    os.close(theirs)
    os.close(ours)
    takes(run, signal.SIGUSR1, signal.SIGUSR2)
    run.send(signal.SIGPIPE)  # one that is meant
    assert run.line() == str(int(signal.SIGPIPE))


def test_a_full_pipe_does_not_hold_it_up(supervise, as_init):
    ours, theirs = os.pipe()
    try:
        run = supervise(supervised.recorder(), as_init=as_init, stderr=theirs).ready()
        os.set_blocking(theirs, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(theirs, b"x")
        os.set_blocking(theirs, True)
        takes(run, signal.SIGUSR1, signal.SIGUSR2)
        os.read(ours, 1 << 20)
        takes(run, signal.SIGUSR1)
        assert b"SIGUSR1" in os.read(ours, 1 << 20)
    finally:
        os.close(ours)
        os.close(theirs)


def assert_only_watching_suffers(said):
    """How far it comes before CMD has ended is chance."""
    for line in said.splitlines():
        assert re.search(r"[Oo]ut of memory|Cannot allocate memory|Too many open files"
                         r"|the watching process ended", line), said


# -- memory

def test_no_memory_from_the_start(postern_built):
    """Little more than the program itself; CMD is the same one, which is known to fit in."""
    def before():
        limit = size_kib(postern_built) * 1024 + (128 << 10)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    status, text, said = supervised.run([postern_built, "version"], before=before, level="warning")
    assert status == 0, said
    assert text.startswith("postern ")
    assert_only_watching_suffers(said)


def size_kib(binary):
    """Address space of the program while it supervises."""
    with supervised.Supervised(["/bin/sleep", "60"]) as run:
        assert run.child
        return int(processes.status(run.pid)["VmSize"].split()[0])


def test_no_memory_after_the_start(supervise, as_init):
    """One page is the limit: whoever asks for more fails."""
    run = supervise(supervised.recorder(), as_init=as_init).ready()
    for pid in (run.pid, run.companion):
        resource.prlimit(pid, resource.RLIMIT_AS, (4096, 4096))
    takes(run, signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM, 64)
    os.kill(run.child, signal.SIGKILL)
    assert run.status() == 128 + signal.SIGKILL


def test_what_is_left_is_ended_without_memory(supervise, as_init, without_leak_check):
    run = supervise(leaving(), as_init=as_init, stdin=subprocess.PIPE).ready()
    resource.prlimit(run.pid, resource.RLIMIT_AS, (4096, 4096))
    below = processes.descendants(run.pid)
    run.process.stdin.close()
    assert run.status() == 3
    assert all(processes.is_gone(pid) for pid in below)
    assert "killed" not in run.said()


# -- descriptors

def three_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


def test_three_descriptors_are_enough_to_start(postern_built):
    """None is free.  CMD is a static program: others cannot open their libraries."""
    status, text, said = supervised.run([*supervised.postern_run("--"), postern_built, "version"],
                                        before=three_descriptors, level="warning")
    assert status == 0, said
    assert text.startswith("postern ")
    assert_only_watching_suffers(said)


def test_without_descriptors_the_command_is_missed_by_name(postern_built):
    status, _, said = supervised.run(["/doesnotexist"], before=three_descriptors, level="warning")
    assert status == 127
    assert said == "postern: error: run: /doesnotexist: No such file or directory\n"


def test_without_descriptors_signals_go_on_and_all_is_ended(supervise, as_init,
                                                                without_leak_check):
    run = supervise(leaving("sleep 600 & echo ready; read line; exit 3"), as_init=as_init,
                    stdin=subprocess.PIPE).ready()
    resource.prlimit(run.pid, resource.RLIMIT_NOFILE, (3, 3))
    below = processes.descendants(run.pid)
    run.process.stdin.close()
    assert run.status() == 3
    assert all(processes.is_gone(pid) for pid in below)
    run.wait_said("/proc is of no use")


def test_without_descriptors_the_first_process_reaches_every_session(supervise,
                                                                      without_leak_check):
    run = supervise(leaving(), "--grace", "600", as_init=True, stdin=subprocess.PIPE).ready()
    resource.prlimit(run.pid, resource.RLIMIT_NOFILE, (3, 3))
    run.process.stdin.close()
    assert run.status() == 3
    assert "killed" not in run.said()


def test_the_proc_of_another_namespace_is_not_believed(supervise):
    """Its numbers mean other processes: nobody but our own may be signalled."""
    bystander = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    new_pids = ("unshare", "--pid", "--fork", "--kill-child")
    try:
        done = subprocess.run(
            [*new_pids, *supervised.postern_run(
                "--grace", "0", "--", *leaving("sleep 600 & setsid sleep 600 & exit 3"),
                level="info")],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=wait.LIMIT_S, check=False)
        text = done.stderr.decode()
        assert done.returncode == 3
        assert "/proc is of no use" in text
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


# -- processes

def test_no_process_for_the_watching(supervise, without_leak_check):
    """CMD is started and served; the other is tried again and again, with longer waits."""
    run = supervise(["/bin/sleep", "60"],
                    before=lambda: kernel_calls.refuse_fork(errno.EAGAIN))
    run.wait_said(r"warning: run: the watching process cannot be made: "
                  r"Resource temporarily unavailable; it is started in 1 s")
    assert run.companion_now() is None
    run.wait_said("it is started in 2 s")
    assert run.send(signal.SIGTERM).status() == 128 + signal.SIGTERM


# -- the watching process

def test_the_watching_process_is_started_again(supervise, as_init):
    run = supervise(supervised.recorder(), as_init=as_init).ready()
    first = run.companion
    os.kill(first, signal.SIGKILL)
    run.wait_said("warning: run: the watching process was ended by SIGKILL; "
                  "it is started in 1 s")
    # Meanwhile nothing is different.
    takes(run, signal.SIGUSR1, signal.SIGTERM)
    wait.until(lambda: run.companion_now() not in (None, first), "another one")
    # No timer is left.
    run.wait_state("S")
    before = supervised.switches(run.pid)
    time.sleep(1)
    assert supervised.switches(run.pid) == before


def test_a_stopped_watching_process_does_not_hold_us_up(supervise, as_init):
    run = supervise(supervised.recorder(), "--grace", "600", as_init=as_init).ready()
    os.kill(run.companion, signal.SIGSTOP)
    takes(run, signal.SIGUSR1)
    os.kill(run.child, signal.SIGKILL)
    assert run.status() == 128 + signal.SIGKILL
    assert "killed" not in run.said()


def test_the_watching_process_ends_with_us(supervise):
    run = supervise(supervised.recorder()).ready()
    companion = run.companion
    run.send(signal.SIGKILL)
    wait.until(lambda: processes.is_gone(companion), "its end")


def test_the_watching_process_ends_with_the_command(supervise, as_init):
    run = supervise(supervised.recorder(), as_init=as_init).ready()
    companion = run.companion
    os.kill(run.child, signal.SIGKILL)
    assert run.status() == 128 + signal.SIGKILL
    assert processes.is_gone(companion)
