# SPDX-License-Identifier: MIT
"""A pod of a chart as a pod that `podman kube play` 4.3 can run, and a report of every difference.

The engine knows no native sidecars, no Services and no kubelet.  What it would leave out without a
word, the probes, subPath, modes, variables from elsewhere, is done by the tests' own kubelet.
"""
import manifests
import volumes as volumes_module

# What a container keeps as it is.
KEPT = ("name", "workingDir", "stdin", "tty")
# What is done by others, and what kubelet alone would need.
DONE_ELSEWHERE = {
    "livenessProbe": "asked by the tests", "readinessProbe": "asked by the tests",
    "startupProbe": "asked by the tests", "lifecycle": "left out",
    "ports": "left out: nothing is published", "imagePullPolicy": "Never",
}
DEFAULT_PROFILE = {"type": "RuntimeDefault"}
# From the pod's securityContext to its containers'.
PASSED_DOWN = ("runAsUser", "runAsGroup", "runAsNonRoot")
RESOURCES = ("cpu", "memory")
# Of the pod's spec: kept, and of no meaning on one machine.
POD_KEPT = ("shareProcessNamespace",)
POD_WITHOUT_MEANING = (
    "serviceAccountName", "automountServiceAccountToken", "enableServiceLinks", "nodeSelector",
    "imagePullSecrets", "tolerations", "affinity", "topologySpreadConstraints",
    "priorityClassName", "runtimeClassName", "schedulerName", "dnsPolicy", "hostname", "subdomain")
# There is no name server on the wire; where nobody listens, whoever asks gets his no at once.
NO_NAME_SERVER = "nameserver 127.0.0.1\n"
# Else the engine removes them, with what they have said, when they have ended.
KEEP_INIT_CONTAINERS = {"io.podman.annotations.init.container.type": "always"}
POD_DONE_ELSEWHERE = {"dnsConfig": "left out: there is no name server",
                      "hostAliases": "in the tests' own /etc/hosts",
                      "terminationGracePeriodSeconds": "the tests' stop",
                      "restartPolicy": "OnFailure, unless it is Never"}


class Report:
    """What was changed, in sentences; each once."""

    def __init__(self):
        self.lines = []

    def __call__(self, line):
        if line not in self.lines:
            self.lines.append(line)

    def __str__(self):
        return "\n".join(self.lines)


class Translation:
    """Of one pod: `manifest` for the engine, `volumes` for the kubelet, `report`."""

    def __init__(self, name, template, rendered, images, root, fields, hosts=()):
        self.report = Report()
        self.spec = template["spec"]
        self._rendered = rendered
        self._images = images
        self._fields = {**_fields_of(template, name), **fields}
        self.volumes = volumes_module.Volumes(root, name, self.spec, rendered,
                                              self.report)
        self._hosts = _hosts_file(name, fields["status.podIPs"].split(","), [
            *(self.spec.get("hostAliases") or []), *hosts])
        spec = self._pod_spec()
        self.manifest = {"apiVersion": "v1", "kind": "Pod", "spec": spec,
                         "metadata": {"name": name, "annotations": KEEP_INIT_CONTAINERS}}

    def _pod_spec(self):
        spec = {key: self.spec[key] for key in POD_KEPT if key in self.spec}
        # Always is OnFailure here: a container that ended in good order is looked at by the tests.
        spec["restartPolicy"] = ("Never" if self.spec.get("restartPolicy") == "Never"
                                 else "OnFailure")
        spec["initContainers"] = [self._container(each)
                                  for each in self.spec.get("initContainers") or []]
        spec["containers"] = [self._container(each) for each in self.spec["containers"]]
        spec["volumes"] = self.volumes.as_host_paths()
        for key in self.spec:
            if key in POD_WITHOUT_MEANING:
                self.report(f"pod: {key}: left out, of no meaning on one machine")
            elif key in POD_DONE_ELSEWHERE:
                self.report(f"pod: {key}: {POD_DONE_ELSEWHERE[key]}")
            elif key == "securityContext":
                self._pod_security(self.spec[key])
            else:
                assert key in spec, f"pod: {key} is not translated"
        return spec

    def _pod_security(self, context):
        """Seccomp's default profile is the engine's default, too."""
        assert context.get("seccompProfile", DEFAULT_PROFILE) == DEFAULT_PROFILE, context
        self.report("pod: securityContext.seccompProfile: RuntimeDefault is the engine's default")
        for key in set(context) - {"seccompProfile"}:
            assert key in PASSED_DOWN, f"pod: securityContext.{key} is not translated"
            self.report(f"pod: securityContext.{key}: in each container's")

    def _security(self, container):
        """The container's own over the pod's."""
        given = self.spec.get("securityContext") or {}
        return {**{key: given[key] for key in PASSED_DOWN if key in given},
                **container.get("securityContext", {})}

    def _container(self, container):
        name = container["name"]
        assert "restartPolicy" not in container, \
            f"{name} is a native sidecar: render for Kubernetes 1.28"
        made = {key: container[key] for key in KEPT if key in container}
        made["securityContext"] = self._security(container)
        made["image"] = self._images(container["image"])
        made["imagePullPolicy"] = "Never"
        self.report(f"image {container['image']}: {made['image']}")
        environment = manifests.environment(self._rendered, container, self._fields)
        made["env"] = [{"name": key, "value": value} for key, value in environment.items()]
        for key in ("command", "args"):
            if key in container:
                made[key] = [manifests.expand(word, environment) for word in container[key]]
        made["volumeMounts"] = [self.volumes.mount(each)
                                for each in container.get("volumeMounts") or []]
        made["volumeMounts"] += [
            self.volumes.file("hosts", "/etc/hosts", self._hosts),
            self.volumes.file("resolv.conf", "/etc/resolv.conf", NO_NAME_SERVER)]
        if "resources" in container:
            made["resources"] = self._resources(name, container["resources"])
        for key in container:
            if key in DONE_ELSEWHERE:
                self.report(f"{name}: {key}: {DONE_ELSEWHERE[key]}")
            else:
                assert key in made or key in ("envFrom",), f"{name}: {key} is not translated"
        return made

    def _resources(self, name, resources):
        kept = {}
        for kind, amounts in resources.items():
            kept[kind] = {key: value for key, value in amounts.items() if key in RESOURCES}
            for key in set(amounts) - set(RESOURCES):
                self.report(f"{name}: resources.{kind}.{key}: left out")
        return kept


def _hosts_file(name, addresses, aliases):
    """/etc/hosts as kubelet writes it; the engine's has names of this machine."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{address} {name}" for address in addresses]
    lines += [" ".join([each["ip"], *each["hostnames"]]) for each in aliases]
    return "\n".join(lines) + "\n"


def _fields_of(template, name):
    """What fieldRef may ask for, as far as the manifest says it."""
    metadata = template.get("metadata") or {}
    fields = {"metadata.name": name, "metadata.namespace": "mail", "spec.nodeName": "node",
              "spec.serviceAccountName": template["spec"].get("serviceAccountName", "default")}
    for kind in ("labels", "annotations"):
        for key, value in (metadata.get(kind) or {}).items():
            fields[f"metadata.{kind}['{key}']"] = value
    return fields
