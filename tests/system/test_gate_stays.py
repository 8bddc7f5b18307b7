# SPDX-License-Identifier: MIT
"""The gate stays before whatever asks for a header, also where postern cannot have its way."""
import os
import pathlib
import re
import select
import shutil
import signal

import pytest

from lab import gate, host, mailhost, postern, processes, wait

TWINS = mailhost.TWIN_PORTS
PORTS = set(TWINS.values())
BROKEN_CONF = "no = configuration\n"


@pytest.mark.parametrize("path", ["/etc/postfix/main.cf", mailhost.MASTER_CF,
                                  "/etc/dovecot/dovecot.conf"])
def test_when_a_file_is_away(lab, postern_built, path):
    """As while an editor saves it; the server runs on, and its ports are open."""
    running, _ = postern.begun(lab.mail)
    lab.mail.shell(f"mv {path} {path}.away")
    running.look_at_all()
    assert gate.ports(lab.mail) == PORTS
    lab.mail.shell(f"mv {path}.away {path}")
    running.look_at_all()
    assert gate.ports(lab.mail) == PORTS
    running.wait_twins(TWINS)


@pytest.mark.parametrize("path", ["/etc/postfix/main.cf", "/etc/dovecot/dovecot.conf"])
def test_when_the_table_is_deleted_meanwhile(lab, postern_built, path):
    """As by `nft flush ruleset`: what stood in it is remembered."""
    mail = lab.mail
    running, _ = postern.begun(mail)
    mail.shell(f"mv {path} {path}.away")
    running.look_at_all()
    gate.delete(mail)
    wait.until(lambda: gate.exists(mail) and gate.ports(mail) == PORTS, "the gate")
    mail.shell(f"mv {path}.away {path}")
    running.wait_twins(TWINS)
    assert gate.ports(mail) == PORTS


def break_dovecot(mail):
    mail.write("/etc/dovecot/dovecot.conf",
               mail.read("/etc/dovecot/dovecot.conf") + "\nbroken {\n")


def confuse_postfix(mail):
    mail.write(mailhost.MASTER_CF, mail.read(mailhost.MASTER_CF) + "no such service\n")


def mistake(mail):
    """Only doveconf finds it."""
    mail.write("/etc/dovecot/conf.d/99-broken.conf", "no_such_setting_at_all = yes\n")
    mail.configure_postern(REQUIRED + postern.twins_at(imap=20143))  # what is to be judged


def want_a_port_of_others(mail):
    mail.write(mailhost.MASTER_CF, mail.read(mailhost.MASTER_CF) + TAKEN)
    mail.configure_postern(REQUIRED + postern.twins_at(submission=10599))


def override_badly(mail):
    mail.write(f"{postern.OVERRIDES}/postfix-main.cf", "no assignment\n")


def override_unreadably(mail):
    mail.shell(f"mkdir -p {postern.OVERRIDES}/postfix-main.cf")


def damage_record(mail, path):
    """What is remembered of overrides; nothing can be planned then, nor reverted."""
    mail.write(path, "this is no record\n")


def damage_postfix_record(mail):
    damage_record(mail, "/run/postern/overrides-postfix")


def damage_dovecot_record(mail):
    damage_record(mail, "/run/postern/overrides-dovecot")


TAKEN = "10599 inet n - y - - smtpd\n"
REQUIRED = postern.conf('gate = "require"\n', ("10.77.0.0/24", "198.51.100.0/24"))
# What refuses, and whose ports are known all the same.
REFUSED = [(break_dovecot, mailhost.POSTFIX_TWINS), (confuse_postfix, mailhost.DOVECOT_TWINS),
           (mistake, TWINS), (want_a_port_of_others, TWINS), (override_badly, TWINS),
           (override_unreadably, TWINS), (damage_postfix_record, TWINS),
           (damage_dovecot_record, TWINS)]


def start_again(mail, refuse):
    """As a container: with the files of before, and a network without a gate."""
    mail.configure_postern(REQUIRED)
    mail.patch()
    gate.delete(mail)
    refuse(mail)


def assert_guarded(lab, twins):
    address = lab.mail.address()
    assert gate.ports(lab.mail) >= set(twins.values())
    with gate.knocking(lab.outsider, [(address, port) for port in twins.values()]) as sockets:
        assert select.select([], sockets, [], gate.REFUSED_WITHIN_S)[1] == []
    for port in twins.values():
        assert gate.lets_in(lab.client, address, port)


@pytest.mark.parametrize("refuse, known, options", [
    *((*refused, ()) for refused in REFUSED),
    # What only doveconf finds is not found then.
    *((*refused, ("--no-reload",)) for refused in REFUSED if refused[0] is not mistake)])
def test_when_a_patch_is_refused(lab, postern_built, refuse, known, options):
    """In the hook: nobody looks a second time."""
    start_again(lab.mail, refuse)
    assert lab.mail.postern("patch", *options, check=False).returncode == 1
    assert_guarded(lab, known)


@pytest.mark.parametrize("refuse, known", REFUSED)
@pytest.mark.parametrize("command", [postern.RUN, postern.WATCH], ids=["run", "watch"])
def test_when_the_first_look_is_refused(lab, postern_built, command, refuse, known):
    start_again(lab.mail, refuse)
    running = postern.Postern(lab.mail, command).start()
    running.wait_for(lambda s: s["outcome"] in ("refused", "failed"), "the refusal")
    assert_guarded(lab, known)


def test_when_a_patch_in_place_is_refused(lab, postern_built):
    """There the stock ports ask for a header."""
    mail = lab.mail
    mail.configure_postern(REQUIRED + 'mode = "in-place"\n')
    mail.patch()
    gate.delete(mail)
    break_dovecot(mail)
    assert mail.postern("patch", check=False).returncode == 1
    assert not gate.lets_in(lab.outsider, mail.address(), mailhost.STOCK_PORTS["submission"])
    assert gate.lets_in(lab.client, mail.address(), mailhost.STOCK_PORTS["submission"])


@pytest.mark.parametrize("mode", ["auto", "require"])
def test_when_a_refused_patch_may_not_guard(lab, postern_built, mode):
    """It says so where something stands, and nothing where nothing does."""
    mail = lab.mail
    warning = "warning: what asks for a header already is not guarded: CAP_NET_ADMIN is missing"
    master = mail.read(mailhost.MASTER_CF)
    for patched in (False, True):
        mail.write(mailhost.MASTER_CF, master)
        mail.configure_postern(postern.conf())
        if patched:
            mail.patch()
            gate.delete(mail)
        want_a_port_of_others(mail)
        mail.configure_postern(mail.read(mailhost.POSTERN_CONF).replace("require", mode))
        mail.capabilities = tuple(c for c in host.ENGINE_CAPABILITIES if c != "NET_ADMIN")
        done = mail.postern("patch", check=False)
        mail.capabilities = None
        assert done.returncode != 0
        assert (warning in done.stderr) == patched, done.stderr


def test_when_a_refused_patch_cannot_guard(lab, postern_built):
    """It says so."""
    mail = lab.mail
    mail.patch()
    gate.delete(mail)
    break_dovecot(mail)
    mail.shell("rm -rf /run/postern && echo > /run/postern")
    done = mail.postern("patch", check=False)
    assert done.returncode == 1
    assert "warning: what asks for a header already is not guarded: " in done.stderr


def starts(mail, command):
    """`run` with this command, as the servers' own; its exit status and what was said."""
    running = postern.Postern(mail, ["--config", mailhost.POSTERN_CONF, "run", "--", "sh", "-c",
                                     command]).start()
    return running.process.wait(), running


def test_when_a_container_starts_again(lab, postern_built):
    """The files of before and a network without a gate: it is there before the servers are."""
    mail = lab.mail
    mail.configure_postern(postern.conf())
    mail.patch()
    gate.delete(mail)
    status, running = starts(mail, "exec nft list table inet postern")
    assert status == 0, running.output
    assert all(f"tcp dport {port} " in running.output for port in PORTS), running.output
    assert len(running.lines("gate: only trusted networks")) == 1


def test_when_there_is_nothing_to_guard_at_the_start(lab, postern_built):
    mail = lab.mail
    mail.configure_postern(postern.conf())
    assert starts(mail, "! nft list table inet postern")[0] == 0


def test_when_the_first_guard_cannot(lab, postern_built):
    """The servers start all the same, and it is said."""
    mail = lab.mail
    mail.configure_postern(postern.conf())
    mail.patch()
    gate.delete(mail)
    with postern.lock_held(mail):
        status, running = starts(mail, "! nft list table inet postern")
    assert status == 0, running.output
    assert running.lines("warning: what asks for a header already is not guarded: another postern")


@pytest.mark.parametrize("number, said", [(signal.SIGSTOP, "took too long"),
                                          (signal.SIGKILL, "ended by signal 9")])
def test_when_the_first_guard_does_not_end(lab, postern_built, number, said):
    """The servers start all the same, and it is said."""
    mail = lab.mail
    mail.configure_postern(postern.conf())
    mail.patch()
    with postern.lock_held(mail):  # it waits for that, and can be found
        running = postern.Postern(mail, ["--config", mailhost.POSTERN_CONF, "run", "--", "echo",
                                         "CMD"]).start()
        guard = wait.until(lambda: processes.child_of(running.process.pid, processes.GUARD),
                           "the first guard")
        os.kill(guard, number)
    assert running.process.wait() == 0
    assert re.search(rf"warning: run: the gate comes after CMD: .*{said}\n(.*\n)*CMD\n",
                     running.output), running.output


def test_when_what_is_refused_has_nothing_of_ours(lab, postern_built):
    """No twin is there yet: nothing is guarded that is not ours."""
    mail = lab.mail
    break_dovecot(mail)
    running = postern.Postern(mail)
    mail.configure_postern(postern.conf())
    running.start().wait_for(lambda s: s["outcome"] != "current", "the refusal")
    running.look_at_all()
    assert not gate.exists(mail)


def test_when_a_first_attempt_is_taken_back(lab, postern_built):
    """The twins of before stand again, and there was no gate before."""
    mail = lab.mail
    mail.patch()
    gate.delete(mail)
    # A firewall of somebody's that keeps even the host itself out of the new port.
    gate.nft(mail, "-f", "-", text="""
        table inet other {
            chain input {
                type filter hook input priority 0
                tcp dport 20143 reject with tcp reset
            }
        }
    """)
    mail.configure_postern(postern.conf(postern.twins_at(imap=20143)))
    assert mail.postern("patch", check=False).returncode == 1
    assert gate.ports(mail) >= PORTS
    assert not gate.lets_in(lab.outsider, mail.address(), TWINS["submission"])


def test_when_a_port_does_not_close(lab, postern_built):
    """Its master hangs; once the port is closed, it is nobody's business any more."""
    mail = lab.mail
    running, _ = postern.begun(mail)
    mail.signal_master(mailhost.POSTFIX_PID, signal.SIGSTOP)
    try:
        mail.configure_postern(postern.conf(
            "postfix {\n  listener submission { enable = false }\n}\n"))
        running.wait_line(f"port {TWINS['submission']} is still open")
        running.look_at_all()
        assert TWINS["submission"] in mail.listening_ports()
        assert gate.ports(mail) == PORTS
    finally:
        mail.signal_master(mailhost.POSTFIX_PID, signal.SIGCONT)
    mail.wait_closed([TWINS["submission"]])
    running.look_at_all()
    wait.until(lambda: gate.ports(mail) == PORTS - {TWINS["submission"]}, "the port's release")


def test_back_from_in_place(lab, postern_built):
    """The stock ports ask for a header until their servers have been told."""
    mail = lab.mail
    mail.configure_postern(postern.conf('mode = "in-place"\n'))
    running = postern.Postern(mail).start()
    running.wait_current()
    mail.configure_postern(postern.conf())
    running.wait_twins(TWINS)
    guarded = running.lines("gate: only trusted")[-1]
    for port in (*mailhost.STOCK_PORTS.values(), *PORTS):
        assert f" {port}," in f"{guarded},", guarded
    wait.until(lambda: gate.ports(mail) == PORTS, "the stock ports' release")


def copy_of_nft(tmp_path, name):
    copy = tmp_path / name
    shutil.copy(shutil.which("nft"), copy)
    copy.chmod(0o755)
    return str(copy)


def test_when_another_has_the_name_of_a_look(lab, postern_built, tmp_path):
    """Heard all the same: none is at work."""
    mail = lab.mail
    postern.begun(mail, "resync = 0\n")
    gate.delete(mail, copy_of_nft(tmp_path, processes.LOOK))
    wait.until(lambda: gate.exists(mail) and gate.ports(mail) == PORTS, "the gate")


def test_when_another_has_the_name_of_the_watcher(lab, postern_built, tmp_path):
    """While a look is at work that has seen the gate, and writes no file that would be heard."""
    mail = lab.mail
    mail.shell("mkdir /srv/certs")
    running, _ = postern.begun(mail, 'resync = 0\nwatch "/srv/certs" { reload = { "postfix" } }\n')
    name = pathlib.Path(f"/proc/{running.watcher_pid()}/comm").read_text(encoding="ascii").strip()
    running.look_at_all()
    mail.signal_master(mailhost.POSTFIX_PID, signal.SIGSTOP)
    try:
        mail.write("/srv/certs/new", "a certificate\n")
        wait.until(lambda: mail.awaits_reload(mailhost.POSTFIX_PID), "a reload")
        gate.delete(mail, copy_of_nft(tmp_path, name))
    finally:
        mail.signal_master(mailhost.POSTFIX_PID, signal.SIGCONT)
    wait.until(lambda: gate.exists(mail) and gate.ports(mail) == PORTS, "the gate")
