# SPDX-License-Identifier: MIT
"""The chart's suites (helm/postern/tests) leave out no template, no refusal, no cloud and no value."""
import pathlib
import re

import pytest

CHART = pathlib.Path(__file__).resolve().parents[2] / "helm/postern"
SUITES = {path.name: path.read_text() for path in sorted((CHART / "tests").glob("*_test.yaml"))}
TEMPLATES = sorted(path.relative_to(CHART / "templates") for path in (CHART / "templates").rglob("*")
                   if path.is_file() and not path.name.startswith("_"))
VALIDATE = (CHART / "templates/_validate.tpl").read_text()
CLOUDS = re.findall(r"^([a-zA-Z]+):$", (CHART / "files/clouds.yaml").read_text(), re.M)


def refusals():
    """The sentences of _validate.tpl, as expressions."""
    for call in re.findall(r"\{\{- fail (.*) -\}\}", VALIDATE):
        text = re.search(r'"((?:[^"\\]|\\.)*)"', call).group(1)
        yield re.sub(r"%[sdq]", ".+", re.sub(r"[][(){}.*+?|^$\\]", r"\\\g<0>", text))


def values(lines):
    """(path, line) of each key of values.yaml that has a value of its own."""
    parents = []
    for number, line in enumerate(lines, 1):
        match = re.match(r"( *)([A-Za-z0-9]+):( .*)?$", line)
        if not match:
            continue
        depth = len(match[1]) // 2
        parents[depth:] = [match[2]]
        if (match[3] or "").split("#")[0].strip():
            yield ".".join(parents), number


def test_there_is_something_to_compare():
    assert len(TEMPLATES) > 15
    assert len(CLOUDS) > 15
    assert len(list(refusals())) > 30
    assert len(list(values((CHART / "values.yaml").read_text().split("\n")))) > 200


@pytest.mark.parametrize("template", map(str, TEMPLATES))
def test_every_template_is_in_a_suite(template):
    named = re.compile(rf"templates?: .*(?<![\w-]){re.escape(template)}(?![\w.])", re.S)
    assert [name for name, text in SUITES.items() if named.search(text)]


@pytest.mark.parametrize("sentence", refusals())
def test_every_refusal_is_in_a_suite(sentence):
    expected = re.compile(f"errorMessage: [\"']?{sentence}")
    texts = [text.replace("''", "'") for name, text in SUITES.items() if name.startswith("refusals")]
    assert [text for text in texts if expected.search(text)], sentence


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_cloud_is_in_a_suite(cloud):
    assert re.search(rf"set: \{{cloud: {cloud}[,}}]", SUITES["clouds_test.yaml"])


def test_every_value_is_used():
    """A key that no template asks for does nothing (the community's chart has a dozen)."""
    templates = "".join(path.read_text() for path in sorted((CHART / "templates").rglob("*"))
                        if path.is_file())
    unused = [f"values.yaml:{number}: {path}" for path, number in
              values((CHART / "values.yaml").read_text().split("\n"))
              if not re.search(rf"\b{path.split('.')[-1]}\b", templates)]
    assert not unused
