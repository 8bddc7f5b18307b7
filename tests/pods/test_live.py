# SPDX-License-Identifier: MIT
"""`helm upgrade` while the pod runs: kubelet swaps the volumes, and what runs takes it over."""
import contextlib

import pytest

import chart
import stage
import wire
from lab import evidence, gate, mail_clients, mailhost, postern, proxy_client

CLIENT = "198.51.100.5"
HEADER = proxy_client.v2(CLIENT)
POSTERN_CONF, FILES, CERTIFICATE = "postern-config", "config-files", "tls"
TWINS = mailhost.TWIN_PORTS


@contextlib.contextmanager
def upgraded(live, volumes, **how):
    """The pod with other values, or another certificate, and then with its own again.

    Exactly these volumes change, and none of the mail container's processes may be another.
    """
    before = live.host.first_processes()
    container = live.pod.containers[stage.MAILSERVER].started_at
    assert sorted(live.upgrade(**how)) == sorted(volumes)
    try:
        yield
        assert live.host.first_processes() == before
        assert live.pod.containers[stage.MAILSERVER].started_at == container
    finally:
        live.downgrade()


def accepted(live, source, family=4):
    """By a twin of Dovecot, which has a list of its own; in the sidecar's pod by the gate, too."""
    try:
        with proxy_client.LineClient(live.connect(TWINS["imap"], HEADER, source, family,
                                                  within=gate.REFUSED_WITHIN_S)) as client:
            return postern.is_greeting(client.line())
    except TimeoutError:
        return False


@pytest.mark.parametrize("family", (4, 6))
def test_other_trusted_networks(live, family):
    now, then = live.stage.balancer, live.stage.other_balancer
    assert accepted(live, now, family) and not accepted(live, then, family)
    with upgraded(live, [POSTERN_CONF], trustedNetworks=wire.OTHER_TRUSTED):
        live.wait_until(lambda: accepted(live, then, family), "the new network to be trusted")
        live.wait_until(lambda: not accepted(live, now, family), "the old one not to be")
    live.wait_until(lambda: accepted(live, now, family), "the old network to be trusted again")
    live.wait_until(lambda: not accepted(live, then, family), "the new one not to be")


def test_networks_that_are_none_leave_the_last_good_ones_in_force(live):
    """A value that no schema can know to be wrong, in a ConfigMap of the owner's."""
    with upgraded(live, [POSTERN_CONF], postern={"extraConfig": "no-such-key = 1"}):
        live.wait_until(lambda: "no-such-key" in live.keeper.logs(), "a word about it")
        assert accepted(live, live.stage.balancer)
        assert live.keeper.probe("readiness") and live.keeper.probe("liveness")


def test_one_network_more(live):
    with upgraded(live, [POSTERN_CONF], trustedNetworks=[*wire.TRUSTED, *wire.OTHER_TRUSTED]):
        live.wait_until(lambda: accepted(live, live.stage.other_balancer), "both to be trusted")
        assert accepted(live, live.stage.balancer)


def test_override_file_of_postfix(live):
    banner = "220 swapped"
    with upgraded(live, [FILES],
                  config={"files": {"postfix-main.cf": "smtpd_banner = swapped\n"}}):
        live.wait_until(lambda: live.greeting("submission", TWINS["submission"], HEADER) == banner,
                        "the banner of postfix-main.cf on the twin", passing=(OSError,))
        live.wait_until(lambda: live.greeting("submission", 587) == banner,
                        "and on the stock port", passing=(OSError,))
    live.wait_until(lambda: "swapped" not in (live.greeting("submission", 587) or "swapped"),
                    "the banner that was there before", passing=(OSError,))


def test_account_that_comes_and_goes(live):
    """postern leaves accounts to the mail image's own change detector, and the links let it."""
    user, password = "bob@example.test", "staple battery"
    accounts = live.values["config"]["secretFiles"]["postfix-accounts.cf"]

    def logs_in():
        sock = live.connect(TWINS["imaps"], HEADER)
        return mail_clients.imap_login(sock, user, password, live.tls_context(), True) == 0

    assert "bob" not in live.host.read("/etc/dovecot/userdb")
    mark = live.host.log.mark()
    with upgraded(live, [FILES], config={"secretFiles": {
            "postfix-accounts.cf": accounts + chart.account(user, password)}}):
        live.wait_until(logs_in, f"{user} to log in", passing=mail_clients.REFUSALS)
        live.host.log.wait_for(evidence.seen_on_twin("imaps", CLIENT), mark)
    live.wait_until(lambda: "bob" not in live.host.read("/etc/dovecot/userdb"), f"{user} to go")


def test_renewed_certificate(live):
    renewed = chart.make_certificate()
    wanted = chart.fingerprint(renewed[0])

    def serves(certificate):
        return {live.served_certificate(service, TWINS[service], HEADER)
                for service in mailhost.IMPLICIT_TLS} == {certificate}

    with upgraded(live, [CERTIFICATE], certificate=renewed):
        live.wait_until(lambda: serves(wanted), "the new certificate", passing=(OSError,))
    live.wait_until(lambda: serves(chart.fingerprint(live.certificate[0])),
                    "the old certificate again", passing=(OSError,))
