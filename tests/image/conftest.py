# SPDX-License-Identifier: MIT
"""Fixtures of the image tests: images built from this checkout by podman, buildah and docker.

The packages that the build stages install are kept in the cache, in images made by the same lines
of the same script; what is compiled is compiled in every run.
"""
import os
import pathlib
import sys
import types

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import building  # noqa: E402  (the path above comes first)
from lab import podman as lab_podman  # noqa: E402

KEPT_H = 7 * 24


def pytest_configure():
    assert os.geteuid() == 0, "these tests need root"


@pytest.fixture(scope="session", autouse=True)
def no_growing_cache():
    """Layers without a name are podman's cache; those of long ago are of no use any more.

    Before the tests, and whatever comes of it: podman gives up at a list of images whose images
    another test is about to remove.
    """
    lab_podman.podman("image", "prune", "--force", "--filter", f"until={KEPT_H}h", check=False)


@pytest.fixture(scope="session")
def commit():
    """Version, revision and date of this checkout, read without container/build's help."""
    return building.commit_of(building.ROOT)


def built(tag, archive):
    return types.SimpleNamespace(tag=tag, archive=archive)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """{architecture: image} built by podman from this checkout."""
    folder = tmp_path_factory.mktemp("podman")
    return {arch: built(*building.build_image("podman", arch, folder)) for arch in building.ARCHES}


@pytest.fixture(scope="session")
def images_again(tmp_path_factory):
    """The same built by buildah, later, from a copy of the checkout in another folder."""
    folder = tmp_path_factory.mktemp("buildah")
    copy = building.copy_checkout(folder / "elsewhere" / "another-name")
    return {arch: built(*building.build_image("buildah", arch, folder, copy))
            for arch in building.ARCHES}


@pytest.fixture(scope="session")
def binaries(images, tmp_path_factory):
    """{architecture: the image's only file}"""
    folder = tmp_path_factory.mktemp("binaries")
    found = {}
    for arch, image in images.items():
        found[arch] = pathlib.Path(folder / f"postern-{arch}")
        found[arch].write_bytes(building.read_layer(image.archive)[1])
        found[arch].chmod(0o755)
    return found
