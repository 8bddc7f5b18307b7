# SPDX-License-Identifier: MIT
"""From the swap of a ConfigMap to its content in force, beside shell loops and the servers alone.

A swap is the rename of "..data".  In force is what a client on the wire sees: the new port greets,
or the network that was not trusted is.  Everybody has servers of their own, so that all of them
can take turns in each round; a round begins with another one than the round before.
"""
import contextlib
import random
import time

import configmap
import reloaders
from lab import started
from tables import SPREAD_HEAD, quartiles, spread, table

CHANGES = (
    ("the port of a Postfix twin", configmap.another_port, configmap.is_greeted),
    ("a network that Dovecot trusts", configmap.another_network, configmap.is_trusted),
)


def bench_swaps(release, rounds):
    with contextlib.ExitStack() as stack:
        def lab_of():
            return stack.enter_context(started(release))

        running = reloaders.Running("postern run", lab_of())
        others = reloaders.loops(lab_of)
        others.append(reloaders.Told("files written, SIGHUP", lab_of()))
        for one in (running, *others):
            one.start()
        for what, change, is_seen in CHANGES:
            swap_all([running, *others], 1, change, is_seen, -1)  # what is only slow once
            seen, own = swap_all([running, *others], rounds, change, is_seen)
            show(what, running, others, seen, own[running])


def swap_all(everybody, rounds, change, is_seen, first=0):
    """({who: seconds until seen}, {who: seconds that it says it took}) of all rounds."""
    seen = {one: [] for one in everybody}
    own = {one: [] for one in everybody}
    for turn in range(rounds):
        at = turn % len(everybody)
        for one in everybody[at:] + everybody[:at]:
            time.sleep(reloaders.QUIET_S + random.random() * one.period_s)
            content = change(one.content, first + 1 + turn)
            start = one.swap(content)
            seen[one].append(configmap.when(lambda: is_seen(one.lab, content)) - start)
            own[one].append(one.finish())
    return seen, own


def show(what, running, others, seen, own):
    settled = [value - running.settle_s for value in seen[running]]
    settle_ms = running.settle_s * 1000
    rows = [
        spread("postern run: applied and verified, by itself", own, settled),
        spread(f"postern run: seen by a client, less {settle_ms:.0f} ms to settle", settled,
               settled),
        spread("postern run: seen by a client", seen[running], settled),
        *(spread(f"{one.name}: seen by a client", seen[one], settled) for one in others),
    ]
    print(f"A swap changes {what}, {len(settled)} rounds, ms; ratios to postern's second line\n")
    table(SPREAD_HEAD, rows)
    least = quartiles(seen[others[-1]])[1]
    print(f"  above what the servers need: {(quartiles(settled)[1] - least) * 1000:.1f} ms\n")
