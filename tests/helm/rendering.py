# SPDX-License-Identifier: MIT
"""The chart, rendered: what `helm template` makes of it with a file of values."""
import dataclasses
import functools
import re
import tempfile

import strict_yaml
import tools

RELEASE = "mail"
NAMESPACE = "post"
HEADER = re.compile(r"^# (kube-version|api-versions): *(\S+) *$", re.MULTILINE)
SOURCE = re.compile(r"^# Source: (\S+)$", re.MULTILINE)


class Refused(Exception):
    """Helm's own words."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A file of values in ci/, and the cluster that its header asks for."""

    path: str
    kube_version: str = ""
    api_versions: str = ""

    @property
    def values(self):
        with open(self.path, encoding="utf-8") as file:
            return strict_yaml.load(file.read()) or {}


@dataclasses.dataclass(frozen=True)
class Document:
    """One document of the output, and the template that it comes from."""

    source: str
    text: str

    @property
    def object(self):
        return strict_yaml.load(self.text)


def case_of(path):
    with open(path, encoding="utf-8") as file:
        header = dict(HEADER.findall(file.read()))
    return Case(str(path), header.get("kube-version", ""), header.get("api-versions", ""))


def cases():
    return [case_of(path) for path in sorted((tools.CHART / "ci").glob("*.yaml"))]


def name_of(case):
    return case.path.rpartition("/")[2].removesuffix(".yaml").removesuffix("-values")


def arguments_of(case, kube_version=""):
    """A cluster that the case asks for goes before the one that the test would like."""
    out = ["--values", case.path]
    version = case.kube_version or kube_version
    if version:
        out += ["--kube-version", version]
    for api in filter(None, case.api_versions.split(",")):
        out += ["--api-versions", api]
    return out


@functools.cache
def home():
    """A home for Helm, gone when the tests end."""
    holder = tempfile.TemporaryDirectory(prefix="postern-helm-")
    home.holder = holder
    return holder.name


def template(helm, *arguments, release=RELEASE, chart=None):
    done = tools.run(helm, "template", release, chart or tools.CHART, "--namespace", NAMESPACE,
                     *arguments, home=home())
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


@functools.cache
def text_of(helm, case, kube_version="", release=RELEASE):
    return template(helm, *arguments_of(case, kube_version), release=release)


def documents(text):
    """Each with the template it comes from.  Helm puts "---" and "# Source" before each."""
    out = []
    for part in re.split(r"^---\s*$", text, flags=re.MULTILINE):
        if part.strip():
            source = SOURCE.search(part)
            out.append(Document(source[1].partition("/")[2] if source else out[-1].source, part))
    return out


@functools.cache
def objects_of(helm, case, kube_version="", release=RELEASE):
    """[(template, object)]"""
    return [(document.source, document.object)
            for document in documents(text_of(helm, case, kube_version, release))]
