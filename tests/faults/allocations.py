# SPDX-License-Identifier: MIT
"""The whole program, each of whose allocations fails in turn; run inside a mail host.

    allocations.py JSON     see harness.py, which writes it

The program has sanitizers, and counts its allocations and its libraries' (alloc_points.c).  Whichever
fails: no crash, no leak, nothing half done, and a word about it; then it works again by itself.
Prints one JSON object.
"""
import json
import mmap
import os
import random
import re
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import looks  # noqa: E402  (the path above comes first)
import trial  # noqa: E402
from lab import processes, wait  # noqa: E402

PROGRAM = "/faults/postern_alloc"
PLAN = "/run/faults-plan"
# struct plan of alloc_points.c, as far as its ways: armed, depth, n, more, fired; most; name.
PLAN_HEAD = struct.Struct("5i4i16s")
FIRED, MOST = 4, 5
WAYS = 1 << 14
PLAN_BYTES = PLAN_HEAD.size + 4 * WAYS
ALL, SHORTAGE = 1 << 30, 20
TERMINATED = 128 + signal.SIGTERM
NOT_STARTED = (125, 126, 127)  # by `run`: it, or its command, could not
# The last ones: what a process of postern's says of another that crashed, and goes on.
BAD_WORDS = ("Sanitizer", "runtime error:", "Assertion", "double free", "corrupted",
             "ended by SIGSEGV", "ended by SIGABRT", "ended by SIGBUS",
             "ended by signal 11", "ended by signal 6", "ended by signal 7")
# It has said so, and the next run mends it.
NOT_ALL = re.compile("not everything could be reverted|could not be put back|"
                     "the files are reverted, but")
KEPT = re.compile("capabilities kept: [A-Z_, ]+;|capabilities kept: none;")
# For the sanitizers the C library's refusal is no error of the program's.  What is lost is looked for
# by alloc_points.c: the filter of system calls is in the way of their own look at the end.
ENVIRONMENT = {**os.environ, "FAULTS_ALLOC": PLAN,
               "ASAN_OPTIONS": "allocator_may_return_null=1:exitcode=97:detect_leaks=1"
                               ":leak_check_at_exit=0",
               "UBSAN_OPTIONS": "print_stacktrace=1"}


class Plan:
    """What is to fail: see struct plan in alloc_points.c."""

    def __init__(self):
        with open(PLAN, "wb") as file:
            file.write(bytes(PLAN_BYTES))
        with open(PLAN, "r+b") as file:
            self._shared = mmap.mmap(file.fileno(), PLAN_BYTES)

    def arm(self, n, depth=0, more=0, name=""):
        head = PLAN_HEAD.pack(1, depth, n, more, 0, 0, 0, 0, 0, name.encode())
        self._shared[:] = head.ljust(PLAN_BYTES, b"\0")

    def disarm(self):
        """Whether one has failed."""
        self._shared[:4] = bytes(4)
        return PLAN_HEAD.unpack_from(self._shared)[FIRED] > 0

    def ways(self, depth=0):
        """
        Of each allocation that a process of that depth has made, when none was to fail, by which
        way the program came to it.
        """
        most = PLAN_HEAD.unpack_from(self._shared)[MOST + depth]
        return struct.unpack_from(f"{most}I", self._shared, PLAN_HEAD.size + 4)


def check_words(said):
    for word in BAD_WORDS:
        if word in said:
            raise trial.Wrong(f"{word}: {said[-6000:]}")


class Command:
    """A command that changes files, or only reads and prints."""

    def __init__(self, job, plan):
        self.plan = plan
        self.argv = job["argv"]
        self.scene = trial.SCENES[job["scene"]](job["command"])
        self.scene.argv = tuple(self.argv) if job["changes"] else self.scene.argv
        self.changes = job["changes"]
        self.said = None

    def run(self):
        with open(trial.SAID, "wb") as said:
            done = subprocess.Popen([PROGRAM, *self.scene.postern[1:], *self.argv],
                                    stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                    env=ENVIRONMENT)
            try:
                status = done.wait(trial.RUN_LIMIT_S)
            except subprocess.TimeoutExpired:
                done.kill()
                done.wait()
                raise trial.Wrong("it hung") from None
        with open(trial.SAID, encoding="utf-8", errors="replace") as said:
            return status, said.read()

    def begin(self):
        """The ways to the command's allocations."""
        self.scene.begin()
        self.plan.arm(0)
        status, said = self.run()
        check_words(said)
        if status != 0:
            raise trial.Wrong(f"undisturbed it ended with {status}: {said}")
        self.said = said
        self.scene.start_again()
        return self.plan.ways()

    def end(self):
        if hasattr(self.scene, "end"):
            self.scene.end()

    def try_point(self, n, rest_too):
        self.plan.arm(n, more=ALL * rest_too)
        status, said = self.run()
        hit = self.plan.disarm()
        check_words(said)
        if status > 2:
            raise trial.Wrong(f"it ended with {status}: {said[-3000:]}")
        # Of a probe's twin, that it is down is the word.
        if status != 0 and "postern: error:" not in said and " down " not in said:
            raise trial.Wrong(f"it failed without a word: {status}: {said}")
        now = self.scene.files.look()
        side = self.scene.whole(now, may_be_left=False)
        self.scene.judge(now)
        self.scene.servers_live(with_twins=status == 0)
        if not self.changes:
            if now != self.scene.old:
                raise trial.Wrong(f"it changed files: {said}")
        else:
            if status == 0 and side != "new":
                raise trial.Wrong(f"it said that all is done, and the files are {side}: {said}")
            if status != 0 and side != "old" and NOT_ALL.search(said) is None:
                raise trial.Wrong(f"it failed, and the files are {side}: {said}")
            self.scene.recover()
            self.scene.start_again()
        return hit, status


class Run(looks.Watcher):
    """`run` with a command that does nothing; one of its processes lacks memory."""
    ROLES = {"look": (2, processes.LOOK), "rehearsal": (2, processes.REHEARSAL),
             "watcher": (1, processes.WATCHER), "first-guard": (1, processes.GUARD),
             "supervisor": (0, "")}

    def __init__(self, job, plan):
        super().__init__(job)
        self.plan = plan
        self.depth, self.name = self.ROLES[job["scene"]]

    def begin_process(self):
        self.write_conf(0)
        with open(looks.OUTPUT, "wb") as output:
            self.process = subprocess.Popen(
                [PROGRAM, *self.job["command"][1:], "run", "--", "sleep", "infinity"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=ENVIRONMENT)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(looks.LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise trial.Wrong(f"it does not end: {self.said()[-3000:]}") from None

    def pid(self):
        return processes.child_of(self.process.pid, processes.WATCHER)

    def said(self):
        with open(looks.OUTPUT, encoding="utf-8", errors="replace") as output:
            return output.read()


class Life(Run):
    """From its start, through a change, to its end."""

    every_s = 0.2
    limit_s = 30  # one that hears nothing would look after a minute: it is not to come to that
    is_short = False

    def begin(self):
        self.live()  # then there are twins, as where a container starts again
        self.plan.arm(0, self.depth, name=self.name)
        if self.live() != TERMINATED:
            raise trial.Wrong(f"undisturbed it does not live: {self.said()}")
        said = self.said()
        if not said.startswith("postern: notice: gate: only trusted networks"):
            raise trial.Wrong(f"the gate was not there first: {said}")
        self.kept = set(KEPT.findall(said))
        return self.plan.ways(self.depth)

    def live(self):
        """Its status at the end; a supervisor may come to it early."""
        trial.quiet("nft", "delete", "table", "inet", "postern")  # as where a container starts
        self.begin_process()
        try:
            self.wait_for(0)
            self.swap()
        except trial.Wrong:
            if self.process.poll() is None:
                self.stop()
                raise
        return self.stop()

    def wait_for(self, which):
        """Nobody asks before it is done: a question costs the watcher many allocations.

        A shortage that lasts is used up by trying again, whose waits get longer: see hang_up().
        """
        deadline = time.monotonic() + self.limit_s
        for port in self.job["ports"][which].values():
            while self.process.poll() is None and time.monotonic() < deadline and \
                    not trial.greets(port, trial.PROXY_LOCAL, self.every_s):
                if self.is_short:
                    self.hang_up()
        while processes.look_of(self.pid()) and time.monotonic() < deadline:
            time.sleep(0.01)
        super().wait_for(which)

    def try_point(self, n, rest_too):
        # Who lives long outlives the shortage.
        self.plan.arm(n, self.depth, SHORTAGE * rest_too, self.name)
        self.is_short = rest_too
        status = self.live()
        hit = self.plan.disarm()
        said = self.said()
        check_words(said)
        if not set(KEPT.findall(said)) <= self.kept:
            raise trial.Wrong(f"it does not say what it has kept: {said[-3000:]}")
        if status != TERMINATED and \
                (not hit or status not in NOT_STARTED or "postern: error:" not in said):
            raise trial.Wrong(f"it ended with {status}: {said[-3000:]}")
        return hit, 0 if status == TERMINATED else status

    def end(self):
        """Nothing runs."""


class Look(Run):
    """A running one, whose look lacks memory, or its rehearsal: then the look does without."""

    def begin(self):
        self.begin_process()
        self.wait_for(0)
        self.swap()  # the first look has more to do
        self.swap(lambda: self.plan.arm(0, self.depth, name=self.name))
        return self.plan.ways(self.depth)

    def change(self, arm=lambda: None):
        """Who has been told to look at all does not rehearse: then the look judges for itself."""
        def arm_and_tell():
            arm()
            self.hang_up()
            # A signal makes it runnable before kill(2) is over; when it sleeps again it has heard.
            wait.until(lambda: processes.state(self.pid()) == "S", "the watcher to sleep")
        super().change(arm_and_tell if self.name == processes.LOOK else arm)

    def end(self):
        if self.process.poll() is not None:
            return
        status = self.stop()
        if status != TERMINATED:
            raise trial.Wrong(f"it ended with {status}: {self.output()}")

    def try_point(self, n, rest_too):
        self.change(lambda: self.plan.arm(n, self.depth, ALL * rest_too, self.name))
        deadline = time.monotonic() + looks.LIMIT_S
        # Not to wait for the next try's time: whoever is told of a change looks at once.
        while self.plan_is_armed() and time.monotonic() < deadline and not self.is_in_force():
            time.sleep(0.01)
        hit = self.plan.disarm()
        if hit:
            self.process_settles()
        self.wait_for(self.at)
        check_words(self.said())
        return hit, 0

    def plan_is_armed(self):
        return self.plan._shared[0] != 0

    def is_in_force(self):
        said = looks.status()
        return bool(said) and said["outcome"] == "current" and \
            {t["listener"]: t["port"] for t in said["twins"] if t["up"]}.items() >= \
            self.job["ports"][self.at].items()

    def process_settles(self):
        """After a failed look a hang-up has it try at once, as the end of its wait would."""
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            if self.is_in_force():
                return
            said = looks.status()
            if said and said["outcome"] not in ("current", "waiting"):
                break
            time.sleep(0.02)
        self.hang_up()


def subject_of(job, plan):
    if job["scene"] in ("look", "rehearsal"):
        return Look(job, plan)
    return Life(job, plan) if job["scene"] in Run.ROLES else Command(job, plan)


def chosen_points(ways, job):
    """Of all allocations: those of the job's share; first one of each way to them.

    No more than `thin` of each, if that is given.
    """
    share, shares = job["share"]
    first, rest, seen = [], [], {}
    for n, way in enumerate(ways, start=1):
        seen[way] = seen.get(way, 0) + 1
        if way % shares == share and seen[way] <= (job["thin"] or len(ways)):
            (first if seen[way] == 1 else rest).extend(((n, False), (n, True)))
    dice = random.Random(job["seed"])
    dice.shuffle(first)
    dice.shuffle(rest)
    return first + rest


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        job = json.load(file)
    plan = Plan()
    subject = subject_of(job, plan)
    start = time.monotonic()
    result = {"scene": job["scene"], "argv": job.get("argv"), "faults": [], "tried": 0,
              "missed": 0, "failed_runs": 0}
    try:
        ways = subject.begin()
        if not ways:
            raise trial.Wrong("nobody allocates anything")
        points = chosen_points(ways, job)
        result["points"] = len(points)
        over = time.monotonic() + (job["budget_s"] or float("inf"))
        for n, rest_too in points:
            if time.monotonic() > over or len(result["faults"]) >= trial.FAULTS_MAX:
                break
            result["tried"] += 1
            try:
                hit, status = subject.try_point(n, rest_too)
                result["missed"] += not hit
                result["failed_runs"] += status != 0
            except trial.Wrong as wrong:
                result["faults"].append(f"n={n}{' and those behind it' * rest_too}: {wrong}")
                plan.disarm()
                if isinstance(subject, Look):
                    break
                if isinstance(subject, Command):
                    subject.scene.start_again()
    except trial.Wrong as wrong:
        result["faults"].append(str(wrong))
    finally:
        try:
            subject.end()
        except trial.Wrong as wrong:
            result["faults"].append(str(wrong))
    result["took_s"] = round(time.monotonic() - start, 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
