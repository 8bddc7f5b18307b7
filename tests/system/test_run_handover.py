# SPDX-License-Identifier: MIT
"""postern run: CMD gets exactly what postern was given, and postern itself holds on to nothing."""
import os
import resource
import signal
import subprocess

import pytest

import kernel_calls
import supervised
from lab import processes, sanitizers, wait

pytestmark = pytest.mark.usefixtures("postern_built")

ALL = range(1, 65)
# What differs between any two processes, or tells of the time, or of being a child of postern.
OF_THE_PROCESS = {"Pid", "PPid", "Tgid", "Ngid", "NStgid", "NSpid", "NSpgid", "NSsid"}
# SigQ counts what is queued for all processes of the user.
CHANGING = {"SigQ", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches", "State"}


def _is_memory(name):
    return name.startswith(("Vm", "Rss", "Huge", "Core", "THP"))


def observe(before, command):
    """What the command prints when it is started as it is, and when postern starts it."""
    def printed(words):
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, preexec_fn=before, restore_signals=False,
                              close_fds=False, text=True, timeout=wait.LIMIT_S, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout
    return printed(command), printed(supervised.postern_run("--", *command))


def status_fields(text):
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in fields.items()
            if name not in OF_THE_PROCESS | CHANGING and not _is_memory(name)}


def ignore(*numbers):
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


SIGNAL_STATES = {
    "plain": lambda: kernel_calls.block_signals([]),
    "tini's": lambda: (ignore(signal.SIGTTOU, signal.SIGSEGV, signal.SIGINT),
                       kernel_calls.block_signals([21, 4, 15])),
    "SIGCHLD ignored": lambda: ignore(signal.SIGCHLD),
    "SIGPIPE at its default": lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
    "SIGPIPE ignored": lambda: ignore(signal.SIGPIPE),
    "SIGCHLD and SIGPIPE blocked": lambda: kernel_calls.block_signals([13, 17]),
    "everything blocked": lambda: kernel_calls.block_signals(ALL),
    "everything ignored": lambda: ignore(*(signal.valid_signals()
                                           - {signal.SIGKILL, signal.SIGSTOP})),
    "the hidden ones blocked": lambda: kernel_calls.block_signals([32, 33]),
    "real-time ones blocked": lambda: kernel_calls.block_signals(range(34, 65)),
}


@pytest.mark.parametrize("name", SIGNAL_STATES)
def test_mask_and_dispositions_are_handed_on(name, monkeypatch):
    for variable, value in sanitizers.WITHOUT_SIGNALS.items():
        monkeypatch.setenv(variable, value)
    direct, below = observe(SIGNAL_STATES[name], ["/bin/cat", "/proc/self/status"])
    direct, below = status_fields(direct), status_fields(below)
    for field in ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"):
        assert below[field] == direct[field], field


def test_everything_else_that_the_kernel_tells_is_the_same():
    """Identities, capabilities, masks, affinity: /proc/self/status, but numbers and memory."""
    def before():
        os.umask(0o027)
        os.setgroups([1, 2, 3])
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    direct, below = observe(before, ["/bin/cat", "/proc/self/status"])
    assert status_fields(direct) == status_fields(below)


@pytest.mark.parametrize("name", [
    name for name in ("oom_score_adj", "cgroup", "loginuid", "timerslack_ns", "personality")
    if os.path.exists(f"/proc/self/{name}")])
def test_what_else_proc_tells_is_the_same(name):
    direct, below = observe(lambda: None, ["/bin/cat", f"/proc/self/{name}"])
    assert direct == below


def test_limits_are_handed_on():
    def before():
        for number, limits in [(resource.RLIMIT_NOFILE, (64, 128)), (resource.RLIMIT_CORE, (0, 0)),
                               (resource.RLIMIT_STACK, (1 << 20, 1 << 22)),
                               (resource.RLIMIT_SIGPENDING, (99, 99)),
                               (resource.RLIMIT_NPROC, (1000, 2000))]:
            resource.setrlimit(number, limits)
    direct, below = observe(before, ["/bin/cat", "/proc/self/limits"])
    assert direct == below
    assert " 64 " in below


def test_the_environment_is_handed_on(monkeypatch):
    monkeypatch.setenv("POSTERN_TEST", "a b\nc")
    monkeypatch.setenv("EMPTY", "")
    direct, below = observe(lambda: None, ["/usr/bin/env", "-0"])
    assert direct == below
    assert "POSTERN_TEST=a b\nc\0" in below


def test_descriptors_are_handed_on_with_their_numbers(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("x")

    def before():
        fd = os.open(kept, os.O_RDONLY)
        os.dup2(fd, 9)
        os.dup2(os.pipe()[0], 42)
        os.close(0)
    command = ["/bin/sh", "-c", "for fd in /proc/$$/fd/*; do echo ${fd##*/}; done; cat <&9"]
    direct, below = observe(before, command)
    assert direct == below
    assert {"9", "42"} <= set(below.split())
    assert below.endswith("x")


def test_the_working_folder_is_the_commands_and_not_ours(supervise, tmp_path, as_init):
    run = supervise(["/bin/sh", "-c", "pwd -P; echo ready; read line"], as_init=as_init,
                    cwd=tmp_path, stdin=subprocess.PIPE)
    assert run.line() == os.path.realpath(tmp_path)
    run.ready()
    for pid in (run.pid, run.companion):
        wait.until(lambda pid=pid: os.readlink(f"/proc/{pid}/cwd") == "/", "our folder is the root")


def test_we_hold_no_descriptor_but_the_three(supervise, as_init):
    reading, writing = os.pipe()
    program = f"import os, sys; os.close({writing}); print('ready'); sys.stdin.read()"
    run = supervise(supervised.python(program), as_init=as_init, stdin=subprocess.PIPE,
                    pass_fds=(writing,)).ready()
    os.close(writing)
    assert run.companion
    for pid in [run.pid] + [run.companion]:
        held = processes.open_files(pid)
        assert held and f"pipe:[{os.fstat(reading).st_ino}]" not in held
    assert sorted(os.listdir(f"/proc/{run.pid}/fd")) == ["0", "1", "2"]
    if not as_init:  # unshare holds it
        with open(reading, "rb", closefd=False) as pipe:
            assert pipe.read() == b""
    os.close(reading)


def test_the_command_leads_a_process_group_of_its_own(supervise, as_init):
    run = supervise(["/bin/sh", "-c", "echo ready; read line"], as_init=as_init,
                    stdin=subprocess.PIPE).ready()
    child = run.child
    assert os.getpgid(child) == child
    assert os.getsid(child) == os.getsid(run.pid)
    # A signal to our group is for CMD alone: the watching process is not in it.
    assert os.getpgid(run.companion) == run.companion


def test_sigchld_ignored_on_entry_does_no_harm(supervise, as_init):
    """Then the kernel would reap by itself, and waiting would never end."""
    run = supervise(["/bin/sh", "-c", "sleep 0.01 & echo ready; exit 9"], as_init=as_init,
                    before=lambda: ignore(signal.SIGCHLD), restore_signals=False).ready()
    assert run.status() == 9


def test_children_that_we_were_given_are_reaped_too(supervise):
    """A job of the shell that became postern."""
    def before():
        if os.fork() == 0:
            os._exit(0)
    run = supervise(supervised.recorder(), before=before).ready()
    run.wait_said("debug: run: reaped process")
    assert [pid for pid in processes.children(run.pid) if processes.state(pid) == "Z"] == []
