# SPDX-License-Identifier: MIT
"""Network namespaces with addresses on one private wire, and sockets opened inside them.

Nothing here has a name on the machine: a namespace is held open by a process of ours and is gone
with it, and the wire's bridge lives in a namespace of its own.
"""
import contextlib
import ctypes
import ipaddress
import os
import socket
import subprocess
import sys

from . import wait

CLONE_NEWNET = 0x40000000
# Prefix lengths that put every address of the lab on the same link.
PREFIX_LENGTHS = {4: 24, 6: 64}
# The state of a listening socket in /proc/net/tcp.
TCP_LISTEN = "0A"

_libc = ctypes.CDLL(None, use_errno=True)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")


def ip_batch(pid, lines):
    """Run `ip` commands in the network namespace of a process."""
    subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"],
                   input="\n".join(lines) + "\n", text=True, check=True,
                   stdout=subprocess.DEVNULL, timeout=wait.LIMIT_S)


def _address(text):
    """An address of /proc/net/tcp: 32-bit words in the machine's own byte order."""
    words = [int(text[i:i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(words)))


def _end(text):
    """(address, port) of a connection's end in /proc/net/tcp."""
    address, port = text.split(":")
    return _address(address), int(port, 16)


class NetHost:
    """A network namespace with addresses; the first of each family is the default source."""

    def __init__(self, name, addresses=()):
        self.name = name
        self.addresses = list(addresses)
        self.pid = None
        self._holder = None

    def start(self):
        self._holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, start_new_session=True)

    def ready(self):
        own = os.readlink("/proc/self/ns/net")
        pid = self._holder.pid
        wait.until(lambda: os.readlink(f"/proc/{pid}/ns/net") != own
                   and os.path.basename(os.readlink(f"/proc/{pid}/exe")) != "unshare",
                   f"the network namespace of {self.name}", every=0.001)
        self.pid = pid

    def stop(self):
        if self._holder is None:
            return
        self._holder.stdin.close()
        try:
            self._holder.wait(timeout=wait.LIMIT_S)
        except subprocess.TimeoutExpired:
            self._holder.kill()
            self._holder.wait()
        self._holder = None
        self.pid = None

    def address(self, family=4, index=0):
        wanted = [a for a in self.addresses if (":" in a) == (family == 6)]
        return wanted[index]

    def add_addresses(self):
        lines = ["link set lo up"]
        if self.addresses:
            lines.append("link set eth0 up")
        for address in self.addresses:
            family = 6 if ":" in address else 4
            nodad = " nodad" if family == 6 else ""
            lines.append(f"addr add {address}/{PREFIX_LENGTHS[family]} dev eth0{nodad}")
        if self.addresses:
            lines += ["route add 0.0.0.0/0 dev eth0", "route add ::/0 dev eth0"]
        ip_batch(self.pid, lines)

    @contextlib.contextmanager
    def entered(self):
        """Sockets opened in this block, by this thread, are this host's."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there)
            try:
                yield
            finally:
                _setns(here)
        finally:
            os.close(there)
            os.close(here)

    def connect(self, address, port, source=None, first_bytes=b"", timeout=wait.LIMIT_S):
        """A TCP connection from this host; first_bytes (a PROXY header) go out at once."""
        source = source or self.address(6 if ":" in address else 4)
        with self.entered():
            sock = socket.create_connection((address, port), timeout=timeout,
                                            source_address=(source, 0))
        try:
            if first_bytes:
                sock.sendall(first_bytes)
        except BaseException:
            sock.close()
            raise
        return sock

    def listen(self, address, port):
        """A foreign listener on this host (no SO_REUSEPORT); the caller closes it."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.entered():
            sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, port))
            sock.listen()
        except BaseException:
            sock.close()
            raise
        return sock

    def _tcp_lines(self):
        """The fields of each line of proc(5)'s tables of TCP sockets in this namespace."""
        for table in ("tcp", "tcp6"):
            with open(f"/proc/{self.pid}/net/{table}", encoding="ascii") as lines:
                next(lines)
                yield from (line.split() for line in lines)

    def listeners(self):
        """{(address, port)} of the TCP listeners in this namespace."""
        return {_end(fields[1]) for fields in self._tcp_lines() if fields[3] == TCP_LISTEN}

    def tcp_peers(self, inodes):
        """{(address, port)} at the other ends of the connections whose sockets have these inodes."""
        return {_end(fields[2]) for fields in self._tcp_lines()
                if fields[9] in inodes and fields[3] != TCP_LISTEN}

    def listening_ports(self):
        return {port for _, port in self.listeners()}

    def wait_listening(self, ports, within=wait.LIMIT_S):
        ports = set(ports)
        wait.until(lambda: ports <= self.listening_ports(),
                   lambda: f"{self.name} to listen on {sorted(ports - self.listening_ports())}",
                   within)

    def wait_closed(self, ports, within=wait.LIMIT_S):
        ports = set(ports)
        wait.until(lambda: not ports & self.listening_ports(),
                   lambda: f"{self.name} to close {sorted(ports & self.listening_ports())}", within)


class Wire(NetHost):
    """The bridge that all hosts are plugged into."""

    def __init__(self):
        super().__init__("wire")

    def plug(self, hosts):
        lines = ["link add br0 type bridge mcast_snooping 0", "link set br0 up"]
        for number, host in enumerate(hosts):
            lines += [f"link add p{number} type veth peer name eth0 netns {host.pid}",
                      f"link set p{number} master br0", f"link set p{number} up"]
        ip_batch(self.pid, lines)
        for host in hosts:
            host.add_addresses()
