# SPDX-License-Identifier: MIT
"""A pod's life: containers that are killed and come back, the end within its grace period."""
import re

import chart
import mail_view
import stage as stage_module
import wire
from lab import evidence, gate, mail_clients, mailhost, proxy_client

CLIENT = "198.51.100.6"
HEADER = proxy_client.v2(CLIENT)


def all_serve(mail):
    """Each twin, with the client's address in the log."""
    host = mail_view.MailView(mail.release, mail.pod)
    mark = host.log.mark()
    for service, port in mailhost.TWIN_PORTS.items():
        mail_clients.use(service, mail.connect(port, HEADER), stage_module.USER,
                         stage_module.PASSWORD, mail.tls_context())
    for service in mailhost.TWIN_PORTS:
        host.log.wait_for(evidence.seen_on_twin(service, CLIENT), mark)


def is_guarded(mail):
    """The gate is the pod's, and outlives every container."""
    return not gate.lets_in(mail.stage.outsider, mail.pod.address(), mailhost.TWIN_PORTS["smtp"])


def test_containers_come_back_and_the_pod_ends_in_time(play, release, mode):
    mail = play(release, chart.values(mode, postern={"gate": "require"}))
    all_serve(mail)
    container = mail.pod.containers[stage_module.MAILSERVER]

    container.crash()
    assert is_guarded(mail)
    mail.pod.ready()
    assert "the container was restarted" in container.logs()
    all_serve(mail)

    if mail.keeper is not container:
        before = mail.host.first_processes()
        mail.keeper.crash()
        assert is_guarded(mail)
        mail.pod.ready()
        assert mail.host.first_processes() == before
        all_serve(mail)

    ended = mail.pod.shut_down()
    assert {name: code for name, (code, _) in ended.items()} == dict.fromkeys(ended, 0)
    assert max(seconds for _, seconds in ended.values()) < mail.pod.grace_s, ended
    # Everybody was asked, and nobody had to be made.
    said = container.logs()
    assert re.search(r"received SIGTERM indicating exit request", said), said
    assert not re.search(r"WARN killing|is killed", said), said


def test_hook_runs_and_the_owners_own_after_it(play, release):
    """In mode init, also when the owner has a user-patches.sh."""
    own = "postconf -M 12525/inet >/own-saw 2>&1; postconf -e 'smtpd_banner = own'\n"
    mail = play(release, chart.values("init", config={"files": {"user-patches.sh": own}}))
    said = mail.pod.containers[stage_module.MAILSERVER].logs()
    assert "running user-patches.sh" in said
    assert "/etc/postfix/master.cf: changed" in said
    # The twins were written before the owner's script ran, and before any daemon.
    assert "postscreen" in mail.host.read("/own-saw")
    assert said.index("master.cf: changed") < said.index("starting rsyslog")
    assert mail.greeting("submission", 587) == "220 own"
    assert mail.greeting("submission", 10587, HEADER) == "220 own"
    all_serve(mail)


def test_own_user_patches_run_in_the_other_modes(play, release, live_mode):
    own = "postconf -e 'smtpd_banner = own'\n"
    mail = play(release, chart.values(live_mode, config={"files": {"user-patches.sh": own}}))
    assert mail.greeting("submission", 587) == "220 own"
    assert mail.greeting("submission", 10587, HEADER) == "220 own"


def test_upgrade_in_mode_init_is_another_pod_that_finds_all_data(play, release):
    """Nothing follows a change there, so the chart has Kubernetes start another pod."""
    old = play(release, chart.values("init"))
    mail_clients.use("smtp", old.connect(mailhost.TWIN_PORTS["smtp"], HEADER), stage_module.USER,
                     stage_module.PASSWORD, None)
    old.host.log.wait_for(r"status=sent \(delivered to maildir\)")
    assert {code for code, _ in old.pod.shut_down().values()} == {0}

    new = play(release, chart.values("init", trustedNetworks=wire.OTHER_TRUSTED), heir_of=old)
    assert new.rendered.template() != old.rendered.template()
    sock = new.connect(mailhost.TWIN_PORTS["imap"], HEADER, new.stage.other_balancer)
    assert mail_clients.imap_login(sock, stage_module.USER, stage_module.PASSWORD,
                                   new.tls_context(), False) == 1
    assert new.greeting("imap", mailhost.TWIN_PORTS["imap"], HEADER) is None


def test_first_account_is_waited_for_and_made_by_hand(stage, release):
    """Meanwhile the set-up stands still, no server runs, and nothing of it is touched."""
    values = chart.values("entrypoint")
    del values["config"]
    mail = stage_module.MailPod(stage, release, values)
    try:
        mail.pod.start()
        container = mail.pod.containers[stage_module.MAILSERVER]
        mail.wait_until(lambda: "waiting for the first account" in container.logs(), "the wait")
        host = mail.host
        assert "_proxied" not in host.read(mailhost.MASTER_CF)
        assert not host.exists(mailhost.DROP_IN)
        assert container.probe("liveness") and not container.probe("readiness")
        container.exec("setup", "email", "add", stage_module.USER, stage_module.PASSWORD)
        mail.pod.ready()
        all_serve(mail)
    finally:
        mail.pod.stop()


def test_in_place_the_stock_ports_want_the_header(play, release):
    mail = play(release, chart.values("entrypoint", portMode="inPlace"))
    assert not mail.host.listening_ports() & set(mailhost.TWIN_PORTS.values())
    host = mail_view.MailView(mail.release, mail.pod)
    mark = host.log.mark()
    for service, port in mailhost.STOCK_PORTS.items():
        mail_clients.use(service, mail.connect(port, HEADER), stage_module.USER,
                         stage_module.PASSWORD, mail.tls_context())
    host.log.wait_for(evidence.connected("postfix/submission_proxied/smtpd", CLIENT), mark)
    host.log.wait_for(evidence.logged_in("imap-login", CLIENT), mark)
    assert not (mail.greeting("imap", 143) or "").startswith("* OK")
