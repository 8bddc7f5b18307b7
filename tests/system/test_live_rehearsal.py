# SPDX-License-Identifier: MIT
"""What a change comes to is judged while it settles, and once: by a process of its own."""
import signal

import pytest

from lab import files, mailhost, postern, processes, wait

POSTCONF = "/usr/sbin/postconf"
CALLS = "/tmp/calls"
# Who asks, the twin's port in what is judged, and in what is in force.
WRAPPER = f"""#!/bin/sh
case "$*" in *judge*)
    port() {{ grep -oE '^(10587|2058[789]) ' "$1" | tail -n 1; }}
    echo "$(cat /proc/$PPID/comm) $(port /run/postern/judge/master.cf) $(port {mailhost.MASTER_CF})" \\
        >> {CALLS}
    {{extra}}
esac
exec {POSTCONF}.real "$@"
"""


def listen_in(mail, extra=":"):
    """Have each question to postconf(1) written down; what else the first one is to do."""
    if not mail.exists(f"{POSTCONF}.real"):
        mail.shell(f"mv {POSTCONF} {POSTCONF}.real")
    mail.write(f"{POSTCONF}.new", WRAPPER.replace("{extra}", extra))
    mail.shell(f": > {CALLS}; chmod 666 {CALLS}; chmod 755 {POSTCONF}.new; "
               f"mv {POSTCONF}.new {POSTCONF}")


def calls(mail):
    return [tuple(line.split()) for line in mail.read(CALLS).splitlines()]


def begun(mail):
    """As postern.begun(); while it judges its own changes, it does not begin to judge another."""
    running, _ = postern.begun(mail)
    running.wait_quiet()
    return running, running.status()


def move(mail, port):
    mail.configure_postern(postern.conf(postern.twins_at(submission=port)))


def wait_port(running, port):
    return running.wait_twins({**mailhost.TWIN_PORTS, "submission": port})


def test_judged_once_and_before(lab, postern_built):
    running, before = begun(lab.mail)
    listen_in(lab.mail)
    move(lab.mail, 20587)
    after = wait_port(running, 20587)
    assert calls(lab.mail) == [(processes.REHEARSAL, "20587", "10587")]
    assert after["counts"]["looks"] - before["counts"]["looks"] in (1, 2)
    postern.all_answer(lab.mail, postern.ports(after))


def test_what_changes_after_it_is_judged_anew(lab, postern_built):
    """The verdict is on one plan, and counts for no other."""
    running, _ = begun(lab.mail)
    text = postern.conf(postern.twins_at(submission=20588))
    lab.mail.write("/tmp/next.conf", text)
    listen_in(lab.mail, f"[ -e /tmp/next.conf ] && mv /tmp/next.conf {mailhost.POSTERN_CONF}")
    move(lab.mail, 20587)
    wait_port(running, 20588)
    judged = [port for _, port, _ in calls(lab.mail)]
    assert judged[0] == "20587" and judged[-1] == "20588", calls(lab.mail)
    # What was in force when the last one was asked.
    assert calls(lab.mail)[-1][2] in ("10587", "20587")


def test_file_that_only_the_plan_includes_changes_after_it(lab, postern_built):
    """Nobody listens to its folder; it was judged in another state."""
    running, _ = begun(lab.mail)
    state = lab.mail.snapshot("/etc/dovecot")
    postern.change_while_judged(lab.mail, "/srv/of-the-plan.conf",
                                "no_such_setting_at_all = yes\n")
    lab.mail.write(f"{postern.OVERRIDES}/dovecot.cf", "!include_try /srv/of-the-plan.conf\n")
    status = running.wait_for(lambda s: s["outcome"] in ("refused", "current")
                              and not lab.mail.exists("/srv/next.conf"), "the verdict")
    status = running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    assert "no_such_setting_at_all" in status["reason"]
    assert files.differences(state, lab.mail.snapshot("/etc/dovecot")) == []


def test_what_it_finds_wrong_is_said_by_the_look_alone(lab, postern_built):
    running, before = begun(lab.mail)
    state = lab.mail.snapshot(*mailhost.CONFIGURATION)
    listen_in(lab.mail, "echo 'fatal: no such thing' >&2; exit 1")
    move(lab.mail, 20587)
    status = running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    assert "no such thing" in status["reason"]
    assert [name for name, _, _ in calls(lab.mail)] == [processes.REHEARSAL, processes.LOOK]
    assert len(running.errors()) == 1 and len(running.lines("no such thing")) == 1
    assert status["counts"]["failures"] == before["counts"]["failures"] + 1
    assert files.differences(state, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    listen_in(lab.mail)
    move(lab.mail, 20589)
    wait_port(running, 20589)


def test_one_that_hangs_holds_nothing_up(lab, postern_built):
    """It is ended with what it asked, and the look asks for itself."""
    running, _ = begun(lab.mail)
    listen_in(lab.mail, f"grep -q {processes.REHEARSAL} /proc/$PPID/comm && exec sleep 600")
    move(lab.mail, 20587)
    wait_port(running, 20587)
    assert [name for name, _, _ in calls(lab.mail)] == [processes.REHEARSAL, processes.LOOK]
    assert running.errors() == []
    wait.until(lambda: processes.children(running.watcher_pid()) == [], "no process to be left")
    assert lab.mail.shell("pgrep -f '^sleep 600$'", check=False).returncode == 1
    assert lab.mail.shell("ls -A /run/postern/judge").stdout == ""


def test_another_postern_at_work_is_not_waited_for(lab, postern_built):
    """The look waits for the lock; a rehearsal is not worth it."""
    running, _ = begun(lab.mail)
    listen_in(lab.mail)
    with postern.lock_held(lab.mail):
        move(lab.mail, 20587)
        running.wait_look_at_lock()
        assert calls(lab.mail) == []
    wait_port(running, 20587)
    assert [name for name, _, _ in calls(lab.mail)] == [processes.LOOK]


@pytest.mark.parametrize("release", ["bookworm"], indirect=True)
def test_ends_at_once_in_the_middle_of_one(lab, postern_built):
    running, _ = begun(lab.mail)
    state = lab.mail.snapshot(*mailhost.CONFIGURATION)
    listen_in(lab.mail, "exec sleep 600")
    move(lab.mail, 20587)
    wait.until(lambda: calls(lab.mail), "the question")
    assert running.stop() == 128 + signal.SIGTERM, running.output
    assert running.lines("what is left") == []
    assert lab.mail.shell("pgrep -f '^sleep 600$'", check=False).returncode == 1
    assert files.differences(state, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    assert running.errors() == []
    assert lab.mail.shell("ls -A /run/postern/judge").stdout == ""
