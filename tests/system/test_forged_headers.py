# SPDX-License-Identifier: MIT
"""A trusted peer forges PROXY headers: each of lab/forged_headers.py's, on each twin.

All headers go to all twins of one host, many at a time, before the first test looks; a test judges
what one header got.  Beside the twins stands a naive one, with the PROXY protocol and without what
postern adds: what it grants shows that these tests can fail.
"""
import collections
import email
import glob
import re

import pytest

import forged_host
from lab import BALANCER_BY_HAND, forged_headers, forging, mail_config, mailhost, wait
from lab.forged_headers import FORGERIES, plain

POSTFIX, DOVECOT = list(mailhost.POSTFIX_TWINS), list(mailhost.DOVECOT_TWINS)

# Whom no server serves; for what is in neither of the three lists, both do.
REFUSED = """
    v1-unknown-lf v1-proxy-TCP4-letters v1-Proxy-Tcp4-letters v1-written-127.0.0.1%lo
    v1-written-[127.0.0.1] v1-written-localhost v1-written-127.0.0.1,8.8.8.8 v1-written-::1%lo
    v1-written-IPv6:::1 v1-tcp4-with-ipv6 v1-tcp6-with-ipv4 v1-mixed-families v1-port-65536
    v1-port--1 v1-port-+25 v1-port-99999999999 v1-port-none v1-port-25x v1-no-end v1-cr-only
    v1-endless v1-nul v1-tabs v1-blank-first v1-newline-first v2-unspec v2-unspec-loopback v2-unix
    v2-unix-datagrams v2-unix-short v2-udp4 v2-udp6 v2-inet-of-no-kind v2-inet-of-unknown-kind
    v2-unknown-family v2-unknown-command v2-version-0 v2-version-1 v2-version-3 v2-version-15
    v2-tcp6-of-ipv4 v2-short-address v2-empty-address v2-length-too-small v2-length-nothing
    v2-length-too-large v2-length-64k v2-64k v2-half-a-signature v2-signature-alone
    v2-other-signature""".split()
POSTFIX_ONLY = """
    v1-PROXY-tcp4-letters v1-port-0 v1-107-bytes v1-108-bytes v1-109-bytes v1-lf-only v1-cr-cr-lf
    v1-blanks v1-one-word-more v2-tcp4-of-ipv6 v2-tlv-truncated v2-tlv-half v2-tlv-ssl-truncated
    v2-tlv-ssl-inner-truncated""".split()
DOVECOT_ONLY = """
    v1-unknown v1-unknown-loopback v1-unknown-to-the-limit v1-written-0x7f.0.0.1 v1-written-127.1
    v1-written-2130706433 v1-written-::0.0.0.1 v1-written-[::1] v1-port-025 v2-unspec-tls
    v2-tlv-long""".split()
# 2.4 looks at what the client is said to have agreed upon in its TLS, and at names.
NOT_FOR_DOVECOT_24 = ["v2-tlv-alpn-imap", "v2-tlv-alpn-http", "v2-tlv-authority-bytes"]

# Whether a server serves these hangs on what it has read when it looks.
RACES = [name for name, forgery in FORGERIES.items() if forgery.pieces or forgery.talks_on]

# Headers that leave the connection its own address.
NO_CLAIM = [name for name, forgery in FORGERIES.items()
            if forgery.source is None and name not in REFUSED and name != "v2-tcp4-of-ipv6"]
# An address with a zero in front is octal to Postfix, and decimal to Dovecot.
READ_AS = {("postfix", "v1-written-0127.0.0.1"): "87.0.0.1",
           ("dovecot", "v1-written-0177.0.0.1"): "177.0.0.1"}

# What they claim leaves no trace: a port that is others' too, or bytes read as another's.
UNTRACED = [name for name, forgery in FORGERIES.items()
            if forgery.source and not forgery.port] + ["v2-tcp4-of-ipv6"]


def claimed_of(name, server):
    """The address that a server takes the sender for."""
    return READ_AS.get((server, name), plain(FORGERIES[name].source or BALANCER_BY_HAND))


def served_by(name, release):
    """Which of the servers serve whoever sends this."""
    if name in REFUSED:
        return set()
    if name in POSTFIX_ONLY or (name in NOT_FOR_DOVECOT_24 and release == "trixie"):
        return {"postfix"}
    return {"dovecot"} if name in DOVECOT_ONLY else {"postfix", "dovecot"}


class Campaign:
    """What came of it, and what the servers wrote about it."""

    def __init__(self, lab):
        mail = self.mail = lab.mail
        self.release = lab.release
        mark = mail.log.mark()
        ports = {**mailhost.TWIN_PORTS, "naive": forged_host.NAIVE_PORT}
        self.outcomes = forging.campaign(mail, lab.balancer, ports, source=BALANCER_BY_HAND,
                                         deliver={"smtp"})
        self.mails = self._mails()
        # Before others come, whose own port may be one of these.
        self.clients = self._clients(mark)
        # The pod's own programs, whose own address is the one with most rights.
        local = [FORGERIES[name] for name in NO_CLAIM]
        self.local = {address: forging.campaign(mail, mail, ports, local, source=address,
                                                address=address)
                      for address in ("127.0.0.1", "::1")}
        self.log = mail.log.since(mark)

    def _mails(self):
        """{forgery's name: message}; a log-in to POP3 makes new ones current."""
        inbox = self.mail.path(f"/var/mail/{mail_config.DOMAIN}/alice")
        wanted = sum(out.delivered for out in self.outcomes.values())
        files = wait.until(lambda: len(found := glob.glob(f"{inbox}/[nc]*/*")) == wanted and found,
                           f"{wanted} mails")
        found = {}
        for file in files:
            with open(file, "rb") as text:
                message = email.message_from_binary_file(text)
            found[message["Subject"]] = message
        return found

    def _clients(self, mark):
        """{(program, client's port): {address}}, when all that were served are in the log."""
        def complete():
            log = self.mail.log.since(mark)
            found = collections.defaultdict(set)
            for program, address, port in re.findall(
                    r" postfix/(\S+)/smtpd\[\d+\]: connect from \S*\[(\S+)\]:(\d+)", log):
                found[program.removesuffix("_proxied"), int(port)].add(plain(address))
            for program, address, port in re.findall(
                    r" dovecot: (\S+)-login: .*\brip=([^,\s]+),.*\brport=(\d+)", log):
                found[program, int(port)].add(plain(address))
            missing[:] = [key for key, out in self.outcomes.items()
                          if out.answered and key[1] not in UNTRACED
                          and not found.get((program_of(key[0]), out.port))]
            return None if missing else found

        missing = []
        return wait.until(complete, lambda: f"these clients in the log: {missing}", every=0.2)

    def of(self, name, services):
        return {service: self.outcomes[service, name] for service in services}


def program_of(service):
    return {"imap": "imap", "pop3": "pop3", "siev": "managesieve"}.get(service[:4], service)


@pytest.fixture(scope="module")
def campaign(release, postern_built):
    with forged_host.started(release) as lab:
        yield Campaign(lab)


each_forgery = pytest.mark.parametrize("name", FORGERIES)


def got(outcomes, what):
    """The services where an outcome has this, with what was said there."""
    return {service: out.heard for service, out in outcomes.items() if getattr(out, what)}


# -- no relay

@each_forgery
def test_no_header_relays(campaign, name):
    outcomes = campaign.of(name, POSTFIX)
    assert not got(outcomes, "relay")
    assert not got(outcomes, "xclient")
    assert name in RACES or all(out.answered for out in outcomes.values() if out.served)


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("name", NO_CLAIM)
def test_local_and_unknown_of_a_program_of_the_pod_do_not_relay(campaign, name, peer):
    """They leave the connection its own address: here loopback, in mynetworks."""
    outcomes = {service: campaign.local[peer][service, name] for service in POSTFIX}
    assert not got(outcomes, "relay")
    assert not got(outcomes, "xclient")
    naive = campaign.local[peer]["naive", name]
    assert naive.relay == naive.served == name.startswith("v2-local")


def test_nothing_went_to_a_foreign_domain(campaign):
    """Whatever a conversation may have missed: of no mail was that recipient taken."""
    assert campaign.mail.queue_size() == 0
    taken = re.findall(rf"^.*(?: to=<{forging.FOREIGN}>, relay=).*$", campaign.log, re.M)
    assert not taken


@each_forgery
def test_naive_twin_relays_for_each_of_mynetworks(campaign, name):
    """The control: without postern's options, these claims do relay, and this is seen."""
    out = campaign.outcomes["naive", name]
    if name in RACES:
        assert out.served or not out.relay
        return
    ours = {plain(address) for address in (*forged_headers.IN_MYNETWORKS.values(),
                                           BALANCER_BY_HAND)}
    assert out.served == ("postfix" in served_by(name, campaign.release))
    granted = out.served and claimed_of(name, "postfix") in ours and name != "v2-tcp4-of-ipv6"
    assert (out.relay, out.xclient) == (granted, granted)


# -- no identity beyond the claimed one

@each_forgery
def test_who_is_served_is_what_the_header_says(campaign, name):
    """Served or refused as the server has always done, and under no other address."""
    for service, out in campaign.of(name, POSTFIX + DOVECOT).items():
        server = "postfix" if service in POSTFIX else "dovecot"
        if name not in RACES:
            assert out.served == (server in served_by(name, campaign.release)), (service, out.heard)
        if not out.answered or name in UNTRACED:
            continue
        assert campaign.clients[program_of(service), out.port] == {claimed_of(name, server)}


@each_forgery
def test_received_line_names_the_claimed_address_and_no_other(campaign, name):
    out = campaign.outcomes["smtp", name]
    assert out.delivered == (name in campaign.mails)
    if not out.delivered or name == "v2-tcp4-of-ipv6":
        return
    line = " ".join(campaign.mails[name].get_all("Received")[-1].split())
    source = claimed_of(name, "postfix")
    host = "localhost" if source in ("127.0.0.1", "::1") else "unknown"
    tag = "IPv6:" if ":" in source else ""
    assert line.startswith(f"from liar.example ({host} [{tag}{source}]) by "), line
    assert "verified" not in line and "TLS" not in line, line


# -- no bypass

@pytest.mark.parametrize("name", forged_headers.ADDRESSES)
def test_every_claimed_address_is_screened(campaign, name):
    """Its first connection waits like anybody's; no list lets it pass."""
    address = re.escape(plain(forged_headers.ADDRESSES[name]))
    first = re.search(rf"postscreen\[\d+\]: (?!CONNECT)(.*)\[{address}\]:\d+$", campaign.log, re.M)
    assert first and first[1].strip() == "PASS NEW", first and first[0]


def test_no_list_lets_a_liar_pass(campaign):
    assert not re.findall(r"^.*postscreen.*(?:WHITE|ALLOW)LISTED.*$", campaign.log, re.M)


@each_forgery
def test_no_header_logs_in_as_somebody(campaign, name):
    """No service is content with a wrong password, or with what a header says of a certificate."""
    assert not got(campaign.of(name, POSTFIX + DOVECOT), "impostor")


@each_forgery
def test_log_in_without_tls(campaign, name):
    """Never over Postfix.  Dovecot: where a header says TLS, and 2.4 where it says one host.

    Both are Dovecot's law, and no setting of it changes them: see SECURITY.md.
    """
    forgery = FORGERIES[name]
    assert not got(campaign.of(name, POSTFIX), "clear")
    assert not got(campaign.of(name, POSTFIX), "offers_clear")
    local = campaign.release == "trixie" and forgery.one_address
    for service, out in campaign.of(name, DOVECOT).items():
        may = service not in mailhost.IMPLICIT_TLS and (forgery.says_tls or local)
        if name in RACES:
            assert may or not out.clear, (service, out.heard)
        else:
            assert out.clear == out.offers_clear == (out.served and may), (service, out.heard)


def test_servers_are_well_after_all_that(campaign):
    """Postfix has lost no process, and an honest client is served everywhere.

    Over two kinds of header a log-in process of Dovecot's gives up, which serves one connection
    only unless its service says otherwise.
    """
    lost = re.findall(r"^.*(?i:panic|fatal|killed|bad command startup).*$", campaign.log, re.M)
    known = (r"dovecot: \S+-login: (?:Panic: (?:.*\(strcmp\(\*fields, \"PROXY\"\) == 0\)|"
             r"Trying to allocate 0 bytes)$|Fatal: master: .* killed with signal 6 )")
    assert not [line for line in lost if not re.search(known, line)]
    probed = campaign.mail.postern("probe")
    assert probed.returncode == 0, probed.stdout
