# SPDX-License-Identifier: MIT
"""What clients meet on a patched host: on the twins, and on the stock ports beside them."""
import contextlib
import json
import re

import pytest

import patching
from lab import evidence, mailhost, postern, proxy_client, started

SERVICES = list(mailhost.TWIN_PORTS)
IPV4_CLIENT, IPV6_CLIENT = "198.51.100.1", "2001:db8:1::1"
# The balancer's address for what it says by hand: HAProxy and nginx speak from others.
BALANCER_ADDRESS = "10.77.0.22"
CAME_FROM_BALANCER = r"(?:\brip=|from \S*\[)(?:10\.77\.0\.2[01]|fd77::2[01])\b"
# A v1 or v2 header of either family, and LOCAL, for which the connection's own address counts.
HEADERS = {
    "v1-ipv4": (proxy_client.v1("198.51.100.2"), "198.51.100.2"),
    "v1-ipv6": (proxy_client.v1("2001:db8:1::2"), "2001:db8:1::2"),
    "v2-ipv4": (proxy_client.v2("198.51.100.3"), "198.51.100.3"),
    "v2-ipv6": (proxy_client.v2("2001:db8:1::3"), "2001:db8:1::3"),
    "v2-local": (proxy_client.v2_local(), BALANCER_ADDRESS),
}


@contextlib.contextmanager
def open_twin(lab, service, header, port=None):
    """A conversation with a twin, after TLS where TLS comes first; the balancer speaks."""
    sock = lab.balancer.connect(lab.mail.address(), port or mailhost.TWIN_PORTS[service],
                                BALANCER_ADDRESS, header)
    if service in mailhost.IMPLICIT_TLS:
        sock = lab.mail.tls_context().wrap_socket(sock)
    with proxy_client.LineClient(sock) as client:
        yield client


# -- the twins

@pytest.mark.parametrize("kind", HEADERS)
@pytest.mark.parametrize("service", SERVICES)
def test_twin_takes_header(patched, service, kind):
    header, address = HEADERS[kind]
    mark = patched.mail.log.mark()
    with open_twin(patched, service, header) as client:
        assert postern.is_greeting(client.line()), client.heard
    if service == "smtp":
        patched.mail.log.wait_for(evidence.screened(address), mark)
    elif service in mailhost.POSTFIX_TWINS:
        patched.mail.log.wait_for(evidence.seen_on_twin(service, address), mark)
    else:
        program = evidence.dovecot_program(service)
        patched.mail.log.wait_for(rf"{program}: .*\brip={re.escape(address)},", mark)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("proxy", ["haproxy", "nginx"])
@pytest.mark.parametrize("service", SERVICES)
def test_real_client_through_balancer(patched, service, proxy, family):
    public = {"haproxy": patched.balancer.haproxy_address,
              "nginx": patched.balancer.nginx_address}[proxy](family)
    address = IPV4_CLIENT if family == 4 else IPV6_CLIENT
    mark = patched.mail.log.mark()
    patching.log_in(patched, service, patched.client, public, mailhost.STOCK_PORTS[service])
    patched.mail.log.wait_for(evidence.seen_on_twin(service, address), mark)
    assert not patched.mail.log.find(CAME_FROM_BALANCER, mark)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("service", SERVICES)
def test_stock_port_works_without_header(patched, service, family):
    mark = patched.mail.log.mark()
    patching.log_in(patched, service, patched.client, patched.mail.address(family),
           mailhost.STOCK_PORTS[service])
    address = IPV4_CLIENT if family == 4 else IPV6_CLIENT
    patched.mail.log.wait_for(evidence.seen_on_stock(service, address), mark)


def test_stock_port_takes_no_header(patched):
    header = proxy_client.v1("203.0.113.5")
    mark = patched.mail.log.mark()
    with open_twin(patched, "submission", header, port=587) as client:
        said = [client.reply(), client.reply()]
    # Postfix 3.10 says no at once to whoever talks before the greeting, 3.7 to the first command.
    assert not all(reply and reply.startswith("2") for reply in said), said
    assert not patched.mail.log.find(r"connect from \S*\[203\.0\.113\.5", mark)


@pytest.mark.parametrize("first", ["nothing", "garbage"])
def test_twin_refuses_who_sends_no_header(patched, first):
    """All twins at once: each takes some seconds to lose its patience."""
    header = proxy_client.garbage() if first == "garbage" else b""
    clients = {}
    with contextlib.ExitStack() as stack:
        for service, port in mailhost.TWIN_PORTS.items():
            sock = patched.balancer.connect(patched.mail.address(), port, BALANCER_ADDRESS, header)
            clients[service] = stack.enter_context(proxy_client.LineClient(sock))
        for service, client in clients.items():
            line = client.line()
            assert line is None or line.startswith("421"), (service, line)


def test_v1_unknown_is_refused_or_served_but_never_as_somebody(patched):
    """Postfix refuses UNKNOWN; Dovecot serves it as the connection that it is."""
    for service in ("smtp", "submission"):
        with open_twin(patched, service, proxy_client.v1_unknown()) as client:
            assert client.line().startswith("421"), service
    mark = patched.mail.log.mark()
    with open_twin(patched, "imap", proxy_client.v1_unknown()) as client:
        assert postern.is_greeting(client.line())
    patched.mail.log.wait_for(rf"imap-login: .*\brip={re.escape(BALANCER_ADDRESS)},", mark)


# -- the other commands on a patched host

def test_probe_finds_every_twin_well(patched):
    said = patched.mail.postern("probe").stdout
    for port in patching.TWINS:
        assert str(port) in said, said
    answers = json.loads(patched.mail.postern("probe", "--json").stdout)
    text = json.dumps(answers)
    for port in patching.TWINS:
        assert str(port) in text, text


def test_check_of_a_patched_host(patched):
    before = patched.mail.snapshot(*mailhost.CONFIGURATION)
    mark = patched.mail.log.mark()
    said = patched.mail.postern("check").stdout
    for port in patching.TWINS:
        assert str(port) in said, said
    assert re.search(r"(?i)gate", said), said
    json.loads(patched.mail.postern("check", "--json").stdout)
    patched.mail.postern("patch", "--check")
    patching.nothing_touched(patched.mail, before, mark)


def test_twins_of_loopback_only_services_are_not_made(release, postern_built):
    with started(release, amavis=True) as lab:
        lab.mail.patch()
        twins = [line for _, line in lab.mail.services() if "postern_twin_of" in line]
        assert len([line for line in twins if " inet " in line]) == 3, twins
        assert len([line for line in twins if " pass " in line]) == 1, twins
        assert {("127.0.0.1", 10025)} == {l for l in lab.mail.listeners() if l[1] == 10025}


def test_dovecot_deprecated_sieve_port_gets_no_twin(patched):
    assert 12000 not in patched.mail.listening_ports()
