# SPDX-License-Identifier: MIT
"""What the last good configuration is while one of the servers is away."""
from lab import mailhost, postern

TWINS = mailhost.TWIN_PORTS
FOREIGN = 23999


def test_what_a_server_was_not_tried_with_is_not_its_last_good(lab, postern_built):
    """A port of somebody else's keeps Postfix from it; Postfix is away for a while; it has its
    twins when it comes back, from a master.cf that has none."""
    mail = lab.mail
    running, _ = postern.begun(mail)
    with mail.listen("0.0.0.0", FOREIGN):
        mail.configure_postern(postern.conf(postern.twins_at(submission=FOREIGN)))
        running.wait_for(lambda s: str(FOREIGN) in (s["reason"] or ""), "the port to be taken")
        mail.stop_postfix()
        running.wait_for(lambda s: not s["servers"]["postfix"]["running"], "Postfix to be missed")
        running.look_at_all()
        mail.shell(f"postconf -MX 12525/inet 10587/inet 10465/inet; "
                   f"! grep -E '^1(2525|0587|0465)' {mailhost.MASTER_CF}")
        mail.start_postfix()
        status = running.wait_for(lambda s: s["ready"] and postern.ports(s) == TWINS, "the twins",
                                  within=30)
        assert status["uses_last_good"], status
        postern.all_answer(mail)
