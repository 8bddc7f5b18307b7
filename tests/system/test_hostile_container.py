# SPDX-License-Identifier: MIT
"""A mail container that works against its sidecar: what hangs, what lies, what never stands still."""
import json
import os
import pathlib
import re
import signal

import pytest

from lab import files, mailhost, postern, processes, wait
from test_server_sidecar import Sidecar

HERE = pathlib.Path(__file__).parent
WATCHED = "/secrets/ssl"
READ = 15
ENDS_WITHIN_S = wait.slowed(20)


# -- a file system that never answers

@pytest.fixture
def silent(pod_lab):
    """In the mail container, on the watched folder: silence() makes it swallow what reads ask."""
    mail = pod_lab.mail
    mail.write("/srv/remote/tls.crt", "certificate\n")
    mail.copy_in(HERE / "fuse_folder.py", "/srv/fuse_folder.py")
    mail.shell(f"mkdir -p {WATCHED}; [ -e /dev/fuse ] || mknod /dev/fuse c 10 229")
    server = mail.spawn(["python3", "/srv/fuse_folder.py", "/srv/remote", WATCHED, str(READ)])
    wait.until(lambda: mail.shell(f"mountpoint -q {WATCHED}", check=False).returncode == 0,
               lambda: f"the mount: {server.output}")
    yield lambda: mail.shell("mkdir /srv/remote.silent")
    os.kill(server.pid, signal.SIGKILL)  # the kernel ends what waits for it


def hangs(pid):
    """In the kernel, until a file system answers."""
    try:
        return "request_wait" in pathlib.Path(f"/proc/{pid}/wchan").read_text(encoding="ascii")
    except OSError:
        return False


def test_reading_that_never_ends_holds_nothing_else_up(pod_lab, silent):
    """Not even a kill ends who waits for such a file system once it has taken the question."""
    p = Sidecar(pod_lab)
    pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf(
        f'watch "{WATCHED}" {{ reload = {{ "postfix" }} }}\n'))
    p.start()
    p.wait_proven(pod_lab.mail)
    silent()
    p.hang_up()
    wait.until(lambda: any(hangs(child) for child in processes.children(p.watcher_pid())),
               "a look that hangs")
    # It is asked, and says what stood last; the servers go on.
    status = p.status()
    assert status["ready"], status
    assert p.probe("--live")[0] == 0
    postern.all_answer(pod_lab.mail)
    os.kill(p.process.pid, signal.SIGTERM)
    assert p.process.wait(ENDS_WITHIN_S) == 0


def hanging_below(pid):
    """Itself, or a process that it has started."""
    return next((one for one in (pid, *processes.children(pid)) if hangs(one)), None)


def test_command_in_another_root_ends_when_its_time_is_over(pod_lab, silent):
    """SIGALRM says so, as its own timer does after five minutes: one that waits in the kernel."""
    pod_lab.mail.write("/srv/remote/postfix-main.cf", "mail_name = odd\n")
    pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf(f'overrides "{WATCHED}" {{ }}\n'))
    before = pod_lab.mail.snapshot(*mailhost.CONFIGURATION)
    silent()
    patch = pod_lab.sidecar.spawn([mailhost.POSTERN, "--config", mailhost.POSTERN_CONF, "--root",
                                   pod_lab.mail_root(), "patch"])
    wait.until(lambda: hanging_below(patch.pid), lambda: f"patch to hang: {patch.output}")
    os.kill(patch.pid, signal.SIGALRM)
    assert patch.wait(ENDS_WITHIN_S) == 1
    assert "postern: error: given up" in patch.output
    assert files.differences(before, pod_lab.mail.snapshot(*mailhost.CONFIGURATION)) == []


# -- programs that are not what they are called

TOOL = "/usr/sbin/postconf"
# Each is the body of a shell script, with "$REAL" for what was there; `ends` is what is said of it.
TOOLS = {
    "lies": ("printf '\\033]0;owned\\007\\033[2J lies \\r\\n\\n more' >&2; exit 1", r"lies"),
    "floods": ("while :; do echo 01234567890123456789 >&2 || exit 1; [ $((n+=1)) -gt 99999 ] && exit 1;"
               " done", r"0123456789"),
    "forks": ("(:) & (:) & wait; exit 3", r"fork"),
    "kills its parent": ("kill -KILL $PPID; kill -STOP $PPID; kill -KILL 0; kill -KILL -1;"
                         " echo no >&2; exit 1", r"no"),
    "is killed": ("kill -SEGV $$", r"signal 11"),
    "tells what it has": ("for fd in /proc/self/fd/*; do echo $fd >&2; done; while read -r line; do "
                          "echo $line >&2; done </proc/self/environ; exit 1", r"/proc/self/fd/0"),
    "is a folder": None,
}


def replace_tool(mail, script):
    mail.shell(f"[ -e {TOOL}.real ] || mv {TOOL} {TOOL}.real; rm -rf {TOOL}")
    if script is None:
        mail.shell(f"mkdir {TOOL}")
        return
    mail.write(TOOL, f"#!/bin/sh\n{script}\n")
    mail.shell(f"chmod 755 {TOOL}")


def test_tools_that_are_not_what_they_are_called(pod_lab):
    """Each is asked about a change, and ends as a refusal; what was in force stays so."""
    p = Sidecar(pod_lab).start()
    p.wait_proven(pod_lab.mail)
    watcher, before = p.watcher_pid(), pod_lab.mail.snapshot(*mailhost.CONFIGURATION)
    for number, (name, tool) in enumerate(TOOLS.items()):
        script, said = tool or (None, r"could not be started|postconf")
        replace_tool(pod_lab.mail, script)
        pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf(
            postern.twins_at(submission=20600 + number)))
        status = p.wait_for(lambda s: s["reason"] and re.search(said, s["reason"]), name)
        assert postern.ports(status) == mailhost.TWIN_PORTS, name
        assert p.process.running and p.watcher_pid() == watcher, name
        assert "\x1b" not in p.output and "\x07" not in p.output, name
        for line in re.findall(r"/proc/self/fd/(\d+)", status["reason"]):
            assert int(line) <= 10, status["reason"]  # a shell keeps its script at 10
        assert "TRUSTED" not in status["reason"] and "POSTERN" not in status["reason"]
        pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf())
        pod_lab.mail.shell(f"rm -rf {TOOL} && cp -a {TOOL}.real {TOOL}")
        p.hang_up()
        p.wait_proven(pod_lab.mail)
    pod_lab.mail.shell(f"rm -rf {TOOL} && mv {TOOL}.real {TOOL}")
    assert files.differences(before, pod_lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    wait.until(lambda: processes.children(watcher) == [], "no process to be left")


# Whoever opens the tool waits while this one has a lease on it: as long as it likes, and looks at them.
HOLDER = r"""
import ctypes, fcntl, json, os, signal, struct, sys
# What a container engine gives to root: see capset(2), for version 3.
given = struct.pack("6I", *[0xa80425fb, 0xa80425fb, 0, 0, 0, 0])
assert ctypes.CDLL(None).capset(struct.pack("Ii", 0x20080522, 0), given) == 0
tool, seconds = sys.argv[1], float(sys.argv[2])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
file = open(tool, "rb")
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("ready", flush=True)
assert signal.sigtimedwait([signal.SIGIO], seconds), "nobody opens it"
found = {}
def attempt(what, path, read):
    try:
        found[what].append(read(path))
    except OSError:
        pass
def name_of(pid):
    try:
        return open(f"/proc/{pid}/comm").read().strip()
    except OSError:
        return None
for pid in filter(str.isdigit, os.listdir("/proc")):
    name = name_of(pid)
    if name not in ("postern-look", "postern-judge"):
        continue
    what = f"{name} {pid}"
    found[what] = []
    attempt(what, f"/proc/{pid}/exe", os.readlink)
    attempt(what, f"/proc/{pid}/environ", lambda path: repr(open(path, "rb").read()[:100]))
    attempt(what, f"/proc/{pid}/fd/0", os.readlink)
    attempt(what, f"/proc/{pid}/mem", lambda path: "mem" if open(path, "rb+") else "")
    if name_of(pid) != name:  # it has become another tool meanwhile, which is theirs
        del found[what]
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
print(json.dumps(found))
"""


def test_who_is_about_to_become_a_tool_is_nobodys_to_look_into(pod_lab):
    """The starter of a tool has that tool's few capabilities already, and our memory still."""
    mail = pod_lab.mail
    p = Sidecar(pod_lab).start()
    p.wait_proven(mail)
    mail.write("/srv/holder.py", HOLDER)
    # In memory: not every file system has leases.
    mail.shell(f"cp {TOOL} /dev/shm/postconf && ln -sf /dev/shm/postconf {TOOL}")
    holder = mail.spawn(["python3", "/srv/holder.py", "/dev/shm/postconf", str(wait.LIMIT_S)])
    wait.until(lambda: "ready" in holder.output, lambda: f"the lease: {holder.output}")
    pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf(postern.twins_at(submission=20587)))
    assert holder.wait() == 0, holder.output
    found = json.loads(holder.output.splitlines()[-1])
    assert len(found) >= 2, "one that looks, and its child that starts the tool"
    assert not [had for had in found.values() if had], found
    p.wait_twins({**mailhost.TWIN_PORTS, "submission": 20587})


# -- files that never stand still

SWAPPER = r"""
import os
import sys
import time
folder, seconds = sys.argv[1], float(sys.argv[2])
end = time.monotonic() + seconds
n = 0
name = f"{folder}/master.cf"
good = open(name, "rb").read()
os.chdir(folder)
while time.monotonic() < end:
    n += 1
    kind = n % 6
    new = f"new-{n % 2}"
    if os.path.lexists(new):
        os.unlink(new)
    if kind == 0:
        os.mkfifo(new)
    elif kind == 1:
        os.symlink("/proc/1/environ", new)
    elif kind == 2:
        os.symlink("../" * 20 + "etc/hostname", new)
    elif kind == 3:
        open(new, "wb").write(good[:n % len(good)])
    elif kind == 4:
        open(new, "wb").write(good * 40)
    else:
        open(new, "wb").write(good)
    os.rename(new, "master.cf")
    if kind == 4:
        os.truncate("master.cf", len(good))
open("new", "wb").write(good)
os.rename("new", "master.cf")
print(n)
"""
SWAPPING_S = 4


def test_files_that_never_stand_still(pod_lab):
    """While master.cf is swapped at full speed the watcher lives; when it stands, it is patched."""
    p = Sidecar(pod_lab).start()
    p.wait_proven(pod_lab.mail)
    watcher = p.watcher_pid()
    own = pod_lab.sidecar.snapshot("/etc")
    pod_lab.mail.write("/srv/swapper.py", SWAPPER)
    swapper = pod_lab.mail.spawn(["python3", "/srv/swapper.py", "/etc/postfix", str(SWAPPING_S)])
    while swapper.running:
        p.hang_up()
        assert p.wait_answer()
    assert swapper.wait() == 0 and int(swapper.output) > 100, swapper.output
    p.hang_up()
    p.wait_proven(pod_lab.mail)
    assert p.process.running and p.watcher_pid() == watcher
    assert files.differences(own, pod_lab.sidecar.snapshot("/etc")) == []
    assert not re.search(r"HOSTNAME=|PATH=", p.output)


# -- a pid file that names somebody else

PID_FILES = pytest.mark.parametrize("pid_file, program", [
    ("/var/spool/postfix/pid/master.pid", "postfix"), ("/run/dovecot/master.pid", "dovecot")])


@PID_FILES
def test_pid_file_that_names_somebody_else(pod_lab, pid_file, program):
    """Nobody but the server's own master is told anything, whatever number is there."""
    p = Sidecar(pod_lab).start()
    before = p.wait_proven(pod_lab.mail)
    good = pod_lab.mail.read(pid_file)
    bystander = pod_lab.mail.spawn(["sleep", "infinity"])
    no_number, another = "no process's number", f"not {MASTERS[program]}"
    # As the pod has them, where pid files are read.
    own, other = (str(processes.inner_number(pid)) for pid in (p.watcher_pid(), bystander.pid))
    numbers = {own: another, other: another, "1": another, "0": no_number, "-1": no_number,
               "9223372036854775808": no_number, "4294967297": no_number,
               f"{good.strip()}x": no_number, f"0x{int(good):x}": no_number,
               "": None,  # as while it is written
               "\0" * 64: no_number, "master\n\033[2J": no_number, "7" * 70000: no_number,
               "999999999": None}  # nobody's: of a master that is gone
    for number, said in numbers.items():
        seen = len(p.output)
        pod_lab.mail.write(pid_file, number)
        p.look_at_all()
        status = p.wait_for(lambda s: not s["servers"][program]["running"], repr(number))
        assert postern.reloads(status) == postern.reloads(before), repr(number)
        assert p.process.running and bystander.running, repr(number)
        assert_said(p, seen, program, pid_file, said)
    pod_lab.mail.write(pid_file, good)
    p.hang_up()
    p.wait_proven(pod_lab.mail)


def assert_said(p, seen, program, pid_file, said):
    """Once, with what was seen there; or nothing."""
    lines = [line for line in p.output[seen:].splitlines() if f"{program}: {pid_file}" in line]
    assert len(lines) == (said is not None) and all(said in line for line in lines), (said, lines)
    assert "\033" not in p.output[seen:]


# What calls itself a master: SIGNALS gets a line for each hangup, NUMBERS its own number and a thread's.
MASTERS = {"postfix": "master", "dovecot": "dovecot"}
SIGNALS, NUMBERS = "/srv/signals", "/srv/numbers"
PRETENDER = f"""
import ctypes, os, signal, sys, threading
name, user = sys.argv[1], int(sys.argv[2])
def hangup(*_):
    with open("{SIGNALS}", "a") as file:
        file.write(name)
signal.signal(signal.SIGHUP, hangup)
threading.Thread(target=threading.Event().wait, daemon=True).start()
ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)
with open("{NUMBERS}.new", "w") as file:
    file.write(f"{{os.getpid()}} {{threading.enumerate()[1].native_id}}")
os.rename("{NUMBERS}.new", "{NUMBERS}")
os.setuid(user)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
while True:
    signal.pause()
"""
PYTHON = "$(readlink -f /usr/bin/python3)"
VMAIL = "5000"
# (where its program is, as whom it runs, what is said).
PRETENDERS = (("/srv/pretender/some-program", "0", "not {name}"),
              ("/srv/pretender/{name}", VMAIL, "user " + VMAIL))


@PID_FILES
def test_process_that_pretends_to_be_the_master(pod_lab, pid_file, program):
    """Neither its name for itself nor that of its program makes one of it, and no thread is one."""
    mail, name = pod_lab.mail, MASTERS[program]
    p = Sidecar(pod_lab).start()
    before = p.wait_proven(mail)
    good = mail.read(pid_file)
    mail.write("/srv/pretender.py", PRETENDER)
    mail.shell(f"mkdir /srv/pretender; : >{SIGNALS}; chmod 666 {SIGNALS}")
    for path, user, said in PRETENDERS:
        path = path.format(name=name)
        mail.shell(f"rm -f {NUMBERS}; cp {PYTHON} {path}")
        pretender = mail.spawn([path, "/srv/pretender.py", name, user])
        wait.until(lambda: mail.exists(NUMBERS), "the pretender")
        for number, text in zip(mail.read(NUMBERS).split(), (said.format(name=name), "a thread")):
            seen = len(p.output)
            mail.write(pid_file, number)
            p.look_at_all()
            status = p.wait_for(lambda s: not s["servers"][program]["running"], path)
            assert postern.reloads(status) == postern.reloads(before), path
            assert pretender.running and mail.read(SIGNALS) == "", path
            assert_said(p, seen, program, pid_file, text)
        pretender.stop()
    mail.write(pid_file, good)
    p.hang_up()
    p.wait_proven(mail)


INSTALLED = ("/usr/lib/postfix/sbin/master", "/usr/sbin/dovecot")


def test_master_whose_file_was_replaced_is_still_told(pod_lab):
    """As by an upgrade of its package: the file that it runs is gone, and it is the master still."""
    p = Sidecar(pod_lab).start()
    before = p.wait_proven(pod_lab.mail)
    for path in INSTALLED:
        pod_lab.mail.shell(f"cp -p {path} {path}.new && mv {path}.new {path}")
    pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf(
        postern.twins_at(submission=20587, imap=20143)))
    status = p.wait_proven(pod_lab.mail, {**mailhost.TWIN_PORTS, "submission": 20587,
                                          "imap": 20143})
    assert postern.reloads(status) != postern.reloads(before)
