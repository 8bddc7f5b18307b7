# SPDX-License-Identifier: MIT
"""No packet, however it is cut or wrapped, gets an answer from a twin that its sender may not reach.

Each kind is sent to a stock port, too, where it is answered: so it is a kind that the kernel takes.
"""
import socket

import pytest

from lab import gate, mailhost, packets, wait

TCP = socket.IPPROTO_TCP
STOCK, TWIN = mailhost.STOCK_PORTS["imap"], mailhost.TWIN_PORTS["imap"]

WHOLE = {
    "plain, IPv6": lambda s, t, tcp: [packets.ipv6(s, t, TCP, tcp)],
    "plain, IPv4": lambda s, t, tcp: [packets.ipv4(s, t, tcp)],
    "IPv4 with options": lambda s, t, tcp: [packets.ipv4(s, t, tcp, options=bytes([1, 1, 1, 0]))],
    "IPv6 behind options": lambda s, t, tcp: [
        packets.ipv6(s, t, packets.IPPROTO_DSTOPTS, packets.options6(TCP) + tcp)],
    "IPv6 behind options of both kinds": lambda s, t, tcp: [
        packets.ipv6(s, t, packets.IPPROTO_HOPOPTS,
                     packets.options6(packets.IPPROTO_DSTOPTS) + packets.options6(TCP) + tcp)],
    "IPv6 in one fragment": lambda s, t, tcp: packets.fragments6(s, t, TCP, tcp, 0),
    "IPv4 in two fragments": lambda s, t, tcp: packets.fragments4(s, t, tcp, 8),
}
# A first piece without the whole TCP header: RFC 8200, section 4.5, and RFC 7112 have it dropped.
TORN = {
    "IPv6 in two fragments": lambda s, t, tcp: packets.fragments6(s, t, TCP, tcp, 8),
    "IPv6, TCP in the second fragment": lambda s, t, tcp: packets.fragments6(
        s, t, packets.IPPROTO_DSTOPTS, packets.options6(TCP) + tcp, 8),
}


def target(lab, kind):
    return lab.mail.address(4 if "IPv4" in kind else 6)


@pytest.mark.parametrize("kind", list(WHOLE))
def test_no_answer_to_a_stranger(patched, kind):
    address = target(patched, kind)
    wait.until(lambda: packets.is_answered(patched.outsider, address, STOCK, WHOLE[kind],
                                           gate.REFUSED_WITHIN_S), "the stock port's answer")
    assert not packets.is_answered(patched.outsider, address, TWIN, WHOLE[kind],
                                   gate.REFUSED_WITHIN_S)


@pytest.mark.parametrize("kind", list(WHOLE))
def test_the_trusted_are_answered(patched, kind):
    address = target(patched, kind)
    wait.until(lambda: packets.is_answered(patched.balancer, address, TWIN, WHOLE[kind],
                                           gate.REFUSED_WITHIN_S), "the twin's answer")


@pytest.mark.parametrize("kind", list(TORN))
def test_torn_headers_are_answered_by_nobody(patched, kind):
    for port in (STOCK, TWIN):
        assert not packets.is_answered(patched.outsider, target(patched, kind), port, TORN[kind],
                                       gate.REFUSED_WITHIN_S)
