# SPDX-License-Identifier: MIT
"""Renderings of the chart for pods that can run here."""
import base64
import copy
import os
import subprocess

import yaml

import manifests
import wire
from lab import mail_config, mailhost

CHART = os.environ.get("POSTERN_CHART") or os.path.join(mailhost.REPOSITORY, "helm", "postern")
CLUSTER_TOOLS = os.path.join(mailhost.REPOSITORY, "scripts", "lib", "cluster-tools")
HELM_LIMIT_S = 60
TOOLS_LIMIT_S = 3600
RELEASE, NAMESPACE = "mail", "post"
# The last version whose sidecars are plain containers: the engine knows no others.
KUBERNETES = "1.28.0"
# A packet that is dropped costs a test of `helm test` this much.
TEST_TIMEOUT_S = 6
TLS_SECRET = "mail-tls"
MAIL_IMAGE, POSTERN_IMAGE = "registry.example/mail", "registry.example/postern"
MODES = ("entrypoint", "sidecar", "init")

_tools = []


def helm():
    """Helm 3, built first if need be."""
    if not _tools:
        done = subprocess.run([CLUSTER_TOOLS, "helm3"], stdout=subprocess.PIPE, text=True,
                              check=True, timeout=TOOLS_LIMIT_S)
        _tools.append(os.path.join(done.stdout.strip(), "helm3"))
    return _tools[0]


def merged(values, changes):
    """Values with others over them, as Helm merges files."""
    result = copy.deepcopy(values)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            value = merged(result[key], value)
        result[key] = value
    return result


def account(user, password):
    return f"{user}|{{PLAIN}}{password}\n"


def values(mode, **changes):
    """Of a mail server with everything on, whose twins are for the wire's balancer."""
    base = {
        "mode": mode,
        "trustedNetworks": list(wire.TRUSTED),
        "postern": {"image": {"registry": "registry.example", "repository": "postern",
                              "tag": "0.1.0"}, "logLevel": "info"},
        "mailserver": {
            "image": {"registry": "registry.example", "repository": "mail", "tag": "15.1.0"},
            "hostname": mail_config.HOST_NAME,
            "env": {"ENABLE_RSPAMD": 0, "ENABLE_AMAVIS": 1, "ENABLE_POLICYD_SPF": 1}},
        "listeners": {name: {"enabled": True, "external": True} for name in mailhost.TWIN_PORTS},
        "config": {"secretFiles": {
            "postfix-accounts.cf": account(mail_config.USER, mail_config.PASSWORD)}},
        "tls": {"source": "existingSecret", "secretName": TLS_SECRET},
        "tests": {"timeoutSeconds": TEST_TIMEOUT_S},
        "service": {"external": {"type": "LoadBalancer"}},
    }
    return merged(base, changes)


def render(values_, certificate):
    """The chart's objects, and the Secret with (certificate, key) that a cluster would have."""
    done = subprocess.run(
        [helm(), "template", RELEASE, CHART, "--namespace", NAMESPACE, "--kube-version",
         KUBERNETES, "--values", "-"], input=yaml.safe_dump(values_), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=HELM_LIMIT_S)
    assert done.returncode == 0, done.stderr
    rendered = manifests.Rendered(yaml.safe_load_all(done.stdout))
    rendered.add("Secret", TLS_SECRET, {"tls.crt": certificate[0], "tls.key": certificate[1]})
    return rendered


def make_certificate(name=mail_config.HOST_NAME):
    """(certificate, key), as text."""
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout", "-"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    key, mark, certificate = done.stdout.partition("-----BEGIN CERTIFICATE-----")
    return mark + certificate, key


def fingerprint(certificate):
    """What a client sees of it."""
    body = certificate.replace("-----BEGIN CERTIFICATE-----", "").replace(
        "-----END CERTIFICATE-----", "")
    return base64.b64decode(body)
