# SPDX-License-Identifier: MIT
"""Override files without a postern that runs, switched off, and when what was remembered is gone."""
import pytest

from lab import files, mailhost, postern

TWINS = mailhost.TWIN_PORTS
MAIN_OVERRIDE = f"{postern.OVERRIDES}/postfix-main.cf"
LOCAL_CONF = "/etc/dovecot/local.conf"


def write_overrides(mail):
    mail.shell(f"mkdir -m 755 {postern.OVERRIDES}")
    mail.write(MAIN_OVERRIDE, "mail_name = override\nsmtpd_banner = $myhostname $mail_name\n")
    mail.write(f"{postern.OVERRIDES}/postfix-master.cf", "submission/inet/mail_version=override\n")
    mail.write(f"{postern.OVERRIDES}/dovecot.cf", "login_greeting = override\n")


def in_force(mail):
    """Of the three files."""
    return [mail.run(["postconf", "-h", "mail_name"]).stdout == "override\n",
            "override" in mail.run(["postconf", "-P", "10587/inet/mail_version"],
                                   check=False).stdout,
            "login_greeting = override" in mail.doveconf()]


def begin(lab):
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    write_overrides(lab.mail)
    running = postern.Postern(lab.mail).start()
    running.wait_twins(TWINS)
    assert in_force(lab.mail) == [True] * 3
    return running, before


def test_patch_applies_them_and_revert_undoes_them(lab, postern_built):
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    write_overrides(lab.mail)
    lab.mail.patch()
    assert in_force(lab.mail) == [True] * 3
    for port, header in ((587, False), (10587, True)):
        assert postern.greeting(lab.mail, "submission", port, header) == \
            "220 mail.example.test override"
    assert "nothing to do" in lab.mail.patch().stderr
    lab.mail.postern("revert")
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []


def test_check_knows_of_an_override_that_changes_no_file(lab, postern_built):
    """What stands in main.cf already is remembered as the user's own, which revert leaves there."""
    lab.mail.patch()
    patched = lab.mail.snapshot(*mailhost.CONFIGURATION)
    hostname = lab.mail.run(["postconf", "myhostname"]).stdout
    assert hostname in lab.mail.read(mailhost.MAIN_CF)
    lab.mail.shell(f"mkdir -m 755 {postern.OVERRIDES}")
    lab.mail.write(MAIN_OVERRIDE, hostname)
    checked = lab.mail.postern("patch", "--check", check=False)
    assert checked.returncode == 1 and checked.stdout == "", checked
    assert "postfix: what is remembered of its overrides is out of date" in checked.stderr, checked
    lab.mail.patch()
    assert files.differences(patched, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    checked = lab.mail.postern("patch", "--check")
    assert "out of date" not in checked.stderr, checked


def test_switched_off_live_they_are_undone(lab, postern_built):
    running, before = begin(lab)
    lab.mail.configure_postern(
        postern.conf(f'overrides "{postern.OVERRIDES}" {{ enable = false }}\n'))
    running.wait_for(lambda s: postern.is_current(s) and in_force(lab.mail) == [False] * 3,
                     "the overrides to go")
    # The twins stay.
    assert postern.ports(running.look_at_all()) == TWINS
    lab.mail.configure_postern(postern.conf())
    running.wait_for(lambda s: postern.is_current(s) and in_force(lab.mail) == [True] * 3,
                     "the overrides to come back")
    assert running.stop() == 143
    lab.mail.postern("revert")
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []


def test_what_was_remembered_is_lost(lab, postern_built):
    """Then what is in force counts as docker-mailserver's own: it stays, and that is said."""
    running, _ = begin(lab)
    assert running.stop() == 143
    lab.mail.shell("rm /run/postern/overrides-postfix /run/postern/overrides-dovecot")
    running = postern.Postern(lab.mail).start()
    running.wait_twins(TWINS)
    lab.mail.shell(f"rm {postern.OVERRIDES}/*")
    running.wait_line(r"warning: main\.cf: mail_name: .*until the pod restarts")
    running.wait_line(r"warning: master\.cf: submission/inet: mail_version: .*until the pod restarts")
    running.wait_line(r"warning: local\.conf: .*until the pod restarts")
    assert postern.is_current(running.look_at_all())
    assert in_force(lab.mail) == [True] * 3
    assert lab.mail.read(LOCAL_CONF) == "login_greeting = override\n"


@pytest.mark.parametrize("command", [postern.RUN, postern.WATCH], ids=["run", "watch"])
def test_revert_is_refused_while_a_postern_runs(lab, postern_built, command):
    running = postern.Postern(lab.mail, command).start()
    running.wait_twins(TWINS)
    state = lab.mail.snapshot(*mailhost.CONFIGURATION)
    done = lab.mail.postern("revert", check=False)
    assert done.returncode == 1
    assert "revert: a postern runs here" in done.stderr, done.stderr
    assert files.differences(state, lab.mail.snapshot(*mailhost.CONFIGURATION), strict=True) == []
    # Switched off in its configuration, it takes them away itself.
    lab.mail.configure_postern(
        postern.conf("postfix { enable = false }\ndovecot { enable = false }\n"))
    lab.mail.wait_closed(TWINS.values())
    assert "postern" not in lab.mail.read(mailhost.MASTER_CF)
