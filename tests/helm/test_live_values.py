# SPDX-License-Identifier: MIT
"""Every key of values.yaml does something: another value of it renders other objects, or is refused.

The community's chart has a dozen keys that no template asks for.
"""
import concurrent.futures
import json

import strict_yaml

import rendering
import tools

# Cases of ci/ between which every key can do something; the first has most of them.
CASES = ("sidecar-everything", "entrypoint-traefik2", "init-own-patches-shared-claim", "entrypoint-aws",
         "sidecar-metallb", "sidecar-ingress-nginx-configmap", "entrypoint-haproxytech-configmap",
         "entrypoint-haproxytech-resource", "entrypoint-haproxy-ingress", "sidecar-haproxy-ingress-configmap",
         "entrypoint-gateway-envoy", "sidecar-gateway-istio", "entrypoint-gateway-envoy-alpha",
         "entrypoint-defaults")
# All of them, so that each port of a listener is somewhere.
LISTENERS = ",".join(f"listeners.{name}.{key}=true" for key in ("enabled", "external") for name in
                     ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "sieve"))
# What an item of a list of Kubernetes' own may be, of all that stand in values.yaml.
ITEM = {"name": "x", "port": 77, "containerPort": 77, "path": "/x", "reload": ["postfix"]}


def leaves(value, path=()):
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def others(path, value):
    """Other values than this one, of the kinds that may stand there."""
    if isinstance(value, bool):
        return [True, False]
    if isinstance(value, int):
        return [value + 1]
    if isinstance(value, str):
        return [value + "x", "LoadBalancer", "serversTransport"]
    if isinstance(value, list):
        return [[*value, "x"], [*value, ITEM]]
    if isinstance(value, dict):
        return [{"x": "y"}, {"smtp": "y"}, {"x": {"stockPort": 77, "twinPort": 78}}]
    return [31000, True, {"exec": {"command": ["x"]}}]


def attempt(case, *arguments):
    try:
        return rendering.template("helm3", *rendering.arguments_of(case),
                                  "--set-json", LISTENERS, "--set-json", "persistence.log.enabled=true",
                                  "--skip-schema-validation", *arguments)
    except rendering.Refused as reason:
        return str(reason)


def is_live(path, value, bases):
    for case, base in bases:
        for other in others(path, value):
            text = attempt(case, "--set-json", f"{'.'.join(path)}={json.dumps(other)}")
            if text != base and "nil pointer" not in text:
                return True
    return False


def test_every_value_does_something():
    cases = {rendering.name_of(case): case for case in rendering.cases()}
    bases = [(cases[name], attempt(cases[name])) for name in CASES]
    found = list(leaves(strict_yaml.load((tools.CHART / "values.yaml").read_text())))
    assert len(found) > 200
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        live = pool.map(lambda leaf: is_live(*leaf, bases), found)
        dead = [".".join(path) for (path, _), lives in zip(found, live) if not lives]
    assert not dead, ", ".join(dead)


def test_a_dead_key_would_be_found():
    case = rendering.cases()[0]
    assert not is_live(("nobody", "asks"), "for this", [(case, attempt(case))])
