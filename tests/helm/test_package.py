# SPDX-License-Identifier: MIT
"""What `helm package` makes is what users need, and renders as the folder does."""
import tarfile

import pytest
import rendering
import tools

NEEDED = {"Chart.yaml", "values.yaml", "values.schema.json", "README.md", "templates/NOTES.txt",
          "templates/deployment.yaml"}


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """{helm: the package that it makes}"""
    out = {}
    for helm in tools.HELMS:
        folder = tmp_path_factory.mktemp(helm)
        done = tools.run(helm, "package", tools.CHART, "--destination", folder, home=folder)
        assert done.returncode == 0, done.stderr
        out[helm], = folder.glob("*.tgz")
    return out


def test_the_package_holds_the_chart_and_no_tests(helm, packages):
    with tarfile.open(packages[helm]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert NEEDED <= names
    assert not {name for name in names if name.startswith(("ci/", "tests/")) or name.endswith("_test.yaml")}
    assert any(name.startswith("templates/tests/") for name in names), "`helm test` is part of it"


def test_the_package_renders_as_the_folder(helm, case, packages):
    assert rendering.template(helm, *rendering.arguments_of(case), chart=packages[helm]) == \
        rendering.text_of(helm, case)
