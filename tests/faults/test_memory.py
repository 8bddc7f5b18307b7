# SPDX-License-Identifier: MIT
"""Each allocation fails, and memory that is short for real: see allocations.py."""
import json
import re

import pytest

import harness
from lab import mailhost, postern

COMMAND_S, LOOK_S = 4, 6
# A file that is long enough to need much, and how much more than `postern version` needs is tried.
NETWORKS = 300
SAYS_SO = re.compile("^postern: error: .*(out of memory|Cannot allocate memory)", re.M)
LONG_CONF = "/etc/postern/long.conf"
RANGE_KB = 3000
STEPS_KB = {False: 4, True: 24}


@pytest.mark.parametrize("name", ["patch", "revert", "check", "diff"])
def test_no_allocation_is_counted_on(idle_mail, effort, name):
    result = harness.allocations(idle_mail, name, effort.of(COMMAND_S))
    effort.check(result, f"{idle_mail.release}, an allocation of {name} fails")


@pytest.mark.parametrize("name", ["live-patch", "live-revert", "live-probe", "live-status", "look", "rehearsal",
                                  "watcher", "first-guard", "supervisor"])
def test_no_allocation_is_counted_on_beside_servers(live_mail, effort, name):
    result = harness.allocations(live_mail, name, effort.of(LOOK_S))
    effort.check(result, f"{live_mail.release}, an allocation of {name} fails")


SHORT = """
import json, resource, subprocess, sys
command, first, last, step = json.loads(sys.argv[1])
ends = {}
for limit in range(first, last, step):
    done = subprocess.run(["prlimit", f"--as={limit * 1024}", *command], capture_output=True,
                          text=True, errors="replace")
    ends.setdefault(done.returncode, []).append([limit, done.stderr[-600:], done.stdout[-200:]])
print(json.dumps(ends))
"""


def _ends(mail, command, first, last, step):
    said = mail.run(["python3", "-I", "-c", SHORT, json.dumps([command, first, last, step])])
    return {int(status): runs for status, runs in json.loads(said.stdout).items()}


def test_with_little_memory_it_says_so(idle_mail, effort):
    """The shipped program under a limit that is a page higher each time: it says that, or works.

    libconfuse does not notice that it gets no memory: what it may need has to be there before.
    """
    enough = _ends(idle_mail, [mailhost.POSTERN, "version"], 1000, 40000, 100)[0][0][0]
    networks = [f"10.{n // 256}.{n % 256}.0/24" for n in range(NETWORKS)]
    idle_mail.write(LONG_CONF, postern.conf(networks=networks))
    command = harness.command(LONG_CONF) + ["check"]
    part, parts = effort.share
    steps = STEPS_KB[not effort.all]
    first = enough + effort.seed % steps + part * steps
    ends = _ends(idle_mail, command, first, enough + RANGE_KB, steps * parts)
    assert set(ends) <= {0, 1, 2}, {status: runs[-1] for status, runs in ends.items()}
    assert 0 in ends and len(ends) > 1, "the range does not reach from too little to enough"
    plain = idle_mail.run(command).stdout
    for status, runs in ends.items():
        for limit, said, printed in runs:
            assert SAYS_SO.search(said) if status else printed == plain[-200:], \
                (limit, status, said, printed)
