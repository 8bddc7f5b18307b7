# SPDX-License-Identifier: MIT
"""container/build: what it tells the engine, and what it refuses; and apt as it was on a day."""
import os
import re
import subprocess

import building
import pytest

ENGINE = "#!/bin/sh\nprintf '%s\\n' \"$@\"\n"
LIMIT_S = 30


@pytest.fixture
def tell(tmp_path):
    """What an engine is told: its arguments."""
    for name in ("docker", "podman", "buildah"):
        (tmp_path / name).write_text(ENGINE)
        (tmp_path / name).chmod(0o755)

    def run(*arguments, checkout=building.ROOT, **settings):
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **settings}
        return subprocess.run([checkout / "container" / "build", *arguments], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                              timeout=LIMIT_S)
    return run


def arguments_of(done):
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    values = dict(word.split("=", 1) for flag, word in zip(words, words[1:])
                  if flag == "--build-arg")
    return words, values


def test_docker_is_taken_first_and_told_of_the_commit(tell, commit):
    words, values = arguments_of(tell())
    assert words[:2] == ["buildx", "build"]
    assert "@" not in values.pop("SOURCE")
    assert values == {"VERSION": commit["version"], "REVISION": commit["revision"],
                      "CREATED": commit["created"], "SOURCE_DATE_EPOCH": str(commit["epoch"])}
    assert f"localhost/postern:{commit['version']}" in words
    assert "DEBIAN_IMAGE" not in values


@pytest.mark.parametrize("engine", ["docker", "podman", "buildah"])
def test_what_follows_the_dashes_comes_last(tell, engine):
    words, values = arguments_of(tell(
        "--engine", engine, "--base", "example.org/debian@sha256:0", "--snapshot",
        "20261101T000000Z", "--source", "https://example.org/postern", "--", "--push"))
    assert words[-2:] == ["--push", "."]
    assert values["DEBIAN_IMAGE"] == "example.org/debian@sha256:0"
    assert values["DEBIAN_SNAPSHOT"] == "20261101T000000Z"
    assert values["SOURCE"] == "https://example.org/postern"


def test_what_differs_from_the_commit_is_said(tell, tmp_path):
    checkout = tmp_path / "checkout"
    for name in ("container/build", "CMakeLists.txt"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes((building.ROOT / name).read_bytes())
    (checkout / "container" / "build").chmod(0o755)

    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x", *arguments],
                       cwd=checkout, check=True, stdout=subprocess.PIPE, timeout=LIMIT_S)

    done = tell(checkout=checkout, GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert done.returncode == 2 and "SOURCE_DATE_EPOCH" in done.stderr
    _, values = arguments_of(tell(checkout=checkout, GIT_CEILING_DIRECTORIES=str(tmp_path),
                                  SOURCE_DATE_EPOCH="86400"))
    assert (values["REVISION"], values["CREATED"]) == ("unknown", "1970-01-02T00:00:00Z")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "x")
    git("remote", "add", "origin", "https://example.org/postern.git")
    _, values = arguments_of(tell(checkout=checkout))
    assert re.fullmatch("[0-9a-f]{40}", values["REVISION"])
    assert values["SOURCE"] == "https://example.org/postern"
    (checkout / "more").write_text("x")
    git("remote", "set-url", "origin", "https://user:secret@example.org/postern.git")
    _, values = arguments_of(tell(checkout=checkout))
    assert re.fullmatch("[0-9a-f]{40}-dirty", values["REVISION"])
    assert values["SOURCE"] == ""


@pytest.mark.parametrize("arguments, named", [
    (("--engin", "podman"), "--engin"), (("--engine", "rkt"), "rkt"), (("--tag",), "--tag")])
def test_wrong_options_are_named(tell, arguments, named):
    done = tell(*arguments)
    assert done.returncode == 2
    assert named in done.stderr and len(done.stderr.splitlines()) == 1


def test_every_option_is_in_the_help(tell):
    said = tell("--help").stdout
    text = (building.ROOT / "container" / "build").read_text()
    options = set(re.findall(r"^\t(--[a-z]+)\) ", text, re.M))
    assert len(options) == 7
    assert options <= set(re.findall(r"^  (--[a-z]+) ", said, re.M))


# -- the packages of a day

SOURCES = {
    "sources.list": "deb http://deb.debian.org/debian bookworm main\n"
                    "deb [signed-by=/k] https://mirror.example/debian-security/ "
                    "bookworm-security main\n",
    "sources.list.d/debian.sources": "Types: deb\nURIs: http://deb.debian.org/debian\n"
                                     "Suites: bookworm bookworm-updates\nComponents: main\n",
    "sources.list.d/other.list": "deb https://example.org/apt stable main\n",
}
FROZEN = {
    "sources.list": "deb http://snapshot.debian.org/archive/debian/20261101T000000Z/ bookworm main"
                    "\ndeb [signed-by=/k] http://snapshot.debian.org/archive/debian-security/"
                    "20261101T000000Z/ bookworm-security main\n",
    "sources.list.d/debian.sources":
        "Types: deb\nURIs: http://snapshot.debian.org/archive/debian/20261101T000000Z/\n"
        "Suites: bookworm bookworm-updates\nComponents: main\n",
    "sources.list.d/other.list": SOURCES["sources.list.d/other.list"],
}


def test_a_snapshot_replaces_debian_s_archives_only(tmp_path):
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "apt.conf.d").mkdir()
    subprocess.run(["bash", "-c", '. "$1" && use_snapshot 20261101T000000Z "$2"', "bash",
                    building.ROOT / building.PACKAGES, tmp_path], check=True, timeout=LIMIT_S)
    assert {name: (tmp_path / name).read_text() for name in SOURCES} == FROZEN
    assert "Check-Valid-Until" in (tmp_path / "apt.conf.d" / "99postern-snapshot").read_text()
