# SPDX-License-Identifier: MIT
"""The folder of a volume that is made of ConfigMaps and Secrets, as kubelet lays it out.

Over kubelet.Volume: files in sub-folders, whose visible name is that of the first folder, and the
modes that the volume asks for.
"""
import os
import shutil
import time

from lab import kubelet

FOLDER_MODE = 0o755


class Projection(kubelet.Volume):
    """Keys are paths here; a change of modes alone writes nothing, as with kubelet."""

    def __init__(self, path):
        super().__init__(path)
        os.chmod(self.path, FOLDER_MODE)
        self._modes = {}

    def project(self, payload):
        """Make {path: (bytes, mode)} the volume's content; False when it is that already."""
        self._modes = {path: mode for path, (_, mode) in payload.items()}
        gone = {path: None for path in self.read() if path not in payload}
        return self.write({**{path: data for path, (data, _) in payload.items()}, **gone})

    def read(self):
        top = os.path.join(self.path, "..data")
        found = {}
        for here, _, names in os.walk(os.path.realpath(top)):
            for name in names:
                path = os.path.join(here, name)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, os.path.realpath(top))] = file.read()
        return found

    def _make_generation(self, keys):
        folder = self._at(time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime())
                          + str(time.time_ns() % 10**9))
        os.mkdir(folder)
        os.chmod(folder, FOLDER_MODE)
        for key, data in keys.items():
            path = os.path.join(folder, key)
            os.makedirs(os.path.dirname(path), FOLDER_MODE, exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, self._modes[key])
        return os.path.basename(folder)

    def _make_names(self, keys):
        super()._make_names({key.split("/")[0] for key in keys})

    def _remove_stale_names(self, keys):
        super()._remove_stale_names({key.split("/")[0] for key in keys})

    def _remove_generation(self, old):
        shutil.rmtree(self._at(old))
