# SPDX-License-Identifier: MIT
"""What is heard of the outside, what is not, and what has to be asked for again."""
import pathlib
import signal

import pytest

from lab import mailhost, postern, processes, wait

TWINS = mailhost.TWIN_PORTS
MOVED = {**TWINS, "imap": 20143}
MOVE = postern.twins_at(imap=20143)
FUSE_FOLDER = pathlib.Path(__file__).with_name("fuse_folder.py")
SECRETS = "/srv/secrets"


def begin(lab, text=""):
    return postern.begun(lab.mail, text)[0]


# -- a file system that tells nothing

def mount_remote(lab):
    server = lab.mail.spawn(["python3", "/srv/fuse_folder.py", "/srv/remote", postern.OVERRIDES])

    def is_there():
        assert server.running, server.output
        return lab.mail.shell(f"mountpoint -q {postern.OVERRIDES}", check=False).returncode == 0
    wait.until(is_there, "the mount")
    return server


@pytest.fixture
def remote(lab):
    """The folder of override files is on FUSE; where its files come from."""
    lab.mail.copy_in(FUSE_FOLDER, "/srv/fuse_folder.py")
    lab.mail.shell(f"mkdir -p /srv/remote {postern.OVERRIDES}; "
                   "[ -e /dev/fuse ] || mknod /dev/fuse c 10 229")
    lab.fuse_server = mount_remote(lab)
    return "/srv/remote"


def mail_name(mail):
    return mail.run(["postconf", "-h", "mail_name"]).stdout.strip()


def test_folder_on_fuse_is_looked_at_each_resync(lab, remote, postern_built):
    """It is named in a warning, once, and in the status."""
    lab.mail.write(f"{remote}/postfix-main.cf", "mail_name = first\n")
    running = begin(lab, "resync = 1\n")
    assert mail_name(lab.mail) == "first"
    for name in ("second", "third"):
        lab.mail.write(f"{remote}/postfix-main.cf", f"mail_name = {name}\n")
        wait.until(lambda: mail_name(lab.mail) == name, name)
    lab.mail.remove(f"{remote}/postfix-main.cf")
    wait.until(lambda: mail_name(lab.mail) == "Postfix", "what was before")
    status = running.look_at_all()
    assert status["watches"]["deaf"] == 1
    assert len(running.lines(rf"warning: {postern.OVERRIDES}.*file system")) == 1
    assert running.errors() == []


def test_hang_up_finds_what_nobody_heard(lab, remote, postern_built):
    running = begin(lab, "resync = 0\n")
    lab.mail.write(f"{remote}/postfix-main.cf", "mail_name = remote\n")
    running.look_at_all()
    assert mail_name(lab.mail) == "remote"


def test_folder_whose_server_has_died_is_tried_again(lab, remote, postern_built):
    """It may come back without a word: nothing but a pause stands between the tries."""
    lab.mail.write(f"{remote}/postfix-main.cf", "mail_name = first\n")
    running = begin(lab, "resync = 0\n")
    lab.fuse_server.stop(signal.SIGKILL)
    running.hang_up()
    status = running.wait_for(lambda s: s["outcome"] not in ("current", "waiting"), "the failure")
    assert status["outcome"] == "failed" and postern.OVERRIDES in status["reason"], status
    assert mail_name(lab.mail) == "first" and status["ready"]
    watcher = running.watcher_pid()
    # Nothing is wrong with the bare folder, and nobody says when one is mounted over it.
    with processes.stopped(watcher):
        wait.until(lambda: all(map(processes.is_gone, processes.children(watcher))),
                   "the end of a look")
        lab.mail.shell(f"umount -l {postern.OVERRIDES}")
        lab.mail.write(f"{remote}/postfix-main.cf", "mail_name = second\n")
        mount_remote(lab)
    running.wait_current()
    assert mail_name(lab.mail) == "second"


# -- what is tried again only when it is asked for

def test_hang_up_tries_again_what_was_refused(lab, postern_built):
    """Why doveconf said no may be outside of all that is watched."""
    running = begin(lab, "resync = 0\n")
    tool = "/usr/bin/doveconf"
    lab.mail.shell(f"mv {tool} {tool}.real; printf '#!/bin/sh\\necho no >&2\\nexit 1\\n' > {tool}; "
                   f"chmod 755 {tool}")
    wanted = postern.conf("resync = 0\n" + MOVE)
    lab.mail.configure_postern(wanted)
    running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    lab.mail.shell(f"mv {tool}.real {tool}")
    status = running.wait_looks(lambda: lab.mail.configure_postern(wanted))
    assert status["outcome"] == "refused" and postern.ports(status) == TWINS
    assert len(running.errors()) == 1
    running.hang_up()
    running.wait_twins(MOVED)


# -- which files of a watched folder count

def test_files_that_count_under_watch(lab, postern_built):
    for name in ("tls.crt", "sub/tls.crt", "..hidden"):
        lab.mail.write(f"{SECRETS}/{name}", "1")
    running = begin(lab, f'watch "{SECRETS}" {{ reload = {{ "dovecot" }} }}\n')
    before = postern.reloads(running.look_at_all())
    for name in ("sub/tls.crt", "..hidden", "..new", "sub/new"):
        lab.mail.write(f"{SECRETS}/{name}", "2")
    assert postern.reloads(running.look_at_all()) == before
    for number, change in enumerate((
            lambda: lab.mail.write(f"{SECRETS}/tls.crt", "2"),
            lambda: lab.mail.write(f"{SECRETS}/.dotted", ""),
            lambda: lab.mail.shell(f"mv {SECRETS}/tls.crt {SECRETS}/other.crt"),
            lambda: lab.mail.remove(f"{SECRETS}/other.crt")), 1):
        change()
        running.wait_for(lambda s: postern.is_current(s) and
                         s["servers"]["dovecot"]["reloads"] == before["dovecot"] + number,
                         f"reload {number}")
    assert postern.reloads(running.look_at_all())["postfix"] == before["postfix"]


TOO_MUCH = {"more than 1024 files": f"seq -f '{SECRETS}/%g' 1025 | xargs touch",
            "large more than 16 MiB": f"head -c 17M /dev/zero > {SECRETS}/large"}


@pytest.mark.parametrize("said", TOO_MUCH)
def test_more_than_is_watched(lab, postern_built, said):
    """It is said, and the twins are made; when it is less, it counts again."""
    lab.mail.shell(f"mkdir -p {SECRETS}; {TOO_MUCH[said]}")
    running = begin(lab, f'watch "{SECRETS}" {{ reload = {{ "dovecot" }} }}\n')
    assert len(running.lines(f"warning: watch: {SECRETS}: .*{said}")) == 1, running.output
    lab.mail.shell(f"rm -r {SECRETS}/*")
    before = postern.reloads(running.look_at_all())
    lab.mail.write(f"{SECRETS}/tls.crt", "1")
    running.wait_for(lambda s: postern.is_current(s) and
                     s["servers"]["dovecot"]["reloads"] == before["dovecot"] + 1, "the reload")
