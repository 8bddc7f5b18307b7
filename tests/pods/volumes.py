# SPDX-License-Identifier: MIT
"""A pod's volumes as folders of this machine: what kubelet and a storage class would provide."""
import os

import manifests
import projection

# An emptyDir and a fresh claim belong to root and are open to all, as kubelet makes them.
OPEN_MODE = 0o777


class Volumes:
    """Below `root`: claims by their names, so that another pod finds what this one left."""

    def __init__(self, root, pod, spec, rendered, report):
        self._claims = os.path.join(root, "claims")
        self._root = os.path.join(root, pod)
        self._volumes = {volume["name"]: volume for volume in spec.get("volumes") or []}
        self._projections = {}
        self._mounts = {}
        self._report = report
        for name, volume in self._volumes.items():
            self._prepare(name, volume, rendered)

    def _prepare(self, name, volume, rendered):
        payload = manifests.payload(rendered, volume)
        if payload is not None:
            folder = projection.Projection(os.path.join(self._root, "volumes", name))
            folder.project(payload)
            self._projections[name] = folder
            self._report(f"volume {name}: a folder written as kubelet does")
        elif "persistentVolumeClaim" in volume:
            self._folder(self._path(name))
            self._report(f"volume {name}: a folder instead of a claim")
        elif "emptyDir" in volume:
            self._folder(self._path(name))
            self._report(f"volume {name}: a folder instead of an emptyDir")
        else:
            assert "hostPath" in volume, f"volume {name}: {sorted(volume)}"

    def _path(self, name):
        """Where this machine has the volume's root."""
        volume = self._volumes[name]
        if "persistentVolumeClaim" in volume:
            return os.path.join(self._claims, volume["persistentVolumeClaim"]["claimName"])
        if "hostPath" in volume:
            return volume["hostPath"]["path"]
        return os.path.join(self._root, "volumes", name)

    @staticmethod
    def _folder(path):
        if not os.path.isdir(path):
            os.makedirs(path)
            os.chmod(path, OPEN_MODE)

    def folder(self, name):
        return self._path(name)

    def mount(self, mount):
        """A mount of a container: the mount that the engine takes, and its volume's name."""
        name, sub_path = mount["name"], mount.get("subPath", "")
        path = self._path(name)
        if sub_path:
            path = self._below(name, path, sub_path)
            self._report(f"mount {mount['mountPath']}: {sub_path} of {name}, by its own path")
        engine_name = name + ("-" + sub_path.replace("/", "-").lower() if sub_path else "")
        self._mounts[engine_name] = path
        # kubelet mounts what it writes itself for reading only.
        read_only = mount.get("readOnly", False) or name in self._projections
        return {"name": engine_name, "mountPath": mount["mountPath"], "readOnly": read_only}

    def _below(self, name, path, sub_path):
        if name in self._projections:
            # Bound to the file of today's generation, so it never changes.
            return os.path.realpath(os.path.join(path, sub_path))
        self._folder(os.path.join(path, sub_path))
        return os.path.join(path, sub_path)

    def file(self, name, path, text):
        """A mount of one file of the kubelet's own at this path."""
        source = os.path.join(self._root, "files", name)
        os.makedirs(os.path.dirname(source), exist_ok=True)
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        self._mounts[f"kubelet-{name}"] = source
        return {"name": f"kubelet-{name}", "mountPath": path}

    def as_host_paths(self):
        """The `volumes` of the engine's pod, for all that has been mounted."""
        return [{"name": name, "hostPath": {"path": path}} for name, path in self._mounts.items()]

    def update(self, rendered):
        """As kubelet does after the objects have changed; the names of volumes that did."""
        return [name for name, folder in self._projections.items()
                if folder.project(manifests.payload(rendered, self._volumes[name]))]
