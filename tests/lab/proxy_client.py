# SPDX-License-Identifier: MIT
"""PROXY protocol headers, right and wrong, and a plain line client that sends them."""
import ipaddress
import socket
import struct

from . import wait

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V2_PROXY, V2_LOCAL = 0x21, 0x20
V2_TCP4, V2_TCP6, V2_UNSPEC = 0x11, 0x21, 0x00
DEFAULT_DESTINATION = {4: "10.77.0.10", 6: "fd77::10"}


def _version(address):
    return ipaddress.ip_address(address).version


def v1(source, destination=None, source_port=40000, destination_port=25):
    version = _version(source)
    destination = destination or DEFAULT_DESTINATION[version]
    return (f"PROXY TCP{version} {source} {destination} {source_port} {destination_port}\r\n"
            .encode())


def v1_unknown():
    return b"PROXY UNKNOWN\r\n"


def v2(source, destination=None, source_port=40000, destination_port=25):
    version = _version(source)
    destination = destination or DEFAULT_DESTINATION[version]
    body = (ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
            + struct.pack("!HH", source_port, destination_port))
    family = V2_TCP4 if version == 4 else V2_TCP6
    return V2_SIGNATURE + struct.pack("!BBH", V2_PROXY, family, len(body)) + body


def v2_local():
    return V2_SIGNATURE + struct.pack("!BBH", V2_LOCAL, V2_UNSPEC, 0)


def garbage():
    return b"\x16\x03\x01 this is no PROXY header \0\xff\r\n"


class LineClient:
    """A conversation in lines over one socket; it remembers all that it was told."""

    def __init__(self, sock, timeout=wait.LIMIT_S):
        self.sock = sock
        self.sock.settimeout(timeout)
        self.heard = b""
        self._pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def line(self):
        """The next line without its end, or None when the server closed or reset."""
        while b"\n" not in self._pending:
            try:
                data = self.sock.recv(4096)
            except ConnectionResetError:
                data = b""
            if not data:
                rest, self._pending = self._pending, b""
                return rest.decode(errors="replace") or None
            self._pending += data
            self.heard += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line.rstrip(b"\r").decode(errors="replace")

    def reply(self):
        """An SMTP reply, its lines joined; None when the server closed."""
        lines = []
        while True:
            line = self.line()
            if line is None:
                return "\n".join(lines) or None
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    def send(self, line):
        self.sock.sendall(line.encode() + b"\r\n")

    def smtp(self, command):
        self.send(command)
        return self.reply()

    def greeting(self):
        """The greeting after postscreen's teaser line, which comes with a hyphen."""
        return self.reply()

    def silence(self, seconds):
        """True when the server says nothing and keeps the connection for so long."""
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(4096)
        except socket.timeout:
            return True
        except ConnectionResetError:
            return False
        self._pending += data
        self.heard += data
        return False
