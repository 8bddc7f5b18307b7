# SPDX-License-Identifier: MIT
"""What `postern run` costs as a first process, beside tini, catatonit and dumb-init.

Of what it is compared with only forwarding and reaping is done; postern run is two processes, of
which the second one watches.
"""
import re
import statistics
import time

import inside
from lab import Lab, mailhost, postern, processes, started, wait
from tables import quartiles, table

# Name and the arguments that come before the command, where it is not PID 1.
OTHERS = {"tini": ["-s", "--"], "tini-static": ["-s", "--"], "catatonit": ["--"],
          "dumb-init": ["--"]}
SMALLEST = ("tini-static", "catatonit", "dumb-init")  # what the ratio is to: the fastest of these
RUN = [mailhost.POSTERN, "--log-level", "error", "run", "--"]
AS_INIT = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
SETTLE_S = 3


def others(mail):
    """{name: argv before the command} of those that are installed, copied into the host."""
    found = {}
    for name, arguments in OTHERS.items():
        program = inside.copy_program(mail, name)
        if program is None:
            print(f"{name} is not there (a package of Debian): left out\n")
        else:
            found[name] = [program, *arguments]
    return found


# -- spawn and exit

def bench_spawn(mail, pairs):
    """Time from fork to exit of `true` under each of them, and alone."""
    supervisors = {"postern run": RUN, **others(mail)}
    commands = {"nobody": [["true"]],
                **{name: [[*argv, "true"]] for name, argv in supervisors.items()}}
    taken = inside.drive(mail, {"files": [], "rounds": pairs, "commands": commands,
                                "rotate": True, "sync": False})
    times = {name: [t[0] for t in rounds] for name, rounds in taken.items()}
    fastest = min((name for name in SMALLEST if name in times), default="nobody",
                  key=lambda name: statistics.median(times[name]))
    rows = []
    for name, values in times.items():
        low, middle, high = quartiles(values)
        ratios = quartiles([a / b for a, b in zip(values, times[fastest])])
        rows.append([name, *(f"{value * 1000:.2f}" for value in (min(values), low, middle, high)),
                     f"{ratios[1]:.2f} x", f"{ratios[0]:.2f}-{ratios[2]:.2f}",
                     f"{min(values) / min(times[fastest]):.2f} x"])
    print(f"Start and end of `true`, {pairs} rounds, ms; ratios to {fastest}, round by round\n")
    table(["under", "least", "quarter", "median", "three", "ratio", "its quartiles",
           "of the least"], rows)


# -- idle

def bench_idle(release, seconds):
    """Wake-ups and memory of all of them while nothing happens, in the same time.

    The servers do not quite do nothing: a Postfix process that ends after its idle time closes its
    lock file in the folder of the pid file, which the watcher watches and then wakes up for.
    """
    with started(release) as lab, Lab(release, with_balancer=False) as bare:
        pids = {}
        for host in (lab.mail, bare.mail):
            host.configure_postern(postern.conf("resync = 0\n"))
        running = postern.Postern(lab.mail).start()
        running.wait_current()
        pids["postern run, 8 twins"] = running.process.pid
        pids["  its watcher"] = running.watcher_pid()
        for name, argv in {"postern run, no servers": RUN, **others(bare.mail)}.items():
            outside = bare.mail.spawn([*AS_INIT, *argv, "sleep", "infinity"])
            pids[name] = wait.until(lambda: init_below(outside.pid), name)
            if argv is RUN:
                first = pids[name]
                pids["  its watcher "] = wait.until(
                    lambda: processes.child_of(first, processes.WATCHER), "the watching process")
        time.sleep(SETTLE_S)
        before = {name: switches(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        rows = [row(name, pid, before[name]) for name, pid in pids.items()]
    print(f"Nothing happens for {seconds:g} s: context switches, memory in KiB\n")
    table(["process", "voluntary", "others", "VmRSS", "RssAnon", "Pss", "Private"], rows)


def row(name, pid, before):
    fields, smaps = read_fields(pid, "status"), read_fields(pid, "smaps_rollup")
    done = [now - then for now, then in zip(switches(pid), before)]
    private = smaps["Private_Clean"] + smaps["Private_Dirty"]
    return [name, *map(str, (*done, fields["VmRSS"], fields["RssAnon"], smaps["Pss"], private))]


def switches(pid):
    fields = read_fields(pid, "status")
    return fields["voluntary_ctxt_switches"], fields["nonvoluntary_ctxt_switches"]


def read_fields(pid, name):
    """The numbers of /proc/PID/status or another file of that form."""
    with open(f"/proc/{pid}/{name}", encoding="ascii", errors="replace") as file:
        return {field: int(number) for field, number
                in re.findall(r"^(\w+):\s*(\d+)(?: kB)?$", file.read(), re.M)}


def init_below(pid):
    """The process 1 that `unshare` made of its child; None when it is no other program yet."""
    return next((found for found in processes.children(pid)
                 if processes.name(found) not in (AS_INIT[0], None)), None)
