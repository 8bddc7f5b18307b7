# SPDX-License-Identifier: MIT
"""Postfix and Dovecot come and go while postern runs: it follows, and says so."""
import json
import os
import signal

import pytest

from lab import files, mailhost, postern, processes, wait

PID_FILES = mailhost.PID_FILES
BOTH = ("postfix", "dovecot")
COMMANDS = {"run": postern.RUN, "watch": postern.WATCH}


@pytest.fixture(params=list(COMMANDS))
def running(request, lab, postern_built):
    """postern beside two servers, its twins proven."""
    p = postern.Postern(lab.mail, COMMANDS[request.param]).start()
    p.wait_twins(mailhost.TWIN_PORTS)
    return p


def start(mail, name):
    getattr(mail, f"start_{name}")()


def stop(mail, name):
    getattr(mail, f"stop_{name}")()


def kill(mail, name):
    """Only the master: its children see that it has gone, and end, too."""
    process = getattr(mail, name)
    mail.signal_master(PID_FILES[name], signal.SIGKILL)
    process.wait()
    mail.wait_closed(mailhost.PORTS[name])


ENDS = {"stopped": stop, "killed": kill}


def is_down(status, name):
    """Nothing is claimed for a server that is not there."""
    server = status["servers"][name]
    return not server["running"] and not server["verified"] and server["pid"] == 0 and \
        not status["ready"] and not any(twin["up"] for twin in status["twins"]
                                        if twin["server"] == name)


def wait_down(p, name):
    status = p.wait_for(lambda s: is_down(s, name), f"{name} to be told of as down")
    assert f"{name}: is not running" in status["not_ready_because"], status
    code, said = p.probe("--ready")
    assert code == 1 and name in said, said
    assert p.probe("--live")[0] == 0
    for_people = p.mail.run([mailhost.POSTERN, "status"]).stdout
    assert f"{name:<13} not running" in for_people and "not ready" in for_people, for_people
    return status


def wait_back(p):
    status = p.wait_proven(p.mail)
    assert p.probe("--ready")[0] == 0
    postern.all_answer(p.mail)
    return status


def holdings(p):
    """What would grow if something were forgotten at each restart."""
    p.wait_quiet()
    # An open file by its name, a pipe or socket by its kind.
    kinds = sorted(name.split(":")[0] for name in p.descriptors())
    children = [len(processes.children(pid)) for pid in (p.watcher_pid(), p.process.pid)]
    return kinds, p.watches(), children


def wait_holdings(p, before):
    """Between two looks, it holds what it held before."""
    wait.until(lambda: holdings(p) == before, lambda: f"{before}; it holds {holdings(p)}")


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("name", BOTH)
def test_server_ends_and_comes_back(running, how, name):
    p, mail = running, running.mail
    other = BOTH[1 - BOTH.index(name)]
    held = holdings(p)
    pid = p.process.pid
    first = mail.master_pids()
    for _ in range(2):
        before = mail.master_pids()
        configuration = mail.snapshot(*mailhost.CONFIGURATION)
        ENDS[how](mail, name)
        status = wait_down(p, name)
        assert status["servers"][other]["verified"], status
        start(mail, name)
        wait_back(p)
        assert mail.master_pids()[name] != before[name]
        assert files.differences(configuration, mail.snapshot(*mailhost.CONFIGURATION)) == []
    # The other one was never told anything.
    assert mail.master_pids()[other] == first[other]
    assert p.status()["servers"][other]["reloads"] == 1
    assert p.process.running and p.process.pid == pid
    wait_holdings(p, held)
    assert p.errors() == []


@pytest.mark.parametrize("how", ENDS)
def test_both_end_and_come_back(running, how):
    p, mail = running, running.mail
    held = holdings(p)
    for order in (BOTH, BOTH[::-1]):
        for name in BOTH:
            ENDS[how](mail, name)
        for name in BOTH:
            wait_down(p, name)
        for name in order:
            start(mail, name)
        wait_back(p)
    wait_holdings(p, held)
    assert p.errors() == []


def test_quicker_than_it_looks(running):
    """Killed and started anew, again and again, without waiting for postern in between."""
    p, mail = running, running.mail
    for _ in range(4):
        for name in BOTH:
            kill(mail, name)
            start(mail, name)
    wait_back(p)


@pytest.mark.parametrize("name", BOTH)
def test_stale_pid_file(running, name):
    """The number in it is somebody else's by now, who must not get the server's signals."""
    p, mail = running, running.mail
    kill(mail, name)
    bystander = mail.spawn(["sleep", "infinity"])
    number = bystander.inner_pid
    for text in (f"{number}\n", f"{number:>9}\n", "", "garbage\n", "0\n", "-1\n", "1\n",
                 "99999999\n"):
        p.wait_looks(lambda: mail.write(PID_FILES[name], text))
        wait_down(p, name)
        p.look_at_all()
    assert bystander.running
    # Nobody has the last number: with a living one, Dovecot itself would not start.
    start(mail, name)
    wait_back(p)
    assert bystander.running


def test_postern_that_starts_with_a_stale_pid_file(lab, postern_built):
    mail = lab.mail
    kill(mail, "postfix")
    assert mail.master_pid(PID_FILES["postfix"]) is not None
    p = postern.Postern(mail).start()
    p.wait_for(lambda s: s["servers"]["dovecot"]["verified"], "Dovecot's twins")
    # Its files are not touched while it does not run.
    assert "postern" not in mail.read(mailhost.MASTER_CF)
    assert p.probe("--ready")[0] == 1
    start(mail, "postfix")
    wait_back(p)


def test_changed_while_a_server_is_down(running):
    """What was asked for meanwhile is in force when it comes back."""
    p, mail = running, running.mail
    stop(mail, "postfix")
    wait_down(p, "postfix")
    before = mail.snapshot("/etc/postfix")
    p.wait_looks(lambda: mail.write(mailhost.POSTERN_CONF, postern.conf(
        postern.twins_at(submission=20587, imap=20143))))
    p.wait_for(lambda s: postern.ports(s).get("imap") == 20143, "Dovecot's new port")
    assert files.differences(before, mail.snapshot("/etc/postfix")) == []
    start(mail, "postfix")
    p.wait_twins({**mailhost.TWIN_PORTS, "submission": 20587, "imap": 20143})


def test_status_of_a_postern_that_is_gone(running):
    p = running
    assert json.loads(p.mail.run([mailhost.POSTERN, "status", "--json"]).stdout)["ready"]
    os.kill(p.process.pid, signal.SIGKILL)
    p.process.wait()
    wait.until(lambda: not postern.processes_in(p.mail), "postern's processes to end")
    for command in (["status"], ["probe", "--live"], ["probe", "--ready"]):
        done = p.mail.run([mailhost.POSTERN, *command], check=False)
        assert done.returncode == 1 and "no postern runs here" in done.stderr, done
    # One that comes after it takes its place.
    again = postern.Postern(p.mail).start()
    again.wait_twins(mailhost.TWIN_PORTS)
