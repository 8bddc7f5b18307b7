# SPDX-License-Identifier: MIT
"""docker builds the image, too: Debian 13's docker with BuildKit, inside a container."""
import contextlib
import fcntl
import os

import building
import pytest
from lab import podman as lab

# What docker has built stays in a volume of the lab's storage; one daemon at a time may use it.
VOLUME = "postern-docker"
OTHER_EPOCH = 1_000_000_000
SCRIPT = """
docker image inspect "$BASE" >/dev/null 2>&1 || docker load --quiet --input /base.tar
build() {
    /src/container/build --engine docker --base "$BASE" "$@" --network=host --allow network.host
}
# First of another commit with the same program, so that the cache is full of its dates.
SOURCE_DATE_EPOCH=$OTHER_EPOCH build -- --output type=oci,dest=/out/other.tar
build --platform linux/amd64,linux/arm64 -- --output type=oci,dest=/out/image.tar
build --tag localhost/postern:ours --
docker run --rm --network=none --read-only --cap-drop=all localhost/postern:ours version
"""


@pytest.fixture(scope="module")
def by_docker(tmp_path_factory, commit):
    """(folder of archives, what the image said when docker ran it)"""
    folder = tmp_path_factory.mktemp("docker")
    checkout = building.copy_checkout(folder / "src")
    base = lab.base_image(building.RELEASE)
    identity = lab.podman("image", "inspect", "--format", "{{.Id}}", base).stdout.strip()
    known = f"localhost/postern-base:{identity[:16]}"
    lab.podman("tag", base, known)
    lab.podman("save", "--quiet", "--output", folder / "base.tar", known)
    lab.podman("untag", base, known)
    container = lab.name("docker")
    lab.at_end("rm", "--force", container)
    with only_one_daemon():
        done = lab.podman(
            "run", "--rm", "--name", container, "--privileged", "--network=host",
            "--volume", f"{VOLUME}:/var/lib/docker", "--volume", f"{checkout}:/src:ro",
            "--volume", f"{folder / 'base.tar'}:/base.tar:ro", "--volume", f"{folder}:/out",
            "--env", f"BASE={known}", "--env", f"OTHER_EPOCH={OTHER_EPOCH}",
            "--env", f"REVISION={commit['revision']}",
            "--env", f"SOURCE_DATE_EPOCH={commit['epoch']}",
            lab.image_with("trixie", "docker-buildx", "docker-cli", "docker.io"),
            "/src/tests/image/in-docker", "bash", "-euc", SCRIPT, timeout=building.BUILD_LIMIT_S)
    return folder, done.stdout


@contextlib.contextmanager
def only_one_daemon():
    home = os.path.dirname(lab.environment()["CONTAINERS_CONF"])
    with open(os.path.join(home, ".docker.lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_docker_runs_what_it_built(by_docker, commit):
    assert by_docker[1].splitlines()[-1] == f"postern {commit['version']}"


@pytest.mark.parametrize("arch", building.ARCHES)
def test_docker_builds_the_same_file(by_docker, images, arch):
    entry, content = building.read_layer(by_docker[0] / "image.tar", arch)
    expected, same = building.read_layer(images[arch].archive)
    assert content == same
    for field in ("mode", "uid", "gid", "mtime"):
        mask = 0o7777 if field == "mode" else -1
        assert getattr(entry, field) & mask == getattr(expected, field) & mask, field


@pytest.mark.parametrize("arch", building.ARCHES)
def test_docker_builds_the_same_configuration(by_docker, images, arch):
    _, ours, _ = building.read_archive(by_docker[0] / "image.tar", arch)
    _, expected, _ = building.read_archive(images[arch].archive)
    for key in ("User", "Entrypoint", "Cmd"):
        assert ours["config"][key] == expected["config"][key]
    labels = dict(expected["config"]["Labels"])
    labels.pop("io.buildah.version")
    assert ours["config"]["Labels"] == labels
    assert ours["created"] == expected["created"]


def test_docker_s_cache_keeps_no_old_date(by_docker, commit):
    entry, _ = building.read_layer(by_docker[0] / "other.tar")
    assert entry.mtime == OTHER_EPOCH
    entry, _ = building.read_layer(by_docker[0] / "image.tar", lab.native_architecture())
    assert entry.mtime == commit["epoch"]
