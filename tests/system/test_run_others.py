# SPDX-License-Identifier: MIT
"""The README's comparison of `postern run` with other first processes: each cell is what they do.

They are Debian 12's, run straight from its tree.  What a program has no option for cannot be tried,
so its help is read: it has the options that are known here, and no others.
"""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

import kernel_calls
import supervised
from lab import mailhost, processes, tree, wait

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
RELEASE = "bookworm"
POSTERN, TINI, DUMB_INIT, CATATONIT = "postern", "tini", "dumb-init", "catatonit"
# The columns, and the programs that are meant by each.
PROGRAMS = {POSTERN: [POSTERN], TINI: [TINI, "tini-static"], DUMB_INIT: [DUMB_INIT],
            CATATONIT: [CATATONIT]}
OPTIONS = {TINI: {"--version", "-h", "-s", "-p", "-v", "-w", "-g", "-e", "-l"},
           DUMB_INIT: {"-c", "-r", "-v", "-h", "-V"},
           CATATONIT: {"-g", "-h", "-L", "-P", "-V"}}
# How long one is watched that should not end, or not wake up.
WATCHED_S = 3

# CMD leaves a process that says what comes to it, and ends when it is told to.
LEFT = r"""
import os, signal, sys, time
def term(*_):
    print("TERM", flush=True)
    time.sleep(0.3)
    print("had time", flush=True)
    os._exit(0)
if os.fork() == 0:
    signal.signal(signal.SIGTERM, term)
    signal.signal(signal.SIGSYS, lambda *_: os._exit(0))
    print(os.getpid(), flush=True)
    while True:
        signal.pause()
sys.stdin.readline()
"""


def program(name):
    if name == POSTERN:
        return mailhost.postern_binary()
    return os.path.join(tree.path(RELEASE), "usr", "bin", name)


def under(name, *options, command):
    if name == POSTERN:
        return [*supervised.postern_run(*options, level="error"), "--", *command]
    return [program(name), *options, "--", *command]


@contextlib.contextmanager
def started(argv, **popen):
    """All of it is gone at the end, what has lost its parent meanwhile too."""
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, **popen)
    mine = set()
    try:
        with process.stdin, process.stdout:
            yield process, lambda: mine.update(processes.descendants(process.pid))
    finally:
        processes.kill_all({*mine, *processes.descendants(process.pid), process.pid})
        process.wait()


def line(process):
    return process.stdout.readline().rstrip("\n")


def tell(process):
    process.stdin.write("\n")
    process.stdin.flush()


def forwards(process):
    """The command is the recorder, and its supervisor is where it stays."""
    assert line(process) == "ready"
    process.send_signal(signal.SIGUSR1)
    assert line(process) == str(int(signal.SIGUSR1))


# -- what is done, in the words of the README

def statuses(name, folder):
    plain = folder / "plain"
    plain.write_text("text\n")
    return ", ".join(str(subprocess.run(under(name, command=[command]), stderr=subprocess.DEVNULL,
                                        timeout=wait.LIMIT_S, check=False).returncode)
                     for command in ("/doesnotexist", str(plain)))


def sigchld_ignored(name, _):
    command = ["/bin/sh", "-c", "echo $$; exit 9"]
    with started(under(name, command=command), restore_signals=False,
                 preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)) as (process, _):
        child = int(line(process))
        wait.until(lambda: processes.is_gone(child), "the command's end")
        status = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(timeout=WATCHED_S)
    return {9: "works", None: "hangs"}.get(status, f"exits with {status}")


def signal_state(name, _):
    blocked, ignored = {signal.SIGUSR1, signal.SIGWINCH}, {signal.SIGHUP, signal.SIGUSR2}

    def before():
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
        kernel_calls.block_signals(blocked)
    text = subprocess.run(under(name, command=["/bin/cat", "/proc/self/status"]), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=before,
                          restore_signals=False, timeout=wait.LIMIT_S, check=True).stdout

    def among(field):
        mask = int(re.search(rf"^{field}:\s*(\w+)$", text, re.M)[1], 16)
        return {number for number in range(1, 65) if mask >> number - 1 & 1}
    found = among("SigBlk"), among("SigIgn")
    if found == (blocked, ignored):
        return "as given"
    if found == (set(), set()):
        return "all at their defaults"
    assert blocked <= found[0] and found[1] == ignored, found
    more = [f"`{signal.Signals(number).name[3:]}`" for number in sorted(found[0] - blocked)]
    return f"as given, and {', '.join(more)} blocked"


def left_behind(name, _):
    """Whether it gets SIGTERM is seen below another process, where it may outlive its supervisor;
    whether it has time then, below process 1, whose end is its own."""
    command = under(name, command=supervised.python(LEFT))
    with started(command) as (process, remember):
        left = int(line(process))
        remember()
        tell(process)
        process.wait(timeout=wait.LIMIT_S)
        # Its number is higher: a SIGTERM that is there is taken first.
        processes.kill_all([left], signal.SIGSYS)
        told = "TERM" in process.stdout.read()
    with started([*supervised.NEW_PIDS, *command]) as (process, _):
        line(process)
        tell(process)
        had_time = "had time" in process.stdout.read()
    return {(True, True): "`TERM`, time, `KILL`", (True, False): "no time after `TERM`",
            (False, False): "`KILL`"}[told, had_time]


def reaps(name, _):
    def is_parent(*options):
        # The shell has waited for the one between when it says so.
        script = "(sleep 600 & echo $!); echo ready; read line"
        with started(under(name, *options, command=["/bin/sh", "-c", script])) as (process, _):
            orphan = int(line(process))
            assert line(process) == "ready"
            parent = int(processes.status(orphan)["PPid"])
            processes.kill_all([orphan])
            return parent == process.pid
    if is_parent():
        return "yes"
    return "with `-s`" if name.startswith(TINI) and is_parent("-s") else "no"


def other_signals_and_statuses(name, _):
    rewriting = {POSTERN: ["--rewrite", "TERM:USR2"], DUMB_INIT: ["-r", "15:12"]}.get(name)
    remapping = {POSTERN: ["--remap-exit", "7:3"], TINI: ["-e", "7"],
                 "tini-static": ["-e", "7"]}.get(name, [])
    words = "no"
    if rewriting:
        with started(under(name, *rewriting, command=supervised.recorder())) as (process, _):
            forwards(process)
            process.send_signal(signal.SIGTERM)
            assert line(process) == str(int(signal.SIGUSR2))
            words = "any" if name == POSTERN else "any (`-r`)"
    status = subprocess.run(under(name, *remapping, command=["/bin/sh", "-c", "exit 7"]),
                            timeout=wait.LIMIT_S, check=False).returncode
    return f"{words}, " + {3: "any", 0: "any to 0 (`-e`)", 7: "no"}[status]


def parents_death(name, _):
    options = {POSTERN: ["--parent-death-signal", "USR2"], TINI: ["-p", "SIGUSR2"],
               "tini-static": ["-p", "SIGUSR2"]}.get(name)
    if not options:
        return "no"
    command = under(name, *options, command=supervised.recorder())
    with started(["/bin/sh", "-c", '"$@" & read line', "sh", *command]) as (process, remember):
        assert line(process) == "ready"
        remember()
        process.kill()
        assert line(process) == str(int(signal.SIGUSR2))
    return "yes" if name == POSTERN else "yes (`-p`)"


def folder_and_descriptors(name, folder):
    reading, writing = os.pipe()
    try:
        with started(under(name, command=supervised.recorder()), cwd=folder,
                     pass_fds=(reading,)) as (process, _):
            forwards(process)
            at = os.readlink(f"/proc/{process.pid}/cwd")
            held = processes.open_files(process.pid)
            own = {"/": "`/`", str(folder): "kept"}[at]
            pipe = f"pipe:[{os.fstat(reading).st_ino}]"
            return f"{own}, {'kept' if pipe in held else 'closed'}"
    finally:
        os.close(reading)
        os.close(writing)


def wakes_up(name, _):
    with started(under(name, command=supervised.recorder())) as (process, _):
        forwards(process)
        wait.until(lambda: processes.state(process.pid) == "S", "sleep")
        before = supervised.switches(process.pid)["voluntary_ctxt_switches"]
        time.sleep(WATCHED_S)
        times = supervised.switches(process.pid)["voluntary_ctxt_switches"] - before
    assert times <= WATCHED_S + 1
    return "no" if times == 0 else "every second"


CELLS = {
    "command not found, not executable": statuses,
    "started with `SIGCHLD` ignored": sigchld_ignored,
    "the command's mask and ignored signals": signal_state,
    "what the command leaves when it ends": left_behind,
    "reaps orphans when not process 1": reaps,
    "other signals, other exit status": other_signals_and_statuses,
    "signal at the parent's death": parents_death,
    "own folder, inherited descriptors": folder_and_descriptors,
    "wakes up while idle": wakes_up,
}


def comparison():
    """{first cell: the others} of the README's table, its head at None."""
    table = README.read_text().partition("\nTried with the packages of Debian 12:\n\n")[2]
    rows = [[cell.strip() for cell in row.strip("|").split("|")]
            for row in table.partition("\n\n")[0].splitlines()]
    return {row[0] or None: row[1:] for row in rows if set(row[0]) != {"-"}}


@pytest.mark.parametrize("row", CELLS)
def test_cell_is_what_the_program_does(postern_built, tmp_path, row):
    """Where a cell names two things, one or the other."""
    said = dict(zip(PROGRAMS, comparison()[row]))
    for column, names in PROGRAMS.items():
        for name in names:
            assert CELLS[row](name, tmp_path) in said[column].split(", or "), name


def test_every_row_is_tried():
    assert set(comparison()) == {None, *CELLS}


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != POSTERN])
def test_version_and_options_are_those_that_are_known(name):
    def said(option):
        return subprocess.run([program(name), option], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, timeout=wait.LIMIT_S,
                              check=False).stdout
    version = re.search(r"\d+\.\d+\.\d+", said("--version"))[0]
    assert f"{name} {version}" in comparison()[None]
    help_text = said("-h")
    letters = re.search(r"\[-(\w+)\]", help_text)
    assert OPTIONS[name] == ({f"-{letter}" for letter in letters[1]} if letters
                             else set(re.findall(r"^ +(--?\w+)", help_text, re.M)))
