# SPDX-License-Identifier: MIT
"""The end, in the midst of a change: no file is left in between, and the next start carries on."""
import os
import signal
import time

import pytest

from lab import files, mailhost, postern, wait

CHILD_STATUS = 7
# From the settle time's end to the time when a change is through, and beyond.
DELAYS_S = [0.09 + 0.012 * n for n in range(10)]
COMMANDS = {
    "run": ("run", "--", "sh", "-c",
            f"trap 'exit {CHILD_STATUS}' TERM; while :; do sleep 0.05; done"),
    "watch": postern.WATCH,
}


def is_whole(mail, port):
    """All of the state before, or all of the one after."""
    listed = mail.run(["postconf", "-M"]).stdout
    return [number in listed for number in ("10587 ", f"{port} ")] in ([True, False], [False, True])


@pytest.mark.parametrize("way", list(COMMANDS))
def test_term_during_an_apply(lab, postern_built, way):
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    lab.mail.configure_postern(postern.conf())
    caught = 0
    for turn, delay in enumerate(DELAYS_S):
        port = 20587 + turn
        running = postern.Postern(lab.mail, COMMANDS[way]).start()
        running.wait_twins(mailhost.TWIN_PORTS)
        lab.mail.configure_postern(postern.conf(postern.twins_at(submission=port)))
        time.sleep(delay)
        os.kill(running.process.pid, signal.SIGTERM)
        status = running.process.wait()
        assert status == (CHILD_STATUS if way == "run" else 0), (delay, running.output)
        assert is_whole(lab.mail, port), (delay, running.output)
        caught += f"{mailhost.MASTER_CF}: changed" in running.output.partition("3 twins answer")[2]
        # What a postern that did not come to it has left, the next one does.
        lab.mail.configure_postern(postern.conf())
    assert caught, "no change had begun"
    running = postern.Postern(lab.mail, COMMANDS[way]).start()
    running.wait_twins(mailhost.TWIN_PORTS)
    running.stop()
    lab.mail.postern("revert")
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []


def test_all_processes_end_with_the_child(lab, postern_built):
    """CMD ends by itself while a change is applied: nothing of postern's is left behind."""
    lab.mail.configure_postern(postern.conf())
    command = ("run", "--", "sh", "-c", "while [ ! -e /run/end ]; do sleep 0.02; done; exit 9")
    running = postern.Postern(lab.mail, command).start()
    running.wait_twins(mailhost.TWIN_PORTS)
    lab.mail.configure_postern(postern.conf(postern.twins_at(submission=20587)))
    time.sleep(DELAYS_S[2])
    lab.mail.write("/run/end", "")
    assert running.process.wait() == 9, running.output
    assert is_whole(lab.mail, 20587)
    wait.until(lambda: lab.mail.run(["pidof", "postern"], check=False).stdout == "",
               "the end of all processes of postern")
