# SPDX-License-Identifier: MIT
"""A start like docker-mailserver's: a script edits for seconds, and starts the servers at its end."""
import ctypes
import os
import re
import struct
import threading

import pytest

from lab import mailhost, postern, wait

IN_MODIFY, IN_ATTRIB, IN_MOVED_TO, IN_CREATE = 2, 4, 0x80, 0x100
EDITS = 40
STARTS = 12
# docker-mailserver's own way: sed -i and postconf by turns, without a lock, for some seconds.
# What it wrote last is kept beside it: the file has to be just that when the servers start.
SET_UP = f"""#!/bin/sh
set -e
i=0
while [ $i -lt {EDITS} ]; do
    i=$((i + 1))
    sed -i "s|^# service type .*|# service type edit $i|" {mailhost.MASTER_CF}
    sed -i "\\$ a # sed $i" {mailhost.MASTER_CF}
    postconf -P "submission/inet/smtpd_client_message_rate_limit=$i"
    postconf -e "lab_edit_$i = $i"
    touch -d '5 seconds ago' {mailhost.MAIN_CF}
    echo "lab_$i = $i" >>/etc/postern-lab
    sleep 0.05
done
cp {mailhost.MASTER_CF} /root/master.cf
cp {mailhost.MAIN_CF} /root/main.cf
touch /root/set-up-is-done
dovecot -F -c /etc/dovecot/dovecot.conf &
postfix start-fg &
wait
"""


class Writers:
    """Every name that appears in, or is written in, some folders: by inotify, in order."""

    def __init__(self, paths):
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        self._folders = {}
        for path in paths:
            added = self._libc.inotify_add_watch(self._fd, path.encode(),
                                                 IN_MODIFY | IN_MOVED_TO | IN_CREATE)
            assert added > 0, path
            self._folders[added] = path

    def close(self):
        os.close(self._fd)

    def names(self):
        """What came since the last time."""
        found = set()
        while True:
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                return found
            while data:
                _, mask, _, size = struct.unpack_from("iIII", data)
                assert not mask & 0x4000, "inotify lost events"
                found.add(data[16:16 + size].rstrip(b"\0").decode())
                data = data[16 + size:]


def install_script(mail):
    mail.write("/usr/local/sbin/set-up", SET_UP, 0o755)


def set_up_is_done(mail):
    return mail.exists("/root/set-up-is-done")


def nothing_is_lost(mail, p):
    """Every edit is there, and what is more is postern's."""
    p.wait_twins(mailhost.TWIN_PORTS)
    left = mail.read("/root/master.cf")
    for i in range(1, EDITS + 1):
        assert f"# sed {i}\n" in left
    assert f"smtpd_client_message_rate_limit={EDITS}" in left
    now = mail.read(mailhost.MASTER_CF)
    assert now.startswith(left), "postern changed what is not its own"
    assert mail.read(mailhost.MAIN_CF) == mail.read("/root/main.cf")
    assert f"lab_edit_{EDITS} = {EDITS}" in mail.read(mailhost.MAIN_CF)


# Who may write what: in /etc/postfix the script's sed and postconf; postern writes its drop-in.
WRITTEN = {"/etc/postfix": re.compile(r"sed\w{6}|(master|main)\.cf(\.tmp)?"),
           "/etc/dovecot/conf.d": re.compile(r"\.?95-postern\.conf.*"),
           "/etc/dovecot": re.compile(r"(?!)")}


@pytest.mark.parametrize("how", ["run", "watch beside it"])
def test_no_edit_of_the_set_up_is_lost(idle_lab, postern_built, how):
    mail = idle_lab.mail
    install_script(mail)
    writers = {folder: Writers([mail.path(folder)]) for folder in WRITTEN}
    before = mail.snapshot("/etc/dovecot")
    if how == "run":
        p = postern.Postern(mail, ("run", "--", "/usr/local/sbin/set-up")).start()
    else:
        p = postern.Postern(mail, postern.WATCH).start()
        p.wait_answer()
        mail.spawn(["/usr/local/sbin/set-up"])
    looks = 0
    while not set_up_is_done(mail):
        assert p.process.running, p.output
        text = mail.read(mailhost.MASTER_CF)
        done = set_up_is_done(mail)
        assert done or "postern" not in text
        status = p.status()
        if status and not done:
            looks = max(looks, status["counts"]["looks"])
            assert not status["ready"] or set_up_is_done(mail)
            # The gate, and nothing of the servers'.
            assert status["counts"]["applies"] <= 1 or set_up_is_done(mail), status
            assert not p.lines(r": (changed|made)$") or set_up_is_done(mail), p.output
    # It saw the edits, and held still.
    assert looks > 1
    # Nothing of postern's was in the files when the script had done.
    assert "postern" not in mail.read("/root/master.cf") + mail.read("/root/main.cf")
    nothing_is_lost(mail, p)
    for folder, events in writers.items():
        names = events.names()
        events.close()
        assert [name for name in names if not WRITTEN[folder].fullmatch(name)] == [], folder
    after = mail.snapshot("/etc/dovecot")
    assert {path for path in after if before.get(path) != after[path]} == {mailhost.DROP_IN}
    assert p.errors() == []
    postern.all_answer(mail)


def test_nothing_is_written_before_a_master_runs(idle_lab, postern_built):
    """Whatever happens to the files, and however often it is told to look."""
    mail = idle_lab.mail
    p = postern.Postern(mail).start()
    p.wait_answer()
    before = mail.snapshot(*mailhost.CONFIGURATION)
    for _ in range(3):
        p.look_at_all()
    assert files_written(before, mail) == []
    p.wait_looks(lambda: mail.write(mailhost.POSTERN_CONF, postern.conf("port-offset = 20000\n")))
    assert files_written(before, mail) == []
    status = p.status()
    assert status["outcome"] == "waiting" and not status["ready"], status
    assert p.probe("--ready")[0] == 1 and p.probe("--live")[0] == 0


def files_written(before, mail):
    after = mail.snapshot(*mailhost.CONFIGURATION)
    return [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]


# -- a master that has just been started

class Prodding:
    """SIGHUP to the watching process again and again: a look at any moment of a start."""

    def __init__(self, p):
        self._p = p
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.wait(0.005):
            self._p.hang_up()

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize("name", list(mailhost.START))
def test_no_start_is_killed_by_a_reload(idle_lab, postern_built, name):
    """Until it catches SIGHUP, a reload would be the end of it."""
    mail = idle_lab.mail
    p = postern.Postern(mail).start()
    p.wait_answer()
    ports = mailhost.PORTS[name]
    for number in range(STARTS):
        # Each start has something to be told of: the twins go while the server is down.
        # Asked over another socket, the one that runs does not know of it.
        mail.postern("--socket", "/run/nobody.sock", "revert", "--no-reload")
        with Prodding(p):
            server = mail.spawn(mailhost.START[name])
            wait.until(lambda: not server.running or ports <= mail.listening_ports(),
                       lambda: f"start {number}: {server.output}\n{p.output[-3000:]}")
        assert server.running, (number, server.output, mail.log.since()[-3000:], p.output[-3000:])
        p.wait_for(lambda s: s["servers"][name]["verified"]
                   and s["servers"][name]["pid"] == mail.master_pid(mailhost.PID_FILES[name]),
                   f"start {number} to be verified")
        assert server.running
        mail.signal_master(mailhost.PID_FILES[name], 15)
        server.wait()
        mail.wait_closed(ports)
    assert p.errors() == [], p.errors()


def test_signals_come_only_when_they_are_caught(idle_lab, postern_built):
    """A process by the name of a master that never catches SIGHUP lives on untold."""
    mail = idle_lab.mail
    mail.shell("mkdir -p /opt/fake /var/spool/postfix/pid; cp /bin/sleep /opt/fake/master")
    fake = mail.spawn(["/opt/fake/master", "infinity"])
    p = postern.Postern(mail).start()
    p.wait_answer()
    before = mail.snapshot(*mailhost.CONFIGURATION)
    p.wait_looks(lambda: mail.write(mailhost.POSTFIX_PID, f"{fake.inner_pid:>10}\n"))
    p.look_at_all()
    assert fake.running
    assert files_written(before, mail) == []
    status = p.status()
    assert not status["servers"]["postfix"]["running"] and not status["ready"], status
    assert "postfix: still starting: waiting for it" in [n["text"] for n in status["notes"]]
