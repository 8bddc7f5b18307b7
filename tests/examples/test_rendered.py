# SPDX-License-Identifier: MIT
"""What kustomize and compose make of the examples, without running them."""
import os
import subprocess

import pytest
import yaml

import cluster
import compose
from lab import mailhost, wait

OVERLAYS = ["dovecot/base", "dovecot/overlays/ingress-nginx", "dovecot/overlays/traefik",
            "postfix/base", "postfix/overlays/ingress-nginx", "postfix/overlays/traefik"]
SCHEMAS = os.path.join(mailhost.REPOSITORY, "scripts", "lib", "cluster-schemas")
SCHEMAS_LIMIT_S = 900
NAMESPACES = {"mail", "ingress-nginx"}


@pytest.fixture(scope="session")
def schemas():
    """(The folder, kubeconform's arguments for it): Kubernetes' and Traefik's kinds."""
    def ask(*words):
        return subprocess.run([SCHEMAS, *words], check=True, text=True, stdout=subprocess.PIPE,
                              timeout=SCHEMAS_LIMIT_S).stdout.splitlines()

    return ask()[0], ask("--arguments")


@pytest.fixture(scope="session")
def kubeconform(schemas):
    """Judges objects by the schemas of the oldest or newest Kubernetes: (exit status, words)."""
    def versions():
        found = os.listdir(os.path.join(schemas[0], "kubernetes"))
        return sorted(found, key=lambda name: [int(n) for n in name.lstrip("v").split(".")])

    def judge(objects, which):
        version = versions()[{"oldest": 0, "newest": -1}[which]].lstrip("v")
        done = subprocess.run([cluster.tool("kubeconform"), *schemas[1], "-strict", "-summary",
                               "-kubernetes-version", version, "-"],
                              input=yaml.safe_dump_all(objects), text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=wait.LIMIT_S, check=False)
        return done.returncode, done.stdout

    return judge


@pytest.fixture(params=OVERLAYS)
def overlay(request):
    return request.param


@pytest.fixture
def objects(overlay):
    return cluster.kustomize(overlay)


@pytest.fixture(scope="session")
def compose_file():
    with open(os.path.join(compose.EXAMPLE, "compose.yaml"), encoding="utf-8") as file:
        return yaml.safe_load(file)


def kinds(objects, kind):
    return [one for one in objects if one["kind"] == kind]


def test_every_folder_with_a_kustomization_is_tested():
    found = {os.path.relpath(where, cluster.EXAMPLES)
             for where, _, names in os.walk(cluster.EXAMPLES) if "kustomization.yaml" in names}
    assert found == set(OVERLAYS)


@pytest.mark.parametrize("version", ["oldest", "newest"])
def test_kubernetes_would_take_it(kubeconform, objects, version):
    status, words = kubeconform(objects, version)
    assert status == 0, words
    assert f"{len(objects)} resources" in words and "Skipped: 0" in words, words


def test_a_typing_mistake_would_be_found(kubeconform):
    objects = cluster.kustomize("dovecot/overlays/traefik")
    cluster.workload(objects)["spec"]["template"]["spec"]["containers"][0]["volumeMount"] = []
    cluster.find(objects, "ServersTransportTCP", "dovecot-proxied")["spec"]["proxyprotocol"] = {}
    status, words = kubeconform(objects, "newest")
    assert status == 1 and "volumeMount" in words and "proxyprotocol" in words, words


def test_names_hold_no_hash_so_that_a_change_rolls_no_pod(objects):
    volumes = cluster.workload(objects)["spec"]["template"]["spec"]["volumes"]
    mounted = {volume["configMap"]["name"] for volume in volumes if "configMap" in volume}
    assert mounted <= {one["metadata"]["name"] for one in kinds(objects, "ConfigMap")}
    server = cluster.workload(objects)["metadata"]["name"]
    assert mounted <= {f"{server}-postern", f"{server}-settings"}


def test_nothing_is_mounted_in_a_way_that_never_updates(objects):
    spec = cluster.workload(objects)["spec"]["template"]["spec"]
    mounts = [mount for container in spec["containers"] for mount in container["volumeMounts"]]
    assert not [mount for mount in mounts if "subPath" in mount]
    assert not [one for one in kinds(objects, "ConfigMap") if one.get("immutable")]


def test_every_object_has_its_namespace(objects):
    assert {one["metadata"]["namespace"] for one in objects} <= NAMESPACES
    assert cluster.workload(objects)["metadata"]["namespace"] == "mail"


def test_labels_are_the_recommended_ones_and_selectors_fit(objects):
    workload = cluster.workload(objects)
    wanted = workload["spec"]["selector"]["matchLabels"]
    assert wanted == {"app.kubernetes.io/name": workload["metadata"]["name"]}
    assert wanted.items() <= workload["spec"]["template"]["metadata"]["labels"].items()
    for service in kinds(objects, "Service"):
        assert service["spec"]["selector"] == wanted
    for policy in kinds(objects, "NetworkPolicy"):
        assert policy["spec"]["podSelector"]["matchLabels"] == wanted


def test_one_service_leads_to_the_stock_ports_and_one_to_the_twins(objects):
    name = cluster.workload(objects)["metadata"]["name"]
    container, = cluster.workload(objects)["spec"]["template"]["spec"]["containers"]
    pod_ports = {port["name"] for port in container["ports"]}
    targets = {}
    for service in kinds(objects, "Service"):
        targets[service["metadata"]["name"]] = {p["targetPort"] for p in service["spec"]["ports"]}
    assert set(targets) == {name, f"{name}-proxied"}
    assert targets[name] | targets[f"{name}-proxied"] == pod_ports
    assert all(port.endswith("-proxied") for port in targets[f"{name}-proxied"])
    assert not any(port.endswith("-proxied") for port in targets[name])


def test_the_twins_are_for_the_controller_alone(overlay, objects):
    admitted = [(source, port["port"]) for policy in kinds(objects, "NetworkPolicy")
                for rule in policy["spec"]["ingress"] for source in rule["from"]
                for port in rule["ports"] if port["port"].endswith("-proxied")]
    if overlay.endswith("/base"):
        assert admitted == []
        return
    controller = os.path.basename(overlay)
    assert {port for _, port in admitted} == {
        p["targetPort"] for p in cluster.find(
            objects, "Service", overlay.split("/", maxsplit=1)[0] + "-proxied")["spec"]["ports"]}
    for source, _ in admitted:
        assert source["namespaceSelector"]["matchLabels"] == {
            "kubernetes.io/metadata.name": controller}
        assert source["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": controller}


def test_images_are_named_once_and_pinned(objects):
    spec = cluster.workload(objects)["spec"]["template"]["spec"]
    for container in spec["initContainers"] + spec["containers"]:
        assert container["image"].rpartition(":")[2] not in ("", "latest"), container["image"]


def test_every_port_of_the_compose_file_leads_to_its_twin(compose_file):
    labels = compose_file["services"]["mailserver"]["labels"]
    command = compose_file["services"]["traefik"]["command"]
    twins = {name: port for name, port in mailhost.TWIN_PORTS.items() if "pop3" not in name}
    published = set(compose_file["services"]["traefik"]["ports"])
    assert published == {f"{mailhost.STOCK_PORTS[name]}:{mailhost.STOCK_PORTS[name]}"
                         for name in twins}
    wanted = {"traefik.enable": "true"}
    for name, port in twins.items():
        assert f"--entryPoints.{name}.address=:{mailhost.STOCK_PORTS[name]}" in command
        router, service = f"traefik.tcp.routers.{name}", f"traefik.tcp.services.{name}.loadbalancer"
        wanted.update({f"{router}.rule": "HostSNI(`*`)", f"{router}.entrypoints": name,
                       f"{router}.service": name, f"{service}.server.port": str(port),
                       f"{service}.serverstransport": "postern@file"})
    assert labels == wanted


def test_compose_trusts_traefiks_fixed_addresses_and_nobody_else(compose_file):
    addresses = compose_file["services"]["traefik"]["networks"]["edge"]
    with open(os.path.join(compose.EXAMPLE, "postern", "postern.conf"), encoding="utf-8") as file:
        text = file.read()
    assert (f'trusted-networks = {{ "{addresses["ipv4_address"]}", '
            f'"{addresses["ipv6_address"]}" }}') in text
    on_edge = [name for name, service in compose_file["services"].items()
               if "edge" in (service.get("networks") or [])]
    assert sorted(on_edge) == ["mailserver", "traefik"]
