# SPDX-License-Identifier: MIT
"""A pod of a chart, run by podman on a private wire, with the tests as its kubelet."""
import contextlib
import os
import signal
import subprocess
import time

import yaml

import translate
from lab import netns, podman, wait

# kubelet's defaults.
PROBE_TIMEOUT_S = 1
GRACE_S = 30
# Far more than the set-up of a mail container takes.
READY_LIMIT_S = 150


class Container:
    """One container of a running pod."""

    def __init__(self, pod, spec):
        self.pod = pod
        self.spec = spec
        self.name = f"{pod.name}-{spec['name']}"

    def _inspect(self, format_):
        return podman.podman("inspect", "--format", format_, self.name).stdout.strip()

    @property
    def pid(self):
        """Its first process, by this machine's number; 0 when it does not run."""
        return int(self._inspect("{{.State.Pid}}"))

    @property
    def running(self):
        return self._inspect("{{.State.Running}}") == "true"

    @property
    def exit_code(self):
        return int(self._inspect("{{.State.ExitCode}}"))

    @property
    def started_at(self):
        return self._inspect("{{.State.StartedAt}}")

    def logs(self):
        """Standard output and error."""
        return podman.podman("logs", self.name, stderr=subprocess.STDOUT).stdout

    def exec(self, *argv, check=True, timeout=podman.RUN_LIMIT_S):
        return podman.podman("exec", self.name, *argv, check=check, timeout=timeout)

    def crash(self):
        """Its first process is killed; the engine, as kubelet, starts the container again."""
        before = self.pid
        os.kill(before, signal.SIGKILL)
        wait.until(lambda: self.pid not in (0, before), lambda: f"{self.name} to come back\n"
                   + self.pod.logs())

    def probe(self, kind):
        """kubelet's question: whether it is answered well; None when there is none."""
        probe = self.spec.get(kind + "Probe")
        if not probe:
            return None
        assert set(probe) & {"exec"}, f"{self.name}: a {kind} probe with {sorted(probe)}"
        try:
            done = self.exec(*probe["exec"]["command"], check=False,
                             timeout=probe.get("timeoutSeconds", PROBE_TIMEOUT_S))
        except subprocess.TimeoutExpired:
            return False
        self.last_probe = f"{done.returncode}: {done.stdout}{done.stderr}"
        return done.returncode == 0


class KubePod(netns.NetHost):
    """`template` (metadata and spec) of `rendered`, on the wire with these addresses.

    It reaches the `services`, by name.  An heir takes the claims of a pod that has ended.
    """

    def __init__(self, wire, template, rendered, images, addresses, services=None,
                 heir_of=None):
        super().__init__(podman.name("pod"), addresses)
        self._wire = wire
        self._services = services
        self._store = _take_store(heir_of)
        podman.at_end("pod", "rm", "--force", "--time", "0", self.name)
        self.root = podman.podman("volume", "inspect", "--format", "{{.Mountpoint}}",
                                  self._store).stdout.strip()
        fields = {"status.podIP": addresses[0], "status.hostIP": addresses[0],
                  "status.podIPs": ",".join(addresses)}
        self.translation = translate.Translation(
            self.name, template, rendered, images, self.root, fields,
            [{"ip": ip, "hostnames": names} for ip, names in services.hosts()] if services else [])
        self.spec = template["spec"]
        self.init_containers = {each["name"]: Container(self, each)
                                for each in self.spec.get("initContainers") or []}
        self.containers = {each["name"]: Container(self, each) for each in self.spec["containers"]}

    @property
    def report(self):
        return self.translation.report

    @property
    def grace_s(self):
        return self.spec.get("terminationGracePeriodSeconds", GRACE_S)

    def create(self):
        """Make all containers, and start the one that holds the namespaces, on the wire."""
        podman.podman("kube", "play", "--network", "none", "--start=false", "-",
                      input=yaml.safe_dump(self.translation.manifest))
        infra = podman.podman("pod", "inspect", "--format", "{{.InfraContainerID}}",
                              self.name).stdout.strip()
        podman.podman("start", infra)
        self.pid = int(podman.podman("inspect", "--format", "{{.State.Pid}}", infra).stdout)
        self._wire.plug_one(self)
        if self._services:
            self._services.lead(self.pid)

    def start(self):
        """Everything starts; init containers first, one after the other."""
        self.create()
        podman.podman("pod", "start", self.name)
        for each in self.init_containers.values():
            assert each.exit_code == 0, f"{each.name} ended with {each.exit_code}:\n{each.logs()}"

    def ready(self):
        """Wait until every readiness probe is answered well."""
        def all_ready():
            for each in self.containers.values():
                if not each.running:
                    raise AssertionError(f"{each.name} ended with {each.exit_code}:\n{self.logs()}")
            return all(each.probe("readiness") is not False for each in self.containers.values())

        wait.until(all_ready, lambda: f"{self.name} to be ready\n{self.logs()}\n"
                   + "\n".join(getattr(each, "last_probe", "") for each in
                               self.containers.values()),
                   READY_LIMIT_S, every=0.2)

    def logs(self):
        said = ""
        for each in (*self.init_containers.values(), *self.containers.values()):
            with contextlib.suppress(AssertionError):
                said += f"--- {each.name}\n{each.logs()[-6000:]}\n"
        return said

    def update(self, rendered):
        """What kubelet does with changed objects; the names of the volumes that changed."""
        return self.translation.volumes.update(rendered)

    def volume(self, name):
        """Where this machine has a volume of the pod."""
        return self.translation.volumes.folder(name)

    def shut_down(self):
        """All containers are asked to end at once, as by kubelet; {name: (exit code, seconds)}.

        Not by `podman stop`: to the engine a container that is being stopped has ended, and it
        takes the whole pod away with the first one that has.
        """
        begun, ended = time.monotonic(), {}
        for each in self.containers.values():
            os.kill(each.pid, signal.SIGTERM)

        def all_ended():
            for name, each in self.containers.items():
                if name not in ended and not each.running:
                    ended[name] = (each.exit_code, time.monotonic() - begun)
            return len(ended) == len(self.containers)

        wait.until(all_ended, lambda: f"{self.name} to end; of {sorted(self.containers)} have "
                   f"{ended}\n{self.logs()}", self.grace_s, every=0.05)
        return ended

    def wait_end(self, limit_s=wait.LIMIT_S):
        """For a pod that ends by itself: {name: exit code}."""
        for each in self.containers.values():
            podman.podman("wait", each.name, timeout=limit_s)
        return {name: each.exit_code for name, each in self.containers.items()}

    def stop(self):
        """Take the pod away, with its data, unless an heir has them."""
        podman.podman("pod", "rm", "--force", "--time", "0", self.name, check=False)
        if self._store is not None:
            podman.podman("volume", "rm", "--force", self._store, check=False)
        self.pid = None


def _take_store(heir_of):
    """A folder for all of a pod's data: a volume of the engine's, or that of a pod that goes."""
    if heir_of is not None:
        store, heir_of._store = heir_of._store, None
        heir_of.stop()
        return store
    store = podman.name("data")
    podman.at_end("volume", "rm", "--force", store)
    podman.podman("volume", "create", store)
    return store
