# SPDX-License-Identifier: MIT
"""Power that goes at any call of an apply: content synced, then renamed, then the folder synced.

Files in /run are exempt: they are in memory and gone with the power, and so is what they are about,
a run that was interrupted and servers that were told.  Kills, after which they are still there, are
tried by test_calls.py.
"""
import pytest

import harness
import points
import power
from lab import mailhost

MASTER_CF, MAIN_CF, DROP_IN = mailhost.MASTER_CF, mailhost.MAIN_CF, mailhost.DROP_IN
HOOK, PROGRAM = "/faults/volume/user-patches.sh", "/faults/volume/postern"


def recorded(mail, *argv):
    mail.run([f"{harness.INSIDE}/callfault", "--log", "/run/faults-log", *harness.command(), *argv])
    return points.read_calls(mail.path("/run/faults-log"))


def test_an_apply_is_on_disk_before_a_server_is_told(live_mail):
    for argv, written in ((["patch"], {MASTER_CF, MAIN_CF, DROP_IN}),
                          (["revert"], {MASTER_CF, MAIN_CF})):
        run = power.replay(recorded(live_mail, *argv))
        assert run.torn == []
        assert written <= set(run.replaced)
        assert run.reloads == 2 and run.unsynced_at_reload == []
        assert run.unsynced_at_end == []


def test_an_installation_is_on_disk_when_it_says_so(idle_mail):
    idle_mail.write(HOOK, "#!/bin/sh\necho own\n", mode=0o755)
    for argv, written in ((["install", "--at", "/postern"], {HOOK, PROGRAM}),
                          (["install", "--no-hook"], {HOOK})):
        run = power.replay(recorded(idle_mail, *argv, "/faults/volume"))
        assert run.torn == []
        assert written <= set(run.replaced)
        assert run.unsynced_at_end == []


LOST = {
    "the sync of the content": lambda c: c.name == "fsync" and c.rest.startswith(
        f" <{MASTER_CF}.tmp>"),
    "the sync of the folder": lambda c: c.name == "fsync" and c.rest.startswith(" </etc/postfix>"),
}


@pytest.mark.parametrize("what", LOST)
def test_the_model_sees_what_is_missing(live_mail, what):
    """The same calls without a sync: what may be found on disk is torn, or old when told."""
    calls = [call for call in recorded(live_mail, "patch") if not LOST[what](call)]
    run = power.replay(calls)
    if what == "the sync of the content":
        assert MASTER_CF in {torn.path for torn in run.torn}
    else:
        assert MASTER_CF in run.unsynced_at_reload
