# SPDX-License-Identifier: MIT
"""What happens to the files: crashes, other editors at the same time, and odd file systems."""
import errno
import fcntl
import json
import os
import re
import stat

import pytest

from lab import files, mailhost, processes, wait

HERE = os.path.dirname(os.path.abspath(__file__))
MASTER_CF = mailhost.MASTER_CF
CRASH_ROUNDS = 500
CRASH_LIMIT_S = 1200
# Both sides of a contest have to do so much, however the machine divides its time among them.
EDITS = 60
ROUNDS = 4
POSTERN = [mailhost.POSTERN, "--config", mailhost.POSTERN_CONF]


def quiet(mail, command, check=True):
    return mail.postern(command, "--no-reload", check=check)


def twins(mail):
    return [entry for entry, line in mail.services() if "postern_twin_of" in line]


# -- crashes

@pytest.mark.parametrize("seed", [1])
def test_killed_at_any_moment_the_old_or_the_new_file_is_there(idle_lab, postern_built, seed):
    with open(os.path.join(HERE, "crash_driver.py"), encoding="ascii") as program:
        idle_lab.mail.write("/tmp/crash_driver.py", program.read())
    before = idle_lab.mail.snapshot(*mailhost.CONFIGURATION)
    said = idle_lab.mail.run(["python3", "-I", "/tmp/crash_driver.py", str(CRASH_ROUNDS), str(seed),
                              *POSTERN], timeout=CRASH_LIMIT_S).stdout
    result = json.loads(said)
    assert result["faults"] == []
    # The kills have to have met patches at work, or the test shows nothing.
    assert result["in_time"] > CRASH_ROUNDS / 4, result
    assert min(result["whole"].values()) > CRASH_ROUNDS / 20, result
    assert files.differences(before, idle_lab.mail.snapshot(*mailhost.CONFIGURATION)) == []


# -- other editors

GO_ON = "/tmp/go-on"
# Postfix's editors are as quick as ever beside a program that is slower.
BREATH_S = 0.1 * (wait.SLOWNESS - 1)
HAMMER_MASTER = rf"""
i=0
while [ $i -lt {EDITS} ] || [ -e {GO_ON} ]; do
    i=$((i + 1))
    postconf -P submission/inet/smtpd_client_message_rate_limit=$i || exit 3
    set -- $(postconf -P submission/inet/smtpd_client_message_rate_limit)
    [ "$3" = $i ] || {{ echo "wrote $i, read $3"; exit 4; }}
    sleep {BREATH_S}
done
echo $i
"""


HAMMER_MAIN = rf"""
i=0
while [ $i -lt {EDITS // 2} ] || [ -e {GO_ON} ]; do
    i=$((i + 1))
    postconf -e lab_edit_$i=$i || exit 3
    touch -d '5 seconds ago' /etc/postfix/main.cf
    sleep {BREATH_S}
done
echo $i
"""


def test_postconf_hammering_on_master_cf_loses_nothing(idle_lab, postern_built):
    mail = idle_lab.mail
    mail.write(GO_ON, "")
    hammer = mail.spawn(["sh", "-c", HAMMER_MASTER])
    rounds = 0
    while hammer.running:
        quiet(mail, "patch")
        assert len(twins(mail)) == 4
        quiet(mail, "revert")
        assert twins(mail) == []
        rounds += 1
        if rounds == ROUNDS:
            mail.remove(GO_ON)
    assert hammer.wait() == 0, hammer.output
    edits = hammer.output.strip()
    quiet(mail, "patch")
    for service in ("submission", "10587"):
        said = mail.run(["postconf", "-P",
                         f"{service}/inet/smtpd_client_message_rate_limit"]).stdout
        assert said.split()[-1] == edits, said


def test_postconf_hammering_on_main_cf_loses_nothing(idle_lab, postern_built):
    """main.cf is aged after each edit, or every Postfix program would wait for two seconds."""
    mail = idle_lab.mail
    mail.write(GO_ON, "")
    hammer = mail.spawn(["sh", "-c", HAMMER_MAIN])
    rounds = 0
    while hammer.running:
        quiet(mail, "patch")
        quiet(mail, "revert")
        rounds += 1
        if rounds == ROUNDS:
            mail.remove(GO_ON)
    assert hammer.wait() == 0, hammer.output
    edits = int(hammer.output)
    text = mail.read(mailhost.MAIN_CF)
    missing = [n for n in range(1, edits + 1) if f"\nlab_edit_{n} = {n}\n" not in text]
    assert missing == []


def test_lock_of_another_editor_is_waited_for(idle_lab, postern_built):
    """Postfix's own editors lock master.cf.tmp while they work."""
    mail = idle_lab.mail
    before = mail.read(MASTER_CF)
    with open(mail.path(MASTER_CF + ".tmp"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        patch = mail.spawn([*POSTERN, "patch", "--no-reload"])
        wait.until(lambda: has_open(patch, MASTER_CF + ".tmp"), "postern to open the lock file")
        assert mail.read(MASTER_CF) == before
        mail.write(MASTER_CF, before + "# an edit under the lock\n")
        os.unlink(mail.path(MASTER_CF + ".tmp"))
    assert patch.wait() == 0, patch.output
    assert "# an edit under the lock\n" in mail.read(MASTER_CF)
    assert len(twins(mail)) == 4


def has_open(process, path):
    """Whether a process has a file open, by its name in the host."""
    return path in processes.open_files(process.pid)


OPERATIONS = {
    "-P": lambda entry, line: ["postconf", "-P", f"{entry}/lab_option=$myhostname"],
    "-F": lambda entry, line: ["postconf", "-F", f"{entry}/process_limit=7"],
    "-M": lambda entry, line: ["postconf", "-M", f"{entry}={line}"],
}


@pytest.mark.parametrize("option", OPERATIONS)
def test_postconf_on_each_entry_between_two_patches(idle_lab, postern_built, option):
    mail = idle_lab.mail
    original = mail.read(MASTER_CF)
    stock = dict(mail.services())
    comments = {line for line in original.splitlines() if line.startswith("#")}
    quiet(mail, "patch")
    patched_text = mail.read(MASTER_CF)
    patched = mail.services()
    wanted_twins = [entry for entry, line in patched if "postern_twin_of" in line]
    quiet(mail, "revert")
    for entry, line in patched:
        edit = OPERATIONS[option](entry, line)
        # What the edit alone would do, had postern never been there.
        mail.write(MASTER_CF, original)
        if entry in stock:
            mail.run(edit)
        expected = mail.services()
        mail.write(MASTER_CF, patched_text)
        mail.run(edit)
        quiet(mail, "patch")
        now = mail.services()
        assert [item for item in now if item[0] in stock] == expected, f"{option} {entry}"
        assert sorted(twins(mail)) == sorted(wanted_twins), f"{option} {entry}"
        if entry not in stock:
            assert sorted(now) == sorted(patched), f"{option} {entry}"
        quiet(mail, "revert")
        text = mail.read(MASTER_CF)
        assert mail.services() == expected, f"{option} {entry}"
        assert not re.search(r"postern|proxied", text), f"{option} {entry}"
        assert comments <= set(text.splitlines()), f"{option} {entry}"


def test_edit_after_patch_stays_after_revert(idle_lab, postern_built):
    """Text that others add below, above and between our entries is theirs."""
    mail = idle_lab.mail
    original = mail.read(MASTER_CF)
    quiet(mail, "patch")
    text = mail.read(MASTER_CF)
    mail.write(MASTER_CF, "# above\n" + text + "# below\nextra unix - - n - - pipe\n"
                          "  user=nobody argv=/bin/true\n")
    quiet(mail, "patch")
    quiet(mail, "revert")
    assert mail.read(MASTER_CF) == ("# above\n" + original
                                    + "# below\nextra unix - - n - - pipe\n"
                                    "  user=nobody argv=/bin/true\n")


# -- file systems and kinds of file

def inode(mail, path):
    return os.lstat(mail.path(path)).st_ino


def test_bind_mounted_file_is_written_in_place(lab, postern_built):
    mail = lab.mail
    mail.shell(f"cp -p {MASTER_CF} /root/master.cf && mount --bind /root/master.cf {MASTER_CF}")
    before = mail.snapshot(MASTER_CF)
    number = inode(mail, MASTER_CF)
    done = mail.patch()
    assert re.search(r"(?i)in place|mount", done.stdout + done.stderr), done
    assert inode(mail, MASTER_CF) == number
    mail.wait_listening(mailhost.TWIN_PORTS.values())
    mail.postern("revert")
    assert files.differences(before, mail.snapshot(MASTER_CF)) == []
    assert inode(mail, MASTER_CF) == number
    assert not mail.exists(MASTER_CF + ".tmp")


@pytest.mark.parametrize("path", [MASTER_CF, mailhost.MAIN_CF, "/etc/dovecot/dovecot.conf",
                                  "/etc/dovecot/local.conf"])
def test_interrupted_write_in_place_is_undone(idle_lab, postern_built, path):
    """What a kill leaves of a bind-mounted file: half of it, and the saved copy beside it."""
    mail = idle_lab.mail
    mail.shell(f"touch {path} && cp -p {path} /root/mounted && mount --bind /root/mounted {path}")
    mail.write(path, mail.read(path) + "# the end\n")
    quiet(mail, "patch")
    whole = mail.read(path)
    mail.write(path + ".postern-saved", whole)
    mail.write("/root/mounted", whole[:len(whole) // 2])
    quiet(mail, "patch")
    assert mail.read(path) == whole
    assert not mail.exists(path + ".postern-saved")


@pytest.mark.parametrize("folder", mailhost.CONFIGURATION)
def test_read_only_file_system_is_said_and_nothing_half_done(lab, postern_built, folder):
    mail = lab.mail
    mail.shell(f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}")
    before = mail.snapshot(*mailhost.CONFIGURATION)
    done = mail.postern("patch", check=False)
    assert done.returncode == 1, done
    assert os.strerror(errno.EROFS) in done.stderr, done
    assert folder in done.stderr, done
    assert files.differences(before, mail.snapshot(folder)) == [] or \
        [d for d in files.differences(before, mail.snapshot(*mailhost.CONFIGURATION))
         if d.startswith(folder)] == []


@pytest.mark.parametrize("folder", mailhost.CONFIGURATION)
def test_full_disk_leaves_the_old_file(lab, postern_built, folder):
    mail = lab.mail
    mail.shell(f"""
        set -e
        cp -a {folder} /root/saved
        mount -t tmpfs -o size=2m,mode=755 tmpfs {folder}
        cp -a /root/saved/. {folder}/
        cat /dev/zero >{folder}/filler 2>/dev/null || true
    """)
    before = mail.snapshot(folder)
    done = mail.postern("patch", check=False)
    assert done.returncode == 1, done
    assert os.strerror(errno.ENOSPC) in done.stderr, done
    assert files.differences(before, mail.snapshot(folder)) == []
    mail.remove(f"{folder}/filler")
    mail.patch()
    assert set(mailhost.TWIN_PORTS.values()) <= mail.listening_ports()


def test_symbolic_link_is_followed_and_stays(lab, postern_built):
    mail = lab.mail
    mail.shell(f"""
        set -e
        mkdir /srv/mail
        mv {MASTER_CF} /srv/mail/master.cf
        ln -s ../../srv/mail/master.cf {MASTER_CF}
    """)
    before = mail.snapshot("/srv/mail", MASTER_CF)
    mail.patch()
    assert stat.S_ISLNK(os.lstat(mail.path(MASTER_CF)).st_mode)
    assert "postern_twin_of" in mail.read("/srv/mail/master.cf")
    mail.wait_listening(mailhost.TWIN_PORTS.values())
    mail.postern("revert")
    assert files.differences(before, mail.snapshot("/srv/mail", MASTER_CF)) == []


def set_attribute(path):
    for name in ("user.lab", "trusted.lab"):
        try:
            os.setxattr(path, name, b"kept")
            return name
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
    raise AssertionError("no extended attributes here")


def test_extended_attributes_stay(idle_lab, postern_built):
    path = idle_lab.mail.path(MASTER_CF)
    name = set_attribute(path)
    before = idle_lab.mail.snapshot(MASTER_CF)
    quiet(idle_lab.mail, "patch")
    assert os.getxattr(path, name) == b"kept"
    quiet(idle_lab.mail, "revert")
    assert files.differences(before, idle_lab.mail.snapshot(MASTER_CF)) == []


# -- another root

def test_root_option_stays_below_the_root(idle_lab, postern_built):
    """An absolute link below the root means a place below the root, whoever follows it."""
    mail = idle_lab.mail
    mail.shell(f"""
        set -e
        mkdir -p /box/etc /box/srv /box/run /box/usr/share /srv
        cp -a /etc/postfix /etc/dovecot /box/etc/
        cp -a /usr/share/dovecot /box/usr/share/
        mv /box{MASTER_CF} /box/srv/master.cf
        ln -s /srv/master.cf /box{MASTER_CF}
        cp /box/srv/master.cf /srv/master.cf
    """)
    outside = mail.snapshot(*mailhost.CONFIGURATION, "/srv")
    before = mail.snapshot("/box/etc", "/box/srv")
    command = [mailhost.POSTERN, "--config", mailhost.POSTERN_CONF, "--root", "/box"]
    mail.run([*command, "patch", "--no-reload"])
    assert "postern_twin_of" in mail.read("/box/srv/master.cf")
    assert mail.exists("/box" + mailhost.DROP_IN)
    assert files.differences(outside, mail.snapshot(*mailhost.CONFIGURATION, "/srv"),
                             strict=True) == []
    mail.run([*command, "revert", "--no-reload"])
    assert files.differences(before, mail.snapshot("/box/etc", "/box/srv")) == []
