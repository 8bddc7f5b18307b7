# SPDX-License-Identifier: MIT
"""What a cluster makes of the manifests: `kustomize build`, kubelet's volumes, podman's containers.

    objects = kustomize("dovecot/overlays/traefik")
    with Pod(host, objects, "dovecot", images={...}, secrets={...}) as pod:
        pod.config_maps["dovecot-postern"].write({"postern.conf": b"..."})

A field of a pod that is not known here is an error: what is not carried out is not tested.
"""
import contextlib
import functools
import json
import os
import subprocess
import tempfile

import yaml

from lab import kubelet, mailhost, podman, wait

EXAMPLES = os.path.join(mailhost.REPOSITORY, "container", "examples", "kubernetes")
CLUSTER_TOOLS = os.path.join(mailhost.REPOSITORY, "scripts", "lib", "cluster-tools")
TOOLS_LIMIT_S = 1800
WORKLOADS = ("StatefulSet", "Deployment")

# Said to Kubernetes, of no meaning where there is one pod and no cluster.
_NOT_FOR_US = {"automountServiceAccountToken", "enableServiceLinks", "name", "ports",
               "startupProbe", "readinessProbe", "livenessProbe", "image", "resources"}


@functools.cache
def _tools():
    done = subprocess.run([CLUSTER_TOOLS, "kustomize", "kubeconform"], check=True, text=True,
                          stdout=subprocess.PIPE, timeout=TOOLS_LIMIT_S)
    return done.stdout.strip()


def tool(name):
    """A program of the cluster's side; built when it is not there."""
    return os.path.join(_tools(), name)


def kustomize(folder):
    """The objects that `kubectl apply -k` would apply."""
    done = subprocess.run([tool("kustomize"), "build", os.path.join(EXAMPLES, folder)],
                          check=True, text=True, stdout=subprocess.PIPE, timeout=wait.LIMIT_S)
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def find(objects, kind, name):
    found = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects {kind}/{name}"
    return found[0]


def workload(objects):
    found = [one for one in objects if one["kind"] in WORKLOADS]
    assert len(found) == 1, f"{len(found)} workloads"
    return found[0]


def service_port(objects, service, name):
    """The number under which a Service shows a port."""
    ports = find(objects, "Service", service)["spec"]["ports"]
    return next(p["port"] for p in ports if p["name"] == name)


def pod_port(objects, service, port):
    """The number in the pod that a port of a Service leads to; port is a name or a number."""
    ports = find(objects, "Service", service)["spec"]["ports"]
    target = next(p["targetPort"] for p in ports if port in (p["name"], p["port"]))
    spec = workload(objects)["spec"]["template"]["spec"]
    return next(p["containerPort"] for c in spec["containers"] for p in c["ports"]
                if p["name"] == target)


class Pod:
    """The pod of a workload, in the network of a lab's host."""

    def __init__(self, host, objects, images, secrets):
        self._host = host
        self._objects = objects
        self._images = images
        self._secrets = secrets
        self._volumes = {}
        self.spec = workload(objects)["spec"]["template"]["spec"]
        self.config_maps = {}
        self.secrets = {}
        self.name = podman.name("pod")

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            self._folder = undo.enter_context(
                tempfile.TemporaryDirectory(prefix="postern-pod-", ignore_cleanup_errors=True))
            os.chmod(self._folder, 0o755)
            self._make_volumes()
            for container in self.spec.get("initContainers", []):
                self._run(container, "--rm")
            removal = ("rm", "--force", "--volumes", "--time=0", self.name)
            undo.callback(podman.podman, *removal, check=False)
            podman.at_end(*removal)
            self._run_main()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_):
        self._undo.close()

    def _run_main(self):
        container, = self.spec["containers"]
        self._run(container, "--detach", "--name", self.name)

    # -- volumes

    def _make_volumes(self):
        claims = workload(self._objects)["spec"].get("volumeClaimTemplates", [])
        for claim in claims:
            self._make_folder(claim["metadata"]["name"])
        for volume in self.spec["volumes"]:
            volume = dict(volume)
            name = volume.pop("name")
            (kind, how), = volume.items()
            path = self._make_folder(name)
            if kind == "configMap":
                data = find(self._objects, "ConfigMap", how["name"])["data"]
                self.config_maps[how["name"]] = self._fill(path, data, 0o644)
            elif kind == "secret":
                data = self._secrets[how["secretName"]]
                self.secrets[how["secretName"]] = self._fill(path, data, how["defaultMode"])
            else:
                assert kind == "emptyDir", kind

    def _make_folder(self, name):
        """As kubelet makes an emptyDir."""
        path = os.path.join(self._folder, name)
        os.mkdir(path)
        group = self.spec.get("securityContext", {}).get("fsGroup")
        os.chown(path, 0, 0 if group is None else group)
        os.chmod(path, 0o777 if group is None else 0o2777)
        self._volumes[name] = path
        return path

    def _fill(self, path, data, mode):
        volume = _GroupVolume(path, self.spec.get("securityContext", {}).get("fsGroup"), mode)
        volume.write({key: text.encode() if isinstance(text, str) else text
                      for key, text in data.items()})
        return volume

    # -- containers

    def _run(self, container, *options):
        words = [*options, "--network=host", "--dns=127.0.0.1", "--pull=never",
                 *self._security(container), *self._mounts(container), *self._variables(container)]
        if "command" in container:
            words.append("--entrypoint=" + json.dumps(container["command"]))
        unknown = container.keys() - _NOT_FOR_US - {
            "command", "args", "env", "securityContext", "volumeMounts"}
        assert not unknown, unknown
        self._podman("run", *words, self._image(container["image"]), *container.get("args", []))

    def _image(self, image):
        return self._images[image.rsplit(":", 1)[0]]

    def _security(self, container):
        pod = dict(self.spec.get("securityContext", {}))
        own = dict(container.get("securityContext", {}))
        for ours in ("fsGroup", "fsGroupChangePolicy", "runAsNonRoot", "seccompProfile"):
            pod.pop(ours, None)
        user, group = pod.pop("runAsUser", None), pod.pop("runAsGroup", None)
        words = [] if user is None else [f"--user={user}:{group}"]
        capabilities = own.pop("capabilities")
        words += ["--cap-drop=all"] if capabilities["drop"] == ["ALL"] else []
        words += [f"--cap-add={name}" for name in capabilities.get("add", [])]
        if not own.pop("allowPrivilegeEscalation"):
            words.append("--security-opt=no-new-privileges")
        if own.pop("readOnlyRootFilesystem", False):
            words += ["--read-only", "--read-only-tmpfs=false"]
        assert not pod and not own, (pod, own)
        return words

    def _mounts(self, container):
        return [f"--volume={self._volumes[mount['name']]}:{mount['mountPath']}"
                + (":ro" if mount.get("readOnly") else "")
                for mount in container.get("volumeMounts", [])]

    def _variables(self, container):
        return [f"--env={one['name']}={self._value(one)}" for one in container.get("env", [])]

    def _value(self, variable):
        if "value" in variable:
            return variable["value"]
        wanted = variable["valueFrom"]["secretKeyRef"]
        return self._secrets[wanted["name"]][wanted["key"]]

    def _podman(self, *words, **options):
        return podman.run(["nsenter", f"--net=/proc/{self._host.pid}/ns/net", "podman",
                           *map(str, words)], **options)

    # -- what one does with it

    def exec(self, *command, check=True):
        return podman.podman("exec", self.name, *command, check=check)

    def probe(self, kind):
        """Whether the pod's probe of that kind is content, as kubelet asks it."""
        command = self.spec["containers"][0][kind]["exec"]["command"]
        return self.exec(*command, check=False).returncode == 0

    def wait_ready(self):
        wait.until(lambda: self._is_up() and self.probe("startupProbe"),
                   lambda: f"the pod to be ready; it said:\n{self.log()}", every=0.1)

    def _is_up(self):
        assert self.state()["Running"], f"the container ended:\n{self.log()}"
        return True

    def state(self):
        return json.loads(podman.podman("inspect", "--format", "{{json .State}}",
                                        self.name).stdout)

    def log(self):
        done = podman.podman("logs", self.name, check=False)
        return done.stdout + done.stderr

    def replace_container(self):
        """As kubelet does when a container was killed: another one, with the same volumes."""
        podman.podman("rm", "--force", "--volumes", "--time=0", self.name)
        self._run_main()

    def stop(self):
        """The exit status, after no more than the grace period."""
        podman.podman("stop", "-t", self.spec["terminationGracePeriodSeconds"], self.name)
        return self.state()["ExitCode"]


class _GroupVolume(kubelet.Volume):
    """A ConfigMap or Secret whose files are the pod's group's, with a mode."""

    def __init__(self, path, group, mode):
        super().__init__(path)
        self._group = group
        self._mode = mode

    def _make_generation(self, keys):
        folder = super()._make_generation(keys)
        for key in keys:
            path = self._at(folder, key)
            os.chown(path, 0, 0 if self._group is None else self._group)
            os.chmod(path, self._mode)
        return folder
