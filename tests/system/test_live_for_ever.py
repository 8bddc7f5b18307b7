# SPDX-License-Identifier: MIT
"""What only shows after a while: a triggered look that never comes, an end that does not, a successor."""
import contextlib
import fcntl
import os
import signal
import time

import pytest

from lab import mailhost, postern, processes, wait

CONF = mailhost.POSTERN_CONF
FOLDER = os.path.dirname(CONF)
TWINS = mailhost.TWIN_PORTS
MOVED = {**TWINS, "sieve": 24190}
MOVE = postern.twins_at(sieve=24190)


@contextlib.contextmanager
def lock_held(mail):
    """Whoever wants to change something waits."""
    with open(mail.path("/run/postern/lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def wait_for_look(watcher):
    return wait.until(lambda: processes.look_of(watcher), "a look to begin",
                      every=0.001)


# -- looks

def test_override_files_beside_the_conf(lab, postern_built):
    """One folder, several things in it: a change of each is heard."""
    running, before = postern.begun(lab.mail, f'resync = 0\noverrides "{FOLDER}" {{ }}\n')
    lab.mail.write(f"{FOLDER}/postfix-main.cf", "mail_name = beside\n")
    running.wait_for(lambda s: s["hash"] != before["hash"] and postern.is_current(s),
                     "the overrides to be in force", within=10)
    assert lab.mail.parameter("mail_name") == "beside"


def test_resync_is_not_put_off_by_other_looks(lab, postern_built):
    """A mount over a watched folder is told by no event; others come all the time."""
    lab.mail.shell(f"mkdir -m 755 /srv/tls {postern.OVERRIDES}")
    running, before = postern.begun(
        lab.mail, 'resync = 2\nwatch "/srv/tls" { reload = { "dovecot" } }\n')
    postern.mount_volume(lab.mail, "/srv/tls")
    lab.mail.write("/srv/tls/cert.pem", "another\n")

    def reloaded():
        lab.mail.write(f"{postern.OVERRIDES}/postfix-main.cf", "# nothing\n")
        return postern.reloads(running.status())["dovecot"] > postern.reloads(before)["dovecot"]
    wait.until(reloaded, lambda: f"Dovecot to be told\n{running.output[-3000:]}", 20, every=0.5)


@pytest.mark.parametrize("tool", ["/usr/sbin/postconf", "/usr/bin/doveconf"])
def test_a_judge_that_is_killed_has_judged_nothing(lab, postern_built, tool):
    """For want of memory, say: the same input is tried again, by itself."""
    running, _ = postern.begun(lab.mail, "resync = 0\n")
    lab.mail.shell(f"mv {tool} {tool}.real && printf '#!/bin/sh\nkill -KILL $$\n' > {tool} && "
                   f"chmod 755 {tool}")
    lab.mail.configure_postern(postern.conf(
        "resync = 0\n" + postern.twins_at(submission=24587) + MOVE))
    status = running.wait_for(lambda s: s["reason"], "the failure")
    lab.mail.shell(f"mv {tool}.real {tool}")
    assert "signal 9" in status["reason"] and status["outcome"] == "failed", status
    running.wait_twins({**MOVED, "submission": 24587})


def test_last_good_configuration_is_tried_again(lab, postern_built):
    """While the present one is refused, what keeps the last good one out of force may pass."""
    before = lab.mail.read(mailhost.MASTER_CF)
    running, _ = postern.begun(lab.mail, "resync = 0\n")
    lab.mail.stop_postfix()
    lab.mail.configure_postern(postern.conf("no-such-key = 1\n"))
    running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    lab.mail.write(mailhost.MASTER_CF, before)
    with lab.mail.listen("127.0.0.1", TWINS["submission"]):
        lab.mail.start_postfix()
        running.wait_line(f"the last good configuration: .*{TWINS['submission']}")
    status = running.wait_for(lambda s: postern.ports(s) == TWINS, "the twins", within=30)
    assert status["uses_last_good"] and "no-such-key" in status["reason"]
    assert len(running.lines("the last good configuration: ")) == 1


# -- the watcher dies, and has a successor

def test_successor_is_not_kept_from_the_socket(lab, postern_built):
    """A look that outlives its watcher does not serve in its place."""
    running, _ = postern.begun(lab.mail, 'listen = "127.0.0.1:9477"\n')
    watcher = running.watcher_pid()
    with lock_held(lab.mail):
        lab.mail.configure_postern(postern.conf(MOVE + 'listen = "127.0.0.1:9477"\n'))
        wait_for_look(watcher)
        time.sleep(0.3)
        os.kill(watcher, signal.SIGKILL)
        running.wait_successor(watcher)
        wait.until(lambda: running.status(), lambda: f"its answer\n{running.output}", 10)
    running.wait_twins(MOVED)
    assert running.lines("another postern") == [] and running.lines("listen = ") == []


# -- many who connect to `listen`

def test_idle_connections_do_not_use_up_descriptors(lab, postern_built):
    """They wait; it lives, answers at its own socket, works, and does not turn or talk in vain."""
    lab.mail.configure_postern(postern.conf('listen = "127.0.0.1:9477"\n'))
    running = postern.Postern(lab.mail, before="ulimit -n 100").start()
    running.wait_twins(TWINS)
    before = running.process.output
    lab.mail.spawn(["python3", "-c", """
import socket, time
held = []
for _ in range(150):
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(("127.0.0.1", 9477))
    held.append(sock)
print("all", flush=True)
time.sleep(600)
"""])
    watcher = running.watcher_pid()
    wait.until(lambda: processes.descriptors(watcher) >= 50, "the connections", 20)
    time.sleep(3)
    assert processes.descriptors(watcher) <= 52
    assert running.probe("--live")[0] == 0
    lab.mail.configure_postern(postern.conf(MOVE + 'listen = "127.0.0.1:9477"\n'))
    running.wait_twins(MOVED)
    assert "accept" not in running.process.output[len(before):]


# -- what is in the way of the socket

def test_a_file_at_the_sockets_path_stays(lab, postern_built):
    lab.mail.configure_postern(postern.conf())
    lab.mail.shell(f"mkdir -p {os.path.dirname(postern.SOCKET)}; echo precious > {postern.SOCKET}")
    running = postern.Postern(lab.mail).start()
    running.wait_line("status cannot be asked for: .*no socket")
    assert lab.mail.read(postern.SOCKET) == "precious\n"


def test_a_second_watch_beside_one_that_hangs(lab, postern_built):
    """It starts all the same, and leaves the socket to the other."""
    running, _ = postern.begun(lab.mail)
    watcher = running.watcher_pid()
    os.kill(watcher, signal.SIGSTOP)
    try:
        others = lab.mail.spawn(["python3", "-c", f"""
import socket, time
held = []
while True:
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)
    try:
        sock.connect("{postern.SOCKET}")
        held.append(sock)
    except BlockingIOError:
        print("full", flush=True)
        time.sleep(600)
"""])
        wait.until(lambda: "full" in others.output, "no room for another")
        second = postern.Postern(lab.mail, postern.WATCH).start()
        second.wait_line("another postern serves there", within=10)
    finally:
        os.kill(watcher, signal.SIGCONT)
    assert running.wait_current()


def test_socket_that_cannot_be_made_yet(lab, postern_built):
    """What is in its way goes: it is made then, and both are said once."""
    lab.mail.configure_postern(postern.conf())
    folder = os.path.dirname(postern.SOCKET)
    lab.mail.shell(f"mkdir -p {folder}; touch {postern.SOCKET}")
    running = postern.Postern(lab.mail).start()
    running.wait_line("status cannot be asked for: .*no socket")
    running.wait_line("postfix: 3 twins answer")
    lab.mail.shell(f"rm {postern.SOCKET}")
    for _ in range(2):
        running.hang_up()
        running.wait_for(postern.is_current, "its answer", within=20)
    assert len(running.lines(f"notice: status can be asked for at {postern.SOCKET}")) == 1
    assert len(running.lines("cannot be asked for")) == 1


def test_socket_of_another_that_ends(lab, postern_built):
    """The second one serves as soon as the first is gone and there is something to look at."""
    first, _ = postern.begun(lab.mail)
    second = postern.Postern(lab.mail, postern.WATCH).start()
    second.wait_line("another postern serves there")
    second.hang_up()
    first.stop()
    second.hang_up()
    second.wait_line("status can be asked for at")
    assert second.wait_current()["mode"] == "watch"
    assert len(second.lines("another postern serves there")) == 1
    assert second.stop() == 0 and not lab.mail.exists(postern.SOCKET)


# -- the end

def test_ends_when_the_mail_container_ends_meanwhile(pod_lab):
    """All containers of a pod are told to end at once: the look that was waited for goes with them."""
    pod_lab.sidecar.write(CONF, postern.conf())
    running = postern.Postern(pod_lab.sidecar, ("--config", CONF, "watch")).start()
    running.wait_twins(TWINS)
    with lock_held(pod_lab.mail):
        pod_lab.sidecar.write(CONF, postern.conf(MOVE))
        wait_for_look(running.process.pid)
        time.sleep(0.3)
        os.kill(running.process.pid, signal.SIGTERM)
        time.sleep(0.3)
        pod_lab.mail.kill()
    assert running.process.wait(15) == 0


def test_another_container_of_the_same_image(idle_pod):
    """It was there first, and no server ever starts in it: that is no reason to stay with it."""
    idle_pod.mail.stop()
    idle_pod.sidecar.write(CONF, postern.conf("resync = 0\n"))
    running = postern.Postern(idle_pod.sidecar, ("--config", CONF, "watch")).start()
    with idle_pod.another_mail():
        running.wait_for(lambda s: s["root"] is not None, "the copy to be found")
        idle_pod.replace_mail()
        idle_pod.mail.start_servers()
        running.wait_twins(TWINS, within=20)
        assert running.stop() == 0


def test_root_may_be_relative(lab, postern_built):
    lab.mail.configure_postern(postern.conf())
    lab.mail.shell("ln -s / /srv/host")
    running = postern.Postern(lab.mail, ("--root", "host", *postern.RUN), before="cd /srv").start()
    running.wait_twins(TWINS)
