# SPDX-License-Identifier: MIT
"""Thousands of swaps as fast as kubelet's system calls go, with `postern run` watching.

One ConfigMap holds postern.conf and two override files, and each generation has one number in all
of them.  While they are swapped, `postern patch --dry-run` reads them over and over and shows what
it would write: two numbers in that are a torn read.
"""
import os
import re
import signal
import time
import traceback

from configmap import CONF, FOLDER
from lab import kubelet, mailhost, postern, processes, started

# Where the number shows in the difference that --dry-run prints.
PORTS_FROM = 20000
SIZES_FROM = 100000
LIMITS_FROM = 1000
ADDED = (
    (re.compile(r"^\+(\d+) +inet\b", re.M), PORTS_FROM),  # of postern.conf
    (re.compile(r"^\+header_size_limit *= *(\d+)", re.M), SIZES_FROM),  # of postfix-main.cf
    (re.compile(r"^\+.*smtpd_hard_error_limit=(\d+)", re.M), LIMITS_FROM),  # of postfix-master.cf
)


def generation(number):
    """The keys of the ConfigMap."""
    return {
        "postern.conf": postern.conf(
            f"postfix {{\n  listener submission {{ port = {PORTS_FROM + number} }}\n}}\n"
            f'overrides "{FOLDER}" {{ }}\nresync = 0\n').encode(),
        "postfix-main.cf": f"header_size_limit = {SIZES_FROM + number}\n".encode(),
        "postfix-master.cf":
            f"submission/inet/smtpd_hard_error_limit={LIMITS_FROM + number}\n".encode(),
    }


class Reads:
    """What the dry runs said."""

    def __init__(self):
        self.whole = self.torn = self.failed = self.nothing = 0
        self.said = None

    def count(self, done):
        numbers = {int(number) - first for pattern, first in ADDED
                   for number in pattern.findall(done.stdout)}
        if done.returncode != 0:
            self.failed += 1
            self.said = self.said or done.stderr.strip()
        elif not numbers:
            self.nothing += 1
        elif len(numbers) == 1:
            self.whole += 1
        else:
            self.torn += 1
            self.said = self.said or done.stdout


def bench_many_swaps(release, swaps):
    with started(release) as lab:
        mail = lab.mail
        volume = kubelet.Volume(mail.path(FOLDER))
        volume.write(generation(0))
        running = postern.Postern(mail, ["--config", CONF, "run", "--", "sleep", "infinity"])
        running.start().wait_current()
        for number in (1, 2, 3):  # what an apply leaves behind is there before
            volume.write(generation(number))
            wait_for(running, number)
        before = running.status()
        memory, descriptors = memories(running), len(running.descriptors())
        start = time.perf_counter()
        swapping = swap_in_background(volume, 4, swaps)
        reads = Reads()
        while (ended := os.waitpid(swapping, os.WNOHANG)) == (0, 0):
            reads.count(mail.run([mailhost.POSTERN, "--config", CONF, "--log-level", "error",
                                  "patch", "--dry-run"], check=False))
        swapped = time.perf_counter()
        assert ended[1] == 0, "the swapping process failed"
        after = wait_for(running, 3 + swaps)
        in_force = time.perf_counter()
        show(swaps, swapped - start, in_force - swapped, reads, mail, running, before, after,
             memory, descriptors)


def swap_in_background(volume, first, swaps):
    """The number of a process that swaps and ends."""
    pid = os.fork()
    if pid == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        try:
            for number in range(first, first + swaps):
                volume.write(generation(number))
            os._exit(0)  # the lab is not ours to take down
        except OSError:
            traceback.print_exc()
        finally:
            os._exit(1)
    return pid


def wait_for(running, number):
    return running.wait_for(
        lambda s: postern.is_current(s)
        and postern.ports(s).get("submission") == PORTS_FROM + number, f"generation {number}")


def memories(running):
    """{process: {field: KiB}} of PID 1 and the watching process."""
    found = {}
    for name, pid in (("PID 1", running.process.pid), ("watcher", running.watcher_pid())):
        fields = processes.status(pid)
        found[name] = {field: int(fields[field].split()[0]) for field in ("VmRSS", "RssAnon")}
    return found


def show(swaps, took_s, last_s, reads, mail, running, before, after, memory, descriptors):
    last = 3 + swaps
    files = {
        "master.cf, the twin": f"\n{PORTS_FROM + last} " in mail.read(mailhost.MASTER_CF),
        "main.cf, an override": str(SIZES_FROM + last) in mail.read(mailhost.MAIN_CF),
        "master.cf, an override": str(LIMITS_FROM + last) in mail.read(mailhost.MASTER_CF),
    }
    counts = {name: after["counts"][name] - before["counts"][name] for name in after["counts"]
              if isinstance(after["counts"][name], int)}
    rows = [
        ["swaps", f"{swaps:,} in {took_s:.1f} s, {swaps / took_s:,.0f} a second"],
        ["last content in force", ", ".join(f"{name}: {'yes' if is_there else 'NO'}"
                                            for name, is_there in files.items())],
        ["  after the last swap", f"{last_s * 1000:.0f} ms"],
        ["dry runs meanwhile", f"{reads.whole} whole, {reads.torn} torn, {reads.failed} failed, "
                               f"{reads.nothing} with nothing to change"],
        ["what postern run counted", ", ".join(f"{name} {value}"
                                               for name, value in counts.items())],
        ["lines of level error", str(len(running.errors()))],
        ["descriptors", f"{descriptors} -> {len(running.descriptors())}"],
    ]
    for name, fields in memories(running).items():
        rows.append([f"{name}, KiB", ", ".join(f"{field} {memory[name][field]} -> {value}"
                                               for field, value in fields.items())])
    print("Swaps at full speed\n")
    for label, text in rows:
        print(f"  {label.ljust(26)}{text}")
    print()
    if reads.said:
        print(f"the first that was torn or failed said:\n{reads.said}\n")
