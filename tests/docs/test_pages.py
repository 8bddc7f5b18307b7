# SPDX-License-Identifier: MIT
"""The pages themselves: clean manuals, links that lead somewhere, a changelog of this version."""
import re
import subprocess

import pytest

from documents import CHANGELOG, CONF_MANUAL, MANUAL, MARKDOWN, anchors
from program import REPOSITORY, run

# What mandoc says of the machine that it runs on, not of the page.
NOT_OF_THE_PAGE = re.compile(r"referenced manual not found|outdated mandoc\.db")


@pytest.mark.parametrize("page", [MANUAL, CONF_MANUAL], ids=lambda page: page.name)
def test_manual_is_clean(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "all", str(page)], text=True, timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = [line for line in done.stdout.splitlines() if not NOT_OF_THE_PAGE.search(line)]
    assert said == []


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_internal_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def test_changelog_knows_this_version():
    version = run("version").stdout.split()[1]
    assert f"## [{version}]" in (CHANGELOG).read_text()
