# SPDX-License-Identifier: MIT
"""The chart's own suites, helm/postern/tests/*_test.yaml, by helm-unittest."""
import re
import shutil

import strict_yaml
import tools


def suites():
    return sorted((tools.CHART / "tests").glob("*_test.yaml"))


def documents(path):
    return [strict_yaml.load(part)
            for part in re.split(r"^---\s*$", path.read_text(), flags=re.MULTILINE) if part.strip()]


def snapshots(chart):
    return {path.name: path.read_text() for path in (chart / "tests").glob("__snapshot__/*")}


def test_the_suites_pass(tmp_path):
    copy = tmp_path / "postern"  # it writes snapshots that it does not find
    shutil.copytree(tools.CHART, copy)
    done = tools.run("helm-unittest", "--strict", copy, home=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    count = re.search(r"^Tests:\s+(\d+) passed, (\d+) total", said, re.MULTILINE)
    assert count and count[1] == count[2], said
    wanted = sum(len(document["tests"]) for path in suites() for document in documents(path))
    assert int(count[1]) == wanted > 0, said
    assert snapshots(copy) == snapshots(tools.CHART), "a snapshot that is not there is no test"


def test_every_template_has_a_suite():
    named = set()
    for path in suites():
        for document in documents(path):
            for part in (document, *document["tests"]):
                named |= {part.get("template"), *part.get("templates", [])}
                named |= {check.get("template") for check in part.get("asserts", [])}
    named = {name.removeprefix("templates/") for name in named if name}
    templates = {str(path.relative_to(tools.CHART / "templates"))
                 for path in (tools.CHART / "templates").rglob("*")
                 if path.suffix in (".yaml", ".txt")}
    assert templates and not templates - named
