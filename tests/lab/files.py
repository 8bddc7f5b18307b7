# SPDX-License-Identifier: MIT
"""What a file is, down to owner and inode, to be compared with what it was."""
import os
import stat
from typing import NamedTuple


class FileState(NamedTuple):
    data: bytes
    mode: int
    uid: int
    gid: int
    xattrs: tuple
    mtime_ns: int
    inode: int

    def same_to_a_reader(self, other):
        """Equal in byte, mode, owner and extended attributes."""
        return self[:5] == other[:5]


def state(path):
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        data, attributes = os.readlink(path).encode(), ()
    else:
        with open(path, "rb") as file:
            data = file.read()
        attributes = tuple((name, os.getxattr(path, name)) for name in sorted(os.listxattr(path)))
    return FileState(data, info.st_mode, info.st_uid, info.st_gid, attributes, info.st_mtime_ns,
                     info.st_ino)


def snapshot(locate, names):
    """{path as the host names it: FileState} of the files named and of all below the folders."""
    found = {}
    for name in names:
        top = locate(name)
        if not os.path.isdir(top) or os.path.islink(top):
            if os.path.lexists(top):
                found[name] = state(top)
            continue
        for folder, _, entries in os.walk(top):
            for entry in entries:
                path = os.path.join(folder, entry)
                if stat.S_ISREG(os.lstat(path).st_mode) or os.path.islink(path):
                    found[name + path[len(top):]] = state(path)
    return found


def differences(before, after, strict=False):
    """Sentences about what differs; strict counts a rewrite with the same content too."""
    said = []
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            said.append(f"{path} is gone")
        elif path not in before:
            said.append(f"{path} is new")
        elif not before[path].same_to_a_reader(after[path]):
            fields = [name for name, old, new in
                      zip(FileState._fields[:5], before[path], after[path]) if old != new]
            said.append(f"{path} differs in {', '.join(fields)}")
        elif strict and before[path] != after[path]:
            said.append(f"{path} was written anew")
    return said
