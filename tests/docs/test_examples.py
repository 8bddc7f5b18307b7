# SPDX-License-Identifier: MIT
"""Configurations, pods and output that are shown: they load, and they are the real ones."""
import re

import pytest

from documents import README, configurations, fenced, pods
from program import check, run


@pytest.mark.parametrize("where, text", configurations(), ids=[w for w, _ in configurations()])
def test_configuration_that_is_shown_loads(root, where, text):
    done = check(root, text)
    assert done.returncode == 0, (where, done.stderr)
    assert "error" not in done.stderr, (where, done.stderr)


def test_readme_shows_a_configuration():
    assert len(fenced(README, "conf")) >= 2


def test_output_in_the_readme_is_what_the_program_prints(root):
    console = "".join(fenced(README, "console"))
    networks = "10.42.0.0/16 fd00:42::/48"
    shown = console.partition("$ postern check\n")[2].partition("$ ")[0].splitlines()
    said = run("--root", root, "check", networks=networks).stdout.splitlines()
    assert len(shown) > 10
    for line in shown:
        if not line.startswith("protection: gate:"):  # depends on who runs this
            assert line in said, line
    for _ in range(2):
        said = run("--root", root, "patch", "--no-reload", networks=networks)
        assert said.returncode == 0, said.stderr
        for line in said.stderr.splitlines():
            assert "not running" in line or "gate:" in line or line in console.splitlines(), line


def test_entry_in_the_readme_is_what_the_program_writes(root):
    done = run("--root", root, "patch", "--no-reload", networks="192.0.2.0/24")
    assert done.returncode == 0, done.stderr
    written = (root / "etc/postfix/master.cf").read_text().splitlines()
    shown = [line for block in fenced(README, "text") for line in block.splitlines()
             if re.match(r"    -o (?!smtpd_tls)", line)]
    assert len(shown) == 7
    at = written.index(shown[0])
    assert written[at:at + len(shown)] == shown


def test_volumes_of_pods_are_there_and_mounted_as_folders():
    for pod in pods():
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounts = [mount for container in [*pod["initContainers"], *pod["containers"]]
                  for mount in container.get("volumeMounts", [])]
        assert {mount["name"] for mount in mounts} == volumes
        assert not any("subPath" in mount for mount in mounts)
