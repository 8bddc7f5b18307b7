# SPDX-License-Identifier: MIT
"""What is there on a mail host: files, as they are and whether they were touched, and servers."""
import json
import os
import socket
import stat
import struct
import subprocess
import time

CONTROL = "/run/faults-control"
CONTROL_BYTES = 104
HIT_AT = 5 * 4
RUN_LIMIT_S = 60
GREETING_LIMIT_S = 10
PROXY_LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
PID_FILES = ("/var/spool/postfix/pid/master.pid", "/run/dovecot/master.pid")


class Wrong(Exception):
    """A promise that was not kept."""


# ---- what there is

def file_state(path):
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        return os.readlink(path).encode(), 0o777, info.st_uid, info.st_gid
    with open(path, "rb") as file:
        return file.read(), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid


def identity(path):
    info = os.lstat(path)
    return info.st_ino, info.st_mtime_ns, info.st_ctime_ns, info.st_size


def all_files(folders):
    for top in folders:
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                if stat.S_ISREG(os.lstat(path).st_mode) or os.path.islink(path):
                    yield path


def hits():
    """How many faults there were."""
    with open(CONTROL, "rb") as control:
        return struct.unpack_from("i", control.read(CONTROL_BYTES), HIT_AT)[0]


class Files:
    """The files of some folders; those that have not been touched since are not read again."""

    def __init__(self, folders):
        self._folders = folders
        self._known = {}

    def look(self):
        now = {}
        for path in all_files(self._folders):
            key = identity(path)
            known = self._known.get(path)
            if known is None or known[0] != key:
                known = self._known[path] = (key, file_state(path))
            now[path] = known[1]
        return now

    def identities(self):
        return {path: identity(path) for path in all_files(self._folders)}


# ---- the servers

def greets(port, first=b"", limit_s=GREETING_LIMIT_S):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as sock:
                sock.sendall(first)
                if sock.recv(512)[:4] in (b"220 ", b"220-", b"* OK"):
                    return True
        except OSError:
            pass
        time.sleep(0.02)
    return False


LISTENS = "0A"
TWINS_FROM, TWINS_TO = 10000, 30000


def listening():
    ports = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as file:
            for fields in map(str.split, list(file)[1:]):
                if fields[3] == LISTENS:
                    ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def guarded():
    """The ports that the gate has, by nft(8)."""
    done = subprocess.run(["nft", "--json", "list", "chain", "inet", "postern", "input"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=RUN_LIMIT_S, check=False)
    rules = json.loads(done.stdout)["nftables"] if done.returncode == 0 else []
    return {match["right"] for rule in rules for expression in rule.get("rule", {}).get("expr", ())
            if isinstance((match := expression.get("match", {})).get("right"), int)}


def open_to_all():
    """The twins that listen, and have no gate before them."""
    ports = {port for port in listening() if TWINS_FROM <= port < TWINS_TO}
    return ports - guarded() if ports else set()


def master_pids():
    pids = []
    for path in PID_FILES:
        with open(path, encoding="ascii") as file:
            pids.append(int(file.read()))
        os.kill(pids[-1], 0)
    return pids


def master_names():
    return dict(zip(master_pids(), ("postfix", "dovecot")))


def quiet(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, timeout=RUN_LIMIT_S, check=False)
