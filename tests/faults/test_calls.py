# SPDX-License-Identifier: MIT
"""Each system call of an apply fails, and the process is killed at each: see trial.py, looks.py."""
import pytest

import harness
from lab import processes

KINDS = {"fails": False, "killed": True}
LOOKS = {"look": processes.LOOK, "rehearsal": processes.REHEARSAL}
# Of two cores' time in continuous integration; each kind of fault is tried all the same.
FILES_S, LIVE_S, LOOK_S = 2, 4, 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scene", harness.FILE_SCENES)
def test_files_are_old_or_new_whatever_call(idle_mail, effort, scene, kind):
    result = harness.trial(idle_mail, scene, KINDS[kind], effort.of(FILES_S))
    effort.check(result, f"{idle_mail.release}, {scene}, a call {kind}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scene", harness.LIVE_SCENES)
def test_servers_run_on_whatever_call(live_mail, effort, scene, kind):
    result = harness.trial(live_mail, scene, KINDS[kind], effort.of(LIVE_S),
                           most_first=0 if effort.all else harness.LIVE_FIRST)
    effort.check(result, f"{live_mail.release}, {scene}, a call {kind}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LOOKS)
def test_a_watcher_recovers_by_itself_whatever_call_of_its_look(live_mail, effort, name, kind):
    result = harness.looks(live_mail, LOOKS[name], KINDS[kind], effort.of(LOOK_S))
    effort.check(result, f"{live_mail.release}, a call of a {name} {kind}")
