# SPDX-License-Identifier: MIT
"""Names, labels, selectors and ports of what is rendered."""
import re

import objects
import rendering
import strict_yaml
import tools

FULLNAME = f"{rendering.RELEASE}-postern"
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")
NAME_MAX = 63
PORT_NAME_MAX = 15
NEVER_IN_SELECTORS = {"app.kubernetes.io/version", "helm.sh/chart", "app.kubernetes.io/managed-by"}


def chart():
    return strict_yaml.load((tools.CHART / "Chart.yaml").read_text())


def test_every_object_has_the_recommended_labels(rendered):
    about = chart()
    wanted = {"app.kubernetes.io/name": about["name"],
              "app.kubernetes.io/instance": rendering.RELEASE,
              "app.kubernetes.io/version": about["appVersion"],
              "app.kubernetes.io/managed-by": "Helm",
              "helm.sh/chart": f"{about['name']}-{about['version']}"}
    for obj in objects.own(rendered):
        labels = obj["metadata"].get("labels", {})
        assert {key: labels.get(key) for key in wanted} == wanted, objects.title(obj)


def values_of(case):
    return [strict_yaml.load((tools.CHART / "values.yaml").read_text()), case.values]


def test_every_name_begins_with_the_release_or_is_a_value(case, rendered):
    by_value = objects.texts(values_of(case))
    for obj in objects.own(rendered):
        name = obj["metadata"]["name"]
        assert name == FULLNAME or name.startswith(f"{FULLNAME}-") or name in by_value, objects.title(obj)


def test_every_object_says_its_namespace(case, rendered):
    by_value = objects.texts(values_of(case))
    for obj in objects.own(rendered):
        namespace = obj["metadata"].get("namespace")
        assert namespace == rendering.NAMESPACE or namespace in by_value, objects.title(obj)


def test_two_releases_have_no_name_in_common(case):
    by_value = objects.texts(values_of(case))
    names = []
    for release in (rendering.RELEASE, "other"):
        rendered = rendering.objects_of("helm3", case, release=release)
        names.append({(obj["kind"], obj["metadata"]["name"]) for obj in objects.own(rendered)
                      if obj["metadata"]["name"] not in by_value})
    assert names[0] and not names[0] & names[1]


def test_a_long_release_name_is_no_trouble(case):
    for _, obj in rendering.objects_of("helm3", case, release="m" + "a" * 50 + "-l"):
        assert len(obj["metadata"]["name"]) <= NAME_MAX, objects.title(obj)
        assert NAME.fullmatch(obj["metadata"]["name"]), objects.title(obj)
        for value in obj["metadata"].get("labels", {}).values():
            assert len(value) <= NAME_MAX, objects.title(obj)


def test_port_names_are_what_kubernetes_takes(rendered):
    named = [port["name"] for _, _, spec in objects.pods(rendered)
             for container in objects.containers(spec) for port in container.get("ports", [])]
    named += [port["name"] for service in objects.of_kind(rendered, "Service")
              for port in service["spec"]["ports"]]
    assert named
    for name in named:
        assert len(name) <= PORT_NAME_MAX and PORT_NAME.fullmatch(name), name


def test_ports_of_the_pod_are_there_once(rendered):
    ports = objects.ports(objects.pod_of(rendered)["spec"])
    for key in ("name", "containerPort"):
        values = [port[key] for port in ports]
        assert len(values) == len(set(values)), values


def test_selectors_pick_the_mail_servers_pod_and_no_version(rendered):
    labels = objects.pod_of(rendered)["metadata"]["labels"]
    found = list(objects.selectors(rendered))
    assert found
    for title, selector in found:
        assert selector and selector.items() <= labels.items(), title
        assert not NEVER_IN_SELECTORS & set(selector), title


def test_selectors_are_this_releases_alone(rendered):
    for title, selector in objects.selectors(rendered):
        assert selector.get("app.kubernetes.io/instance") == rendering.RELEASE, title


def test_the_pods_of_helm_test_are_not_picked(rendered):
    for pod in objects.of_kind(rendered, "Pod"):
        labels = pod["metadata"]["labels"]
        for title, selector in objects.selectors(rendered):
            assert not selector.items() <= labels.items(), f"{title} picks {objects.title(pod)}"


def test_a_new_chart_alone_does_not_start_the_pod_anew(rendered):
    labels = objects.pod_of(rendered)["metadata"]["labels"]
    assert not {"app.kubernetes.io/version", "helm.sh/chart"} & set(labels)


def test_services_lead_to_ports_of_the_pod(rendered):
    ports = objects.ports(objects.pod_of(rendered)["spec"])
    known = {port["name"] for port in ports} | {port["containerPort"] for port in ports}
    for service in objects.of_kind(rendered, "Service"):
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in known, f"{objects.title(service)}: {port}"


def test_network_policies_speak_of_ports_of_the_pod(case, rendered):
    ports = objects.ports(objects.pod_of(rendered)["spec"])
    known = {port["name"] for port in ports} | {port["containerPort"] for port in ports}
    extra = case.values.get("networkPolicy", {}).get("extraIngress", [])
    for policy in objects.of_kind(rendered, "NetworkPolicy"):
        for rule in policy["spec"]["ingress"]:
            if rule not in extra:
                assert {port["port"] for port in rule["ports"]} <= known, rule


def test_probes_ask_ports_of_the_pod(rendered):
    for title, _, spec in objects.pods(rendered):
        for container in objects.containers(spec):
            known = {port["name"] for port in container.get("ports", [])}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                probe = container.get(kind, {})
                port = (probe.get("tcpSocket") or probe.get("httpGet") or {}).get("port")
                assert port is None or isinstance(port, int) or port in known, f"{title}: {port}"


def test_monitors_ask_ports_of_the_pod(rendered):
    known = {port["name"] for port in objects.ports(objects.pod_of(rendered)["spec"])}
    for monitor in objects.of_kind(rendered, "PodMonitor"):
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            assert endpoint["port"] in known, objects.title(monitor)


def test_what_brings_connections_leads_to_ports_of_services(rendered):
    services = {service["metadata"]["name"]: {port["port"] for port in service["spec"]["ports"]}
                for service in objects.of_kind(rendered, "Service")}
    for title, name, port in objects.backends(rendered):
        assert port in services.get(name, ()), f"{title}: {name}:{port}"
