# SPDX-License-Identifier: MIT
"""A server that has only just started: Postfix's master writes its pid file before it is ready."""
import signal

from lab import mailhost, processes, wait

# How often the start is tried to be stopped in time.
TRIES = 30


def start_and_stop_early(mail):
    """A Postfix master that has written its pid file and would die of a SIGHUP, stopped there."""
    for _ in range(TRIES):
        mail.remove(mailhost.POSTFIX_PID)
        # Nothing but a shell's own words: it has a few milliseconds.
        catcher = mail.spawn(["sh", "-c", f"while ! read pid <{mailhost.POSTFIX_PID}; do :; done "
                              "2>/dev/null; kill -STOP $pid"])
        mail.postfix = mail.spawn(["postfix", "start-fg"])
        assert catcher.wait() == 0
        pid = mail.master_pid(mailhost.POSTFIX_PID)
        caught = mail.shell(f"grep SigCgt /proc/{pid}/status")
        handles = int(caught.stdout.split()[1], 16) & 1 << signal.SIGHUP - 1
        if not handles and not mail.listening_ports() & set(mailhost.POSTFIX_PORTS.values()):
            return
        mail.signal_master(mailhost.POSTFIX_PID, signal.SIGCONT)
        mail.stop_postfix()
        # It holds a lock to its very end.
        wait.until(lambda gone=f"/proc/{pid}": not mail.exists(gone), "the master to end")
    raise AssertionError("the master was always quicker")


def test_patch_waits_until_a_starting_master_can_be_reloaded(idle_lab, postern_built):
    mail = idle_lab.mail
    mail.start_dovecot()
    start_and_stop_early(mail)
    patch = mail.spawn([mailhost.POSTERN, "--config", mailhost.POSTERN_CONF, "patch"])
    wait.until(lambda: any("pidfd" in held for held in processes.open_files(patch.pid)),
               "postern to look at the master")
    assert patch.running
    mail.signal_master(mailhost.POSTFIX_PID, signal.SIGCONT)
    assert patch.wait() == 0, patch.output
    assert mail.postfix.running
    assert "postfix: reloaded" in patch.output
    mail.wait_listening(mailhost.TWIN_PORTS.values())


def test_patch_does_not_signal_a_master_that_does_not_get_ready(idle_lab, postern_built):
    """After five seconds it counts as one that does not run."""
    mail = idle_lab.mail
    mail.start_dovecot()
    start_and_stop_early(mail)
    done = mail.patch()
    assert "postfix: still starting" in done.stderr
    assert "postfix: reloaded" not in done.stderr
    assert "postern_twin_of" in mail.read(mailhost.MASTER_CF)
    mail.signal_master(mailhost.POSTFIX_PID, signal.SIGCONT)
    mail.wait_listening(mailhost.POSTFIX_PORTS.values())
    assert mail.postfix.running
