# SPDX-License-Identifier: MIT
"""One kind of thing in each of many places of a root, and postern at work there.

    unshare --mount --propagation private python3 hostile_driver.py FOLDER KIND PLACE...

FOLDER is empty; a file system in memory comes over it, and /proc into the root.  Ends with 0, or with
what went wrong.
"""
import os
import subprocess
import sys

import hostile_root

COMMANDS = (("patch",), ("revert",))


def survives(root, kind, path):
    """It is there when each of the commands begins, unless the one before took it away."""
    root.reset()
    root.is_inside = kind == "hard link"
    for folder in ("/run/postern", "/run/postern/judge"):
        os.makedirs(root.inside(folder), mode=0o700, exist_ok=True)
    root.remove(path)
    hostile_root.KINDS[kind](root, path)
    before = root.outside_state()
    for command in COMMANDS:
        root.run(*command)
        assert root.outside_state() == before, (path, command)
        root.secret_is_nowhere()


def main():
    folder, kind, *places = sys.argv[1:]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "dev,mode=755", "lab", folder], check=True)
    root = hostile_root.HostileRoot(folder)
    os.mkdir(f"{root.path}/proc")
    subprocess.run(["mount", "--bind", "/proc", f"{root.path}/proc"], check=True)
    for path in places:
        try:
            survives(root, kind, path)
        except BaseException:
            print(f"{kind} at {path}:", file=sys.stderr)
            raise


if __name__ == "__main__":
    main()
