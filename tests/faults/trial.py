# SPDX-License-Identifier: MIT
"""One command, again and again, each time with another fault; run inside a mail host.

    trial.py JSON       see SCENES, and harness.py, which writes it

From the same starting state the command runs with the fault of one point.  Then every file has to be
its old or its new content whole, the servers' own tools have to accept what is there, the exit
status and the message have to be true, and the same command, undisturbed, has to bring all in order
by itself, and to write nothing the next time.  Prints one JSON object.
"""
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import points as faults  # noqa: E402  (the path above comes first)
from mail_state import (CONTROL, CONTROL_BYTES, PROXY_LOCAL, RUN_LIMIT_S,  # noqa: E402
                        Files, Wrong, greets, hits, master_names, master_pids, open_to_all, quiet)

CALLFAULT = "/faults/callfault"
LOG, SAID = "/run/faults-log", "/run/faults-said"
WORK = "/run/postern"
FAULTS_MAX = 400
LEFTOVERS = re.compile(r"(\.tmp|\.postern-new|\.postern-saved)$|/\.postern-new\.[0-9a-f]{16}$")
STOCK = (25, 143)
TWINS = (12525, 10143)
VOLUME = "/faults/volume"
OWN_SCRIPT = b"#!/bin/sh\necho the owner's\n"


# ---- scenes: a command, its starting state, and what is right after it

class Scene:
    folders = ("/etc/postfix", "/etc/dovecot")
    live = False
    in_place = ()
    runs_to_recover = 1

    def __init__(self, command):
        self.postern = command
        self.files = Files(self.folders)
        self.judged = {}
        self.old = self.new = None

    # -- to be said by each

    argv = ()

    def restore(self):
        """The starting state."""
        raise NotImplementedError

    def is_nothing_to_do(self, said):
        return "nothing to do" in said

    # -- what is common

    def run(self, options, argv):
        """(exit status, what it said)"""
        with open(SAID, "wb") as said:
            done = subprocess.Popen([*options, *self.postern, *argv], stdin=subprocess.DEVNULL,
                                    stdout=said, stderr=said)
            try:
                status = done.wait(RUN_LIMIT_S)
            except subprocess.TimeoutExpired:
                done.kill()
                done.wait()
                status = None
        with open(SAID, encoding="utf-8", errors="replace") as said:
            return status, said.read()

    def undisturbed(self, argv, what):
        status, said = self.run((), argv)
        if status != 0:
            raise Wrong(f"{what}: {' '.join(argv)} ended with {status}: {said}")
        return said

    def begin(self):
        """What is there before and after the command when nothing goes wrong."""
        self.restore()
        self.old = self.files.look()
        self.undisturbed(self.argv, "the first run")
        self.new = self.files.look()
        if self.new == self.old:
            raise Wrong("the command changes nothing")
        self.start_again()

    def start_again(self):
        """From the very state that all points begin with: else none after this would tell anything."""
        self.restore()
        now = self.files.look()
        if now != self.old:
            different = sorted(p for p in now.keys() | self.old.keys() if now.get(p) != self.old.get(p))
            raise Wrong(f"the starting state is not reached again: {different}")

    def record(self):
        self.restore()
        status, said = self.run((CALLFAULT, "--log", LOG), self.argv)
        if status != 0:
            raise Wrong(f"recorded run: {status}: {said}")
        calls = faults.read_calls(LOG, master_names() if self.live else None)
        self.start_again()
        return calls

    def judge(self, now):
        """The servers' own tools accept what is there; a state is judged once."""
        key = hashlib.sha256(repr(sorted(now.items())).encode()).digest()
        if key not in self.judged:
            self.judged[key] = ""
            for argv in (("postconf", "-n"), ("postconf", "-M"), ("postfix", "check"),
                         ("doveconf", "-n")):
                done = quiet(*argv)
                if done.returncode != 0:
                    self.judged[key] = f"{' '.join(argv)}: {done.stderr}"
        if self.judged[key]:
            raise Wrong(f"a server would not take what is there: {self.judged[key]}")

    def whole(self, now, may_be_left, saved_is_enough=False):
        """Every file is what it was, or what it is to be.  Returns which: old, new, mixed."""
        sides = set()
        for path in self.old.keys() | self.new.keys() | now.keys():
            old, new, is_now = (where.get(path) for where in (self.old, self.new, now))
            if old == new:
                if is_now == old:
                    continue
                if old is None and LEFTOVERS.search(path):
                    # An empty lock that could not be had stays, as with Postfix's own editors.
                    if not may_be_left and is_now[0]:
                        raise Wrong(f"{path} is left behind")
                    continue
                raise Wrong(f"{path} is {is_now!r:.300}")
            if is_now == old:
                sides.add("old")
            elif is_now == new:
                sides.add("new")
            elif (saved_is_enough and path in self.in_place and
                  now.get(path + ".postern-saved", (None,))[0] == old[0]):
                sides.add("saved")
            else:
                raise Wrong(f"{path} is neither old nor new: {is_now!r:.1000}")
        return sides.pop() if len(sides) == 1 else "mixed"

    def servers_live(self, with_twins):
        pass

    def after_recovery(self):
        pass

    def try_point(self, point):
        """One point: how it went; Wrong when it was not as it has to be."""
        with open(CONTROL, "wb") as control:
            control.write(bytes(CONTROL_BYTES))
        status, said = self.run((CALLFAULT, "--control", CONTROL, "--at", point.at, "--of",
                                 point.call.name, "--do", point.action), self.argv)
        hit = hits()
        context = f"ended with {status}: {said[-1500:]}"
        if status is None:
            raise Wrong(f"it hung: {said}")
        is_killed = status == 128 + signal.SIGKILL
        if is_killed and not point.is_kill:
            raise Wrong(f"killed by nobody: {context}")
        now = self.files.look()
        try:
            side = self.whole(now, may_be_left=point.is_kill, saved_is_enough=is_killed)
            if side != "saved":
                self.judge(now)
            self.servers_live(with_twins=status == 0)
            if not is_killed:
                self.check_truth(point, status, said, side)
            self.recover()
        except Wrong as wrong:
            raise Wrong(f"{wrong}; it {context}") from None
        return {"hit": bool(hit), "status": status, "side": side}

    def check_truth(self, point, status, said, side):
        if status == 0:
            if side != "new":
                raise Wrong(f"it said that all is done, and the files are {side}")
            return
        # The C library ends a program that has no memory to begin with.
        if status > 128 and point.call.number >= self.first_own_call:
            raise Wrong("it crashed")
        # One server's files are reverted even when the other's cannot be, which is said.
        if side != "old" and "not everything could be reverted" not in said:
            raise Wrong(f"it failed, and the files are {side}")
        if "postern: error: " not in said and not point.call.is_of_messages and \
                point.call.number >= self.first_own_call:
            raise Wrong("it failed without a word")

    first_own_call = 0

    def recover(self):
        """The same command brings all in order, and then finds nothing to do."""
        for _ in range(self.runs_to_recover):
            self.undisturbed(self.argv, "the run after it")
        # An empty lock that could not be removed stays, as with Postfix's own editors.
        now = {path: state for path, state in self.files.look().items()
               if path in self.new or state[0] or not path.endswith(".tmp")}
        if now != self.new:
            different = sorted(p for p in now.keys() | self.new.keys()
                               if now.get(p) != self.new.get(p))
            raise Wrong(f"the run after it does not lead to the new state: {different}")
        self.servers_live(with_twins=True)
        before = self.files.identities()
        said = self.undisturbed(self.argv, "the second run after it")
        if self.files.identities() != before:
            raise Wrong(f"the second run wrote: {said}")
        if not self.is_nothing_to_do(said):
            raise Wrong(f"the second run did something: {said}")
        self.after_recovery()


class Patch(Scene):
    argv = ("patch", "--no-reload")
    back = ("revert", "--no-reload")

    def restore(self):
        self.undisturbed(self.back, "the way back")
        shutil.rmtree(WORK, ignore_errors=True)


class Revert(Scene):
    runs_to_recover = 2  # without a reload nothing is proven, and the record is settled by the next
    argv = ("revert", "--no-reload")
    back = ("patch", "--no-reload")

    def restore(self):
        self.undisturbed(self.argv, "the way there")
        shutil.rmtree(WORK, ignore_errors=True)
        self.undisturbed(self.back, "the way back")


class InPlacePatch(Patch):
    """The files are mounts of their own, as a subPath is: they are written over."""
    in_place = ("/etc/postfix/master.cf", "/etc/postfix/main.cf")

    def begin(self):
        for path in self.in_place:
            if not os.path.ismount(path):
                subprocess.run(["mount", "--bind", path, path], check=True)
        super().begin()

    def end(self):
        for path in self.in_place:
            subprocess.run(["umount", path], check=False)


class Live(Scene):
    """Real servers, which are told, and asked."""
    live = True

    def begin(self):
        self.pids = master_pids()
        super().begin()

    def servers_live(self, with_twins):
        try:
            pids = master_pids()
        except (OSError, ValueError) as error:
            raise Wrong(f"a master is gone: {error}") from None
        if pids != self.pids:
            raise Wrong(f"the masters {self.pids} are {pids} now")
        for port in STOCK:
            if not greets(port):
                raise Wrong(f"port {port} does not greet")
        for port in TWINS if with_twins and self.has_twins else ():
            if not greets(port, PROXY_LOCAL):
                raise Wrong(f"port {port} does not greet")
        if ports := open_to_all():
            raise Wrong(f"the ports {sorted(ports)} are open, and not guarded")


class LivePatch(Live):
    argv = ("patch",)
    has_twins = True

    def restore(self):
        self.undisturbed(("revert",), "the way back")
        shutil.rmtree(WORK, ignore_errors=True)


class LiveRevert(Live):
    argv = ("revert",)
    has_twins = False
    # A record that a killed run wrote, of a change that it did not come to, is settled by the second.
    runs_to_recover = 2

    def check_truth(self, point, status, said, side):
        """Files are reverted even when a server cannot be told, which is said."""
        if status != 0 and side == "new" and "the files are reverted" in said:
            side = "old"
        super().check_truth(point, status, said, side)

    def restore(self):
        self.undisturbed(("patch",), "the way back")


class LiveStatus(LiveRevert):
    """Beside a running watcher."""

    def begin(self):
        self.pids = master_pids()
        self.restore()
        with open("/faults/watch-output", "wb") as output:
            self.watcher = subprocess.Popen([*self.postern, "--root", "/", "watch"],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        deadline = time.monotonic() + RUN_LIMIT_S
        while self.run((), ("status",))[0] != 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.old = self.new = self.files.look()

    def restore(self):
        if self.old is None:
            super().restore()

    def end(self):
        self.watcher.terminate()
        self.watcher.wait(RUN_LIMIT_S)


class Install(Scene):
    argv = ("install", "--at", "/postern", VOLUME)
    folders = (VOLUME,)

    def restore(self):
        for name in os.listdir(VOLUME) if os.path.isdir(VOLUME) else ():
            os.unlink(os.path.join(VOLUME, name))
        os.makedirs(VOLUME, exist_ok=True)
        path = os.path.join(VOLUME, "user-patches.sh")
        with open(path, "wb") as script:
            script.write(OWN_SCRIPT)
        os.chmod(path, 0o755)

    def judge(self, now):
        """The owner's script is never lost, and what docker-mailserver runs can run."""
        names = {os.path.basename(path): state for path, state in now.items()}
        hook = names["user-patches.sh"]
        kept = [state for name, state in names.items() if state[0] == OWN_SCRIPT]
        if not kept:
            raise Wrong("the owner's script is gone")
        if hook[0] != OWN_SCRIPT and "postern" not in names:
            raise Wrong("the hook is there without its program")

    def check_truth(self, point, status, said, side):
        """Of several files those come first without which the last one, the hook, could not do."""
        super().check_truth(point, status, said, "old" if status and side == "mixed" else side)

    def is_nothing_to_do(self, said):
        return "written" not in said


SCENES = {"patch": Patch, "revert": Revert, "in-place": InPlacePatch, "install": Install,
          "live-patch": LivePatch, "live-revert": LiveRevert, "live-status": LiveStatus}


# ---- all points

def chosen_points(scene, job):
    calls = scene.record()
    own = [call.number for call in calls if call.process == 0 and call.name == "rt_sigaction"]
    scene.first_own_call = own[0] if own else 0
    first, rest = faults.spread(faults.chosen(calls, job), random.Random(job["seed"]))
    return len(calls), first, rest


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        job = json.load(file)
    scene = SCENES[job["scene"]](job["command"])
    start = time.monotonic()
    result = {"scene": job["scene"], "kills": job["kills"], "faults": [], "tried": 0, "missed": 0,
              "kinds": {}, "sides": {}, "failed_runs": 0}
    try:
        scene.begin()
        result["calls"], first, rest = chosen_points(scene, job)
        result["points"] = len(first) + len(rest)
        for n, point in enumerate(first + rest):
            # The first of each kind are tried however long it takes.
            over = job["budget_s"] and time.monotonic() - start > job["budget_s"]
            if (over and n >= (job["most_first"] or len(first))) or len(result["faults"]) >= FAULTS_MAX:
                break
            try:
                went = scene.try_point(point)
            except Wrong as wrong:
                result["faults"].append(f"{point}: {wrong}")
                scene.start_again()
                continue
            finally:
                result["tried"] += 1
            result["missed"] += not went["hit"]
            result["failed_runs"] += went["status"] != 0
            result["kinds"][point.kind] = result["kinds"].get(point.kind, 0) + 1
            result["sides"][went["side"]] = result["sides"].get(went["side"], 0) + 1
            try:
                scene.start_again()
            except Wrong as wrong:
                raise Wrong(f"after {point}, {went}: {wrong}") from None
    except Wrong as wrong:
        result["faults"].append(str(wrong))
    finally:
        if hasattr(scene, "end"):
            scene.end()
    result["took_s"] = round(time.monotonic() - start, 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
