# SPDX-License-Identifier: MIT
"""Images that stand in for those that the examples name, made of Debian's packages.

Each is made once and kept in the lab's storage; its name is made of what went into it.
"""
import hashlib
import os
import shutil
import tempfile

from lab import mailhost, podman

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images")
BUILD_LIMIT_S = 900


def _digest(base, folder):
    digest = hashlib.sha256(base.encode())
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(where, name)
            digest.update(f"{os.path.relpath(path, folder)} {os.stat(path).st_mode}\n".encode())
            with open(path, "rb") as file:
                digest.update(file.read())
    return digest.hexdigest()[:16]


def _build(kind, folder, base):
    """The name of the image of a folder's Containerfile, which is upon `base`."""
    name = f"localhost/postern-example-{kind}:{_digest(base, folder)}"
    if podman.podman("image", "exists", name, check=False).returncode != 0:
        podman.podman("build", "--quiet", "--network=none", "--build-arg", f"BASE={base}",
                      "--tag", name, folder, timeout=BUILD_LIMIT_S)
    return name


def postern():
    """The image of container/Dockerfile's last stage: nothing but the program."""
    with tempfile.TemporaryDirectory(prefix="postern-image-") as folder:
        shutil.copy(mailhost.postern_binary(), os.path.join(folder, "postern"))
        with open(os.path.join(folder, "Containerfile"), "w", encoding="ascii") as file:
            file.write('FROM scratch\nCOPY postern /postern\nENTRYPOINT ["/postern"]\n')
        return _build("postern", folder, "scratch")


def dovecot():
    base = podman.image_with("trixie", "dovecot-core", "dovecot-imapd", "dovecot-managesieved",
                             "dovecot-pop3d",
                             "libcap2-bin", "tini")
    return _build("dovecot", os.path.join(FOLDER, "dovecot"), base)


def postfix(release):
    base = podman.image_with(release, "postfix", "supervisor")
    return _build("postfix", os.path.join(FOLDER, "postfix"), base)
