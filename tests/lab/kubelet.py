# SPDX-License-Identifier: MIT
"""A ConfigMap volume, written with kubelet's system calls in kubelet's order.

pkg/volume/util/atomic_writer.go: a new folder with all files, a link "..data" to it renamed into
place, the visible names, and only then the removal of the old folder.  Kubelets of old make the
names of new keys before the swap.  tests/sidecar/kubelet.c is the same in C.
"""
import contextlib
import os
import tempfile
import time


class Volume:
    """The volume in the folder `path`, which is made when it is missing."""

    def __init__(self, path):
        self.path = str(path)
        os.makedirs(self.path, exist_ok=True)

    def read(self):
        """{key: bytes} of the generation in force."""
        folder = os.path.join(self.path, "..data")
        if not os.path.isdir(folder):
            return {}
        found = {}
        for key in sorted(os.listdir(folder)):
            with open(os.path.join(folder, key), "rb") as file:
                found[key] = file.read()
        return found

    def write(self, changes, order="new"):
        """Set these keys, remove those that are None, keep the others.

        False when that makes no difference: then nothing is written.
        """
        if order not in ("new", "old"):
            raise ValueError(f"no such order: {order}")
        before = self.read()
        keys = {key: data for key, data in {**before, **changes}.items() if data is not None}
        old = self._target()
        if old and keys == before:
            self._make_names(keys)
            return False
        new = self._make_generation(keys)
        if order == "old":
            self._make_names(keys)
        self._swap(new)
        if order == "new":
            self._make_names(keys)
        self._remove_stale_names(keys)
        if old:
            self._remove_generation(old)
        return True

    def _at(self, *names):
        return os.path.join(self.path, *names)

    def _target(self):
        with contextlib.suppress(FileNotFoundError):
            return os.readlink(self._at("..data"))
        return None

    def _make_generation(self, keys):
        prefix = time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime())
        folder = tempfile.mkdtemp(prefix=prefix, dir=self.path)
        os.chmod(folder, 0o755)
        for key, data in keys.items():
            path = os.path.join(folder, key)
            with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o644)) as file:
                file.write(data)
            os.chmod(path, 0o644)
        os.chmod(folder, 0o755)  # setPerms
        return os.path.basename(folder)

    def _swap(self, new):
        temporary = self._at("..data_tmp")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        os.symlink(new, temporary)
        os.rename(temporary, self._at("..data"))

    def _make_names(self, keys):
        for key in keys:
            with contextlib.suppress(FileExistsError):
                os.symlink(f"..data/{key}", self._at(key))

    def _remove_stale_names(self, keys):
        for name in sorted(os.listdir(self.path)):
            path = self._at(name)
            if not name.startswith("..") and name not in keys and os.path.islink(path) and \
                    os.readlink(path).startswith("..data/"):
                os.unlink(path)

    def _remove_generation(self, old):
        for name in os.listdir(self._at(old)):
            os.unlink(self._at(old, name))
        os.rmdir(self._at(old))
