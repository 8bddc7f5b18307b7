# SPDX-License-Identifier: MIT
"""The ConfigMap that the benchmarks swap, and what a client sees of a swap.

It holds postern.conf, and the same two values as files of their own, for shell loops that have no
parser: a port for the twin of submission, and the one network that Dovecot trusts.
"""
import contextlib
import time
from typing import NamedTuple

from lab import CLIENT, kubelet, postern, proxy_client

FOLDER = "/etc/postern-configmap"
CONF = f"{FOLDER}/postern.conf"
PORT, NETWORK = "port", "network"

# A client that is refused tries again after so long; each try at Dovecot costs it a process.
PAUSE_S = 0.001
LIMIT_S = 60
ATTEMPT_LIMIT_S = 10


class Content(NamedTuple):
    port: int = 20000
    network: str = CLIENT[0] + "/32"

    def keys(self):
        return {"postern.conf": self.conf().encode(), PORT: b"%d\n" % self.port,
                NETWORK: self.network.encode() + b"\n"}

    def conf(self):
        return postern.conf(f"postfix {{\n  listener submission {{ port = {self.port} }}\n}}\n"
                            "resync = 0\n", [self.network])


class TimedVolume(kubelet.Volume):
    """It remembers when "..data" was renamed: that is when a swap happens."""

    swapped = None

    def _swap(self, new):
        super()._swap(new)
        self.swapped = time.perf_counter()


# -- changes: each round's content is another one, and a client of the lab can tell

def another_port(content, turn):
    return content._replace(port=20001 + turn)


def another_network(content, turn):
    return content._replace(network=CLIENT[1 + turn % (len(CLIENT) - 10)] + "/32")


def is_greeted(lab, content):
    """A client gets submission's greeting on the port."""
    return greeting(lab, content.port, CLIENT[0]).startswith(b"220")


def is_trusted(lab, content):
    """A client in the network, and in none that was trusted before, may speak PROXY to Dovecot."""
    return bool(greeting(lab, 10143, content.network.partition("/")[0]))


def greeting(lab, port, source):
    """b"" when there is none."""
    header = proxy_client.v2("198.51.100.200", destination_port=port)
    with contextlib.suppress(OSError):
        with lab.client.connect(lab.mail.address(), port, source, header, ATTEMPT_LIMIT_S) as sock:
            return sock.recv(200)
    return b""


def when(condition):
    """Try until it holds, with hardly a pause: the time at which it did."""
    deadline = time.perf_counter() + LIMIT_S
    while not condition():
        if time.perf_counter() > deadline:
            raise AssertionError(f"not seen by a client within {LIMIT_S} s")
        time.sleep(PAUSE_S)
    return time.perf_counter()
