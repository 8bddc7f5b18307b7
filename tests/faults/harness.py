# SPDX-License-Identifier: MIT
"""Makes callfault, puts it into a lab's mail host, and runs trials there."""
import json
import os
import re
import subprocess

from lab import mailhost, postern

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(mailhost.REPOSITORY, "build", "faults")
SOURCES = [os.path.join(HERE, name) for name in ("callfault.c", "callfault_log.c")]
HEADERS = [os.path.join(HERE, name) for name in ("callfault.h", "callfault_registers.h")]
PROGRAM = os.path.join(BUILD, "callfault")
ALLOCATING_PROGRAM = os.path.join(mailhost.REPOSITORY, "build", "dev", "tests", "faults",
                                  "postern_alloc")
INSIDE = "/faults"
LIMIT_S = 8 * 3600  # of one scene's trials, all of them
# Of the kinds of faults, with running servers and little time: the others are had without them.
LIVE_FIRST = 12
PROGRAMS = ("mail_state.py", "trial.py", "points.py", "looks.py", "allocations.py")
# What they need of the lab's: see prepare().
OF_THE_LAB = ("confine.py", "processes.py", "wait.py")
LIVE_SCENES = ("live-patch", "live-revert")
FILE_SCENES = ("patch", "revert", "in-place", "install")
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-static"]
# So that Postfix's main.cf and a record of what was there are written, too.
OVERRIDES = {"postfix-main.cf": "message_size_limit = 12345678\n",
             "postfix-master.cf": "submission/inet/smtpd_client_connection_count_limit=7\n"}


def _write_names():
    """The system calls of this machine's architecture, as the C library's headers have them."""
    said = subprocess.run(["cc", "-dM", "-E", "-x", "c", "-"], input="#include <sys/syscall.h>\n",
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    names = sorted(re.findall(r"^#define __NR_(\w+) ", said, re.M))
    with open(os.path.join(BUILD, "syscall_names.h"), "w", encoding="ascii") as out:
        out.write("static const struct { long nr; const char *name; } syscall_names[] = {\n")
        out.writelines(f'\t{{ __NR_{name}, "{name}" }},\n' for name in names)
        out.write("};\n")


def callfault():
    """The program; compiled when it is not there or older than its sources."""
    newest = max(map(os.path.getmtime, SOURCES + HEADERS))
    if os.path.exists(PROGRAM) and os.path.getmtime(PROGRAM) > newest:
        return PROGRAM
    os.makedirs(BUILD, exist_ok=True)
    made = f"{PROGRAM}.{os.getpid()}"
    _write_names()
    subprocess.run(["cc", *FLAGS, "-I", BUILD, "-o", made, *SOURCES], check=True)
    os.replace(made, PROGRAM)
    return PROGRAM


def prepare(mail):
    """Everything that a trial needs in the mail host."""
    mail.copy_in(callfault(), f"{INSIDE}/callfault")
    for name in PROGRAMS:
        mail.copy_in(os.path.join(HERE, name), f"{INSIDE}/{name}")
    mail.write(f"{INSIDE}/lab/__init__.py", "")
    for name in OF_THE_LAB:
        mail.copy_in(os.path.join(os.path.dirname(HERE), "lab", name), f"{INSIDE}/lab/{name}")
    for name, text in OVERRIDES.items():
        mail.write(f"/tmp/docker-mailserver/{name}", text)


def command(config=mailhost.POSTERN_CONF):
    return [mailhost.POSTERN, "--config", config]


def trial(mail, scene, kills, effort, most_first=0):
    """One scene's points, or what of them the effort has time for; the trial's own JSON object."""
    return _run(mail, "trial.py", scene=scene, kills=kills, most_first=most_first,
                command=command(), **effort)


# What a watcher is to put in force in turn.
LOOK_PORTS = ({"submission": 10587, "imap": 10143}, {"submission": 20587, "imap": 20143})


def looks(mail, process, kills, effort, least=10):
    """The points of a look of a running watcher, or of a rehearsal."""
    confs = [postern.conf("resync = 0\n" + postern.twins_at(**ports)) for ports in LOOK_PORTS]
    return _run(mail, "looks.py", process=process, kills=kills, least=least, command=command(),
                confs=confs, ports=LOOK_PORTS, **effort)


# Commands, and whether they change files; the scene says what is there when they begin.
ALLOCATING = {
    "patch": ("patch", ["patch", "--no-reload"], True),
    "revert": ("revert", ["revert", "--no-reload"], True),
    "check": ("patch", ["check"], False),
    "diff": ("patch", ["patch", "--dry-run"], False),
    "live-patch": ("live-patch", ["patch"], True),
    "live-revert": ("live-revert", ["revert"], True),
    "live-probe": ("live-revert", ["probe"], False),
    "live-status": ("live-status", ["status", "--json"], False),
}
# From the start of `run` to its end.
LIVES = ("watcher", "first-guard", "supervisor")


def allocations(mail, name, effort):
    """Each allocation of a command, or of a look of a supervised watcher, fails in turn."""
    if not os.path.exists(ALLOCATING_PROGRAM):
        raise AssertionError(f"{ALLOCATING_PROGRAM} is not there: cmake --build --preset dev")
    mail.copy_in(ALLOCATING_PROGRAM, f"{INSIDE}/postern_alloc")
    # A life has enough of allocations with two twins.
    confs = [postern.conf("resync = 0\n" + postern.twins_at(alone=name in LIVES, **ports))
             for ports in LOOK_PORTS]
    scene, argv, changes = ALLOCATING.get(name, (name, None, True))
    return _run(mail, "allocations.py", scene=scene, argv=argv, changes=changes,
                command=command(), confs=confs, ports=LOOK_PORTS, **effort)


def _run(mail, program, **job):
    mail.write(f"{INSIDE}/job.json", json.dumps(job))
    done = mail.run(["python3", "-I", f"{INSIDE}/{program}", f"{INSIDE}/job.json"], check=False,
                    timeout=LIMIT_S)
    if done.returncode != 0:
        raise AssertionError(f"{program} {job}: {done.stderr[-4000:]}")
    return json.loads(done.stdout)
