# SPDX-License-Identifier: MIT
"""`postern watch` in a container of its own: it finds the mail container, and the next one."""
import os
import re
import signal
import time

import pytest

from lab import files, mailhost, pod, postern, processes, wait

WATCH = ("--config", mailhost.POSTERN_CONF, "watch")


class Sidecar(postern.Postern):
    """In the sidecar; its own configuration, as a ConfigMap mounted there."""

    def __init__(self, pod_lab, command=WATCH, capabilities=None):
        super().__init__(pod_lab.sidecar, command)
        if capabilities is not None:
            pod_lab.sidecar.capabilities = capabilities
        pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf())


def test_finds_patches_and_proves(pod_lab):
    p = Sidecar(pod_lab).start()
    status = p.wait_proven(pod_lab.mail)
    assert status["mode"] == "watch" and status["root"] == pod_lab.mail_root()
    postern.all_answer(pod_lab.mail)
    # It follows its own ConfigMap, and what is in the mail container.
    pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf(postern.twins_at(imap=20143)))
    p.wait_proven(pod_lab.mail, {**mailhost.TWIN_PORTS, "imap": 20143})
    pod_lab.mail.run(["postconf", "-M#", "submissions/inet"])
    p.wait_for(lambda s: postern.is_current(s) and "submissions" not in postern.ports(s),
               "the twin of a service that went to go")
    assert p.stop() == 0
    assert not pod_lab.sidecar.exists(postern.SOCKET)


def test_judges_with_the_containers_own_tools(pod_lab):
    """What Dovecot does not take is refused in its own words, and put in force nowhere."""
    p = Sidecar(pod_lab).start()
    p.wait_proven(pod_lab.mail)
    before = pod_lab.mail.snapshot(*mailhost.CONFIGURATION)
    pod_lab.mail.write("/etc/dovecot/conf.d/99-broken.conf", "no_such_setting = yes\n")
    pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf(postern.twins_at(imap=20143)))
    status = p.wait_for(lambda s: s["reason"], "the refusal")
    assert "no_such_setting" in status["reason"], status
    pod_lab.mail.remove("/etc/dovecot/conf.d/99-broken.conf")
    p.wait_proven(pod_lab.mail, {**mailhost.TWIN_PORTS, "imap": 20143})
    pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf())
    p.wait_proven(pod_lab.mail)
    assert files.differences(before, pod_lab.mail.snapshot(*mailhost.CONFIGURATION)) == []


def test_mail_container_is_replaced(pod_lab):
    p = Sidecar(pod_lab).start()
    p.wait_proven(pod_lab.mail)
    pid, held = p.process.pid, None
    for _ in range(3):
        old = pod_lab.mail_root()
        pod_lab.replace_mail()
        status = p.wait_for(lambda s: s["root"] != old, "the old container to be forgotten")
        assert not status["ready"] and not any(twin["up"] for twin in status["twins"]), status
        assert p.probe("--ready")[0] == 1 and p.probe("--live")[0] == 0
        pod_lab.mail.start_servers()
        status = p.wait_proven(pod_lab.mail)
        assert status["root"] == pod_lab.mail_root() != old
        postern.all_answer(pod_lab.mail)
        # What it holds open is the same, and nothing of the old container.
        p.wait_quiet()
        now = sorted(re.sub(r"\d+", "N", name) for name in p.descriptors()), p.watches()
        assert held in (None, now)
        held = now
    assert p.process.running and p.process.pid == pid
    assert not any("(deleted)" in name for name in p.descriptors())


def test_replaced_in_the_middle_of_changes(pod_lab):
    """The container may go at any moment of a look."""
    p = Sidecar(pod_lab).start()
    p.wait_proven(pod_lab.mail)
    for number in range(3):
        pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf(
            postern.twins_at(imap=20143 + number)))
        p.wait_look()
        pod_lab.replace_mail()
        pod_lab.mail.start_servers()
        p.wait_proven(pod_lab.mail, {**mailhost.TWIN_PORTS, "imap": 20143 + number})
    wait.until(lambda: processes.children(p.watcher_pid()) == [], "no process to be left")


def test_ends_when_the_mail_container_ends_meanwhile(pod_lab):
    """All containers of a pod are told to end at once: the look that was waited for goes with them."""
    p = Sidecar(pod_lab).start()
    p.wait_proven(pod_lab.mail)
    with postern.lock_held(pod_lab.mail):
        pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf(postern.twins_at(sieve=24190)))
        p.wait_look_at_lock()
        os.kill(p.process.pid, signal.SIGTERM)
        time.sleep(0.3)
        pod_lab.mail.kill()
    assert p.process.wait(15) == 0


def test_starts_before_the_mail_container(idle_pod):
    idle_pod.mail.stop()
    p = Sidecar(idle_pod).start()
    status = p.wait_for(lambda s: s["counts"]["looks"] == 0, "postern to answer")
    assert status["root"] is None and not status["ready"], status
    p.wait_line("notice: no mail container is to be seen")
    assert p.probe("--ready")[0] == 1 and p.probe("--live")[0] == 0
    idle_pod.replace_mail()
    before = idle_pod.mail.snapshot(*mailhost.CONFIGURATION)
    p.wait_for(lambda s: s["root"] == idle_pod.mail_root(), "the container to be found")
    p.look_at_all()
    # It is there, and nothing runs in it: nothing is written.
    assert files.differences(before, idle_pod.mail.snapshot(*mailhost.CONFIGURATION)) == []
    idle_pod.mail.start_servers()
    p.wait_proven(idle_pod.mail)


@pytest.mark.parametrize("missing", ["SYS_PTRACE", "SYS_CHROOT"])
def test_missing_capability_is_named_at_the_start(pod_lab, missing):
    before = pod_lab.mail.snapshot(*mailhost.CONFIGURATION)
    p = Sidecar(pod_lab, capabilities=[name for name in pod.Sidecar.CAPABILITIES
                                       if name != missing]).start()
    assert p.process.wait() == 1
    assert re.search(rf"CAP_{missing} is missing: it is needed to ", p.output), p.output
    assert files.differences(before, pod_lab.mail.snapshot(*mailhost.CONFIGURATION)) == []


def test_has_what_it_says_and_nothing_else(pod_lab):
    p = Sidecar(pod_lab).start()
    p.wait_proven(pod_lab.mail)
    wanted = {"SYS_PTRACE", "SYS_CHROOT", "DAC_OVERRIDE", "CHOWN", "FOWNER", "KILL",
              "NET_BIND_SERVICE"}
    for field, names in (("CapEff", wanted), ("CapPrm", wanted), ("CapInh", set()),
                         ("CapAmb", set()), ("CapBnd", wanted)):
        assert processes.capabilities(p.process.pid, field) == names, field
    assert processes.status(p.process.pid)["NoNewPrivs"] == "1"


# -- two mail containers

@pytest.fixture
def two(pod_lab):
    """A Postfix master of its own runs in each: the second one's ports are not the first one's."""
    with pod_lab.another_mail() as other:
        other.write(mailhost.MASTER_CF, "2626 inet n - n - - smtpd\n")
        other.spawn(["postfix", "start-fg"])
        other.wait_listening([2626])
        yield pod_lab, other


def begun_by_pid(pod_lab):
    """With --pid, when all is proven."""
    number = pod_lab.mail.master_pids()["dovecot"]
    p = Sidecar(pod_lab, ("--config", mailhost.POSTERN_CONF, "--pid", str(number), "watch")).start()
    p.wait_proven(pod_lab.mail)
    return p


def test_two_mail_containers_are_an_error_that_names_both(two):
    pod_lab, other = two
    before = pod_lab.mail.snapshot(*mailhost.CONFIGURATION)
    p = Sidecar(pod_lab).start()
    line = p.wait_line(r"error: two containers run a mail server")
    named = {int(word) for word in re.findall(r"process (\d+)", line)}
    masters = set(pod_lab.mail.master_pids().values())
    assert other.master_pid(mailhost.POSTFIX_PID) in named and named & masters, (line, masters)
    assert "--pid" in line
    status = p.status()
    assert status["root"] is None and not status["ready"], status
    assert files.differences(before, pod_lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    # When one of them goes, the other one it is.
    other.stop()
    p.wait_proven(pod_lab.mail)


def test_pid_decides_between_two(two):
    pod_lab, other = two
    beside = other.snapshot(*mailhost.CONFIGURATION)
    begun_by_pid(pod_lab)
    assert files.differences(beside, other.snapshot(*mailhost.CONFIGURATION)) == []


def test_pid_is_not_another_one_when_it_has_ended(two):
    """It is looked for as what has failed is: after ever longer times, and told once."""
    pod_lab, other = two
    beside = other.snapshot(*mailhost.CONFIGURATION)
    p = begun_by_pid(pod_lab)
    pod_lab.mail.stop()
    p.wait_for(lambda s: s["outcome"] == "failed", "the end to be noticed")
    status = p.look_at_all()
    assert not status["ready"] and "/proc/" in status["reason"]
    assert all(s["pid"] == 0 for s in status["servers"].values()), status["servers"]
    looks = status["counts"]["looks"]
    after = p.wait_looks(p.hang_up, 3)
    assert after["counts"]["looks"] - looks <= 5, p.output
    for name in ("postfix", "dovecot"):
        assert len(p.lines(f"{name}: its master process .* has ended")) <= 1, p.output
    assert len(p.errors()) == 1
    assert files.differences(beside, other.snapshot(*mailhost.CONFIGURATION), strict=True) == []
    assert p.stop() == 0


def test_host_that_ends_during_a_look_is_not_ready(pod_lab):
    """The look began when both masters ran, and ends with a failure, as all do after it."""
    p = begun_by_pid(pod_lab)
    with postern.lock_held(pod_lab.mail):
        pod_lab.sidecar.write(mailhost.POSTERN_CONF, postern.conf(postern.twins_at(sieve=24190)))
        p.wait_look_at_lock()
        pod_lab.mail.stop()
    status = p.wait_for(lambda s: s["outcome"] == "failed", "the end to be noticed")
    for _ in range(2):
        assert not status["ready"], status
        for server in status["servers"].values():
            assert not (server["running"] or server["verified"] or server["pid"]), status
        assert not any(twin["up"] for twin in status["twins"]), status
        status = p.look_at_all()
    assert p.probe("--ready")[0] == 1


def test_another_container_of_the_same_image(idle_pod):
    """It was there first, and no server ever starts in it: that is no reason to stay with it."""
    idle_pod.mail.stop()
    p = Sidecar(idle_pod)
    idle_pod.sidecar.write(mailhost.POSTERN_CONF, postern.conf("resync = 0\n"))
    p.start()
    with idle_pod.another_mail():
        p.wait_for(lambda s: s["root"] is not None, "the copy to be found")
        idle_pod.replace_mail()
        idle_pod.mail.start_servers()
        p.wait_twins(mailhost.TWIN_PORTS, within=20)
        assert p.stop() == 0
