# SPDX-License-Identifier: MIT
"""Packets as nobody's kernel would make them: a TCP SYN in pieces, and behind other headers."""
import ipaddress
import os
import select
import socket
import struct
import time

IPPROTO_HOPOPTS, IPPROTO_FRAGMENT, IPPROTO_DSTOPTS = 0, 44, 60
SYN, SYN_ACK = 0x02, 0x12
HOP_LIMIT = 64
# The smallest header with options: six bytes of padding (RFC 8200, section 4.2).
PADDING = bytes([1, 4, 0, 0, 0, 0])


def _sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def _packed(address):
    return ipaddress.ip_address(address).packed


def syn(source, target, source_port, port):
    """A TCP segment that asks for a connection (RFC 9293)."""
    segment = struct.pack("!HHIIBBHHH", source_port, port, 1000, 0, 5 << 4, SYN, 64240, 0, 0)
    if ":" in source:
        pseudo = struct.pack("!16s16sII", _packed(source), _packed(target), len(segment),
                             socket.IPPROTO_TCP)
    else:
        pseudo = struct.pack("!4s4sBBH", _packed(source), _packed(target), 0, socket.IPPROTO_TCP,
                             len(segment))
    return segment[:16] + struct.pack("!H", _sum(pseudo + segment)) + segment[18:]


def ipv6(source, target, first, payload):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), first, HOP_LIMIT, _packed(source),
                       _packed(target)) + payload


def ipv4(source, target, payload, offset=0, more=False, identification=0, options=b""):
    """The kernel fills in length and checksum."""
    return struct.pack("!BBHHHBBH4s4s", 4 << 4 | 5 + len(options) // 4, 0, 0, identification,
                       more << 13 | offset // 8, HOP_LIMIT, socket.IPPROTO_TCP, 0,
                       _packed(source), _packed(target)) + options + payload


def fragments6(source, target, first, payload, cut):
    """In one piece, which says that it is one, or cut in two (RFC 8200, section 4.5)."""
    identification = struct.unpack("!I", os.urandom(4))[0]
    pieces = [(0, payload[:cut], 1), (cut, payload[cut:], 0)] if cut else [(0, payload, 0)]
    return [ipv6(source, target, IPPROTO_FRAGMENT,
                 struct.pack("!BBHI", first, 0, offset | more, identification) + piece)
            for offset, piece, more in pieces]


def options6(following):
    return bytes([following, 0]) + PADDING


def fragments4(source, target, payload, cut):
    identification = int.from_bytes(os.urandom(2), "big") or 1
    return [ipv4(source, target, payload[:cut], 0, True, identification),
            ipv4(source, target, payload[cut:], cut, False, identification)]


def is_answered(host, target, port, make, within):
    """Whether make(source, target, segment) makes the target answer that it takes a connection."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    source = host.address(6 if ":" in target else 4)
    source_port = 20000 + int.from_bytes(os.urandom(2), "big") % 30000
    with host.entered():
        out = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        heard = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    with out, heard:
        for packet in make(source, target, syn(source, target, source_port, port)):
            out.sendto(packet, (target, 0))
        deadline = time.monotonic() + within
        while select.select([heard], [], [], max(0, deadline - time.monotonic()))[0]:
            packet = heard.recv(4096)
            segment = packet if family == socket.AF_INET6 else packet[(packet[0] & 15) * 4:]
            ports, flags = struct.unpack("!HH", segment[:4]), segment[13]
            if ports == (port, source_port) and flags & SYN_ACK == SYN_ACK:
                return True
    return False
