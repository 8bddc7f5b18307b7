# SPDX-License-Identifier: MIT
"""Ways to bring a changed ConfigMap into force, each in a mail host of its own.

    postern run                     as it is shipped
    a loop and an action            what people write in shell: the loop learns of the change by a
                                    checksum every 2 s or by inotifywait, the action applies it
    files written, masters told     no ConfigMap at all, and nothing judged or verified: what the
                                    servers themselves need, which nobody can be quicker than
"""
import os
import re
import signal
import time

import inside
from configmap import CONF, FOLDER, NETWORK, PORT, Content, TimedVolume
from lab import mailhost, postern, processes, recipe, wait

QUIET_S = 0.2
SETTLE_S = 0.1  # sidecar/settle.h: SETTLE_QUIET_MS

# Both tell the loop that runs `apply`; the first of them sees what is there at its start.
POLL = f"""
sum() {{ cat {FOLDER}/..data/* | sha256sum; }}
was=$(sum)
echo watching
while sleep 2; do
    is=$(sum)
    [ "$is" = "$was" ] && continue
    was=$is
    apply
    echo done
done
"""
INOTIFYWAIT = f"""
%s -m -e moved_to --format %%f {FOLDER} 2>&1 | while read -r name; do
    case $name in
        "Watches established.") echo watching ;;
        ..data) apply; echo done ;;
    esac
done
"""

# `patch` as anybody may call it.
PATCH = f"apply() {{ {mailhost.POSTERN} --config {CONF} --log-level error patch; }}\n"

# The usual recipe (lab/recipe.py), of the one service that changes alone, and not without taking
# out first what it put in before: as people have it, it cannot be run twice.
RECIPE = f"""
old_port=$(cat {FOLDER}/..data/{PORT})
old_network=$(cat {FOLDER}/..data/{NETWORK})
add_twin() {{
    postconf -Mf submission/inet | sed -e "s/^submission/$1/" \\
        -e 's/submission/submission-proxyprotocol/' >>{mailhost.MASTER_CF}
    postconf -P "$1/inet/smtpd_upstream_proxy_protocol=haproxy"
}}
apply() {{
    port=$(cat {FOLDER}/..data/{PORT})
    network=$(cat {FOLDER}/..data/{NETWORK})
    if [ "$port" != "$old_port" ]; then
        postconf -MX "$old_port/inet"
        add_twin "$port"
        postfix reload
        old_port=$port
    fi
    if [ "$network" != "$old_network" ]; then
        sed -i "s|^haproxy_trusted_networks.*|haproxy_trusted_networks = $network|" \\
            /etc/dovecot/local.conf
        doveadm reload
        old_network=$network
    fi
}}
"""


class Reloader:
    """The lab's servers run; start() brings `Content()` into force and begins to watch."""

    settle_s = 0.0
    # What it waits for anyhow, so that a swap has to fall anywhere in it.
    period_s = 0.0

    def __init__(self, name, lab):
        self.name = name
        self.lab = lab
        self.mail = lab.mail
        self.volume = TimedVolume(self.mail.path(FOLDER))
        self.content = Content()
        self.volume.write(self.content.keys())

    def start(self):
        raise NotImplementedError

    def swap(self, content):
        """Change the ConfigMap: the time at which it was swapped."""
        self.content = content
        self.volume.write(content.keys())
        return self.volume.swapped

    def finish(self):
        """Wait until all is done.  How long it says that it took, in seconds, or None."""
        raise NotImplementedError


class Running(Reloader):
    """`postern run`."""

    settle_s = SETTLE_S

    def start(self):
        command = ["--config", CONF, "run", "--", "sleep", "infinity"]
        self.postern = postern.Postern(self.mail, command).start()
        self.generation = self.postern.wait_current()["generation"]

    def finish(self):
        status = self.postern.wait_for(
            lambda s: postern.is_current(s) and s["generation"] > self.generation, "the swap")
        self.generation = status["generation"]
        return status["last_apply_seconds"]


class Loop(Reloader):
    """A shell loop."""

    def __init__(self, name, lab, watch, action):
        super().__init__(name, lab)
        self.period_s = 2.0 if watch is POLL else 0.0
        self._action = action
        self._script = action + watch

    def start(self):
        if self._action is PATCH:
            self.mail.postern("patch", config=CONF)
        else:
            recipe.apply_to_dovecot(self.mail, self.content.network)
            self.mail.shell(RECIPE + "add_twin $old_port")
            self.mail.reload_postfix()
        self.mail.wait_listening({self.content.port, 10143})
        self.process = self.mail.spawn(["sh", "-c", self._script])
        self._wait_lines("watching", 1)
        self.turns = 0

    def finish(self):
        self.turns += 1
        self._wait_lines("done", self.turns)

    def _wait_lines(self, line, count):
        wait.until(lambda: self.process.output.splitlines().count(line) >= count,
                   lambda: f"{line!r} of {self.name}:\n{self.process.output[-2000:]}")


class Told(Reloader):
    """The files as they shall be, and SIGHUP to the master of the server."""

    def start(self):
        self.mail.postern("patch", config=CONF)
        self.mail.wait_listening({self.content.port, 10143})
        self.masters = {path: processes.with_inner_number(self.mail.pid,
                                                           self.mail.master_pid(path))
                        for path in (mailhost.POSTFIX_PID, mailhost.DOVECOT_PID)}

    def swap(self, content):
        if content.port != self.content.port:
            where = mailhost.MASTER_CF, mailhost.POSTFIX_PID
            what = rf"(?m)^{self.content.port}\b", str(content.port)
        else:
            where = mailhost.DROP_IN, mailhost.DOVECOT_PID
            what = re.escape(self.content.network), content.network
        text, changes = re.subn(*what, self.mail.read(where[0]))
        assert changes == 1, f"{changes} places to change in {where[0]}"
        self.content = content
        path = self.mail.path(where[0])
        start = time.perf_counter()
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(path + ".new", path)
        os.kill(self.masters[where[1]], signal.SIGHUP)
        return start

    def finish(self):
        return None


def loops(lab_of):
    """The shell loops; lab_of() gives each its lab.  inotifywait's only where there is one."""
    made = []
    for action_name, action in (("postern patch", PATCH), ("recipe, reload", RECIPE)):
        lab = lab_of()
        program = inside.copy_program(lab.mail, "inotifywait")
        if program is not None:
            made.append(Loop(f"inotifywait loop, {action_name}", lab, INOTIFYWAIT % program,
                             action))
            lab = lab_of()
        made.append(Loop(f"2 s checksum loop, {action_name}", lab, POLL, action))
    if len(made) < 4:
        print("inotifywait is not there (package inotify-tools): its loops are left out\n")
    return made
