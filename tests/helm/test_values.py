# SPDX-License-Identifier: MIT
"""values.schema.json and values.yaml name the same keys, and what is misspelt is refused."""
import concurrent.futures
import copy
import functools
import json

import pytest
import rendering
import strict_yaml
import tools
import yaml

# Charts that have this one as a part have keys of their own there.
SHARED = ("global",)
# What stands there is Kubernetes' own; values.yaml need not have all its fields.
KUBERNETES = {"resources", "initResources", "securityContext", "podSecurityContext", "lifecycle", "affinity",
              "dnsConfig"}
# What has to be set for the chart to render, so that a refusal is the typo's.
LEAST = {"postern": {"image": {"repository": "postern"}}, "mailserver": {"hostname": "mail.example.com"}}


@functools.cache
def values():
    return strict_yaml.load((tools.CHART / "values.yaml").read_text())


@functools.cache
def schema():
    return json.loads((tools.CHART / "values.schema.json").read_text())


def resolved(node):
    while "$ref" in node:
        target = schema()
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def child(node, key):
    """The schema of a key, or None when the schema does not name it."""
    return resolved(node).get("properties", {}).get(key)


def is_fixed(node):
    """Whether its keys are the chart's to name."""
    return "properties" in resolved(node)


def key_paths(default, node, path=()):
    """Of every key of values.yaml whose name is the chart's."""
    for key, value in default.items():
        yield (*path, key)
        inner = child(node, key)
        if isinstance(value, dict) and inner is not None and is_fixed(inner):
            yield from key_paths(value, inner, (*path, key))


def schema_paths(node, path=()):
    for key, inner in resolved(node).get("properties", {}).items():
        yield (*path, key)
        if key not in KUBERNETES:
            yield from schema_paths(inner, (*path, key))


def test_what_values_yaml_has_is_in_the_schema():
    missing = [path for path in key_paths(values(), schema())
               if functools.reduce(lambda node, key: node and child(node, key), path, schema()) is None]
    assert not missing


def test_what_the_schema_has_is_in_values_yaml():
    def is_there(path):
        where = values()
        for key in path:
            if not isinstance(where, dict) or key not in where:
                return False
            where = where[key]
        return True

    assert [path for path in schema_paths(schema()) if not is_there(path)] == []


def refused(helm, wrong, folder):
    """Why Helm does not take these values; None when it does."""
    path = folder / f"{abs(hash(json.dumps(wrong, default=str)))}.yaml"
    path.write_text(yaml.safe_dump(wrong))
    try:
        rendering.template(helm, "--values", path)
    except rendering.Refused as reason:
        return str(reason)
    return None


def with_one(path, value):
    out = copy.deepcopy(LEAST)
    where = out
    for key in path[:-1]:
        where = where.setdefault(key, {})
    where[path[-1]] = value
    return out


def refusals(helm, wrong, folder):
    """{path: why}, for a map of paths to values."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        reasons = pool.map(lambda item: refused(helm, with_one(*item), folder), wrong.items())
        return dict(zip(wrong, reasons))


def test_the_least_is_taken(helm, tmp_path):
    """Else no refusal below would mean anything."""
    assert refused(helm, LEAST, tmp_path) is None


def test_every_misspelt_key_is_refused_and_named(helm, tmp_path):
    wrong = {}
    for path in key_paths(values(), schema()):
        if path[:-1] != SHARED:
            default = functools.reduce(lambda where, key: where[key], path, values())
            wrong[(*path[:-1], f"{path[-1]}x")] = default
    assert len(wrong) > 100
    reasons = refusals(helm, wrong, tmp_path)
    assert [path for path, why in reasons.items() if why is None or path[-1] not in why] == []


def test_every_value_of_a_wrong_kind_is_refused_and_named(helm, tmp_path):
    """A list that holds a map where a plain value belongs, and a text where a map or a list does."""
    wrong = {}
    for path in key_paths(values(), schema()):
        default = functools.reduce(lambda where, key: where[key], path, values())
        wrong[path] = "wrong" if isinstance(default, (dict, list)) else [{"wrong": "kind"}]
    reasons = refusals(helm, wrong, tmp_path)
    assert [path for path, why in reasons.items() if why is None or path[-1] not in why] == []


@pytest.mark.parametrize("key", sorted(LEAST))
def test_what_has_to_be_set_is_asked_for(helm, key, tmp_path):
    least = {name: value for name, value in LEAST.items() if name != key}
    why = refused(helm, least, tmp_path)
    assert why is not None and key in why
