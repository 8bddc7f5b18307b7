# SPDX-License-Identifier: MIT
"""A root that somebody hostile has made: whatever is in a file's place, nothing outside is reached.

Each path that postern reads or writes below a root, and each folder that leads to one, is replaced by
each thing that a file system can hold.  What is asked for: every command ends soon, with words that
can be shown; what is outside is as it was, and none of it gets in.
"""
import os
import subprocess
import sys

import pytest

from hostile_root import FILES, KINDS
from lab import mailhost, postern

DRIVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hostile_driver.py")
WRITTEN = (mailhost.MASTER_CF, mailhost.MAIN_CF, "/etc/dovecot/dovecot.conf",
           "/etc/dovecot/conf.d/95-postern.conf", "/etc/dovecot/local.conf")
BESIDE = (".tmp", ".postern-new", ".postern-saved")
OF_OURS = ("lock", "pending-postfix", "overrides-postfix", "overrides-dovecot",
           "overrides-postfix.tmp", "judge/main.cf", "judge/0.conf")
PLACES = sorted({*FILES, *WRITTEN, *(path + suffix for path in WRITTEN for suffix in BESIDE),
                 "/etc/postern/postern.conf", *(f"/run/postern/{name}" for name in OF_OURS)})
FOLDERS = ("/etc", "/etc/postfix", "/etc/dovecot", "/etc/dovecot/conf.d", "/run", "/run/postern",
           "/run/postern/judge", "/tmp", postern.OVERRIDES, "/secrets/ssl", "/var/spool/postfix",
           "/var/spool/postfix/pid", "/run/dovecot")


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_in_the_place_of_a_file_or_folder(kind, tmp_path, postern_built):
    places = PLACES if kind == "hard link" else (*PLACES, *FOLDERS)
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable, DRIVER,
                           str(tmp_path), kind, *places],
                          stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
