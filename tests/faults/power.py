# SPDX-License-Identifier: MIT
"""What may be on disk when the power goes, by a model, from the recorded calls of a run.

A file system may keep for later, and in any order, everything that was not synced: what was written
to a file until fsync(2) of it, and each change of a folder (a name made, replaced or removed) until
fsync(2) of that folder; but a change of a folder takes part in no order with others unless a sync
stands between them.  (Real file systems keep more order than that; none is counted on.)  At every
call of the run the power may go: for each name, what may be found under it is then what was there
when its folder was last synced, or what any later change has put there; and a file's bytes are
whole only from the moment of its sync.
"""
import re
from typing import NamedTuple

_FILE = re.compile(r"<([^>]*)>")
_TEXT = re.compile(r'"([^"]*)"')
_O_CREAT = 0o100
_TO_MEMORY = ("/run/", "/proc/", "/dev/", "/tmp/")
_RELOAD = ("kill", "pidfd_send_signal")
SIGHUP = 1


class Torn(NamedTuple):
    """A name that may lead to bytes that are not whole."""
    path: str
    after: str  # the call that made it possible


def _absolute(folder, name):
    return name if name.startswith("/") else folder.rstrip("/") + "/" + name


class Disk:
    """The files that a run makes or changes; a file is known by the name that it was made under."""

    def __init__(self):
        self._dirty = {}    # file: bytes were written since its sync
        self._names = {}    # path: the file under it now, None: removed
        self._possible = {} # path: [files that may be under it after a loss], the last is now's
        self.torn = []
        self.replaced = []
        self.unsynced = set()

    def _settle(self, call):
        for path, files in self._possible.items():
            for file in files:
                if file is not None and self._dirty.get(file) and is_read_by_others(path):
                    self.torn.append(Torn(path, str(call)))

    def _change(self, path, file):
        self._names[path] = file
        self._possible.setdefault(path, []).append(file)
        self.unsynced.add(path)

    def apply(self, call):
        files, texts = _FILE.findall(call.rest), _TEXT.findall(call.rest)
        if call.result < 0:
            return
        if call.name.startswith("openat") and call.access & _O_CREAT:
            path = _absolute(files[0], texts[0])
            if path not in self._names:
                self._change(path, path + f"#{call.number}")
                self._dirty[self._names[path]] = False
        elif call.name in ("write", "pwrite64", "ftruncate") and files:
            self._dirty[self._names.get(files[0], files[0])] = True
        elif call.name in ("fsync", "fdatasync") and files:
            self._dirty[self._names.get(files[0], files[0])] = False
            for path in list(self._possible):
                if path.rpartition("/")[0] == files[0]:
                    self._possible[path] = [self._names[path]]
                    self.unsynced.discard(path)
        elif call.name.startswith("rename"):
            old, new = _absolute(files[0], texts[0]), _absolute(files[1], texts[1])
            self._change(new, self._names.get(old, old))
            self._change(old, None)
            self.replaced.append(new)
        elif call.name == "linkat":
            old, new = _absolute(files[0], texts[0]), _absolute(files[1], texts[1])
            self._change(new, self._names.get(old, old))
        elif call.name == "unlinkat":
            self._change(_absolute(files[0], texts[0]), None)
        self._settle(call)


def is_read_by_others(path):
    """Not what a writer makes beside a name, which nobody reads."""
    return not re.search(r"\.tmp$|\.postern-new|\.postern-saved$", path) and \
        not path.startswith(_TO_MEMORY)


class Run(NamedTuple):
    torn: list          # may be found torn
    replaced: list      # names that got a new file
    unsynced_at_reload: list
    unsynced_at_end: list
    reloads: int


def replay(calls):
    disk, late, reloads = Disk(), [], 0
    for call in calls:
        if call.name in _RELOAD and call.access == SIGHUP:
            reloads += 1
            late += [path for path in disk.unsynced if is_read_by_others(path)]
        disk.apply(call)
    return Run(disk.torn, disk.replaced, late,
               sorted(path for path in disk.unsynced if is_read_by_others(path)), reloads)
