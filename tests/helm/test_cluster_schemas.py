# SPDX-License-Identifier: MIT
"""The schemas that kubeconform is given take what is right and no misspelt field, at whatever depth."""
import copy
import pathlib

import objects
import pytest
import strict_yaml
import tools
import yaml

SAMPLES = [strict_yaml.load(text) for text in
           (pathlib.Path(__file__).parent / "samples.yaml").read_text().split("\n---\n")]
# Their keys are the user's.
FREE = {"labels", "annotations", "data", "stringData", "matchLabels", "selector", "limits", "requests",
        "binds"}
NOT_FREE_HERE = {("spec", "selector"): {"PersistentVolumeClaim", "Deployment", "PodDisruptionBudget",
                                        "PodMonitor", "ServiceMonitor"}}
# What each is refused for, beside an unknown field.
WRONG = [
    ({"kind": "TCPRoute", "apiVersion": "gateway.networking.k8s.io/v1"}, ("spec", "rules"),
     [{"backendRefs": [{"name": "a"}]}, {"backendRefs": [{"name": "b"}]}]),
    ({"kind": "TCP"}, ("spec", 0, "frontend", "binds"), [{"name": "v4", "port": 25}]),
    ({"kind": "BackendTrafficPolicy"}, ("spec", "proxyProtocol", "version"), 2),
    ({"kind": "DestinationRule"}, ("spec", "trafficPolicy", "proxyProtocol", "version"), "v2"),
    ({"kind": "Certificate"}, ("spec", "privateKey", "algorithm"), "DSA"),
    ({"kind": "Service"}, ("spec", "ports", 0, "port"), "smtp"),
]


def versions():
    every = tools.kubernetes_versions()
    return every[0], every[-1]


def judged(samples, tmp_path, version):
    """{number of the sample: its status}"""
    folder = tmp_path / "samples"
    folder.mkdir()
    for number, sample in enumerate(samples):
        (folder / f"{number:05}.yaml").write_text(yaml.safe_dump(sample))
    results = tools.kubeconform(version, folder, tmp_path)
    assert len(results) == len(samples)
    return {int(pathlib.Path(r["filename"]).stem): (r["status"], r["msg"]) for r in results}


def at(sample, path):
    for part in path:
        sample = sample[int(part)] if isinstance(sample, list) else sample[part]
    return sample


def is_free(sample, path):
    if path and path[-1] in FREE:
        return sample["kind"] not in NOT_FREE_HERE.get(path, ())
    return False


def misspelt(sample):
    """(where, the sample with one more field there: a name that nobody knows)"""
    for path, value in objects.walk(sample):
        if isinstance(value, dict) and not is_free(sample, path):
            for key in value:
                wrong = copy.deepcopy(sample)
                at(wrong, path)[f"{key}x"] = copy.deepcopy(value[key])
                yield (sample["apiVersion"], sample["kind"], *path, f"{key}x"), wrong


@pytest.mark.parametrize("version", versions())
def test_what_is_right_is_taken(version, tmp_path):
    results = judged(SAMPLES, tmp_path, version)
    assert {status for status, _ in results.values()} == {"statusValid"}, results


@pytest.mark.parametrize("version", versions())
def test_a_misspelt_field_is_refused_at_whatever_depth(version, tmp_path):
    wrong = [pair for sample in SAMPLES for pair in misspelt(sample)]
    results = judged([sample for _, sample in wrong], tmp_path, version)
    taken = [wrong[number][0] for number, (status, _) in results.items() if status != "statusInvalid"]
    assert len(wrong) > 10 * len(SAMPLES)
    assert not taken


def test_wrong_values_are_refused(tmp_path):
    wrong = []
    for which, path, value in WRONG:
        sample, *_ = [copy.deepcopy(s) for s in SAMPLES if which.items() <= s.items()]
        at(sample, path[:-1])[path[-1]] = value
        wrong.append(sample)
    results = judged(wrong, tmp_path, versions()[-1])
    assert {status for status, _ in results.values()} == {"statusInvalid"}, results


def test_a_kind_without_a_schema_is_no_success(tmp_path):
    unknown = {"apiVersion": "example.com/v1", "kind": "Nothing", "metadata": {"name": "a"}}
    results = judged([unknown], tmp_path, versions()[-1])
    assert results[0][0] == "statusError"


def test_every_schema_of_an_extension_has_a_sample():
    made = {f"{path.parent.name}/{path.stem}" for path in (tools.schemas() / "extensions").rglob("*.json")}
    sampled = set()
    for sample in SAMPLES:
        group, _, version = sample["apiVersion"].partition("/")
        sampled.add(f"{group}/{sample['kind'].lower()}_{version}")
    assert made and not made - sampled


def test_there_are_schemas_from_1_29_on_and_for_each_version():
    minors = [int(version.split(".")[1]) for version in tools.kubernetes_versions()]
    assert minors == list(range(29, minors[-1] + 1)) and minors[-1] >= 36
