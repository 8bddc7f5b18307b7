# SPDX-License-Identifier: MIT
"""What inotify does not tell, and what is in short supply: postern says so, and copes."""
import os
import re
import signal

import pytest

from lab import files, mailhost, postern, wait

CONF = mailhost.POSTERN_CONF
FOLDER = os.path.dirname(CONF)
TWINS = mailhost.TWIN_PORTS


def with_port(port, text=""):
    return postern.conf(postern.twins_at(sieve=port) + text)


def moved(port):
    return {**TWINS, "sieve": port}


# -- files that are mounted by themselves

def mount_file(mail, source, target):
    mail.shell(f"touch {target} && mount --bind {source} {target}")


def test_conf_by_sub_path(lab, postern_built):
    """It never changes when its source is replaced: said once, with the cure."""
    source = "/srv/postern.conf"
    lab.mail.write(source, postern.conf("resync = 1\n"))
    mount_file(lab.mail, source, CONF)
    running = postern.Postern(lab.mail).start()
    running.wait_twins(TWINS)
    looks = running.look_at_all()["counts"]["looks"]
    assert len(running.lines(rf"warning: {CONF} .*mount the ConfigMap.* as a folder")) == 1
    # Written in place, which inotify on the folder does not tell: the resync does.
    lab.mail.write(source, with_port(24190, "resync = 1\n"))
    status = running.wait_twins(moved(24190))
    assert status["counts"]["looks"] > looks
    assert len(running.lines("mount the ConfigMap")) == 1
    # Replaced: what is mounted here stays, and that is another thing to say.
    lab.mail.shell(f"echo > {source}.new && mv {source}.new {source}")
    running.wait_line(rf"warning: {CONF} .*keeps its old text until the container restarts")
    running.look_at_all()
    assert len(running.lines("keeps its old text")) == 1
    assert postern.ports(running.status()) == moved(24190)
    notes = [note["text"] for note in running.status()["notes"]]
    assert any("keeps its old text" in note for note in notes), notes


def test_override_by_sub_path(lab, postern_built):
    path = f"{postern.OVERRIDES}/postfix-main.cf"
    lab.mail.write("/srv/main.cf", "mail_name = sub path\n")
    lab.mail.shell(f"mkdir -m 755 {postern.OVERRIDES}")
    mount_file(lab.mail, "/srv/main.cf", path)
    running, _ = postern.begun(lab.mail)
    assert lab.mail.parameter("mail_name") == "sub path"
    lines = running.lines(rf"warning: {path} .*mount the ConfigMap.* as a folder")
    assert len(lines) == 1 and lines[0].count(path) == 1, lines
    # Mounted as a folder, as it says: all is well.
    lab.mail.shell(f"umount {path}; echo 'mail_name = folder' > {path}")
    running.hang_up()
    wait.until(lambda: lab.mail.parameter("mail_name") == "folder",
               "the new override")
    status = running.look_at_all()
    assert not [n for n in status["notes"] if "mount the ConfigMap" in n["text"]]


# -- folders that come and go

def test_folder_is_removed_and_made_again(lab, postern_built):
    running, before = postern.begun(lab.mail)
    lab.mail.shell(f"rm -r {FOLDER}")
    status = running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    assert postern.ports(status) == TWINS and status["ready"]
    lab.mail.write(CONF, with_port(24190))
    running.wait_twins(moved(24190))
    # And moved away, with another one in its place.
    lab.mail.shell(f"mkdir {FOLDER}.new")
    lab.mail.write(f"{FOLDER}.new/postern.conf", with_port(24191))
    lab.mail.shell(f"mv {FOLDER} {FOLDER}.old && mv {FOLDER}.new {FOLDER}")
    running.wait_twins(moved(24191))
    lab.mail.write(CONF, postern.conf())
    after = running.wait_twins(TWINS)
    assert postern.reloads(after)["postfix"] == postern.reloads(before)["postfix"]


def test_folder_behind_a_link(lab, postern_built):
    lab.mail.shell(f"mkdir /srv/a /srv/b && rm -r {FOLDER} && ln -s ../srv/a {FOLDER}")
    lab.mail.write("/srv/b/postern.conf", with_port(24190))
    running, _ = postern.begun(lab.mail)
    lab.mail.write("/srv/a/postern.conf", with_port(24191))
    running.wait_twins(moved(24191))
    lab.mail.shell(f"ln -s ../srv/b {FOLDER}.new && mv -T {FOLDER}.new {FOLDER}")
    running.hang_up()
    running.wait_twins(moved(24190))
    lab.mail.write("/srv/b/postern.conf", postern.conf())
    running.wait_twins(TWINS)


def test_mount_over_the_folder(lab, postern_built):
    """No event tells of a mount; SIGHUP does, and from then on it is the one that is watched."""
    running, _ = postern.begun(lab.mail)
    postern.mount_volume(lab.mail, FOLDER)
    lab.mail.write(CONF, with_port(24190))
    running.hang_up()
    running.wait_twins(moved(24190))
    lab.mail.write(CONF, with_port(24191))
    running.wait_twins(moved(24191))
    # The end of the mount is told.
    lab.mail.shell(f"umount {FOLDER}")
    running.wait_twins(TWINS)
    lab.mail.write(CONF, with_port(24192))
    running.wait_twins(moved(24192))


def test_resync_finds_a_mount(lab, postern_built):
    running, _ = postern.begun(lab.mail, "resync = 1\n")
    postern.mount_volume(lab.mail, FOLDER)
    lab.mail.write(CONF, with_port(24190))
    running.wait_twins(moved(24190))


def test_hang_up_of_process_1(lab, postern_built):
    """SIGHUP to `run` itself: it looks, and CMD gets it, too."""
    lab.mail.configure_postern(postern.conf())
    command = ("run", "--", "sh", "-c", "trap 'echo CMD hears' HUP; while :; do sleep 0.1; done")
    running = postern.Postern(lab.mail, command).start()
    before = running.wait_twins(TWINS)
    # Written where nobody listens.
    postern.mount_volume(lab.mail, FOLDER)
    lab.mail.write(CONF, with_port(24190))
    os.kill(running.process.pid, signal.SIGHUP)
    status = running.wait_twins(moved(24190))
    running.wait_line("CMD hears")
    assert status["child"]["state"] == "running"
    assert status["child"]["pid"] == before["child"]["pid"]


# -- limits of inotify

SERVERS = "".join(" ".join(argv) + " & " for argv in mailhost.START.values())


def begin_limited(lab, instances, watches):
    """Everything in one user namespace: postern looks at the servers' descriptors."""
    lab.mail.configure_postern(postern.conf("resync = 1\n"))
    lab.mail.shell("echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start")
    lab.mail.inotify_limits = (instances, watches)
    running = postern.Postern(lab.mail, before=SERVERS).start()
    lab.mail.inotify_limits = None
    running.wait_twins(TWINS)
    return running


def test_no_inotify_at_all(idle_lab, postern_built):
    running = begin_limited(idle_lab, 0, 100)
    assert running.lines(r"warning: .*fs\.inotify\.max_user_instances")
    status = running.status()
    assert status["watches"]["inotify"] == 0
    assert status["watches"]["deaf"] == len(status["watches"]["folders"])
    idle_lab.mail.configure_postern(with_port(24190, "resync = 1\n"))
    running.wait_twins(moved(24190))
    assert running.probe("--live")[0] == 0
    said = running.output
    running.look_at_all()
    assert running.output.replace("postern: notice: SIGHUP: looking at everything\n", "") == \
        said.replace("postern: notice: SIGHUP: looking at everything\n", ""), "said again"


@pytest.mark.parametrize("watches", [1, 3])
def test_few_watches(idle_lab, postern_built, watches):
    running = begin_limited(idle_lab, 1, watches)
    assert running.lines(r"warning: .*fs\.inotify\.max_user_watches")
    status = running.look_at_all()
    assert status["watches"]["inotify"] == watches == running.watches()
    assert status["watches"]["deaf"] > 0
    families = running.get("/metrics")[1]
    assert re.search(r"^postern_deaf_folders [1-9]", families, re.M)
    idle_lab.mail.configure_postern(with_port(24190, "resync = 1\n"))
    running.wait_twins(moved(24190))
    lines = running.lines("may go unheard")
    assert len(lines) == len(set(lines)), "the same folder is told twice"


def test_resync_off_without_inotify(idle_lab, postern_built):
    """Then it looks now and then all the same: a file that says 0 cannot mean never."""
    running = begin_limited(idle_lab, 0, 100)
    idle_lab.mail.configure_postern(with_port(24190, "resync = 0\n"))
    running.wait_twins(moved(24190))
    idle_lab.mail.configure_postern(with_port(24191, "resync = 0\n"))
    running.wait_twins(moved(24191), 3 * wait.LIMIT_S)


# -- the watching process itself

def test_watcher_that_is_killed(lab, postern_built):
    """It is started anew; CMD, the twins and their sessions notice nothing."""
    running, before = postern.begun(lab.mail)
    state = lab.mail.snapshot(*mailhost.CONFIGURATION)
    for turn in (1, 2):
        pid = running.watcher_pid()
        os.kill(pid, signal.SIGKILL)
        status = running.wait_for(
            lambda s: postern.is_current(s)
            and s["child"]["watcher_starts"] == before["child"]["watcher_starts"] + turn,
            "the next watching process")
        assert postern.ports(status) == TWINS
        assert running.watcher_pid() != pid
        assert status["child"]["pid"] == before["child"]["pid"]
        assert postern.reloads(status) == {"postfix": 0, "dovecot": 0}
    assert files.differences(state, lab.mail.snapshot(*mailhost.CONFIGURATION), strict=True) == []
    postern.all_answer(lab.mail)
    assert running.process.running


def test_change_while_no_watcher_is_there(lab, postern_built):
    running, _ = postern.begun(lab.mail)
    os.kill(running.watcher_pid(), signal.SIGKILL)
    lab.mail.configure_postern(with_port(24190))
    running.wait_twins(moved(24190))


def test_bad_conf_while_no_watcher_is_there(lab, postern_built):
    """The next one knows no last good configuration; what is in the files stays."""
    running, _ = postern.begun(lab.mail)
    state = lab.mail.snapshot(*mailhost.CONFIGURATION)
    os.kill(running.watcher_pid(), signal.SIGKILL)
    lab.mail.configure_postern("nonsense = 1\n")
    status = running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    assert not status["uses_last_good"]
    assert files.differences(state, lab.mail.snapshot(*mailhost.CONFIGURATION), strict=True) == []
    postern.all_answer(lab.mail)
    lab.mail.configure_postern(postern.conf())
    running.wait_twins(TWINS)


def test_hung_up_while_it_looks(lab, postern_built):
    """SIGHUP at any moment is safe, however many."""
    running, _ = postern.begun(lab.mail)
    pid = running.watcher_pid()
    for turn in range(50):
        lab.mail.configure_postern(with_port(24190 + turn % 2))
        os.kill(pid, signal.SIGHUP)
    running.wait_twins(moved(24191))
    assert running.watcher_pid() == pid
