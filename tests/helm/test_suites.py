# SPDX-License-Identifier: MIT
"""The chart's suites (helm/postern/tests) leave out no refusal and no cloud."""
import pathlib
import re

import pytest

CHART = pathlib.Path(__file__).resolve().parents[2] / "helm/postern"
SUITES = {path.name: path.read_text() for path in sorted((CHART / "tests").glob("*_test.yaml"))}
VALIDATE = (CHART / "templates/_validate.tpl").read_text()
CLOUDS = re.findall(r"^([a-zA-Z]+):$", (CHART / "files/clouds.yaml").read_text(), re.M)


def refusals():
    """The sentences of _validate.tpl, as expressions."""
    for call in re.findall(r"\{\{- fail (.*) -\}\}", VALIDATE):
        text = re.search(r'"((?:[^"\\]|\\.)*)"', call).group(1)
        yield re.sub(r"%[sdq]", ".+", re.sub(r"[][(){}.*+?|^$\\]", r"\\\g<0>", text))


def test_there_is_something_to_compare():
    assert len(CLOUDS) > 15
    assert len(list(refusals())) > 30


@pytest.mark.parametrize("sentence", refusals())
def test_every_refusal_is_in_a_suite(sentence):
    expected = re.compile(f"errorMessage: [\"']?{sentence}")
    texts = [text.replace("''", "'") for name, text in SUITES.items() if name.startswith("refusals")]
    assert [text for text in texts if expected.search(text)], sentence


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_cloud_is_in_a_suite(cloud):
    assert re.search(rf"set: \{{cloud: {cloud}[,}}]", SUITES["clouds_test.yaml"])

