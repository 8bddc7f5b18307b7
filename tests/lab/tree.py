# SPDX-License-Identifier: MIT
"""The Debian file trees that the lab's hosts are made of (see make-tree)."""
import fcntl
import os
import subprocess

RELEASES = ("bookworm", "trixie")
# The release whose tree also has HAProxy and nginx.
BALANCER_RELEASE = "bookworm"
MAKE_TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "make-tree")
MAKE_LIMIT_S = 3600

_made = {}


def path(release):
    """The tree's folder; made first, if need be."""
    if release not in _made:
        done = subprocess.run([MAKE_TREE, "--print", release], stdout=subprocess.PIPE, text=True,
                              timeout=MAKE_LIMIT_S, check=True)
        _made[release] = done.stdout.strip()
    return _made[release]


def hold(release):
    """An open file that keeps make-tree from replacing the tree until it is closed."""
    lock = open(path(release) + ".lock", "ab")
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock
