# SPDX-License-Identifier: MIT
"""Building images of postern, and reading what is in them."""
import datetime
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile

from lab import podman as lab

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARCHES = ("amd64", "arm64")
RELEASE = "bookworm"
BUILD_LIMIT_S = 900
PACKAGES = "scripts/lib/packages.sh"
PREPARED = """\
FROM {base}
COPY packages.sh /packages.sh
RUN bash -c '. /packages.sh && {command}' && apt-get clean && \\
    rm -rf /var/lib/apt/lists/*
"""


def prepared(command):
    """The base image after a command of packages.sh; podman's cache makes it once."""
    base = lab.base_image(RELEASE)
    script = (ROOT / PACKAGES).read_bytes()
    identity = lab.podman("image", "inspect", "--format", "{{.Id}}", base).stdout
    key = hashlib.sha256(script + f"{identity}{command}".encode()).hexdigest()[:16]
    image = f"localhost/postern-prepared:{key}"
    if lab.podman("image", "exists", image, check=False).returncode != 0:
        lab.podman("build", "--quiet", "--network=host", "--tag", image, "--file", "-",
                   (ROOT / PACKAGES).parent, input=PREPARED.format(base=base, command=command),
                   timeout=BUILD_LIMIT_S)
    return image


def run_build(*arguments, checkout=ROOT, **options):
    """container/build of a checkout."""
    return lab.run([str(checkout / "container" / "build"), *map(str, arguments)], cwd="/",
                   timeout=BUILD_LIMIT_S, **options)


def build_image(engine, arch, folder, checkout=ROOT):
    """(name of the image, path of its OCI archive)"""
    tag = f"localhost/{lab.name('image')}:{arch}"
    lab.at_end("image", "rm", "--force", tag)
    run_build("--engine", engine, "--platform", f"linux/{arch}", "--tag", tag,
              "--base", prepared(f"need_build_packages {arch}"), "--", "--network=host",
              checkout=checkout)
    archive = folder / f"{arch}.tar"
    lab.podman("save", "--quiet", "--format", "oci-archive", "--output", archive, tag)
    return tag, archive


def copy_checkout(target):
    """What git has or would have, with dates of its own, and git's folder beside it."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others",
                             "--exclude-standard"], cwd=ROOT, check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    if (ROOT / ".git").is_dir():
        shutil.copytree(ROOT / ".git", target / ".git", symlinks=True)
    else:
        shutil.copy(ROOT / ".git", target / ".git")
    return target


def commit_of(checkout):
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=checkout, check=True, text=True,
                              stdout=subprocess.PIPE,
                              env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"}).stdout.strip()

    epoch = int(git("log", "-1", "--format=%ct"))
    created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc)
    return {"version": re.search(r"^project\(postern VERSION (\S+)",
                                 (checkout / "CMakeLists.txt").read_text(), re.M)[1],
            "revision": git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain")
                                                    else ""),
            "epoch": epoch, "created": created.strftime("%Y-%m-%dT%H:%M:%SZ")}


# -- OCI archives, read without an engine

def read_archives(path):
    """{architecture: (manifest, configuration, function from digest to bytes)}"""
    with tarfile.open(path) as archive:
        members = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}

    def blob(digest):
        return members["blobs/" + digest.replace(":", "/")]

    found = {}
    waiting = json.loads(members["index.json"])["manifests"]
    while waiting:
        manifest = json.loads(blob(waiting.pop()["digest"]))
        if "manifests" in manifest:
            waiting += manifest["manifests"]
            continue
        configuration = json.loads(blob(manifest["config"]["digest"]))
        found[configuration["architecture"]] = manifest, configuration, blob
    return found


def read_archive(path, arch=None):
    """The same of one image; without `arch`, of the only one."""
    found = read_archives(path)
    if arch is None:
        assert len(found) == 1
        arch = next(iter(found))
    return found[arch]


def read_layer(path, arch=None):
    """(the entry, its bytes) of the only entry of the only layer."""
    manifest, _, blob = read_archive(path, arch)
    assert len(manifest["layers"]) == 1
    with tarfile.open(fileobj=io.BytesIO(blob(manifest["layers"][0]["digest"]))) as layer:
        entries = layer.getmembers()
        assert [entry.name for entry in entries] == ["postern"]
        return entries[0], layer.extractfile(entries[0]).read()
