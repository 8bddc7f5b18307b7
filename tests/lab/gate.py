# SPDX-License-Identifier: MIT
"""The gate as nftables tell it, and connections that find out who gets through."""
import contextlib
import json
import socket
import subprocess

from . import wait

TABLE = "inet postern"
# A connection that is let in is open in less than a millisecond here; one that is dropped never.
REFUSED_WITHIN_S = 0.7
LIST_TRIES = 10


def nft(host, *arguments, check=True, text=None, program="nft"):
    """Run nft in the network of a host: the machine's program, the host's rules."""
    return subprocess.run(["nsenter", f"--net=/proc/{host.pid}/ns/net", program, *arguments],
                          input=text, text=True, capture_output=True, check=check,
                          timeout=wait.LIMIT_S)


def listed(host, *what):
    """nft's JSON of what there is; it may die of a table that changes while it reads."""
    for _ in range(LIST_TRIES):
        done = nft(host, "--json", "list", *what, check=False)
        if done.returncode >= 0:
            break
    done.check_returncode()
    return json.loads(done.stdout)["nftables"]


def delete(host, program="nft"):
    """Take it away, as others may."""
    nft(host, "delete", "table", *TABLE.split(), program=program)


def exists(host):
    return nft(host, "list", "table", *TABLE.split(), check=False).returncode == 0


def ruleset(host):
    """All tables, without what counts and what is numbered."""
    return nft(host, "--stateless", "list", "ruleset").stdout


def rules(host, chain):
    """The expressions of a chain's rules, as nft's JSON has them."""
    return [item["rule"]["expr"] for item in listed(host, "table", *TABLE.split())
            if item.get("rule", {}).get("chain") == chain]


def ports(host):
    """The ports that are guarded."""
    found = set()
    for expressions in rules(host, "input"):
        for expression in expressions:
            left = expression.get("match", {}).get("left", {}).get("payload", {})
            if left.get("field") == "dport":
                found.add(expression["match"]["right"])
    return found


def networks(host):
    """The networks that are let in."""
    found = set()
    for expressions in rules(host, "twins"):
        right = expressions[0].get("match", {}).get("right")
        if isinstance(right, dict):
            found.add("{addr}/{len}".format(**right["prefix"]))
        elif right:
            found.add(right)
    return found


def refused_packets(host):
    return sum(expression["counter"]["packets"] for expressions in rules(host, "twins")
               for expression in expressions if "counter" in expression)


def lets_in(host, address, port, source=None):
    """Whether a connection from this host is taken; one that is reset is not dropped: an error."""
    try:
        host.connect(address, port, source, timeout=REFUSED_WITHIN_S).close()
    except TimeoutError:
        return False
    return True


@contextlib.contextmanager
def knocking(host, attempts):
    """Connections to (address, port) that are begun at once: the sockets, not yet open."""
    sockets = []
    try:
        for address, port in attempts:
            family = 6 if ":" in address else 4
            with host.entered():
                sock = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET)
            sockets.append(sock)
            sock.setblocking(False)
            sock.bind((host.address(family), 0))
            sock.connect_ex((address, port))
        yield sockets
    finally:
        for sock in sockets:
            sock.close()
