# SPDX-License-Identifier: MIT
"""What is done to the servers and to postern while mail flows: swaps, and what others do.

Two threads: one swaps generations and waits for each verdict, one does everything else, one act
after the other, on a timetable that the seed decides.
"""
import os
import random
import re
import signal
import threading
import time

import generations
import world as world_module
from lab import mailhost, postern as postern_module, processes, wait
from record import DOVECOT, POSTFIX, WATCHER

VERDICT_S = 120
LAST_GOOD_S = 30
ORPHANS_S = 2
ORPHANS = ("smtpd", "postscreen", "qmgr", "master")  # the last one is about to be another
SWAP_PAUSE_S = (0.1, 1.2)
BAD_SHARE, BURST_SHARE = 0.2, 0.1
BURST_SWAPS = 12
# How often in ten minutes, and in which part of the time; once at least.  Postern's own processes
# are killed early, so that what is measured later is one process that lives long.
TIMETABLE = {
    "postfix reload": (40, 0.0, 0.95), "doveadm reload": (40, 0.0, 0.95),
    "postconf -e": (40, 0.0, 0.95), "postconf -P": (40, 0.0, 0.95), "sed -i": (40, 0.0, 0.95),
    "rename": (40, 0.0, 0.95), "certificate": (25, 0.0, 0.95), "SIGHUP": (25, 0.0, 0.95),
    "kill smtpd": (30, 0.0, 0.9), "kill login": (30, 0.0, 0.9),
    "kill postfix": (4, 0.05, 0.85), "kill dovecot": (5, 0.05, 0.85),
    "kill look": (8, 0.05, 0.4), "kill watcher": (3, 0.1, 0.4),
}
STANDARD_S = 600


class Swapper(threading.Thread):
    """Every generation is applied, refused, or overtaken by the next before anybody looked."""

    def __init__(self, world, record, seed, warm_ups=3):
        super().__init__(daemon=True)
        self.world, self.record = world, record
        self._chance = random.Random(f"{seed}-swaps")
        self._ends = threading.Event()
        self._number = generations.FIRST.conf
        self._foreign = world.mail.listen("0.0.0.0", generations.FOREIGN_PORT)
        self.good = generations.FIRST
        self.good_since = 0.0
        self.took = []  # seconds until a good generation was in force
        self.bad_said = []  # patterns of what may be said of refused ones
        for _ in range(warm_ups):
            self._swap_good(generations.PARTS)

    def run(self):
        while not self._ends.is_set():
            draw = self._chance.random()
            try:
                if draw < BAD_SHARE:
                    self._swap_bad()
                elif draw < BAD_SHARE + BURST_SHARE:
                    self._swap_burst()
                else:
                    self._swap_good(self._some_parts())
            except Exception as error:
                self.record.problem(f"swap: {type(error).__name__}: {error}")
            self._ends.wait(self._chance.uniform(*SWAP_PAUSE_S))

    def finish(self):
        """A last good generation of all parts."""
        self._ends.set()
        self.join(VERDICT_S * 2)
        self._swap_good(generations.PARTS)
        self._foreign.close()

    def _some_parts(self):
        return self._chance.sample(generations.PARTS,
                                   self._chance.randrange(1, len(generations.PARTS) + 1))

    def _next(self, parts):
        self._number += 1
        return self.good.next(self._number, parts)

    def _swap(self, keys, what, bad_part=None):
        self.world.swap(keys, bad_part)
        self.record.count("generations")
        self.record.count(f"generations {what}")
        self.record.event(f"swap of a {what} generation")

    def _swap_good(self, parts):
        self.good = self._next(parts)
        self._swap(self.good.keys(), "good")
        self._wait_in_force()

    def _swap_burst(self):
        """As fast as kubelet's calls go; the last one counts."""
        for n in range(BURST_SWAPS):
            self.good = self._next(self._some_parts())
            self._swap(self.good.keys(), "overtaken" if n < BURST_SWAPS - 1 else "good")
        self._wait_in_force()

    def _wait_in_force(self):
        """Its files stand, and the look that wrote them has proven it."""
        begin = time.monotonic()
        shown, inputs = self.good.shown(), self.good.hash()
        self._wait(lambda status: postern_module.is_current(status) and not
                   status["uses_last_good"] and status["hash"] == inputs and
                   self._stands(shown), f"generation {self._number} in force")
        self.record.count("generations applied")
        self.good_since = self.record.clock()
        self.took.append(time.monotonic() - begin)

    def _stands(self, shown):
        return all(generations.numbers_in(path, self.world.file_text(path)) == numbers
                   for path, numbers in shown.items())

    def _swap_bad(self):
        bad = self._chance.choice(generations.BAD)
        candidate = self._next(self._some_parts())
        keys = candidate.keys()
        keys[bad.part] = bad.break_it(keys[bad.part], self._number)
        said = bad.said.replace("{n}", str(self._number))
        self.bad_said.append(said)
        self._swap(keys, "bad", bad.part)
        self._wait(lambda status: status["outcome"] in bad.outcomes and
                   re.search(said, status["reason"] or ""),
                   f"generation {self._number} ({bad.name}) refused with {said!r}")
        self._keeps_the_good(bad)
        self.record.count("generations refused")
        self.record.count(f"refused: {bad.name}")
        if self._chance.random() < 0.5:
            # Back to what was there: in force without a change.
            self._swap(self.good.keys(), "good")
            self._wait_in_force()

    def _keeps_the_good(self, bad):
        """The last good state stands; or comes again, when somebody's edit has undone it."""
        begin = self.record.clock()
        try:
            wait.until(lambda: self._stands(self.good.shown()), "the last good state",
                       LAST_GOOD_S, passing=(generations.Torn,))
        except wait.TooLate:
            if any(at >= self.good_since for at in self.record.watcher_ends):
                self.record.count("refusals by a postern that knows no good state")
                return
            shown = {path: self._shown(path) for path in generations.FILES}
            self.record.problem(
                f"after a refusal ({bad.name}) the last good state is not there for "
                f"{LAST_GOOD_S} s: {shown}, wanted {self.good.shown()}; "
                f"{self.record.events_about(begin, begin, 3)}")

    def _shown(self, path):
        try:
            return generations.numbers_in(path, self.world.file_text(path))
        except generations.Torn as torn:
            return str(torn)

    def _wait(self, condition, what):
        last = None
        deadline = time.monotonic() + VERDICT_S
        while time.monotonic() < deadline:
            try:
                last = self.world.told()
                if last is not None and condition(last):
                    return last
            except (OSError, generations.Torn):
                pass  # nobody is there to be asked just now; torn files are another's to tell
            time.sleep(0.02)
        raise wait.TooLate(f"waited {VERDICT_S} s for {what}; it says {last}")


class Disturber(threading.Thread):
    def __init__(self, world, record, files, seed, duration_s):
        super().__init__(daemon=True)
        self.world, self.record, self.files = world, record, files
        self._chance = random.Random(f"{seed}-acts")
        self._ends = threading.Event()
        self._pair = 0
        self._edits = {name: world_module.BASE_NUMBER for name in world_module.EDITS}
        self.timetable = timetable(self._chance, duration_s)
        self._acts = {
            "postfix reload": lambda: self._run(["postfix", "reload"]),
            "doveadm reload": lambda: self._run(["doveadm", "reload"]),
            "certificate": self._certificate, "SIGHUP": self._hang_up,
            "kill smtpd": lambda: self._kill_one("smtpd", ("smtpd",)),
            "kill login": lambda: self._kill_one("login", ("imap-login", "pop3-login")),
            "kill postfix": lambda: self._kill_master(POSTFIX),
            "kill dovecot": lambda: self._kill_master(DOVECOT),
            "kill look": self._kill_look, "kill watcher": self._kill_watcher,
            **{name: lambda name=name: self._edit(name) for name in world_module.EDITS},
        }

    def run(self):
        begin = time.monotonic()
        for at_s, name in self.timetable:
            if self._ends.wait(max(0.0, begin + at_s - time.monotonic())):
                return
            self.record.event(name)
            try:
                self._acts[name]()
                self.record.count(f"act: {name}")
            except Exception as error:
                self.record.problem(f"act: {name}: {type(error).__name__}: {error}")

    def finish(self):
        self._ends.set()
        self.join(VERDICT_S)

    # -- what is harmless to clients

    def _run(self, argv):
        """Servers that are being started again just now may say no."""
        done = self.world.mail.run(argv, check=False)
        if done.returncode != 0:
            self.record.problem(f"{' '.join(argv)}: {done.stderr.strip()[-200:]}")

    def _hang_up(self):
        if world_module.kill(self.world.postern.watcher_pid(), signal.SIGHUP):
            self.record.count("SIGHUPs")

    def _edit(self, name):
        edit = world_module.EDITS[name]
        self._edits[name] += 1
        edit.do(self.world.mail, self._edits[name] - world_module.BASE_NUMBER)
        # From now on a reader has to see it.
        self.files.edits[name] = self._edits[name]

    def edits(self):
        """{kind: number} that has to stand there at the end."""
        return {name: number - world_module.BASE_NUMBER for name, number in self._edits.items()}

    def _certificate(self):
        self._pair = (self._pair + 1) % len(self.world.pairs)
        self.world.secret.write(self.world.pairs[self._pair])

    def certificate(self):
        return self.world.fingerprints[self._pair]

    # -- what is not

    def _kill_one(self, what, names):
        """A process that serves somebody, if there is one; who that is, is known before it dies."""
        pids = [pid for name in names for pid in self.world.programs(name)]
        self._chance.shuffle(pids)
        for pid in pids:
            if not world_module.kill(pid, signal.SIGSTOP):  # nobody comes or goes in between
                continue
            peers = world_module.peers_of(self.world.mail, pid)
            if peers:
                inner = processes.inner_number(pid)
                self.record.killed(what, inner, peers)
                world_module.kill(pid)
                return
            world_module.kill(pid, signal.SIGCONT)

    def _kill_master(self, server):
        """supervisord starts it again; over when it greets at all ports that stay."""
        affected = (POSTFIX,) if server == POSTFIX else (POSTFIX, DOVECOT)  # log-in of submission
        old = self.world.mail.master_pid(mailhost.PID_FILES[server])
        with self.record.window(f"{server} killed", *affected):
            orphans = self._kill_with_children_known(old)
            self.record.killed(f"{server}'s master", old)
            self._let_go(orphans)
            wait.until(lambda: self.world.mail.master_pid(mailhost.PID_FILES[server])
                       not in (None, old), f"another {server}")
            for each in affected:
                wait.until(lambda: self.world.stock_answers(each) and
                           self.world.twins_answer(each), f"{each} to answer", VERDICT_S,
                           every=0.1, passing=(OSError,))

    def _kill_with_children_known(self, number):
        """Kills a process by the number that it has in its host; its children, as we count."""
        pid = processes.with_inner_number(self.world.mail.pid, number)
        world_module.kill(pid, signal.SIGSTOP)  # no further child
        children = processes.children(pid)
        world_module.kill(pid)
        return children

    def _let_go(self, orphans):
        """Whom Postfix's master has left behind in a conversation.  An smtpd listens on beside
        the next master (SO_REUSEPORT) and accepts nobody: who comes to him is cut off in the
        end.  A qmgr that asks a service which nobody starts any more keeps a mail locked."""
        def lasting():
            return [pid for pid in orphans
                    if not processes.is_gone(pid) and processes.name(pid) in ORPHANS]
        try:
            wait.until(lambda: not lasting(), "orphans to end", ORPHANS_S)
        except wait.TooLate:
            for pid in lasting():
                if world_module.kill(pid):
                    gone(pid)
                    self.record.count("orphans killed")

    def _kill_look(self):
        """A look that runs; one is provoked if there is none."""
        watcher = self.world.postern.watcher_pid()
        for _ in range(50):
            look = processes.look_of(watcher)
            if look:
                begin = time.time() - age_s(look)
                if world_module.kill(look):
                    self.record.killed("look", look)
                    self.record.looks_killed.append((begin, time.time()))
                return
            world_module.kill(watcher, signal.SIGHUP)
            self.record.count("SIGHUPs")
            time.sleep(0.15)

    def _kill_watcher(self):
        with self.record.window("watcher killed", WATCHER):
            pid = self.world.postern.watcher_pid()
            # A look under way ends with it, or goes on without anybody to report to.
            look = processes.look_of(pid)
            begin = time.time() - age_s(look) if look else None
            world_module.kill(pid)
            self.record.killed("watcher", pid)
            if look:
                gone(look)
                self.record.looks_killed.append((begin, time.time()))
            self.record.watcher_ends.append(time.time())
            if self.world.way == world_module.WATCH:
                self.world.postern.process.wait()
                self.world.start_postern()
            wait.until(lambda: self.world.postern.watcher_pid() != pid and self.world.told()
                       and self.world.postern.get("/healthz", generations.LISTEN)[0] == 200,
                       "the watcher to be back", VERDICT_S, passing=(OSError,))


def gone(pid):
    wait.until(lambda: processes.is_gone(pid), f"process {pid} to end")


def age_s(pid):
    """How long a process has been there; 0 when it has gone."""
    if processes.is_gone(pid):
        return 0.0
    started = int(processes.read(pid, "stat").rpartition(")")[2].split()[19])
    uptime = float(open("/proc/uptime", encoding="ascii").read().split()[0])
    return uptime - started / os.sysconf("SC_CLK_TCK")


def timetable(chance, duration_s):
    """[(seconds, act)], as often as the duration says and once at least."""
    found = []
    for name, (times, first, last) in TIMETABLE.items():
        n = max(1, round(times * duration_s / STANDARD_S))
        step = (last - first) * duration_s / n
        found += [(first * duration_s + step * (k + chance.random()), name) for k in range(n)]
    return sorted(found)
