# SPDX-License-Identifier: MIT
"""Name servers: a block list (DNSBL) that names the addresses it is given, and one for hosts."""
import ipaddress
import socket
import struct
import threading

ZONE = "dnsbl.example"
LISTED = "127.0.0.2"
TYPE_A, TYPE_AAAA = 1, 28
NAME_ERROR = 3
RESPONSE_FLAGS = 0x8580  # response, authoritative, recursion wanted and had


class Server:
    """Answers on the host's 127.0.0.1:53 until it is closed.

    names: {full name, without the last dot: [address]}; another name does not exist.
    """

    def __init__(self, host, names):
        self._names = {name.lower(): addresses for name, addresses in names.items()}
        self.asked = []
        with host.entered():
            self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 53))
        self._sock.settimeout(0.1)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._closing.set()
        self._thread.join()
        self._sock.close()

    def _serve(self):
        while not self._closing.is_set():
            try:
                query, peer = self._sock.recvfrom(1500)
            except socket.timeout:
                continue
            self._sock.sendto(self._answer(query), peer)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12:at + 5]
        name = ".".join(labels).lower()
        wanted = struct.unpack("!H", query[at + 1:at + 3])[0]
        self.asked.append((name, wanted))
        found = [packed for packed in map(_packed, self._names.get(name, ()))
                 if wanted == (TYPE_A if len(packed) == 4 else TYPE_AAAA)]
        answers = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", wanted, 1, 60, len(packed)) + packed
                           for packed in found)
        flags = RESPONSE_FLAGS | (0 if name in self._names else NAME_ERROR)
        return query[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + question + answers


class BlockList(Server):
    """Lists these addresses."""

    def __init__(self, host, addresses):
        super().__init__(host, {f"{_reversed(address)}.{ZONE}": [LISTED]
                                for address in addresses})


def _packed(address):
    return ipaddress.ip_address(address).packed


def _reversed(address):
    ip = ipaddress.ip_address(address)
    parts = ip.exploded.split(".") if ip.version == 4 else ip.exploded.replace(":", "")
    return ".".join(reversed(parts))
