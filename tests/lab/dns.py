# SPDX-License-Identifier: MIT
"""A name server of one purpose: a block list (DNSBL) that names the addresses it is given."""
import ipaddress
import socket
import struct
import threading

ZONE = "dnsbl.example"
LISTED = "127.0.0.2"
TYPE_A = 1
NAME_ERROR = 3
RESPONSE_FLAGS = 0x8580  # response, authoritative, recursion wanted and had


class BlockList:
    """Answers on the host's 127.0.0.1:53 until it is closed."""

    def __init__(self, host, addresses):
        self._names = {_reversed(address) + "." + ZONE for address in addresses}
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
        known = ".".join(labels).lower() in self._names
        wanted = known and struct.unpack("!H", query[at + 1:at + 3])[0] == TYPE_A
        answer = b""
        if wanted:
            answer = (b"\xc0\x0c" + struct.pack("!HHIH", TYPE_A, 1, 60, 4)
                      + socket.inet_aton(LISTED))
        flags = RESPONSE_FLAGS | (0 if known else NAME_ERROR)
        return query[:2] + struct.pack("!HHHHH", flags, 1, 1 if wanted else 0, 0, 0) \
            + question + answer


def _reversed(address):
    ip = ipaddress.ip_address(address)
    parts = ip.exploded.split(".") if ip.version == 4 else ip.exploded.replace(":", "")
    return ".".join(reversed(parts))
