# SPDX-License-Identifier: MIT
"""Images that stand in for those that the examples name, made of Debian's packages.

Each is made once and kept in the lab's storage; its name is made of what went into it.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

from lab import mailhost, podman

# The mail image of docker-mailserver's shape is that of the pod tests.
sys.path.append(os.path.join(mailhost.REPOSITORY, "tests", "pods"))  # behind our own
import mail_image  # noqa: E402

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images")
COMPOSE_TOOLS = os.path.join(mailhost.REPOSITORY, "scripts", "lib", "compose-tools")
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
        _forget_others(name)
    return name


def _forget_others(name):
    """Images that an older folder made; one that a container uses is left."""
    names = podman.podman("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter",
                          f"reference={name.rsplit(':', 1)[0]}").stdout.split()
    for other in set(names) - {name}:
        podman.podman("image", "rm", other, check=False)


postern = mail_image.postern
mail = mail_image.mail


def _compose_tool(name):
    folder = subprocess.run([COMPOSE_TOOLS], check=True, text=True, stdout=subprocess.PIPE,
                            timeout=BUILD_LIMIT_S).stdout.strip()
    return os.path.join(folder, name)


def podman_compose():
    """The path of the program, which is one file of Python."""
    return _compose_tool("podman_compose.py")


def traefik():
    """Traefik's own binary, as its image has it."""
    with tempfile.TemporaryDirectory(prefix="postern-image-") as folder:
        shutil.copy(_compose_tool("traefik"), folder)
        with open(os.path.join(folder, "Containerfile"), "w", encoding="ascii") as file:
            file.write('FROM scratch\nCOPY traefik /traefik\nENTRYPOINT ["/traefik"]\n')
        return _build("traefik", folder, "scratch")


def dovecot():
    base = podman.image_with("trixie", "dovecot-core", "dovecot-imapd", "dovecot-managesieved",
                             "dovecot-pop3d",
                             "libcap2-bin", "tini")
    return _build("dovecot", os.path.join(FOLDER, "dovecot"), base)


def postfix(release):
    base = podman.image_with(release, "postfix", "supervisor")
    return _build(f"postfix-{release}", os.path.join(FOLDER, "postfix"), base)
