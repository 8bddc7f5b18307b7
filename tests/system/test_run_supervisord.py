# SPDX-License-Identifier: MIT
"""postern run with supervisord as its command: SIGHUP and its rewriting, restarts, and the end.

Debian's supervisor, in docker-mailserver's shape: only one program starts by itself, and that has
supervisord start the servers.
"""
import os
import re
import signal

import pytest

from lab import mailhost, postern, processes, supervisord, wait

SCRIPT = "/usr/local/sbin/start-mail"
TWINS = mailhost.TWIN_PORTS
# pidproxy looks for nothing in PATH.
SERVERS = {name: "/usr/sbin/" + " ".join(command) for name, command in mailhost.START.items()}
SERVERS["postfix"] = f"pidproxy {mailhost.POSTFIX_PID} {SERVERS['postfix']}"
FIRST = "start"
# supervisord's own, when its configuration is of no use to it.
USAGE_STATUS = 2

PROGRAM = """
[program:{name}]
command = {command}
autostart = {autostart}
autorestart = {autorestart}
startsecs = 0
stopwaitsecs = 55
redirect_stderr = true
stdout_logfile = /var/log/supervisor/%(program_name)s.log
"""

# At each start, pid files of the last one are taken away.
START = f"""#!/bin/sh
find /run -name '*.pid' ! -name supervisord.pid -delete
touch -d '5 seconds ago' {mailhost.MAIN_CF}
supervisorctl start {' '.join(SERVERS)} || exit 1
exec tail -F /var/log/mail/mail.log
"""


def begin(mail, *options, config=supervisord.CONFIG):
    mail.write(SCRIPT, START, 0o755)
    mail.write(supervisord.CONFIG, supervisord.MAIN
               + PROGRAM.format(name=FIRST, command=SCRIPT, autostart="true", autorestart="false")
               + "".join(PROGRAM.format(name=name, command=command, autostart="false",
                                        autorestart="true") for name, command in SERVERS.items()))
    return postern.Postern(mail, ("--log-level", "info", "run", *options, "--",
                                  "supervisord", "-c", config)).start()


@pytest.fixture
def mail(idle_lab, postern_built):
    return idle_lab.mail


def supervisorctl(mail, *words):
    return mail.run(["supervisorctl", "-c", supervisord.CONFIG, *words], check=False).stdout


def programs(mail):
    """{name: process number} of supervisord and its programs; waits until all of them run."""
    found = {}

    def all_run():
        said = supervisorctl(mail, "status")
        found.clear()
        found.update((name, int(pid))
                     for name, pid in re.findall(r"^(\S+) +RUNNING +pid (\d+),", said, re.M))
        return set(found) == {FIRST, *SERVERS}

    wait.until(all_run, lambda: f"all programs to run; there are {found}")
    return {**found, "supervisord": int(supervisorctl(mail, "pid"))}


def begun(mail, *options):
    """When the start is over: postern, and the programs that run."""
    p = begin(mail, *options)
    p.wait_proven(mail)
    running = programs(mail)
    wait.until(lambda: mail.read(f"/proc/{running[FIRST]}/comm") == "tail\n",
               "the first program to have done its work")
    return p, running


def stops(mail):
    """What supervisord has said of the ends of its programs."""
    return re.findall(r"(?:INFO|WARN) (stopped: .*|exited: .*|killing .*)",
                      mail.read(supervisord.LOG))


def wait_other_masters(p, before, names):
    """Other processes than those are the masters."""
    def changed():
        now = p.mail.master_pids()
        return all(now[name] not in (None, before[name]) for name in names)

    wait.until(changed, lambda: f"other masters of {sorted(names)} than {before}\n"
               f"{p.output[-3000:]}\n{p.mail.log.since()[-3000:]}")


def test_twins_are_made(mail):
    p, running = begun(mail)
    child = p.status()["child"]
    assert (child["state"], child["pid"]) == ("running", running["supervisord"])
    assert p.probe("--ready")[0] == 0
    postern.mail_flows(mail)
    assert p.errors() == []
    # None of them had to be started twice.
    assert stops(mail) == []


def test_hup_restarts_all_programs(mail):
    p, before = begun(mail)
    masters = mail.master_pids()
    p.process.send_signal(signal.SIGHUP)
    wait_other_masters(p, masters, SERVERS)
    p.wait_proven(mail)
    postern.all_answer(mail)
    after = programs(mail)
    # It restarts itself without an end.
    assert after.pop("supervisord") == before.pop("supervisord")
    assert all(after[name] != before[name] for name in after), (before, after)
    assert "received SIGHUP indicating restart request" in mail.read(supervisord.LOG)
    assert p.errors() == []


def test_rewritten_hup_restarts_none(mail):
    p, before = begun(mail, "--rewrite", "HUP:0")
    masters = mail.master_pids()
    # Written where nobody listens: it is found by a look at everything.
    postern.mount_volume(mail, os.path.dirname(mailhost.POSTERN_CONF))
    mail.configure_postern(postern.conf(postern.twins_at(submission=20587, sieve=24190)))
    p.process.send_signal(signal.SIGHUP)
    p.wait_proven(mail, {**TWINS, "submission": 20587, "sieve": 24190})
    # supervisord takes signals in their order: it would have heard of the first one by then.
    p.process.send_signal(signal.SIGUSR2)
    wait.until(lambda: "received SIGUSR2" in mail.read(supervisord.LOG),
               lambda: f"SIGUSR2 in the log of supervisord:\n{mail.read(supervisord.LOG)}")
    assert "received SIGHUP" not in mail.read(supervisord.LOG)
    assert programs(mail) == before
    assert mail.master_pids() == masters
    assert stops(mail) == []
    assert p.errors() == []


@pytest.mark.parametrize("name", SERVERS)
def test_server_that_supervisord_restarts_by_itself(mail, name):
    p, before = begun(mail)
    masters = mail.master_pids()
    mail.signal_master(mailhost.PID_FILES[name], signal.SIGKILL)
    wait_other_masters(p, masters, [name])
    p.wait_proven(mail)
    postern.all_answer(mail)
    after = programs(mail)
    assert {each for each in before if before[each] != after[each]} == {name}
    assert {each for each in masters if masters[each] != mail.master_pids()[each]} == {name}
    assert p.errors() == []


def test_term_ends_all_of_it(mail):
    others = set(processes.with_mounts_of(mail.pid))
    p, _ = begun(mail)
    mark = mail.log.mark()
    assert p.stop() == 0, p.output
    # Each was told to end, and did.
    assert sorted(stops(mail)) == ["stopped: dovecot (exit status 0)",
                                   "stopped: postfix (exit status 0)",
                                   f"stopped: {FIRST} (terminated by SIGTERM)"]
    said = mail.log.since(mark)
    assert re.search(r"postfix/master\[\d+\]: terminating on signal 15", said), said
    assert re.search(r"dovecot: master: .*[Ss]ignal 15", said), said
    assert set(processes.with_mounts_of(mail.pid)) == others
    assert not mail.listening_ports() & set().union(*mailhost.PORTS.values())
    for path in (postern.SOCKET, "/run/supervisord.pid", "/dev/shm/supervisor.sock"):
        assert not mail.exists(path), path
    assert p.lines(r"run: supervisord ended with status 0$")
    assert not p.lines(r"is killed$|^postern: (error|warning): "), p.output


def test_its_own_status_is_the_end(mail):
    p = begin(mail, config="/etc/supervisor/none.conf")
    assert p.process.wait() == USAGE_STATUS, p.output
    assert p.lines(rf"run: supervisord ended with status {USAGE_STATUS}$")
    again = begin(mail, "--remap-exit", f"{USAGE_STATUS}:7", config="/etc/supervisor/none.conf")
    assert again.process.wait() == 7, again.output
