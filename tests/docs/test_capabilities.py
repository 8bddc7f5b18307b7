# SPDX-License-Identifier: MIT
"""Capabilities that are named are those of the table in privileges.c."""
import re

from documents import MANUAL, SECURITY, containers, rows, section
from program import privileges


def test_privileges_are_in_the_security_statement_with_what_they_are_for():
    table = {row[0].strip("`"): row[1:3] for row in rows(SECURITY, "## Privileges")}
    wanted = {}
    for name, ways in privileges().items():
        cells = [("**needed**" if ways[way] else "useful") if way in ways else ""
                 for way in ("run", "watch")]
        if any(cells):
            wanted[name] = cells
    assert len(wanted) > 4
    assert table == wanted


def test_sidecar_has_the_capabilities_that_watch_wants_and_no_other():
    wanted = {name for name, ways in privileges().items() if "watch" in ways}
    assert [set(container["securityContext"]["capabilities"]["add"]) for container in containers()
            if "securityContext" in container] == [wanted]


def test_privileges_are_in_the_manual():
    wanted = {name for name, ways in privileges().items() if {"run", "watch"} & set(ways)}
    items_of_it = re.findall(r"^\.It Dv (.*)$", section(MANUAL, "PRIVILEGES"), re.M)
    assert set(re.findall(r"CAP_(\w+)", " ".join(items_of_it))) == wanted
