# SPDX-License-Identifier: MIT
"""The watching process itself: what it may do, what it says, and what is told when it hangs."""
import json
import os
import re

import pytest

from lab import host, mailhost, postern, processes, wait

TWINS = mailhost.TWIN_PORTS
MOVED = {**TWINS, "imap": 20143}
MOVE = postern.conf(postern.twins_at(imap=20143))
WAYS = pytest.mark.parametrize("command", [postern.RUN, postern.WATCH], ids=["run", "watch"])


def begin(lab, command, **how):
    running = postern.Postern(lab.mail, command, **how).start()
    running.wait_twins(TWINS)
    return running


# -- liveness

@WAYS
def test_one_that_hangs_is_not_live(lab, postern_built, command):
    """Asked for five seconds; the twins work on, and so does CMD."""
    running = begin(lab, command)
    with processes.stopped(running.watcher_pid()):
        for what in ("--live", "--ready"):
            done = lab.mail.run([mailhost.POSTERN, "probe", what], check=False)
            assert done.returncode == 1 and "did not answer within 5 s" in done.stderr, done
        postern.all_answer(lab.mail)
    assert running.probe("--live")[0] == 0
    assert running.probe("--ready")[0] == 0


# -- what it says

@WAYS
def test_each_line_is_an_object_when_asked(lab, postern_built, command):
    running = postern.Postern(lab.mail, ("--log-format", "json", *command)).start()
    running.wait_for(postern.is_current, "the twins")
    for text in (postern.conf("no-such-key = 1\n"), MOVE):
        lab.mail.configure_postern(text)
        running.wait_for(lambda s: (s["outcome"] == "refused") == ("no-such-key" in text)
                         and s["counts"]["looks"] > 1, text)
    running.wait_twins(MOVED)
    running.stop()
    said = [json.loads(line) for line in running.output.splitlines()]
    for line in said:
        assert set(line) == {"time", "level", "message"}, line
        assert line["level"] in ("error", "warning", "notice"), line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line["time"]), line
    assert [line for line in said if line["level"] == "error" and "no-such-key" in
            line["message"]]
    assert [line for line in said if "reloaded" in line["message"]]


@WAYS
def test_nobody_reads_what_it_says(lab, postern_built, command):
    """Its pipe is full: lines are lost, and the work goes on."""
    lab.mail.shell("mkfifo /tmp/log")
    reader = os.open(lab.mail.path("/tmp/log"), os.O_RDWR | os.O_NONBLOCK)
    try:
        running = postern.Postern(lab.mail, command)
        running.process = lab.mail.spawn(
            ["sh", "-c", 'exec "$@" 2>/tmp/log', "sh", mailhost.POSTERN, *command])
        running.wait_twins(TWINS)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(reader, b"x")
        lab.mail.configure_postern(MOVE)
        running.wait_twins(MOVED)
        lab.mail.configure_postern(postern.conf("no-such-key = 1\n"))
        running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
        lab.mail.configure_postern(postern.conf())
        running.wait_twins(TWINS)
        assert running.probe("--live")[0] == 0
        postern.all_answer(lab.mail)
        # What is read again has new lines at its end.
        while len(os.read(reader, 1 << 20)) == 1 << 20:
            pass
        lab.mail.configure_postern(MOVE)
        running.wait_twins(MOVED)
        assert b"dovecot: reloaded" in os.read(reader, 1 << 20)
        running.stop()
    finally:
        os.close(reader)


# -- what it may do

KEPT_BY_RUN = {"DAC_OVERRIDE", "CHOWN", "FOWNER", "KILL", "NET_BIND_SERVICE"}


@pytest.mark.parametrize("more", [set(), {"SYS_PTRACE"}], ids=["engine's", "and SYS_PTRACE"])
def test_privileges_under_run(lab, postern_built, more):
    """Of what an engine gives, only what is of use is kept; CMD has all of it."""
    given = {*host.ENGINE_CAPABILITIES, *more}
    lab.mail.capabilities = sorted(given)
    running = begin(lab, postern.RUN)
    lab.mail.capabilities = None
    supervisor, watcher = running.process.pid, running.watcher_pid()
    assert processes.name(supervisor) == processes.SUPERVISOR
    for pid in (supervisor, watcher):
        for field in ("CapEff", "CapPrm"):
            assert processes.capabilities(pid, field) == KEPT_BY_RUN | more, field
        for field in ("CapInh", "CapAmb"):
            assert processes.capabilities(pid, field) == set(), field
        assert processes.status(pid)["NoNewPrivs"] == "1"
    child = next(pid for pid in processes.children(supervisor) if processes.name(pid) == "sleep")
    assert processes.capabilities(child) == given
    said = running.wait_line("capabilities kept: ").partition("kept: ")[2].partition(";")[0]
    assert set(said.split(", ")) == KEPT_BY_RUN | more, said
    assert len(running.lines("CAP_SYS_PTRACE is missing")) == (0 if more else 1)
    lab.mail.configure_postern(MOVE)
    running.wait_twins(MOVED)


# -- the socket

@WAYS
def test_folder_of_the_socket(lab, postern_built, command):
    """One that it makes is for root only; one that was there is let be, and so is what is in it."""
    running = begin(lab, command)
    folder = os.path.dirname(lab.mail.path(postern.SOCKET))
    assert os.stat(folder).st_mode & 0o7777 == 0o700
    running.stop()
    lab.mail.shell("mkdir -m 755 /srv/there; echo mine > /srv/there/file")
    for path in ("/srv/there/s", "/srv/there/file"):
        options = ["--socket", path]
        running = postern.Postern(lab.mail, (*options, *command)).start()
        if path.endswith("file"):
            running.wait_line(r"/srv/there/file")
        else:
            wait.until(lambda: lab.mail.run([mailhost.POSTERN, *options, "probe", "--ready"],
                                            check=False).returncode == 0, "ready")
            assert os.stat(lab.mail.path(path)).st_mode & 0o777 == 0o600
        assert os.stat(lab.mail.path("/srv/there")).st_mode & 0o7777 == 0o755
        running.stop()
    assert lab.mail.read("/srv/there/file") == "mine\n"
