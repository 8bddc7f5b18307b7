# SPDX-License-Identifier: MIT
"""Clients that nobody should suffer from: garbage, forgeries, the wrong version, giants, those that
hang, crawl, reset, say nothing, and a thousand at once.

Nothing is demanded of what becomes of them but one thing: none of them relays.
"""
import contextlib
import random
import resource
import socket
import struct
import time

import world as world_module
from lab import OUTSIDER, mailhost, proxy_client

SPEAKER = {4: "10.77.0.22", 6: "fd77::22"}
LIMIT_S = 8
DROPPED_S = 0.5  # the gate drops what comes from elsewhere: nobody says no
PAUSE_S = (0.02, 0.2)
CRAWL_S = 1.0
CRAWL_BYTES = 8  # a client that sends a byte a second has been dropped by then
FORGED = ("127.0.0.1", "::1", "10.77.0.10", "fd77::10")
# Of one burst, at each port: postscreen holds thousands; the others start a process for each.
BURST = {12525: 700, 25: 100, 10587: 60, 10143: 80, 10993: 40, 587: 20, 143: 20}
BURST_HOLD_S = 3.0
BURST_PAUSE_S = 12.0
PORTS = [*world_module.FIXED_TWINS.values(), *mailhost.STOCK_PORTS.values()]


def reset(sock):
    """It is closed with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def v2_head(version_command, family, length):
    return proxy_client.V2_SIGNATURE + struct.pack("!BBH", version_command, family, length)


# -- first bytes

def garbage(chance):
    return proxy_client.garbage() + chance.randbytes(chance.randrange(200))


def wrong_version(chance):
    return chance.choice((b"PROXY TCP9 1.2.3.4 1.2.3.5 1 2\r\n", b"PROXY\r\n", b"PROXY TCP4 \r\n",
                          v2_head(0x31, 0x11, 12) + bytes(12), v2_head(0x2F, 0x11, 12) + bytes(12),
                          v2_head(0x21, 0x99, 12) + bytes(12)))


def forged(chance):
    address = chance.choice(FORGED)
    return chance.choice((proxy_client.v1, proxy_client.v2))(address)


def oversized(chance):
    return chance.choice((b"PROXY TCP4 " + b"1" * 5000 + b"\r\n",
                          v2_head(0x21, 0x11, 65535) + bytes(65535),
                          v2_head(0x21, 0x21, 4096) + chance.randbytes(4096)))


def broken_tlvs(chance):
    tlv = struct.pack("!BH", chance.randrange(256), chance.randrange(100, 60000)) + b"short"
    body = socket.inet_aton("192.0.2.1") * 2 + struct.pack("!HH", 1, 2) + tlv
    return v2_head(0x21, 0x11, len(body)) + body


def local_or_unknown(chance):
    return chance.choice((proxy_client.v2_local(), proxy_client.v1_unknown()))


def none(chance):
    return b"EHLO stranger.example\r\n"


def truncated(chance):
    whole = proxy_client.v2("192.0.2.9")
    return whole[:chance.randrange(len(whole))]


FIRST_BYTES = (garbage, wrong_version, forged, oversized, broken_tlvs, local_or_unknown, none,
               truncated)


class BadClients:
    def __init__(self, world, seed):
        self.lab = world.lab
        self._seed = seed

    def workers(self, n, burst=1.0):
        return [self._worker(number) for number in range(n)] + [self._relayer, self._crawler,
                                                                self._burster(burst)]

    def _host(self, chance, family):
        """Most come from the balancer's network, some from where nobody is trusted."""
        if chance.random() < 0.75:
            return self.lab.balancer, SPEAKER[family]
        return self.lab.outsider, OUTSIDER[family == 6]

    def _connect(self, chance, port, first, timeout=LIMIT_S, host=None):
        family = chance.choice((4, 6))
        host, source = (host, SPEAKER[family]) if host else self._host(chance, family)
        if host is self.lab.outsider:
            timeout = DROPPED_S
        return host.connect(self.lab.mail.address(family), port, source, first, timeout)

    def _worker(self, number):
        def work(stop, journal):
            chance = random.Random(f"{self._seed}-bad-{number}")
            while not stop.is_set():
                kind = chance.choice(FIRST_BYTES)
                how = chance.choice(("read", "read", "reset", "close", "hang"))
                said = b""
                with contextlib.suppress(OSError):
                    sock = self._connect(chance, chance.choice(PORTS), kind(chance))
                    try:
                        if how == "read":
                            said = sock.recv(200)
                        elif how == "hang":
                            stop.wait(chance.uniform(0, 2))
                    finally:
                        (reset if how == "reset" else socket.socket.close)(sock)
                journal.write(kind=kind.__name__, how=how, n=1, said=len(said))
                stop.wait(chance.uniform(*PAUSE_S))
        return work

    def _relayer(self, stop, journal):
        """Claims to be somebody who may relay, on all twins of SMTP."""
        chance = random.Random(f"{self._seed}-relay")
        while not stop.is_set():
            port, relayed, said = chance.choice((12525, 10587)), False, None
            with contextlib.suppress(OSError):
                sock = self._connect(chance, port, forged(chance), 20)
                with proxy_client.LineClient(sock, 20) as client:
                    said = client.greeting()
                    for line in ("EHLO forged.example", "MAIL FROM:<a@forged.example>",
                                 "RCPT TO:<victim@elsewhere.example>"):
                        said = said and client.smtp(line)
                    relayed = (said or "").startswith("250")
            journal.write(kind="relay", how="read", n=1, relayed=relayed, said=said)
            stop.wait(0.5)

    def _crawler(self, stop, journal):
        """A header at a byte a second."""
        chance = random.Random(f"{self._seed}-crawl")
        while not stop.is_set():
            with contextlib.suppress(OSError):
                sock = self._connect(chance, chance.choice(PORTS), b"")
                with sock:
                    for byte in proxy_client.v1("192.0.2.77")[:CRAWL_BYTES]:
                        sock.sendall(bytes([byte]))
                        if stop.wait(CRAWL_S):
                            break
            journal.write(kind="crawl", how="hang", n=1)

    def _burster(self, share):
        """A thousand connections at once, held, and then closed or reset."""
        def work(stop, journal):
            chance = random.Random(f"{self._seed}-burst")
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            while not stop.wait(BURST_PAUSE_S * chance.uniform(0.3, 1)):
                held = []
                for port, most in BURST.items():
                    for _ in range(int(most * share)):
                        if stop.is_set():
                            break
                        with contextlib.suppress(OSError):
                            held.append(self._connect(chance, port, b"", 2, self.lab.balancer))
                stop.wait(BURST_HOLD_S)
                for sock in held:
                    (reset if chance.random() < 0.5 else socket.socket.close)(sock)
                journal.write(kind="burst", how="hang", n=len(held), at_once=len(held),
                              at=time.time())
        return work
