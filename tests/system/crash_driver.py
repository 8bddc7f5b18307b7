# SPDX-License-Identifier: MIT
"""Kill `postern patch` and `revert` at random moments; run inside the mail host by test_files.

    crash_driver.py ROUNDS SEED COMMAND...      COMMAND is postern up to, not with, its command

Prints one JSON object: how often the kill came in time, and every state that should not have been.
The files' states before the first round and after a whole patch are the only two allowed.
"""
import json
import os
import random
import signal
import subprocess
import sys
import time

MASTER_CF = "/etc/postfix/master.cf"
DROP_IN = "/etc/dovecot/conf.d/95-postern.conf"
# Whole patches by which the time that one takes is known for a start.
WARM_UP = 7
# A machine is faster at one time than at another, so the kills follow it: the next comes later when
# one was in time, and sooner when it was not.  With these factors three of four are in time.
LATER, SOONER = 1.04, 1.04 ** -3
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def state(path):
    try:
        with open(path, "rb") as file:
            info = os.fstat(file.fileno())
            return file.read(), info.st_mode, info.st_uid, info.st_gid
    except FileNotFoundError:
        return None


def main():
    rounds, seed, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    dice = random.Random(seed)
    patch = command + ["patch", "--no-reload"]
    revert = command + ["revert", "--no-reload"]
    paths = (MASTER_CF, DROP_IN)
    old = {path: state(path) for path in paths}
    times = []
    for _ in range(WARM_UP):
        start = time.monotonic()
        subprocess.run(patch, check=True, **QUIET)
        times.append(time.monotonic() - start)
        new = {path: state(path) for path in paths}
        subprocess.run(revert, check=True, **QUIET)
    took = sorted(times)[WARM_UP // 2]
    latest = took
    faults, in_time, whole = [], 0, {"old": 0, "new": 0}
    if {path: state(path) for path in paths} != old:
        faults.append("revert did not restore the files")
    most = len(os.listdir("/etc/postfix")) + 1
    for number in range(rounds):
        # Forth and back, so that both directions are interrupted.
        going = patch if state(MASTER_CF) == old[MASTER_CF] else revert
        child = subprocess.Popen(going, **QUIET)
        time.sleep(dice.uniform(0, latest))
        child.send_signal(signal.SIGKILL)
        was_in_time = child.wait() == -signal.SIGKILL
        in_time += was_in_time
        latest *= LATER if was_in_time else SOONER
        for path in paths:
            now = state(path)
            if now not in (old[path], new[path]):
                faults.append(f"round {number}: {path} is {now!r}"[:2000])
        whole["old" if state(MASTER_CF) == old[MASTER_CF] else "new"] += 1
        if len(os.listdir("/etc/postfix")) > most:
            faults.append(f"round {number}: /etc/postfix holds {os.listdir('/etc/postfix')}")
    subprocess.run(patch, check=True, **QUIET)
    if {path: state(path) for path in paths} != new:
        faults.append("the last patch did not lead to the new state")
    subprocess.run(revert, check=True, **QUIET)
    if {path: state(path) for path in paths} != old:
        faults.append("the last revert did not lead to the old state")
    print(json.dumps({"in_time": in_time, "whole": whole, "took_ms": took * 1000,
                      "faults": faults[:10]}))


main()
