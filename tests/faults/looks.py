# SPDX-License-Identifier: MIT
"""A running watcher whose looks have a fault at each of their calls; run inside a mail host.

    looks.py JSON       see harness.py, which writes it

postern.conf is changed back and forth, and each time the look that is to put it in force, or its
rehearsal, is killed at another call, or one of its calls fails.  The watcher has to recover by
itself: what it waits for in the meantime passes quickly (callfault --hurry).  Prints one JSON
object.
"""
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import points as faults  # noqa: E402  (the path above comes first)
import trial  # noqa: E402
from lab import processes, wait  # noqa: E402

STATUS = "/run/postern/status.sock"
OUTPUT = "/faults/watch-output"
LIMIT_S = 60
JUDGE = "/run/postern/judge"  # who has something to do writes there, or empties it
ACTIONS = {"errno": 1, "done": 2, "short": 3, "before": 4, "after": 5, "amid": 6}


def status():
    """What the watcher says; None while nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(STATUS)
            sock.sendall(b"GET /status HTTP/1.0\r\n\r\n")
            text = b""
            while piece := sock.recv(65536):
                text += piece
        return json.loads(text.partition(b"\r\n\r\n")[2])
    except (OSError, ValueError):
        return None


class Watcher:
    every_s = 0.01
    limit_s = LIMIT_S

    def __init__(self, job):
        self.job = job
        self.files = trial.Files(trial.Scene.folders)
        self.states = [None, None]  # of the files, by configuration
        self.judge = trial.Scene(job["command"]).judge
        self.at = 0

    def start(self, *options):
        self.write_conf(0)
        open(trial.CONTROL, "wb").write(bytes(trial.CONTROL_BYTES))
        with open(OUTPUT, "wb") as output:
            self.process = subprocess.Popen(
                [trial.CALLFAULT, *options, "--control", trial.CONTROL, "--hurry",
                 *self.job["command"], "--root", "/", "watch"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.wait_for(0)

    def stop(self):
        watcher = self.pid()
        if watcher:
            os.kill(watcher, signal.SIGTERM)
        return self.process.wait(LIMIT_S)

    def pid(self):
        return next(iter(processes.children(self.process.pid)), None)

    def output(self):
        with open(OUTPUT, encoding="utf-8", errors="replace") as file:
            return file.read()[-3000:]

    def write_conf(self, which):
        path = self.job["command"][-1]
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(self.job["confs"][which])
        os.rename(path + ".new", path)
        self.at = which

    def wait_for(self, which):
        """Until this configuration is in force, by the watcher's own words and the files."""
        deadline = time.monotonic() + self.limit_s
        wanted = self.job["ports"][which]
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise trial.Wrong(f"the watcher ended: {self.output()}")
            said = status()
            if said and said["outcome"] == "current" and said["ready"] and \
                    {t["listener"]: t["port"] for t in said["twins"] if t["up"]}.items() >= \
                    wanted.items():
                break
            time.sleep(self.every_s)
        else:
            raise trial.Wrong(f"not in force after {self.limit_s} s: {said}\n{self.output()}")
        if ports := trial.open_to_all():
            raise trial.Wrong(f"the ports {sorted(ports)} are open, and not guarded")
        now = self.files.look()
        if self.states[which] is None:
            self.states[which] = now
        left = {path: state for path, state in now.items()
                if path in self.states[which] or state[0] or not path.endswith(".tmp")}
        if left != self.states[which]:
            different = [p for p in left.keys() | self.states[which].keys()
                         if left.get(p) != self.states[which].get(p)]
            raise trial.Wrong(f"the files are not as they were for it: {different}")

    def hang_up(self):
        """It tries again at once what it would wait for, if it has not ended."""
        watcher = self.pid()
        if watcher:
            os.kill(watcher, signal.SIGHUP)

    def change(self, arm=lambda: None):
        """What is armed is for this change: it has looked at its own, which it judges, too."""
        try:
            processes.wait_quiet(self.pid)
            arm()
        except wait.TooLate as late:
            raise trial.Wrong(f"{late}: {self.output()}") from None
        self.write_conf(1 - self.at)

    def swap(self, arm=lambda: None):
        self.change(arm)
        self.wait_for(self.at)

    def arm(self, point):
        name, _, code = point.action.partition(":")
        with open(trial.CONTROL, "r+b") as control:
            control.write(struct.pack("8iq16s16s32s", 1, 0, point.call.number, ACTIONS[name],
                                      int(code or 0), 0, 0, 0, 0, b"",
                                      self.job["process"].encode(), point.call.name.encode()))

    def disarm(self):
        """Whether the fault was had."""
        hit = trial.hits()
        with open(trial.CONTROL, "r+b") as control:
            control.write(bytes(4))
        return hit > 0

    def try_point(self, point, pid):
        self.swap(lambda: self.arm(point))
        hit = self.disarm()
        if self.pid() != pid:
            raise trial.Wrong(f"the watcher is another one: {self.output()}")
        for port in trial.STOCK:
            if not trial.greets(port):
                raise trial.Wrong(f"port {port} does not greet")
        twin = self.job["ports"][self.at]["imap"]
        if not trial.greets(twin, trial.PROXY_LOCAL):
            raise trial.Wrong(f"port {twin} does not greet")
        return hit


def calls_of(name):
    """The calls of a process of that name that had something to do: of the one with the fewest.

    A look that comes after its rehearsal does not judge; where waits pass quickly, some may have to.
    """
    by_process = {}
    for call in faults.read_calls(trial.LOG, trial.master_names()):
        by_process.setdefault(call.process, []).append(call)
    return min((calls for calls in by_process.values()
                if any(c.name == "prctl" and f'"{name}"' in c.rest for c in calls)
                and any(JUDGE in c.rest for c in calls)), key=len)


def main():
    with open(sys.argv[1], encoding="ascii") as file:
        job = json.load(file)
    watcher = Watcher(job)
    start = time.monotonic()
    result = {"scene": job["process"], "kills": job["kills"], "faults": [], "tried": 0, "missed": 0,
              "kinds": {}}
    watcher.start("--log", trial.LOG)
    try:
        for _ in range(3):
            watcher.swap()
        watcher.stop()
        calls = calls_of(job["process"])
        watcher.start()
        result["calls"] = len(calls)
        points = faults.chosen(calls, job)
        result["points"] = len(points)
        first, rest = faults.spread(points, random.Random(job["seed"]))
        pid = watcher.pid()
        for n, point in enumerate(first + rest):
            over = job["budget_s"] and time.monotonic() - start > job["budget_s"]
            if (over and n >= job["least"]) or len(result["faults"]) >= trial.FAULTS_MAX:
                break
            result["tried"] += 1
            try:
                result["missed"] += not watcher.try_point(point, pid)
            except trial.Wrong as wrong:
                result["faults"].append(f"{point}: {wrong}")
                watcher.disarm()
                if watcher.process.poll() is not None:
                    break
                watcher.swap()
            result["kinds"][point.kind] = result["kinds"].get(point.kind, 0) + 1
    except trial.Wrong as wrong:
        result["faults"].append(str(wrong))
    finally:
        status_at_end = watcher.stop()
    if status_at_end != 0:
        result["faults"].append(f"the watcher ended with {status_at_end}: {watcher.output()}")
    result["took_s"] = round(time.monotonic() - start, 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
