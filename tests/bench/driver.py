# SPDX-License-Identifier: MIT
"""Take the time of programs inside the lab's host; run by tests/bench/run, never imported.

Standard input is a JSON object:

    commands    {name: [argv, ...]}: what is timed, one after the other, in each round
    rounds      how often all of it is done, name after name in turn
    rotate      begin each round with another name than the one before ([false])
    sync        have all written data on the disk before each name ([true])
    files       put back to what they were before each name's first command
    main_cf     the file whose age is set then, and age_s, how old it is to be
    statuses    {name: exit status that its commands have to end with} ([0])

What stands in brackets is meant when it is left out.

Standard output is {name: [[seconds of each argv] of each round]}.
"""
import json
import os
import subprocess
import sys
import time


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def restore(texts):
    for path, text in texts.items():
        if text is None:
            if os.path.lexists(path):
                os.unlink(path)
        else:
            with open(path, "wb") as file:
                file.write(text)


def take(argv, wanted):
    """Seconds from fork to exit, with the exit status that is wanted."""
    with open(os.devnull, "r+b") as null:
        start = time.perf_counter()
        pid = os.posix_spawn(find(argv[0]), argv, os.environ,
                             file_actions=[(os.POSIX_SPAWN_DUP2, null.fileno(), 0),
                                           (os.POSIX_SPAWN_DUP2, null.fileno(), 1)])
        status = os.waitpid(pid, 0)[1]
        taken = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != wanted:
        sys.exit(f"{argv} ended with {os.waitstatus_to_exitcode(status)}")
    return taken


def find(name):
    if "/" in name:
        return name
    for folder in os.environ["PATH"].split(":"):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    sys.exit(f"{name} is not there")


def main():
    plan = json.load(sys.stdin)
    statuses = plan.get("statuses", {})
    texts = {path: read(path) for path in plan["files"]}
    times = {name: [] for name in plan["commands"]}
    names = list(plan["commands"])
    for turn in range(plan["rounds"]):
        first = turn % len(names) if plan.get("rotate") else 0
        for name in names[first:] + names[:first]:
            restore(texts)
            if plan.get("sync", True):
                subprocess.run(["sync"], check=True)
            if "main_cf" in plan:
                stamp = time.time() - plan["age_s"]
                os.utime(plan["main_cf"], (stamp, stamp))
            times[name].append([take(argv, statuses.get(name, 0))
                                for argv in plan["commands"][name]])
    restore(texts)
    json.dump(times, sys.stdout)


main()
