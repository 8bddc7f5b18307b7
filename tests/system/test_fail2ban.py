# SPDX-License-Identifier: MIT
"""Fail2ban's own filters see an offence through a twin as they see it on the stock port.

Each offence has two addresses of its own, one that commits it on the stock port, one that commits
it through the balancer and the twin.  The filter has to find both the same number of times.
"""
import collections
import concurrent.futures

import pytest

from lab import dns, evidence, mail_clients, mail_config, mailhost, proxy_client, started

WRONG = "not the password"
AT_ONCE = 5
FILTERS = {"postfix": "postfix[mode=extra]", "dovecot": "dovecot"}


def _smtp(sock, *commands):
    with proxy_client.LineClient(sock) as client:
        client.reply()
        client.smtp("EHLO offender.example.org")
        said = [client.smtp(command) for command in commands]
        client.smtp("QUIT")
        return said


def block_listed(sock, tls):
    """A client on the block list that postscreen asks."""
    del tls
    said = _smtp(sock, "MAIL FROM:<a@listed.example.org>", f"RCPT TO:<{mail_config.USER}>")
    assert said[-1].startswith("550 5.7.1"), said


def unknown_user(sock, tls):
    del tls
    said = _smtp(sock, "MAIL FROM:<a@offender.example.org>",
                 f"RCPT TO:<nobody@{mail_config.DOMAIN}>")
    assert said[-1].startswith("550"), said


def relay(sock, tls):
    del tls
    said = _smtp(sock, "MAIL FROM:<a@offender.example.org>", "RCPT TO:<a@elsewhere.example>")
    assert said[-1][0] in "45", said


def wrong_password(service):
    def offend(sock, tls):
        with pytest.raises(mail_clients.REFUSALS):
            mail_clients.use(service, sock, mail_config.USER, WRONG, tls)
    return offend


# name: (service, what is done, which filter is to see it)
OFFENCES = {
    "smtp-block-listed": ("smtp", block_listed, "postfix"),
    "smtp-unknown-user": ("smtp", unknown_user, "postfix"),
    "smtp-relay": ("smtp", relay, "postfix"),
    "submission-password": ("submission", wrong_password("submission"), "postfix"),
    "submissions-password": ("submissions", wrong_password("submissions"), "postfix"),
    "imap-password": ("imap", wrong_password("imap"), "dovecot"),
    "imaps-password": ("imaps", wrong_password("imaps"), "dovecot"),
    "pop3-password": ("pop3", wrong_password("pop3"), "dovecot"),
    "pop3s-password": ("pop3s", wrong_password("pop3s"), "dovecot"),
    "sieve-password": ("sieve", wrong_password("sieve"), "dovecot"),
}


def addresses(number):
    return f"198.51.100.{10 + number}", f"198.51.100.{30 + number}"


def _last_line(name, service, address):
    """The line that the offence ends with, to be awaited."""
    if name == "smtp-block-listed":
        return rf"postscreen\[\d+\]: DISCONNECT \[{address}\]"
    if service in mailhost.POSTFIX_TWINS:
        return rf"/smtpd\[\d+\]: disconnect from \S*\[{address}\]"
    return evidence.failed_log_in(evidence.dovecot_program(service), address)


@pytest.fixture(scope="module")
def found(release, postern_built):
    """{filter: how often it found each address}"""
    listed = addresses(list(OFFENCES).index("smtp-block-listed"))
    with started(release, haproxy=True, block_list=dns.ZONE) as lab, \
            dns.BlockList(lab.mail, listed):
        lab.mail.patch()
        tls = lab.mail.tls_context()

        def commit(name, source, destination):
            service, offend, _ = OFFENCES[name]
            sock = lab.client.connect(destination, mailhost.STOCK_PORTS[service], source)
            offend(sock, tls)
            lab.mail.log.wait_for(_last_line(name, service, source))

        # Both servers take their time over an offence, so let there be several at once.
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            ways = [(name, *way) for number, name in enumerate(OFFENCES)
                    for way in zip(addresses(number),
                                   (lab.mail.address(), lab.balancer.haproxy_address()))]
            list(pool.map(lambda way: commit(*way), ways))
        counts = {}
        for name, filter_name in FILTERS.items():
            said = lab.mail.run(["fail2ban-regex", "--out", "ip", "/var/log/mail/mail.log",
                                 filter_name]).stdout
            counts[name] = collections.Counter(said.split())
        yield counts


@pytest.mark.parametrize("offence", OFFENCES)
def test_twin_is_seen_as_the_stock_port_is(found, release, offence):
    number = list(OFFENCES).index(offence)
    filter_name = OFFENCES[offence][2]
    on_stock, on_twin = (found[filter_name][address] for address in addresses(number))
    assert on_twin == on_stock
    # The dovecot filter that Debian 13 ships knows none of Dovecot 2.4's lines, on any port.
    blind = release == "trixie" and filter_name == "dovecot"
    assert (on_twin == 0) == blind, f"found {on_twin} times"


def test_nobody_else_is_found(found):
    """Above all not the balancer."""
    for counts in found.values():
        assert not [address for address in counts if not address.startswith("198.51.100.")]
