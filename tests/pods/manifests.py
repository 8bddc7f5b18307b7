# SPDX-License-Identifier: MIT
"""What a chart renders: finding objects, and reading what the pod takes from them."""
import base64
import re

DEFAULT_MODE = 0o644
HOOK = "helm.sh/hook"


class Missing(Exception):
    """The pod names an object, or a key of it, that is not there; kubelet would wait for it."""


class Rendered:
    """The objects of one rendering, as dicts."""

    def __init__(self, objects):
        self.objects = [each for each in objects if each]

    def of_kind(self, *kinds):
        return [each for each in self.objects if each["kind"] in kinds]

    def get(self, kind, name):
        """The object, or None."""
        return next((each for each in self.of_kind(kind) if each["metadata"]["name"] == name), None)

    def workload(self):
        """The one Deployment or StatefulSet."""
        found = self.of_kind("Deployment", "StatefulSet")
        assert len(found) == 1, [each["metadata"]["name"] for each in found]
        return found[0]

    def template(self):
        """The pod's part of the workload: metadata and spec."""
        return self.workload()["spec"]["template"]

    def test_pods(self):
        return [each for each in self.of_kind("Pod")
                if "test" in each["metadata"].get("annotations", {}).get(HOOK, "")]

    def add(self, kind, name, data):
        """An object that is not the chart's, or another content of one: {key: text}."""
        self.objects = [each for each in self.objects
                        if (each["kind"], each["metadata"]["name"]) != (kind, name)]
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
        self.objects.append({"kind": kind, "metadata": {"name": name},
                             "data": encoded if kind == "Secret" else dict(data)})

    def content(self, kind, name):
        """{key: bytes} of a ConfigMap or Secret; None when there is none."""
        found = self.get(kind, name)
        if found is None:
            return None
        content = {}
        for key, text in (found.get("data") or {}).items():
            content[key] = base64.b64decode(text) if kind == "Secret" else text.encode()
        for key, text in (found.get("binaryData") or {}).items():
            content[key] = base64.b64decode(text)
        for key, text in (found.get("stringData") or {}).items():
            content[key] = text.encode()
        return content


# -- volumes

def _source(rendered, kind, name, source, default_mode):
    """{path: (bytes, mode)} of one ConfigMap or Secret as a volume takes it."""
    content = rendered.content(kind, name)
    optional = source.get("optional", False)
    if content is None:
        if optional:
            return {}
        raise Missing(f"{kind} {name}")
    items = source.get("items") or [{"key": key, "path": key} for key in content]
    payload = {}
    for item in items:
        if item["key"] not in content:
            if optional:
                continue
            raise Missing(f"{kind} {name}: {item['key']}")
        payload[item["path"]] = (content[item["key"]], int(item.get("mode", default_mode)))
    return payload


def payload(rendered, volume):
    """What kubelet puts in a volume: {path: (bytes, mode)}; None: it is no such volume."""
    if "configMap" in volume:
        source = volume["configMap"]
        return _source(rendered, "ConfigMap", source["name"], source,
                       source.get("defaultMode", DEFAULT_MODE))
    if "secret" in volume:
        source = volume["secret"]
        return _source(rendered, "Secret", source["secretName"], source,
                       source.get("defaultMode", DEFAULT_MODE))
    if "projected" not in volume:
        return None
    mode = volume["projected"].get("defaultMode", DEFAULT_MODE)
    found = {}
    for source in volume["projected"]["sources"]:
        for key, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
            if key in source:
                found.update(_source(rendered, kind, source[key]["name"], source[key], mode))
        unknown = set(source) - {"configMap", "secret"}
        assert not unknown, f"a projected volume with {unknown}"
    return found


# -- environment

def _referred(rendered, kind, reference):
    content = rendered.content(kind, reference["name"])
    if content is None or reference["key"] not in content:
        if reference.get("optional"):
            return None
        raise Missing(f"{kind} {reference['name']}: {reference['key']}")
    return content[reference["key"]].decode()


def _value(rendered, variable, fields):
    """One variable's value before expansion; None: it is left out."""
    source = variable.get("valueFrom")
    if not source:
        return variable.get("value", "")
    for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if key in source:
            return _referred(rendered, kind, source[key])
    assert "fieldRef" in source, f"a variable from {sorted(source)}"
    return fields[source["fieldRef"]["fieldPath"]]


def expand(text, environment):
    """$(NAME) as Kubernetes has it: what is not known stays, $$ is one dollar sign."""
    def replace(match):
        if match[0] == "$$":
            return "$"
        return environment.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replace, text)


def environment(rendered, container, fields):
    """{name: value} as the container gets it: envFrom, then env, in their order."""
    found = {}
    for source in container.get("envFrom") or []:
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if key in source:
                content = rendered.content(kind, source[key]["name"])
                if content is None and not source[key].get("optional"):
                    raise Missing(f"{kind} {source[key]['name']}")
                for name, data in (content or {}).items():
                    found[source.get("prefix", "") + name] = data.decode()
    for variable in container.get("env") or []:
        value = _value(rendered, variable, fields)
        if value is not None:
            found[variable["name"]] = expand(value, found)
    return found
