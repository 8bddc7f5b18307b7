# SPDX-License-Identifier: MIT
"""Forged headers where the mail host, or postern, is set up in another way.

The last part shows what postern does not prevent, as SECURITY.md says: a test of it fails on the
day on which that is over.
"""
import contextlib
import re
import ssl

import pytest

import forged_host
from lab import BALANCER_BY_HAND, TRUSTED, forged_headers, forging, mail_config, mailhost
from lab import proxy_client
from lab.forged_headers import FORGERIES

TRUST = f'trusted-networks = {{ "{TRUSTED[0]}", "{TRUSTED[1]}" }}\n'
SMTPD_ON_25 = mail_config.MASTER_CF.replace("1       postscreen", "-       smtpd")
# Below the limit, so that a campaign does not meet it.
CONNECTION_LIMIT = forging.AT_ONCE + 1
LOOPBACK = FORGERIES["v1-loopback-to-itself"]


@contextlib.contextmanager
def talk(lab, port, header):
    sock = lab.balancer.connect(lab.mail.address(), port, BALANCER_BY_HAND, header)
    with proxy_client.LineClient(sock) as client:
        yield client


@pytest.fixture(scope="module")
def plain_smtpd(release, postern_built):
    """Port 25 is smtpd's; a number of connections is limited for all but mynetworks."""
    limit = {"smtpd_client_connection_count_limit": str(CONNECTION_LIMIT)}
    with forged_host.started(release, main_cf=limit, master_cf=SMTPD_ON_25) as lab:
        yield lab


def attempt(lab, service, forgery, port=None, **more):
    return forging.attempt(lab.mail, lab.balancer, lab.mail.address(),
                           port or mailhost.TWIN_PORTS[service], service, forgery,
                           source=BALANCER_BY_HAND, **more)


# -- smtpd on port 25

def test_no_header_relays_through_a_plain_smtpd(plain_smtpd):
    outcomes = forging.campaign(plain_smtpd.mail, plain_smtpd.balancer, {"smtp": 12525},
                                source=BALANCER_BY_HAND)
    granted = {name for (_, name), out in outcomes.items()
               if out.relay or out.xclient or out.clear or out.impostor}
    assert not granted
    assert sum(out.answered for out in outcomes.values()) > len(FORGERIES) / 2


def test_a_limit_of_connections_holds_for_mynetworks(plain_smtpd):
    """Those of mynetworks are exempt from it, as the naive twin shows."""
    with contextlib.ExitStack() as stack:
        for port, allowed in ((12525, CONNECTION_LIMIT), (forged_host.NAIVE_PORT, None)):
            clients = [stack.enter_context(talk(plain_smtpd, port, LOOPBACK.data))
                       for _ in range(CONNECTION_LIMIT + 3)]
            greeted = [client.reply() for client in clients]
            served = sum(said.startswith("220") for said in greeted)
            assert served == (allowed or len(clients)), greeted


# -- a header where none belongs

@pytest.mark.parametrize("version", [1, 2])
def test_a_second_header_is_no_command(plain_smtpd, version):
    """After the greeting, and as the first bytes after STARTTLS."""
    forged = FORGERIES[f"v{version}-network-to-itself"]
    for port, tls in ((12525, False), (10587, False), (10587, True)):
        header = forged_headers.v1(forged_headers.STRANGER, forged_headers.PUBLIC, 4000 + port % 9)
        mark = plain_smtpd.mail.log.mark()
        with talk(plain_smtpd, port, header) as client:
            assert client.reply().startswith("220")
            if tls:
                client.smtp("EHLO liar.example")
                assert client.smtp("STARTTLS").startswith("220")
                client.sock = plain_smtpd.mail.tls_context().wrap_socket(client.sock)
            client.sock.sendall(forged.data + b"\r\n")
            said = client.reply() or ""
            assert not said.startswith("2"), said
        plain_smtpd.mail.log.wait_for(rf"disconnect from \S*\[{forged_headers.STRANGER}\]", mark)
        assert not plain_smtpd.mail.log.find(re.escape(f"[{forged.source}]"), mark)


@pytest.mark.parametrize("service", sorted(mailhost.IMPLICIT_TLS))
def test_a_header_inside_tls_opens_nothing(plain_smtpd, service):
    with pytest.raises((ssl.SSLError, OSError)):
        sock = plain_smtpd.balancer.connect(plain_smtpd.mail.address(),
                                            mailhost.TWIN_PORTS[service], BALANCER_BY_HAND)
        with plain_smtpd.mail.tls_context().wrap_socket(sock):
            pass


# -- in place

def test_no_header_relays_or_logs_in_where_stock_ports_require_it(release, postern_built):
    """Each address once in each version, and what claims none, or TLS."""
    chosen = [forgery for name, forgery in FORGERIES.items()
              if forgery.source is None or forgery.says_tls
              or re.fullmatch(r"v1-.*-to-itself|v2-.*-to-public", name)]
    with forged_host.started(release, postern_conf=TRUST + 'mode = "in-place"\n') as lab:
        mark = lab.mail.log.mark()
        outcomes = forging.campaign(lab.mail, lab.balancer, mailhost.STOCK_PORTS, chosen,
                                    source=BALANCER_BY_HAND)
        assert not {key for key, out in outcomes.items()
                    if out.relay or out.xclient or out.impostor}
        for (service, name), out in outcomes.items():
            local = release == "trixie" and out.forgery.one_address
            assert not out.clear or (service in mailhost.DOVECOT_TWINS
                                     and (local or out.forgery.says_tls)), (service, name)
        assert not lab.mail.log.find(r"(?:WHITE|ALLOW)LISTED", mark)
        assert sum(out.answered for out in outcomes.values()) > len(outcomes) / 2


# -- what a wrong setting of Dovecot's opens

def test_dovecot_24_needs_ssl_required(release, postern_built):
    """Without it, 2.4 takes every client of a twin for a secure one.  postern says so."""
    with forged_host.started(release, dovecot="ssl = yes\n") as lab:
        stranger = FORGERIES["v1-stranger-to-pod"]
        warned = "log in without TLS" in lab.mail.postern("check").stdout
        assert warned == (release == "trixie")
        for service in ("imap", "pop3", "sieve"):
            assert attempt(lab, service, stranger).clear == (release == "trixie")


def test_dovecot_with_ssl_required_needs_no_warning(release, postern_built):
    with forged_host.started(release) as lab:
        said = lab.mail.postern("check").stdout
        assert "imap" in said and "log in without TLS" not in said


# -- what is not prevented

def test_trust_mynetworks_gives_a_claimed_address_its_rights(release, postern_built):
    conf = TRUST + "postfix {\n  listener smtp { trust-mynetworks = true }\n}\n"
    with forged_host.started(release, postern_conf=conf) as lab:
        for name in forged_headers.IN_MYNETWORKS:
            assert attempt(lab, "smtp", FORGERIES[f"v2-{name}-to-public"]).relay, name
        for name in forged_headers.ELSEWHERE:
            assert not attempt(lab, "smtp", FORGERIES[f"v2-{name}-to-public"]).relay, name
        assert lab.mail.log.find(r"postscreen\[\d+\]: (?:WHITE|ALLOW)LISTED \[127\.0\.0\.1\]")
        assert not attempt(lab, "submission", LOOPBACK).relay


RIGHTS = {
    "check_client_access": ("check_client_access cidr:/etc/postfix/maps/ours.cidr", "table-cidr"),
    "permit_inet_interfaces": ("permit_inet_interfaces", "pod"),
}


@pytest.mark.parametrize("right", RIGHTS)
def test_access_lists_of_ones_own_see_the_claimed_address(plain_smtpd, right):
    """Only where relaying is decided: a permit in another list does not outweigh that."""
    restriction, claimed = RIGHTS[right]
    mail, forgery = plain_smtpd.mail, FORGERIES[f"v2-{claimed}-to-public"]
    before = mail.parameter("smtpd_relay_restrictions")
    for place, relays in (("smtpd_client_restrictions", False), ("smtpd_relay_restrictions", True)):
        old = mail.parameter(place)
        mail.postconf("-e", f"{place}={restriction}, {old}")
        if place == "smtpd_client_restrictions":
            mail.postconf("-e", f"smtpd_recipient_restrictions={restriction}")
        mail.reload_idle_postfix()
        try:
            assert attempt(plain_smtpd, "smtp", forgery).relay == relays, place
        finally:
            mail.postconf("-e", f"{place}={old}")
    assert mail.parameter("smtpd_relay_restrictions") == before


def test_login_trusted_networks_sees_the_claimed_address(release, postern_built):
    """2.3 lets it log in without TLS; 2.4 does not, as long as ssl = required."""
    with forged_host.started(release, dovecot="login_trusted_networks = 172.16.0.0/12\n") as lab:
        for service in ("imap", "pop3", "sieve"):
            assert (attempt(lab, service, FORGERIES["v2-network-to-public"]).clear
                    == (release == "bookworm"))
            assert not attempt(lab, service, FORGERIES["v2-stranger-to-pod"]).clear
