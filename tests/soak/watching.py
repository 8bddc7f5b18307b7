# SPDX-License-Identifier: MIT
"""Who looks on while everything happens: readers of files, postern's state, /proc, nftables.

Each is a thread; what must not be goes into the record as a problem.
"""
import contextlib
import ctypes
import http.client
import json
import os
import re
import socket
import struct
import subprocess
import threading
import time

import generations
import world as world_module
from lab import processes, prometheus, wait

FILES_EVERY_S, STATE_EVERY_S, MEASURE_EVERY_S, GATE_EVERY_S = 0.01, 0.1, 2.0, 1.0
ANSWER_S = 10
COUNTS = ("looks", "applies", "failures", "rollbacks", "inotify_overflows")
METRICS = {"looks": "postern_looks_total", "applies": "postern_applies_total",
           "failures": "postern_failures_total", "rollbacks": "postern_rollbacks_total",
           "inotify_overflows": "postern_inotify_overflows_total"}


class Watching(threading.Thread):
    """once() again and again until stop()."""

    every = 1.0

    def __init__(self, world, record):
        super().__init__(daemon=True, name=type(self).__name__)
        self.world, self.record = world, record
        self.rounds = 0
        self._ends = threading.Event()

    def run(self):
        while not self._ends.is_set():
            try:
                self.once()
            except Exception as error:  # a reader that ends sees nothing: that is a failure too
                self.record.problem(f"{self.name}: {type(error).__name__}: {error}")
            self.rounds += 1
            self._ends.wait(self.every)

    def stop(self):
        self._ends.set()
        self.join(ANSWER_S * 3)
        if self.is_alive():
            self.record.problem(f"{self.name} does not end")


class Files(Watching):
    """Every state of every file is whole, and no edit that somebody else has made goes lost."""

    every = FILES_EVERY_S

    def __init__(self, world, record):
        super().__init__(world, record)
        self.states = {path: set() for path in generations.FILES}
        self.edits = {name: world_module.BASE_NUMBER for name in world_module.EDITS}  # at least
        self._last = {}

    def once(self):
        for path in generations.FILES:
            at_least = dict(self.edits)
            text = self.world.file_text(path)
            if self._last.get(path) != (text, at_least):
                self._judge(path, text, at_least)
                self._last[path] = (text, at_least)

    def _judge(self, path, text, at_least):
        try:
            shown = generations.numbers_in(path, text)
            self.states[path].add(shown)
            if generations.WITHOUT_OURS in shown:
                self.record.count("states without ours")
        except generations.Torn as torn:
            self.record.count("torn files")
            self.record.problem(f"torn: {torn}")
        for name, edit in world_module.EDITS.items():
            if edit.path == path:
                number = edit.number(text)
                if number is None or number < at_least[name]:
                    self.record.count("lost edits")
                    self.record.problem(f"lost: {name}: {number} stands in {path}, "
                                        f"{at_least[name]} was written")


class InPlace(Watching):
    """No file is written in the place where it is read: that could be seen half done."""

    every = 0.2
    IN_MODIFY, EVENT = 0x2, struct.Struct("iIII")

    def __init__(self, world, record):
        super().__init__(world, record)
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._folders = {}
        for folder in {os.path.dirname(path) for path in generations.FILES}:
            watch = libc.inotify_add_watch(self._fd, world.mail.path(folder).encode(),
                                           self.IN_MODIFY)
            if watch < 0:
                raise OSError(ctypes.get_errno(), f"inotify_add_watch {folder}")
            self._folders[watch] = folder

    def once(self):
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._fd, 1 << 16):
                self._take(data)

    def _take(self, data):
        at = 0
        while at < len(data):
            watch, _, _, length = self.EVENT.unpack_from(data, at)
            at += self.EVENT.size
            name = data[at:at + length].rstrip(b"\0").decode()
            at += length
            path = f"{self._folders.get(watch, '')}/{name}"
            if watch not in self._folders:
                self.record.problem("lost events about files")
            elif path in generations.FILES:
                self.record.count("torn files")
                self.record.problem(f"written in place: {path}")


class State(Watching):
    """Status, metrics and health: they answer, they are well-formed, and counters never go back."""

    every = STATE_EVERY_S

    def __init__(self, world, record):
        super().__init__(world, record)
        self.last = None  # of the postern that runs now
        self.of_ended = []  # the last status of each that was killed
        self.unanswered = []  # (path, over HTTP, begin, end, why)
        self._turn = 0

    def once(self):
        begin = self.record.clock()
        path = ("/status", "/metrics", "/healthz", "/readyz", "/status")[self._turn % 5]
        over_http = self._turn % 7 == 0 and path != "/status"
        self._turn += 1
        try:
            code, body = self.world.postern.get(path, generations.LISTEN if over_http else None)
        except (OSError, http.client.HTTPException) as error:
            self._unanswered(path, over_http, begin, error)
            return
        self.record.count(f"answers of {path}")
        self._judge(path, code, body, begin)

    def _unanswered(self, path, over_http, begin, error):
        self.record.count("unanswered")
        time.sleep(0.2)
        self.unanswered.append((path, over_http, begin, self.record.clock(),
                                f"{type(error).__name__}: {error}"))

    def _judge(self, path, code, body, begin):
        if path == "/status":
            self._take(json.loads(body))
        elif path == "/metrics":
            prometheus.parse(body)
        elif path == "/healthz" and code != 200:
            self.record.problem(f"/healthz says {code}")

    def _take(self, status):
        last, self.last = self.last, status
        if last is None:
            return
        restarted = (last["started"], counts_of(last)) > (status["started"], counts_of(status)) or \
            last["started"] != status["started"]
        starts = [(s["child"] or {}).get("watcher_starts") for s in (last, status)]
        if restarted or starts[0] != starts[1]:
            self.of_ended.append(last)
            if self.record.counts["killed: watcher"] < len(self.of_ended):
                self.record.problem(f"counters went back: {counts_of(last)} {counts_of(status)}")


def counts_of(status):
    return [status["counts"][name] for name in COUNTS] + \
        [server["reloads"] for server in status["servers"].values()] + [status["generation"]]


class Sample:
    """What one process of postern holds."""

    def __init__(self, pid):
        fields = processes.status(pid)
        self.rss = int(fields["VmRSS"].split()[0])
        self.anon = int(fields["RssAnon"].split()[0])
        self.threads = int(fields["Threads"])
        self.descriptors = processes.descriptors(pid)
        self.zombies = {child for child in processes.children(pid)
                        if processes.state(child) == "Z"}


class Measures(Watching):
    """Memory, descriptors, threads and zombies of postern's processes, and files left about."""

    every = MEASURE_EVERY_S
    FOLDERS = ("/run/postern", "/etc/postfix", "/etc/dovecot", "/etc/dovecot/conf.d", "/tmp")

    def __init__(self, world, record):
        super().__init__(world, record)
        self.samples = {}  # {(who, pid): [(time, Sample)]}
        self.files = []  # [(time, number)]
        self.last_names = set()
        self._zombies = {}

    def who(self):
        """{name: process} of those that stay."""
        found = {}
        with contextlib.suppress(Exception):
            found["watcher"] = next(pid for pid in [self._watcher()] if pid)
        if self.world.way == world_module.RUN:
            found["process 1"] = self.world.postern.process.pid
        return found

    def _watcher(self):
        top = self.world.postern.process.pid
        if self.world.way == world_module.WATCH:
            return top
        return processes.child_of(top, processes.WATCHER)

    def once(self):
        now = self.record.clock()
        for name, pid in self.who().items():
            with contextlib.suppress(KeyError, FileNotFoundError, ProcessLookupError):
                sample = Sample(pid)
                self.samples.setdefault((name, pid), []).append((now, sample))
                for zombie in sample.zombies & self._zombies.get(pid, set()):
                    self.record.problem(f"{name} leaves a zombie for {self.every} s: "
                                        f"{processes.name(zombie)}")
                self._zombies[pid] = sample.zombies
        self.last_names = self.names()
        self.files.append((now, len(self.last_names)))

    def names(self):
        found = set()
        hosts = {self.world.mail, self.world.host}
        for host in hosts:
            for folder in self.FOLDERS:
                with contextlib.suppress(FileNotFoundError):
                    found |= {f"{host.name}:{folder}/{name}"
                              for name in os.listdir(host.path(folder))}
        return found

    def shape(self):
        """What the quiet watcher holds open, without its numbers: the same twice in a row, with no
        look under way."""
        last = None

        def settled():
            nonlocal last
            before, last = last, self._shape()
            return last is not None and before == last

        wait.until(settled, "the watcher to be quiet", every=0.3)
        return last

    def _shape(self):
        if processes.children(self.world.postern.watcher_pid()):
            return None
        return sorted(re.sub(r"\d+", "N", name) for name in self.world.postern.descriptors())


# -- nftables

def nft(pid, *words, text=None, check=True):
    """nft in the network namespace of a process; what it prints, or None when it fails."""
    done = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "nft", *words], text=True,
                          input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"nft {words}: {done.stderr}")
    return done.stdout if done.returncode == 0 else None


def prefixes_in(text):
    """All networks that a table as JSON holds, as {"address/length"}."""
    found = set()

    def visit(node):
        if isinstance(node, dict):
            if set(node) == {"prefix"}:
                found.add(f"{node['prefix']['addr']}/{node['prefix']['len']}")
                return
            for key, value in node.items():
                if key in ("elem", "right", "set"):
                    single(value)
                visit(value)
        elif isinstance(node, list):
            for each in node:
                visit(each)

    def single(value):
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict) and "elem" in each and isinstance(each["elem"], dict):
                each = each["elem"].get("val")
            if isinstance(each, str) and is_address(each):
                found.add(f"{each}/{128 if ':' in each else 32}")

    visit(json.loads(text))
    return found


def is_address(text):
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, text)
            return True
    return False


class Gate(Watching):
    """The table `inet postern`, where this postern makes one: never missing once it was there."""

    every = GATE_EVERY_S

    def __init__(self, world, record):
        super().__init__(world, record)
        self.seen = self.missing = 0

    def table(self):
        return nft(self.world.mail.pid, "-j", "list", "table", "inet", "postern", check=False)

    def once(self):
        if self.table() is not None:
            self.seen += 1
        elif self.seen:
            self.missing += 1
            self.record.problem("the gate's table is missing")


class Fail2ban(Watching):
    """Somebody else's bans, in a table of their own, as fast as Fail2ban can."""

    every = 0.3
    TABLE = "f2b-table"

    def __init__(self, world, record):
        super().__init__(world, record)
        self._banned = []
        self._turn = 0
        nft(world.mail.pid, "-f", "-", text=f"""
            table inet {self.TABLE} {{
                set addr-set-soak {{ type ipv4_addr; }}
                chain f2b-chain {{
                    type filter hook input priority filter - 1; policy accept;
                    tcp dport {{ 25, 587 }} ip saddr @addr-set-soak reject
                }}
            }}""")

    def once(self):
        self._turn += 1
        address = f"192.0.2.{self._turn % 250 + 1}"
        nft(self.world.mail.pid, "add", "element", "inet", self.TABLE, "addr-set-soak",
            f"{{ {address} }}")
        self._banned.append(address)
        self.record.count("bans by somebody else")
        if len(self._banned) > 20:
            old = self._banned.pop(0)
            nft(self.world.mail.pid, "delete", "element", "inet", self.TABLE, "addr-set-soak",
                f"{{ {old} }}")

    def judge(self):
        """At the end: each rule and each ban is there, and no other."""
        text = nft(self.world.mail.pid, "-j", "list", "table", "inet", self.TABLE, check=False)
        if text is None:
            self.record.problem("somebody else's nftables table is gone")
            return
        entries = json.loads(text)["nftables"]
        held = {element for each in entries if "set" in each
                for element in each["set"].get("elem", [])}
        if held != set(self._banned):
            self.record.problem(f"somebody else's bans: {sorted(held ^ set(self._banned))} differ")
        if sum("rule" in each for each in entries) != 1:
            self.record.problem("somebody else's nftables rule is gone")
