# SPDX-License-Identifier: MIT
"""The Dockerfile's other stages, and images for several architectures under one name."""
import json

import building
import pytest
from lab import podman as lab

BOTH = ",".join(f"linux/{arch}" for arch in building.ARCHES)
# What does not look at labels and dates may take them from podman's cache.
CACHED = ("--", "--network=host", "--layers")


@pytest.fixture
def tag():
    name = f"localhost/{lab.name('stage')}:1"
    lab.at_end("image", "rm", "--force", name)
    return name


@pytest.mark.parametrize("engine", ["podman", "buildah"])
def test_one_name_holds_both_architectures(tag, engine):
    """Upon a bare Debian: the Dockerfile brings the compilers.  Twice: the second replaces."""
    for _ in range(2):
        building.run_build("--engine", engine, "--platform", BOTH, "--tag", tag,
                           "--base", lab.base_image(building.RELEASE), *CACHED)
        found = json.loads(lab.podman("manifest", "inspect", tag).stdout)["manifests"]
        assert sorted(m["platform"]["architecture"] for m in found) == list(building.ARCHES)
    done = lab.podman("run", "--rm", "--network=none", tag, "version")
    assert done.stdout.startswith("postern ")


def test_the_file_alone_can_be_had(tag, binaries, tmp_path):
    arch = lab.native_architecture()
    building.run_build("--engine", "podman", "--target", "binary", "--tag", tag,
                       "--base", building.prepared(f"need_build_packages {arch}"),
                       "--", "--network=host", "--output", f"type=local,dest={tmp_path}")
    assert [path.name for path in tmp_path.iterdir()] == ["postern"]
    assert (tmp_path / "postern").read_bytes() == binaries[arch].read_bytes()


def test_the_unit_tests_run_in_a_stage_of_their_own(tag):
    building.run_build("--engine", "podman", "--target", "test", "--tag", tag,
                       "--base", lab.base_image(building.RELEASE), *CACHED)
    # Those that make mounts and namespaces of their own, some of them for all.
    done = lab.podman("run", "--rm", "--privileged", tag, "ctest", "--preset", "dev",
                      "--tests-regex", "sidecar/(rootfs|target|textfile_mounts|probe)$")
    assert "100% tests passed, 0 tests failed out of 4" in done.stdout


def test_a_build_without_a_target_makes_the_image(tag):
    arch = lab.native_architecture()
    lab.podman("build", "--network=host", "--build-arg", f"BUILDPLATFORM=linux/{arch}",
               "--build-arg", f"DEBIAN_IMAGE={lab.base_image(building.RELEASE)}",
               "--file", building.ROOT / "container" / "Dockerfile", "--tag", tag, building.ROOT,
               timeout=building.BUILD_LIMIT_S)
    inner = json.loads(lab.podman("image", "inspect", tag).stdout)[0]["Config"]
    assert (inner["Entrypoint"], inner["Cmd"], inner["User"]) == \
        (["/postern"], ["help"], "65532:65532")
    assert inner["Labels"]["org.opencontainers.image.title"] == "postern"
