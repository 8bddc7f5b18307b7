# SPDX-License-Identifier: MIT
"""A root that somebody hostile has made, beside a place that nobody may reach from there."""
import os
import re
import shutil
import socket
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from lab import mail_config, mailhost, postern, wait  # noqa: E402  (the path above comes first)

ENDS_WITHIN_S = wait.slowed(30)
SECRET = "hunter2-of-another-container"
# As a line of a configuration file, so that who reads it as one would take it over.
SECRET_LINE = f"mail_name = {SECRET}\n"
STATUSES = (0, 1, 2)

DOVECOT_CONF = """\
protocols = imap
service imap-login {
  inet_listener imap {
    port = 143
  }
}
!include conf.d/*.conf
!include_try local.conf
"""

FILES = {
    "/etc/services": "smtp 25/tcp\nsubmission 587/tcp\nsubmissions 465/tcp\nimap2 143/tcp\n",
    mailhost.MASTER_CF: mail_config.MASTER_CF,
    mailhost.MAIN_CF: "mynetworks = 127.0.0.0/8\nqueue_directory = /var/spool/postfix\n",
    "/etc/dovecot/dovecot.conf": DOVECOT_CONF,
    "/etc/dovecot/conf.d/10-master.conf": "# nothing\n",
    f"{postern.OVERRIDES}/postfix-main.cf": "mail_name = override\n",
    f"{postern.OVERRIDES}/postfix-master.cf": "submission/inet/smtpd_timeout=10s\n",
    f"{postern.OVERRIDES}/dovecot.cf": "mail_max_userip_connections = 7\n",
    "/secrets/ssl/tls.crt": "certificate\n",
    "/var/spool/postfix/pid/master.pid": "1\n",
    "/run/dovecot/master.pid": "1\n",
}

CONF = postern.conf('watch "/secrets/ssl" { reload = { "postfix", "dovecot" } }\n')


class HostileRoot:
    def __init__(self, folder):
        self.folder = str(folder)
        self.path = f"{folder}/root"
        self.outside = f"{folder}/outside"
        self.conf = f"{folder}/postern.conf"
        self.is_inside = False  # the secret is in a file of the root's own
        self.reset()

    def reset(self):
        """As on the first day; what is mounted there stays."""
        for folder in (self.path, self.outside):
            os.makedirs(folder, mode=0o755, exist_ok=True)
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                if os.path.isdir(path) and not os.path.islink(path):
                    if not os.path.ismount(path):
                        shutil.rmtree(path)
                else:
                    os.unlink(path)
        for path, text in FILES.items():
            self.write(path, text)
        self.write_outside("file", SECRET_LINE)
        self.write_outside("folder/file", SECRET_LINE)
        with open(self.conf, "w", encoding="ascii") as file:
            file.write(CONF)

    def inside(self, path):
        return self.path + path

    def write(self, path, text):
        os.makedirs(os.path.dirname(self.inside(path)), mode=0o755, exist_ok=True)
        with open(self.inside(path), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def read(self, path):
        with open(self.inside(path), encoding="utf-8") as file:
            return file.read()

    def write_outside(self, name, text):
        path = os.path.join(self.outside, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)

    def remove(self, path):
        whole = self.inside(path)
        if os.path.isdir(whole) and not os.path.islink(whole):
            shutil.rmtree(whole)
        elif os.path.lexists(whole):
            os.unlink(whole)
        os.makedirs(os.path.dirname(whole), mode=0o755, exist_ok=True)

    def run(self, *command, env=None, within=ENDS_WITHIN_S):
        """It ends by itself in time, not by a signal, and says what may be shown on a terminal."""
        argv = [mailhost.postern_binary(), "--config", self.conf, "--root", self.path, *command]
        done = subprocess.run(argv, capture_output=True, timeout=within, check=False,
                              env={**os.environ, "SECRET": f"\n{SECRET_LINE}", **(env or {})})
        said = done.stdout + done.stderr
        assert done.returncode in STATUSES, (argv, done)
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", said), said
        assert self.is_inside or SECRET.encode() not in said, said
        if done.returncode != 0:
            assert re.search(rb"^postern: error: \S", done.stderr, re.M) or b"--check" in argv, done
        return done

    # -- what nobody may have reached

    def outside_state(self):
        """Each file there: what it holds, and all that is known of it but when it was read."""
        found = {}
        for folder, folders, names in os.walk(self.outside):
            for name in (*folders, *names):
                path = os.path.join(folder, name)
                info = os.lstat(path)
                text = None
                if stat.S_ISREG(info.st_mode):
                    with open(path, "rb") as file:
                        text = file.read()
                found[path] = (info.st_mode, info.st_uid, info.st_gid, info.st_size,
                               info.st_mtime_ns, text)
        return found

    def secret_is_nowhere(self):
        """But where it was put: in no file of the root that has no other name."""
        if self.is_inside:
            return
        for folder, folders, names in os.walk(self.path):
            if folder == self.path:
                folders[:] = [name for name in folders if not os.path.ismount(f"{folder}/{name}")]
            for name in names:
                path = os.path.join(folder, name)
                info = os.lstat(path)
                if not stat.S_ISREG(info.st_mode) or info.st_nlink > 1 or info.st_size > 1 << 20:
                    continue
                with open(path, "rb") as file:
                    assert SECRET.encode() not in file.read(), path


# -- what may stand in a file's place

def put_fifo(root, path):
    os.mkfifo(root.inside(path))


def put_socket(root, path):
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.open(os.path.dirname(root.inside(path)), os.O_RDONLY)
        bound.bind(f"/proc/self/fd/{here}/{os.path.basename(path)}")
        os.close(here)


def put_device(kind, major, minor):
    return lambda root, path: os.mknod(root.inside(path), kind | 0o666, os.makedev(major, minor))


def put_link(target):
    return lambda root, path: os.symlink(target.format(outside=root.outside), root.inside(path))


def put_folder(root, path):
    os.mkdir(root.inside(path))
    root.write(f"{path}/file", "text\n")


def put_sparse(root, path):
    root.write(path, "x")
    os.truncate(root.inside(path), 1 << 40)


def put_giant(root, path):
    """Real bytes beyond the limit."""
    root.write(path, b"#" * 99 + b"\n")
    with open(root.inside(path), "ab") as file:
        for _ in range(65):
            file.write((b"#" * 1023 + b"\n") * 1024)


def put_hard_link(root, path):
    os.link(f"{root.outside}/file", root.inside(path))


UP = "../" * 30

KINDS = {
    "fifo": put_fifo,
    "socket": put_socket,
    "zero": put_device(stat.S_IFCHR, 1, 5),
    "no such device": put_device(stat.S_IFCHR, 240, 77),
    "block device": put_device(stat.S_IFBLK, 7, 250),
    "folder": put_folder,
    "sparse": put_sparse,
    "link that is absolute": put_link("{outside}/file"),
    "link that climbs": put_link(UP + "{outside}/file"),
    "link to a folder": put_link(UP + "{outside}/folder"),
    "link to itself": put_link("/proc/../{outside}/../loop"),
    "link to nothing": put_link("/nowhere/at/all"),
    "link to the root's root": put_link("/proc/self/root{outside}/file"),
    "link to process 1's root": put_link("/proc/1/root{outside}/file"),
    "link to our surroundings": put_link("/proc/self/environ"),
    "link to a mount's source": put_link("/proc/self/cwd/file"),
    "link to a standard descriptor": put_link("/proc/self/fd/0"),
    "link to the kernel's messages": put_link("/proc/kmsg"),
    "link to memory": put_link("/proc/self/mem"),
    "hard link": put_hard_link,
}
