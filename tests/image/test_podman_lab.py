# SPDX-License-Identifier: MIT
"""The lab's podman: a storage of its own, and nothing left behind by a killed test."""
import os
import signal
import subprocess
import sys

import building
from lab import podman as lab
from lab import wait

KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from lab import podman as lab
name = lab.name("killed")
lab.at_end("rm", "--force", "--time", "0", name)
lab.podman("run", "--detach", "--name", name, lab.base_image("bookworm"), "sleep", "600")
print(name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_test_started_is_removed():
    done = subprocess.run([sys.executable, "-c", KILLED, building.ROOT / "tests"], text=True,
                          stdout=subprocess.PIPE, timeout=lab.RUN_LIMIT_S)
    assert done.returncode == -signal.SIGKILL
    name = done.stdout.strip()
    assert name.startswith("postern-killed-")
    wait.until(lambda: lab.podman("container", "exists", name, check=False).returncode == 1,
               "the container's removal")


def test_its_containers_have_no_network_of_the_machine():
    done = lab.podman("run", "--rm", lab.base_image("bookworm"), "ls", "/sys/class/net")
    assert done.stdout.split() == ["lo"]


def test_its_storage_is_in_the_cache():
    root = lab.podman("info", "--format", "{{.Store.GraphRoot}}").stdout.strip()
    cache = os.environ.get("POSTERN_CACHE", "/var/cache/postern")
    assert root == os.path.join(cache, "podman", "storage")
