# SPDX-License-Identifier: MIT
"""What the tests ask of rendered objects."""
import re


def own(rendered):
    """The objects that are the chart's own, not the user's extraManifests."""
    return [obj for source, obj in rendered if not source.endswith("/extra.yaml")]


def of_kind(rendered, *kinds):
    return [obj for _, obj in rendered if obj["kind"] in kinds]


def title(obj):
    return f"{obj['kind']}/{obj['metadata']['name']}"


def walk(value, path=()):
    """(path, value) of everything in it."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, (*path, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walk(inner, (*path, str(index)))


def texts(value):
    """Every text in it."""
    return {inner for _, inner in walk(value) if isinstance(inner, str)}


def pod_of(rendered):
    """The mail server's pod: metadata and spec."""
    deployment, = of_kind(rendered, "Deployment")
    return deployment["spec"]["template"]


def pods(rendered):
    """(title, metadata, spec) of every pod."""
    for obj in of_kind(rendered, "Deployment"):
        template = obj["spec"]["template"]
        yield title(obj), template["metadata"], template["spec"]
    for obj in of_kind(rendered, "Pod"):
        yield title(obj), obj["metadata"], obj["spec"]


def containers(spec):
    return [*spec.get("initContainers", []), *spec["containers"]]


def serving(spec):
    """The containers that run as long as the pod."""
    return [container for container in containers(spec)
            if container in spec["containers"] or container.get("restartPolicy") == "Always"]


def ports(spec):
    return [port for container in serving(spec) for port in container.get("ports", [])]


def selectors(rendered):
    """(title, labels) of everything that picks pods."""
    for obj in of_kind(rendered, "Service"):
        yield title(obj), obj["spec"]["selector"]
    for obj in of_kind(rendered, "NetworkPolicy"):
        yield title(obj), obj["spec"]["podSelector"]["matchLabels"]
    for obj in of_kind(rendered, "Deployment", "PodDisruptionBudget", "PodMonitor"):
        yield title(obj), obj["spec"]["selector"]["matchLabels"]


def backends(rendered):
    """(title, Service, port) of everything that leads to a Service."""
    for obj in of_kind(rendered, "IngressRouteTCP"):
        for route in obj["spec"]["routes"]:
            for service in route["services"]:
                yield title(obj), service["name"], service["port"]
    for obj in of_kind(rendered, "TCPRoute"):
        for rule in obj["spec"]["rules"]:
            for service in rule["backendRefs"]:
                yield title(obj), service["name"], service["port"]
    for obj in of_kind(rendered, "TCP"):
        for entry in obj["spec"]:
            yield title(obj), entry["service"]["name"], entry["service"]["port"]
    for obj in of_kind(rendered, "Ingress"):
        backend = obj["spec"]["defaultBackend"]["service"]
        yield title(obj), backend["name"], backend["port"]["number"]
    for obj in of_kind(rendered, "Pod"):  # what `helm test` tries
        for argument in texts(obj["spec"]["containers"]):
            for service, port in re.findall(r"=([a-z0-9-]+)\.[a-z0-9-]+\.svc:(\d+)", argument):
                yield title(obj), service, int(port)
    for source, obj in rendered:
        if obj["kind"] == "ConfigMap" and "ingress" in source:
            for place in obj["data"].values():
                service = place.partition("/")[2].split(":")
                yield title(obj), service[0], int(service[1])


def references(spec):
    """(kind, name) of everything that a pod wants to be there."""
    for volume in spec.get("volumes", []):
        yield from _sources(volume)
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
        for source in volume.get("projected", {}).get("sources", []):
            yield from _sources(source)
    for container in containers(spec):
        for place in container.get("envFrom", []):
            yield from _named(place, {"configMapRef": "ConfigMap", "secretRef": "Secret"})
        for variable in container.get("env", []):
            yield from _named(variable.get("valueFrom", {}),
                              {"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"})
    for secret in spec.get("imagePullSecrets", []):
        yield "Secret", secret["name"]
    if "serviceAccountName" in spec:
        yield "ServiceAccount", spec["serviceAccountName"]


def _sources(place):
    if "configMap" in place:
        yield "ConfigMap", place["configMap"]["name"]
    if "secret" in place:
        yield "Secret", place["secret"].get("secretName") or place["secret"]["name"]


def _named(place, kinds):
    for key, kind in kinds.items():
        if key in place:
            yield kind, place[key]["name"]


def provided(rendered):
    """(kind, name) of everything that is there once the release is."""
    out = {(obj["kind"], obj["metadata"]["name"]) for _, obj in rendered}
    out |= {("Secret", obj["spec"]["secretName"]) for obj in of_kind(rendered, "Certificate")}
    return out | {("ServiceAccount", "default")}
