# SPDX-License-Identifier: MIT
"""Hosts with one of the two servers, and a port that goes from one server to the other."""
import pytest

from lab import files, mailhost, postern

POSTFIX, DOVECOT = dict(mailhost.POSTFIX_TWINS), dict(mailhost.DOVECOT_TWINS)
TWINS = mailhost.TWIN_PORTS


@pytest.fixture
def smtp_only(idle_lab, postern_built):
    """As docker-mailserver's SMTP_ONLY: Dovecot is installed, and never started."""
    mail = idle_lab.mail
    # Dovecot is who logs in.
    mail.shell(f"sed -i /sasl_auth_enable/d {mailhost.MASTER_CF} {mailhost.MAIN_CF}")
    mail.age_main_cf()
    mail.start_postfix()
    return mail


def until_ready(running, wanted):
    return running.wait_for(lambda s: s["ready"] and postern.ports(s) == wanted, "ready")


def test_host_whose_dovecot_never_starts_is_ready(smtp_only):
    before = smtp_only.snapshot("/etc/dovecot")
    running = postern.Postern(smtp_only).start()
    until_ready(running, POSTFIX)
    assert running.probe()[0] == 0
    assert running.get("/readyz")[0] == 200
    status = running.look_at_all()
    assert not status["servers"]["dovecot"]["running"]
    assert running.errors() == []
    assert files.differences(before, smtp_only.snapshot("/etc/dovecot"), strict=True) == []
    # It is live, too.
    smtp_only.configure_postern(
        postern.conf(postern.twins_at(submission=20587)))
    until_ready(running, {**POSTFIX, "submission": 20587})
    postern.answers(smtp_only, "submission", 20587)


def test_dovecot_is_waited_for_once_it_has_been_seen(smtp_only):
    running = postern.Postern(smtp_only).start()
    until_ready(running, POSTFIX)
    smtp_only.start_dovecot()
    running.wait_twins(TWINS)
    smtp_only.stop_dovecot()
    running.wait_for(lambda s: not s["ready"], "Dovecot to be missed")
    code, words = running.probe()
    assert code == 1 and "dovecot" in words, words
    assert running.get("/readyz")[0] == 503
    smtp_only.start_dovecot()
    running.wait_twins(TWINS)


GONE = {"postfix": ("/etc/postfix", DOVECOT), "dovecot": ("/etc/dovecot", POSTFIX)}


@pytest.mark.parametrize("command", [postern.RUN, postern.WATCH], ids=["run", "watch"])
@pytest.mark.parametrize("name", GONE)
def test_host_without_the_other_server(idle_lab, postern_built, name, command):
    """No configuration of it at all."""
    mail, (folder, left) = idle_lab.mail, GONE[name]
    mail.shell(f"rm -r {folder}; sed -i /sasl_auth_enable/d /etc/postfix/*.cf 2>/dev/null || :")
    if name == "postfix":
        mail.start_dovecot()
    else:
        mail.age_main_cf()
        mail.start_postfix()
    running = postern.Postern(mail, command).start()
    status = running.wait_twins(left)
    assert not status["servers"][name]["present"]
    assert {twin["listener"] for twin in status["twins"]} == set(left)
    assert running.probe()[0] == 0 and running.errors() == []
    assert not mail.exists(folder)
    for service, port in left.items():
        postern.answers(mail, service, port)


def between(submission, imap):
    return postern.conf(f"postfix {{\n  listener submission {{ port = {submission} }}\n}}\n"
                        f"dovecot {{\n  listener imap {{ port = {imap} }}\n}}\n")


@pytest.mark.parametrize("taken", ["imap", "submission"])
def test_port_goes_to_the_other_server_in_two_changes(lab, postern_built, taken):
    """In one change it does not: that is said, and everything stays as it was."""
    port = TWINS[taken]
    wanted = {"submission": 20587, "imap": 20143,
              **{name: port for name in ("submission", "imap") if name != taken}}
    running = postern.Postern(lab.mail).start()
    before = running.wait_twins(TWINS)
    state = lab.mail.snapshot(*mailhost.CONFIGURATION)
    lab.mail.configure_postern(between(**wanted))
    status = running.wait_for(lambda s: s["reason"], "the failure")
    assert str(port) in status["reason"], status["reason"]
    assert status["ready"] and postern.ports(status) == TWINS
    assert postern.reloads(status) == postern.reloads(before)
    assert files.differences(state, lab.mail.snapshot(*mailhost.CONFIGURATION), strict=True) == []
    # Taken from the one first.
    lab.mail.configure_postern(between(**{**wanted, **{
        name: TWINS[name] for name in ("submission", "imap") if name != taken}}))
    running.wait_twins({**TWINS, taken: wanted[taken]})
    lab.mail.configure_postern(between(**wanted))
    running.wait_twins({**TWINS, **wanted})
    postern.all_answer(lab.mail, {**TWINS, **wanted})
