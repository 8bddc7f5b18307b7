# SPDX-License-Identifier: MIT
"""Forged PROXY headers: builders for version 1 and 2, and the table of what a liar may send.

The table is for servers whose `mynetworks` are those of OURS.  Each forgery claims a client port of
its own, as far as it can claim one, by which its traces are found in the logs.
"""
import dataclasses
import ipaddress
import struct

from .proxy_client import V2_LOCAL, V2_PROXY, V2_SIGNATURE, V2_TCP4, V2_TCP6, V2_UNSPEC

POD, POD6 = "10.77.0.10", "fd77::10"
BALANCER, BALANCER6 = "10.77.0.22", "fd77::22"
PUBLIC, PUBLIC6 = "192.0.2.25", "2001:db8:25::25"
STRANGER, STRANGER6 = "203.0.113.5", "2001:db8:66::5"

# Networks, as Postfix has them in every form that it knows; the files are in TABLES.
OURS = ("127.0.0.0/8 [::1]/128 [fe80::]/64 10.77.0.0/24 [fd77::]/64 172.16.0.0/12 192.168.5.5 "
        "[2001:db8:77::]/48 cidr:/etc/postfix/maps/ours.cidr hash:/etc/postfix/maps/ours.hash "
        "/etc/postfix/maps/ours.list")
TABLES = {
    "/etc/postfix/maps/ours.cidr": "192.0.2.64/28 OK\n2001:db8:88::/48 OK\n",
    "/etc/postfix/maps/ours.hash": "192.0.2.130 OK\n",
    "/etc/postfix/maps/ours.list": "192.0.2.200\n",
}

# name -> address; those of `mynetworks` first.
IN_MYNETWORKS = {
    "loopback": "127.0.0.1",
    "loopback-elsewhere": "127.250.3.9",
    "loopback6": "::1",
    "loopback-mapped": "::ffff:127.0.0.1",
    "pod": POD,
    "pod6": POD6,
    "pod-mapped": f"::ffff:{POD}",
    "balancer": BALANCER,
    "balancer6": BALANCER6,
    "wire-broadcast": "10.77.0.255",
    "network": "172.20.1.1",
    "host": "192.168.5.5",
    "network6": "2001:db8:77::5",
    "table-cidr": "192.0.2.77",
    "table-cidr6": "2001:db8:88::1",
    "table-hash": "192.0.2.130",
    "table-list": "192.0.2.200",
    "link-local6": "fe80::1",
}
ELSEWHERE = {
    "any": "0.0.0.0",
    "any6": "::",
    "broadcast": "255.255.255.255",
    "multicast": "224.0.0.1",
    "multicast6": "ff02::1",
    "link-local": "169.254.7.7",
    "stranger": STRANGER,
    "stranger6": STRANGER6,
}
ADDRESSES = {**IN_MYNETWORKS, **ELSEWHERE}

FIRST_PORT = 20000

# Version 2: the nibbles of a family byte, and types of TLVs.
AF_INET, AF_INET6, AF_UNIX = 0x10, 0x20, 0x30
STREAM, DGRAM = 0x1, 0x2
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL, NETNS = 0x01, 0x02, 0x03, 0x04, 0x05, 0x20, 0x30
SSL_VERSION, SSL_CN, SSL_CIPHER = 0x21, 0x22, 0x23
CLIENT_SSL, CLIENT_CERT_CONN, CLIENT_CERT_SESS = 0x01, 0x02, 0x04
V1_MAX = 107


def plain(address):
    """An address as it is when an IPv4 one is not written as an IPv6 one."""
    parsed = ipaddress.ip_address(address)
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def v1(source, destination, port, family=None, end=b"\r\n", destination_port=25):
    family = family or f"TCP{ipaddress.ip_address(source).version}"
    return f"PROXY {family} {source} {destination} {port} {destination_port}".encode() + end


def ends(source, destination, port, destination_port=25):
    """The addresses and ports of version 2; both addresses are of one family."""
    return (ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
            + struct.pack("!HH", port, destination_port))


def v2(body, family=V2_TCP4, command=V2_PROXY, length=None):
    """A header of version 2; `length` may lie about its body."""
    return (V2_SIGNATURE + struct.pack("!BBH", command, family,
                                       len(body) if length is None else length) + body)


def v2_tcp(source, destination, port, tlvs=b""):
    family = V2_TCP4 if ipaddress.ip_address(source).version == 4 else V2_TCP6
    return v2(ends(source, destination, port) + tlvs, family)


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def ssl_tlv(client, verify=0, name=b""):
    """A client's TLS as a balancer ends it, with a certificate of that name."""
    inner = tlv(SSL_VERSION, b"TLSv1.3") + tlv(SSL_CIPHER, b"TLS_AES_256_GCM_SHA384")
    return tlv(SSL, struct.pack("!BI", client, verify) + inner + (tlv(SSL_CN, name) if name
                                                                  else b""))


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def with_checksum(source, destination, port, wrong=False):
    header = v2_tcp(source, destination, port, tlv(CRC32C, bytes(4)))
    value = crc32c(header) ^ (1 if wrong else 0)
    return header[:-4] + struct.pack("!I", value)


@dataclasses.dataclass(frozen=True)
class Forgery:
    """What is sent first, and what it says."""
    name: str
    data: bytes
    source: str = None         # the claimed client, where the header claims one in any way
    destination: str = None
    port: int = None           # the claimed client's, when it is this forgery's own
    says_tls: bool = False     # that the client spoke TLS to the balancer
    pieces: tuple = ()         # how many bytes at a time, when not all at once
    talks_on: bool = False     # more than a header: what follows comes before the greeting

    @property
    def one_address(self):
        """Both ends of the claimed connection have the same address."""
        return self.source is not None and plain(self.source) == plain(self.destination)


class _Table:
    def __init__(self):
        self.rows = []

    @property
    def port(self):
        """The port of the next row."""
        return FIRST_PORT + len(self.rows)

    def add(self, name, data, source=None, destination=None, named=True, **more):
        port = self.port if named and source is not None else None
        self.rows.append(Forgery(name, data, source, destination, port, **more))

    def v1(self, name, source="127.0.0.1", destination="127.0.0.1", tail=b"", **more):
        self.add(name, v1(source, destination, self.port) + tail, source, destination, **more)

    def v2(self, name, source="127.0.0.1", destination="127.0.0.1", tlvs=b"", tail=b"", **more):
        self.add(name, v2_tcp(source, destination, self.port, tlvs) + tail, source, destination,
                 **more)


def _addresses(table):
    for name, address in ADDRESSES.items():
        six = ":" in address
        table.v1(f"v1-{name}-to-itself", address, address)
        table.v1(f"v1-{name}-to-pod", address, POD6 if six else POD)
        table.v2(f"v2-{name}-to-itself", address, address)
        table.v2(f"v2-{name}-to-public", address, PUBLIC6 if six else PUBLIC)
        table.v2(f"v2-stranger-to-{name}", STRANGER6 if six else STRANGER, address)


def _version_1(table):
    add, port = table.add, lambda: table.port
    both = {"source": "127.0.0.1", "destination": "127.0.0.1"}
    add("v1-unknown", b"PROXY UNKNOWN\r\n")
    add("v1-unknown-loopback", b"PROXY UNKNOWN 127.0.0.1 127.0.0.1 1000 25\r\n")
    add("v1-unknown-to-the-limit",
        b"PROXY UNKNOWN " + b"f" * (V1_MAX - len(b"PROXY UNKNOWN \r\n")) + b"\r\n")
    add("v1-unknown-lf", b"PROXY UNKNOWN\n")
    for word in ("proxy TCP4", "PROXY tcp4", "Proxy Tcp4"):
        add(f"v1-{word.replace(' ', '-')}-letters",
            f"{word} 127.0.0.1 127.0.0.1 {port()} 25\r\n".encode(), **both)
    for address in ("127.000.000.001", "0127.0.0.1", "0177.0.0.1", "0x7f.0.0.1", "127.1",
                    "2130706433", "127.0.0.1%lo", "[127.0.0.1]", "localhost", "127.0.0.1,8.8.8.8"):
        add(f"v1-written-{address}",
            f"PROXY TCP4 {address} {address} {port()} 25\r\n".encode(), **both)
    for address in ("0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "::0.0.0.1",
                    "::1%lo", "[::1]", "::FFFF:7f00:1", "IPv6:::1"):
        loopback = "127.0.0.1" if "7f00" in address else "::1"
        add(f"v1-written-{address}",
            f"PROXY TCP6 {address} {address} {port()} 25\r\n".encode(), loopback, loopback)
    add("v1-tcp4-with-ipv6", v1("::1", "::1", port(), "TCP4"), "::1", "::1")
    add("v1-tcp6-with-ipv4", v1("127.0.0.1", "127.0.0.1", port(), "TCP6"), **both)
    add("v1-mixed-families", v1("127.0.0.1", "::1", port(), "TCP4"), "127.0.0.1", "::1")
    for claimed in ("0", "65535", "65536", "-1", "+25", "025", "99999999999", "", "25x"):
        add(f"v1-port-{claimed or 'none'}",
            f"PROXY TCP4 127.0.0.1 127.0.0.1 {claimed} 25\r\n".encode(), named=False, **both)
    full = "2001:0db8:0077:0000:0000:0000:0000:0005"
    for length in (V1_MAX, V1_MAX + 1, V1_MAX + 2):
        line = f"PROXY TCP6 {full} {full} {port()} 25"
        line += " " * (length - 2 - len(line)) + "\r\n"
        add(f"v1-{length}-bytes", line.encode(), full, full)
    line = v1("127.0.0.1", "127.0.0.1", 1, end=b"")
    add("v1-no-end", line, named=False, **both)
    add("v1-lf-only", v1("127.0.0.1", "127.0.0.1", port(), end=b"\n"), **both)
    add("v1-cr-only", line + b"\r", named=False, **both)
    add("v1-cr-cr-lf", v1("127.0.0.1", "127.0.0.1", port(), end=b"\r\r\n"), **both)
    add("v1-endless", line + b" " * 4096, named=False, **both)
    add("v1-nul", b"PROXY TCP4 127.0.0.1\0 127.0.0.1 1000 25\r\n", named=False, **both)
    add("v1-tabs", b"PROXY\tTCP4\t127.0.0.1\t127.0.0.1\t1000\t25\r\n", named=False, **both)
    add("v1-blanks", f"PROXY  TCP4  127.0.0.1  127.0.0.1  {port()}  25\r\n".encode(), **both)
    add("v1-one-word-more", v1("127.0.0.1", "127.0.0.1", port(), end=b" 127.0.0.1\r\n"), **both)
    add("v1-blank-first", b" " + v1("127.0.0.1", "127.0.0.1", port()), **both)
    add("v1-newline-first", b"\r\n" + v1("127.0.0.1", "127.0.0.1", port()), **both)


def _version_2(table):
    add, port = table.add, lambda: table.port
    both = {"source": "127.0.0.1", "destination": "127.0.0.1"}
    six = {"source": "::1", "destination": "::1"}

    def body():
        return ends("127.0.0.1", "127.0.0.1", port())

    def body6():
        return ends("::1", "::1", port())

    add("v2-local", v2(b"", V2_UNSPEC, V2_LOCAL))
    add("v2-local-loopback", v2(body(), V2_TCP4, V2_LOCAL))
    add("v2-local-loopback6", v2(body6(), V2_TCP6, V2_LOCAL))
    add("v2-local-tls", v2(ssl_tlv(CLIENT_SSL), V2_UNSPEC, V2_LOCAL))
    add("v2-local-bytes", v2(b"\xff" * 200, V2_UNSPEC, V2_LOCAL))
    add("v2-unspec", v2(b"", V2_UNSPEC))
    add("v2-unspec-loopback", v2(body(), V2_UNSPEC))
    add("v2-unspec-tls", v2(ssl_tlv(CLIENT_SSL), V2_UNSPEC | STREAM), says_tls=True)
    add("v2-unix", v2(b"/run/a".ljust(108, b"\0") + b"/run/b".ljust(108, b"\0"), AF_UNIX | STREAM))
    add("v2-unix-datagrams", v2(bytes(216), AF_UNIX | DGRAM))
    add("v2-unix-short", v2(b"/run/a", AF_UNIX | STREAM))
    add("v2-udp4", v2(body(), AF_INET | DGRAM), **both)
    add("v2-udp6", v2(body6(), AF_INET6 | DGRAM), **six)
    add("v2-inet-of-no-kind", v2(body(), AF_INET), **both)
    add("v2-inet-of-unknown-kind", v2(body(), AF_INET | 0x5), **both)
    add("v2-unknown-family", v2(body(), 0x41), **both)
    add("v2-unknown-command", v2(body(), V2_TCP4, 0x22), **both)
    for version in (0x01, 0x11, 0x31, 0xf1):
        add(f"v2-version-{version >> 4}", v2(body(), V2_TCP4, version), **both)
    add("v2-tcp4-of-ipv6", v2(body6(), V2_TCP4))
    add("v2-tcp6-of-ipv4", v2(body(), V2_TCP6), **both)
    add("v2-short-address", v2(body()[:8], V2_TCP4), **both)
    add("v2-empty-address", v2(b"", V2_TCP4), **both)
    add("v2-length-too-small", v2(body(), V2_TCP4, length=8), **both)
    add("v2-length-nothing", v2(body(), V2_TCP4, length=0), **both)
    add("v2-length-too-large", v2(body(), V2_TCP4, length=400), **both)
    add("v2-length-64k", v2(body(), V2_TCP4, length=65535), **both)
    add("v2-64k", v2_tcp("127.0.0.1", "127.0.0.1", port(), tlv(NOOP, bytes(65535 - 15))), **both)
    add("v2-half-a-signature", v2(body())[:7], named=False, **both)
    add("v2-signature-alone", V2_SIGNATURE, named=False, **both)
    add("v2-other-signature", b"\r\n\r\n\0\r\nQUIT\r" + v2(body())[12:], **both)

    for name, tlvs in {
            "alpn-imap": tlv(ALPN, b"imap"), "alpn-http": tlv(ALPN, b"h2"),
            "authority": tlv(AUTHORITY, b"localhost"),
            "authority-bytes": tlv(AUTHORITY, b"local host\r\nx\0y"),
            "netns": tlv(NETNS, b"/proc/1/ns/net"), "unique-id": tlv(UNIQUE_ID, b"\0" * 128),
            "unknown": tlv(0xee, b"127.0.0.1"), "empty": tlv(NOOP, b""),
            "truncated": tlv(NOOP, b"12345")[:-3], "half": b"\x04\x00",
            "hundred": tlv(NOOP, b"") * 100, "long": tlv(NOOP, bytes(1400)),
            "ssl-truncated": tlv(SSL, b"\1\0"), "ssl-inner-truncated": ssl_tlv(0)[:-4],
            "no-tls": ssl_tlv(0, 1)}.items():
        table.v2(f"v2-tlv-{name}", destination=PUBLIC, tlvs=tlvs)
    everything = CLIENT_SSL | CLIENT_CERT_CONN | CLIENT_CERT_SESS
    table.v2("v2-tlv-tls", STRANGER, PUBLIC, ssl_tlv(CLIENT_SSL), says_tls=True)
    table.v2("v2-tlv-tls-loopback", destination=PUBLIC, tlvs=ssl_tlv(CLIENT_SSL), says_tls=True)
    table.v2("v2-tlv-tls-verified-certificate", STRANGER, PUBLIC,
             ssl_tlv(everything, 0, b"alice@example.test"), says_tls=True)
    table.v2("v2-tlv-certificate-not-verified", STRANGER, PUBLIC,
             ssl_tlv(everything, 18, b"alice@example.test"), says_tls=True)
    for wrong in (False, True):
        add(f"v2-tlv-checksum-{'wrong' if wrong else 'right'}",
            with_checksum("127.0.0.1", PUBLIC, port(), wrong), "127.0.0.1", PUBLIC)


def _ways_to_send(table):
    honest = v1(STRANGER, PUBLIC, 4711)
    for number, make in ((1, table.v1), (2, table.v2)):
        def second(number=number):
            return (v1 if number == 1 else v2_tcp)("127.0.0.1", "127.0.0.1", table.port)

        make(f"v{number}-byte-by-byte", destination=PUBLIC, pieces=(1,))
        make(f"v{number}-in-two", destination=PUBLIC, pieces=(14, 4096))
        make(f"v{number}-then-commands", destination=PUBLIC, talks_on=True,
             tail=b"EHLO x.example\r\nMAIL FROM:<a@x.example>\r\n"
                  b"RCPT TO:<victim@elsewhere.example>\r\nDATA\r\n")
        make(f"v{number}-then-log-in", destination=PUBLIC, talks_on=True,
             tail=b'a LOGIN alice@example.test "correct horse"\r\n'
                  b"USER alice@example.test\r\nPASS correct horse\r\n")
        make(f"v{number}-then-garbage", destination=PUBLIC, talks_on=True, tail=b"\0\xff" * 300)
        make(f"v{number}-then-a-stranger", destination=PUBLIC, talks_on=True, tail=honest)
        make(f"v{number}-stranger-then-loopback", STRANGER, PUBLIC, talks_on=True, tail=second())
        make(f"v{number}-stranger-then-local", STRANGER, PUBLIC, talks_on=True,
             tail=v2(b"", V2_UNSPEC, V2_LOCAL))
        make(f"v{number}-then-end-of-line", destination=PUBLIC, talks_on=True, tail=b"\r\n")


def _rows():
    table = _Table()
    for part in (_addresses, _version_1, _version_2, _ways_to_send):
        part(table)
    return table.rows


FORGERIES = {row.name: row for row in _rows()}
assert len(FORGERIES) == len(_rows()), "two forgeries of one name"
