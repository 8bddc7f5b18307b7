# SPDX-License-Identifier: MIT
"""What makes a running postern look, and look again though nothing has told it to."""
import os

import pytest

from lab import mailhost, postern, wait

FOLDER = os.path.dirname(mailhost.POSTERN_CONF)
TWINS = mailhost.TWIN_PORTS


def test_override_files_beside_the_conf(lab, postern_built):
    """One folder, several things in it: a change of each is heard."""
    running, before = postern.begun(lab.mail, f'resync = 0\noverrides "{FOLDER}" {{ }}\n')
    lab.mail.write(f"{FOLDER}/postfix-main.cf", "mail_name = beside\n")
    running.wait_for(lambda s: s["hash"] != before["hash"] and postern.is_current(s),
                     "the overrides to be in force", within=10)
    assert lab.mail.parameter("mail_name") == "beside"


def test_resync_is_not_put_off_by_other_looks(lab, postern_built):
    """A mount over a watched folder is told by no event; others come all the time."""
    lab.mail.shell(f"mkdir -m 755 /srv/tls {postern.OVERRIDES}")
    running, before = postern.begun(
        lab.mail, 'resync = 2\nwatch "/srv/tls" { reload = { "dovecot" } }\n')
    postern.mount_volume(lab.mail, "/srv/tls")
    lab.mail.write("/srv/tls/cert.pem", "another\n")

    def reloaded():
        lab.mail.write(f"{postern.OVERRIDES}/postfix-main.cf", "# nothing\n")
        return postern.reloads(running.status())["dovecot"] > postern.reloads(before)["dovecot"]
    wait.until(reloaded, lambda: f"Dovecot to be told\n{running.output[-3000:]}", 20, every=0.5)


@pytest.mark.parametrize("tool", ["/usr/sbin/postconf", "/usr/bin/doveconf"])
def test_a_judge_that_is_killed_has_judged_nothing(lab, postern_built, tool):
    """For want of memory, say: the same input is tried again, by itself."""
    running, _ = postern.begun(lab.mail, "resync = 0\n")
    lab.mail.shell(f"mv {tool} {tool}.real && printf '#!/bin/sh\nkill -KILL $$\n' > {tool} && "
                   f"chmod 755 {tool}")
    lab.mail.configure_postern(postern.conf(
        "resync = 0\n" + postern.twins_at(submission=24587, sieve=24190)))
    status = running.wait_for(lambda s: s["reason"], "the failure")
    lab.mail.shell(f"mv {tool}.real {tool}")
    assert "signal 9" in status["reason"] and status["outcome"] == "failed", status
    running.wait_twins({**TWINS, "submission": 24587, "sieve": 24190})


def test_last_good_configuration_is_tried_again(lab, postern_built):
    """While the present one is refused, what keeps the last good one out of force may pass."""
    before = lab.mail.read(mailhost.MASTER_CF)
    running, _ = postern.begun(lab.mail, "resync = 0\n")
    lab.mail.stop_postfix()
    lab.mail.configure_postern(postern.conf("no-such-key = 1\n"))
    running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    lab.mail.write(mailhost.MASTER_CF, before)
    with lab.mail.listen("127.0.0.1", TWINS["submission"]):
        lab.mail.start_postfix()
        running.wait_line(f"the last good configuration: .*{TWINS['submission']}")
    status = running.wait_for(lambda s: postern.ports(s) == TWINS, "the twins", within=30)
    assert status["uses_last_good"] and "no-such-key" in status["reason"]
    assert len(running.lines("the last good configuration: ")) == 1
