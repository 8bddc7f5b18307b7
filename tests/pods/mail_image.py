# SPDX-License-Identifier: MIT
"""Images for the pods: a mail image of docker-mailserver's shape, and postern's own.

No registry is asked.  The mail image is a tree of the lab, a Debian release with its own Postfix
and Dovecot, with the start scripts and the configuration of image/ over it; postern's is the stage
`image` of container/Dockerfile over the binary under test.  An image's name holds what it was made
of, so one that is there is the right one.
"""
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile

from lab import mail_config, mailhost, podman, tree

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "image")
DOCKERFILE = os.path.join(mailhost.REPOSITORY, "container", "Dockerfile")
# What no server needs, and where it would do most to the image's size.
LEFT_OUT = ("usr/share/doc/*", "usr/share/locale/*", "usr/share/man/*", "var/cache/*",
            "var/lib/apt/*", "dev/*", ".postern-stamp")
# In one tree only; it runs with the newer libraries of the other.
INIT = "usr/bin/dumb-init"
INIT_RELEASE = "bookworm"


@contextlib.contextmanager
def _alone():
    """Two test runs at once make an image once."""
    podman.environment()
    cache = os.environ.get("POSTERN_CACHE", "/var/cache/postern")
    with open(os.path.join(cache, "podman", ".pods.lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _exists(image):
    return podman.podman("image", "exists", image, check=False).returncode == 0


def _build(image, folder, *options):
    podman.podman("build", "--quiet", "--layers=false", "--tag", image, *options, folder)


def _base(release):
    """The tree as an image."""
    path = tree.path(release)
    with open(os.path.join(path, ".postern-stamp"), encoding="ascii") as stamp:
        image = f"localhost/postern-tree:{release}-{stamp.read().strip()[:12]}"
    if not _exists(image):
        with tree.hold(release):
            packing = subprocess.Popen(
                ["tar", "--numeric-owner", "--one-file-system", "-C", path]
                + [f"--exclude=./{name}" for name in LEFT_OUT] + ["-c", "."],
                stdout=subprocess.PIPE)
            made = podman.podman("import", "--quiet", "-", stdin=packing.stdout).stdout.strip()
            assert packing.wait() == 0, "tar failed"
            podman.podman("tag", made, image)
    return image


def _write(folder, path, text):
    target = os.path.join(folder, path.lstrip("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w", encoding="utf-8") as file:
        file.write(text)


def _dovecot_files(release):
    """The lab's files of Dovecot, with what the start scripts switch on switched off."""
    files = dict(mail_config.DOVECOT[release])
    files["10-master.conf"] = re.sub(r"^    (port = |ssl = )", r"    #\1", files["10-master.conf"],
                                     flags=re.M)
    files["10-auth.conf"] = (
        files["10-auth.conf"].replace(f"uid={mail_config.VMAIL_ID}", "uid=__VMAIL_UID__")
        .replace(f"gid={mail_config.VMAIL_ID}", "gid=__VMAIL_GID__")
        .replace(f"uid = {mail_config.VMAIL_ID}", "uid = __VMAIL_UID__")
        .replace(f"gid = {mail_config.VMAIL_ID}", "gid = __VMAIL_GID__"))
    return files


def _lay_root(folder, release):
    """The files that come over the tree."""
    shutil.copytree(os.path.join(HERE, "rootfs"), folder, dirs_exist_ok=True)
    _write(folder, "/etc/postfix/master.cf", mail_config.MASTER_CF)
    _write(folder, "/etc/postfix/postfix-amavis.cf", mail_config.AMAVIS)
    main_cf = mail_config.main_cf().replace(
        f"virtual_mailbox_domains = {mail_config.DOMAIN}",
        "virtual_mailbox_domains = texthash:/etc/postfix/vhost")
    _write(folder, "/etc/postfix/main.cf", main_cf)
    for path, text in mail_config.POSTFIX_TABLES.items():
        if path != "/etc/postfix/vmailbox":
            _write(folder, path, text)
    for name, text in _dovecot_files(release).items():
        _write(folder, "/etc/dovecot/conf.d/" + name, text)
    target = os.path.join(folder, INIT)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(os.path.join(tree.path(INIT_RELEASE), INIT), target)


def _digest(folder, *more):
    """Of names, modes and content."""
    digest = hashlib.sha256("\0".join(more).encode())
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(here, name)
            with open(path, "rb") as file:
                data = file.read()
            mode = os.stat(path).st_mode
            digest.update(f"{os.path.relpath(path, folder)}\0{mode:o}\0{len(data)}\0".encode())
            digest.update(data)
    return digest.hexdigest()[:16]


def mail(release):
    """The name of the mail image of a release; made first, if need be."""
    with _alone(), tempfile.TemporaryDirectory(prefix="postern-image-") as folder:
        base = _base(release)
        _lay_root(os.path.join(folder, "rootfs"), release)
        shutil.copy(os.path.join(HERE, "Containerfile"), folder)
        image = f"localhost/postern-mail:{release}-{_digest(folder, base)}"
        if not _exists(image):
            _build(image, folder, "--build-arg", f"BASE={base}")
    return image


def _image_stage():
    """The stage of container/Dockerfile that makes the image, for a binary that lies beside it."""
    with open(DOCKERFILE, encoding="utf-8") as file:
        text = file.read()
    stage = re.search(r"^FROM scratch AS image\n.*?^CMD [^\n]*\n", text, re.M | re.S)[0]
    made, count = re.subn(r"^COPY --from=build \S+", "COPY postern", stage, flags=re.M)
    assert count == 1, stage
    return made


def postern():
    """The name of postern's own image, with the binary under test."""
    with _alone(), tempfile.TemporaryDirectory(prefix="postern-image-") as folder:
        shutil.copy(mailhost.postern_binary(), os.path.join(folder, "postern"))
        _write(folder, "Containerfile", _image_stage())
        image = f"localhost/postern:{_digest(folder)}"
        if not _exists(image):
            _build(image, folder)
    return image
