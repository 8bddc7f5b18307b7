# SPDX-License-Identifier: MIT
"""The tests' own kubelet: volumes, environment, what is refused, and that nothing stays behind."""
import os
import signal
import subprocess
import sys
import textwrap

import pytest

import chart
import kube_pod
import mail_image
import manifests
import projection
import translate
import wire
from lab import netns, podman, wait

HERE = os.path.dirname(os.path.abspath(__file__))
FIELDS = {"status.podIP": "10.77.0.99", "status.podIPs": "10.77.0.99,fd77::99"}


@pytest.fixture
def rendered():
    made = manifests.Rendered([])
    made.add("ConfigMap", "one", {"a": "1\n", "b": "2\n"})
    made.add("Secret", "two", {"c": "3\n"})
    return made


def template(container=None, **spec):
    return {"metadata": {"labels": {"app": "x"}}, "spec": {
        "containers": [{"name": "main", "image": "any", **(container or {})}], **spec}}


def translated(rendered, folder, template_):
    return translate.Translation("pod", template_, rendered, lambda image: "local", str(folder),
                                 FIELDS)


def modes(folder):
    return {name: oct(os.stat(os.path.join(folder, name)).st_mode & 0o777)
            for name in os.listdir(folder) if not name.startswith("..")}


def test_several_sources_are_one_folder_with_items_and_modes(rendered, tmp_path):
    volume = {"name": "v", "projected": {"defaultMode": 0o440, "sources": [
        {"configMap": {"name": "one", "items": [{"key": "a", "path": "sub/first"},
                                                {"key": "b", "path": "b", "mode": 0o600}]}},
        {"secret": {"name": "two"}}, {"secret": {"name": "none", "optional": True}}]}}
    content = manifests.payload(rendered, volume)
    assert content == {"sub/first": (b"1\n", 0o440), "b": (b"2\n", 0o600), "c": (b"3\n", 0o440)}
    folder = projection.Projection(tmp_path / "v")
    assert folder.project(content)
    assert modes(folder.path) == {"sub": "0o755", "b": "0o600", "c": "0o440"}
    assert modes(os.path.join(folder.path, "sub")) == {"first": "0o440"}
    assert os.readlink(os.path.join(folder.path, "sub")) == "..data/sub"


def test_swap_is_one_rename_and_nothing_when_nothing_changes(rendered, tmp_path):
    folder = projection.Projection(tmp_path / "v")
    content = manifests.payload(rendered, {"name": "v", "configMap": {"name": "one"}})
    assert folder.project(content)
    before = os.readlink(os.path.join(folder.path, "..data"))
    assert not folder.project(content)
    assert os.readlink(os.path.join(folder.path, "..data")) == before
    assert folder.project({"b": (b"other\n", 0o644)})
    assert os.readlink(os.path.join(folder.path, "..data")) != before
    assert folder.read() == {"b": b"other\n"}
    assert sorted(os.listdir(folder.path)) == sorted(
        ["b", "..data", os.readlink(os.path.join(folder.path, "..data"))])


@pytest.mark.parametrize("volume, named", [
    ({"configMap": {"name": "none"}}, "ConfigMap none"),
    ({"secret": {"secretName": "two", "items": [{"key": "z", "path": "z"}]}}, "Secret two: z")])
def test_what_kubelet_would_wait_for_is_an_error(rendered, volume, named):
    with pytest.raises(manifests.Missing, match=named):
        manifests.payload(rendered, {"name": "v", **volume})


def test_environment_comes_from_everywhere_and_is_expanded(rendered):
    container = {"envFrom": [{"configMapRef": {"name": "one"}, "prefix": "P_"}], "env": [
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "two", "key": "c"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "one", "key": "z",
                                                           "optional": True}}},
        {"name": "ALL", "value": "$(IP) $$(IP) $(UNKNOWN)"}]}
    assert manifests.environment(rendered, container, FIELDS) == {
        "P_a": "1\n", "P_b": "2\n", "S": "3\n", "IP": "10.77.0.99",
        "ALL": "10.77.0.99 $(IP) $(UNKNOWN)"}


def test_sub_path_of_a_claim_is_a_folder_of_it_and_of_a_config_map_a_file(rendered, tmp_path):
    made = translated(rendered, tmp_path, template(
        {"volumeMounts": [{"name": "data", "mountPath": "/d", "subPath": "mail"},
                          {"name": "conf", "mountPath": "/c", "subPath": "a"}]},
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "claim"}},
                 {"name": "conf", "configMap": {"name": "one"}}]))
    paths = {volume["name"]: volume["hostPath"]["path"]
             for volume in made.manifest["spec"]["volumes"]}
    assert paths["data-mail"].endswith("/claims/claim/mail") and os.path.isdir(paths["data-mail"])
    with open(paths["conf-a"], encoding="ascii") as file:
        assert file.read() == "1\n"
    [data, conf, *_] = made.manifest["spec"]["containers"][0]["volumeMounts"]
    assert (data["readOnly"], conf["readOnly"]) == (False, True)
    assert "mount /d: mail of data, by its own path" in made.report.lines


@pytest.mark.parametrize("container, spec, named", [
    ({}, {"initContainers": [{"name": "s", "image": "i", "restartPolicy": "Always"}]}, "sidecar"),
    ({"volumeDevices": []}, {}, "volumeDevices"),
    ({}, {"hostPID": True}, "hostPID")])
def test_what_cannot_be_translated_is_refused(rendered, tmp_path, container, spec, named):
    with pytest.raises(AssertionError, match=named):
        translated(rendered, tmp_path, template(container, **spec))


@pytest.mark.parametrize("mode", chart.MODES)
def test_every_change_to_the_charts_pod_is_reported(stage, tmp_path, mode):
    rendered = chart.render(chart.values(mode), stage.certificate)
    made = translate.Translation("pod", rendered.template(), rendered,
                                 stage.images("bookworm"), str(tmp_path), FIELDS)
    said = "\n".join(made.report.lines)
    for line in ("volume postern-config: a folder written as kubelet does",
                 "mailserver: ports: left out: nothing is published",
                 "pod: terminationGracePeriodSeconds: the tests' stop"):
        assert line in said
    # What a container of the chart runs, and with which privileges, is as it stands there.
    containers = rendered.template()["spec"]["containers"]
    for given, run in zip(containers, made.manifest["spec"]["containers"], strict=True):
        for key in ("command", "args"):
            assert given.get(key) == run.get(key), key
        assert given["securityContext"].items() <= run["securityContext"].items()


VICTIM = textwrap.dedent("""
    import sys, time
    sys.path[:0] = sys.argv[1:3]
    import kube_pod, manifests, wire
    from lab import podman
    standing = wire.Wire()
    standing.start()
    standing.ready()
    pod = kube_pod.KubePod(standing, {"metadata": {}, "spec": {"containers": [
        {"name": "main", "image": "any", "command": ["sleep", "600"]}]}},
        manifests.Rendered([]), lambda image: sys.argv[3], ["10.77.0.99", "fd77::99"])
    pod.start()
    print(pod.name, pod._store, pod.pid, flush=True)
    time.sleep(600)
""")


def test_nothing_stays_behind_of_a_test_run_that_is_killed():
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, os.path.dirname(HERE), HERE, mail_image.mail("bookworm")],
        stdout=subprocess.PIPE, text=True, start_new_session=True)
    pod, store, pid = victim.stdout.readline().split()
    assert os.path.exists(f"/proc/{pid}")
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()

    def gone(*what):
        return podman.podman(*what, check=False).returncode != 0

    wait.until(lambda: gone("pod", "exists", pod) and gone("volume", "exists", store)
               and not os.path.exists(f"/proc/{pid}"), f"{pod} and {store} to go")


def test_pod_is_on_the_wire_and_nothing_of_it_on_the_machine(stage):
    pod = kube_pod.KubePod(
        stage.wire, template({"command": ["sleep", "600"]}), manifests.Rendered([]),
        lambda image: mail_image.mail("bookworm"), wire.pod_addresses())
    before = os.listdir("/sys/class/net")
    try:
        pod.start()
        assert os.listdir("/sys/class/net") == before
        own = netns.NetHost("own")
        own.pid = pod.containers["main"].pid
        assert own.listeners() == set()
        for family in (4, 6):
            with pytest.raises(ConnectionRefusedError):
                stage.balancer.connect(pod.address(family), 25)
    finally:
        pod.stop()
