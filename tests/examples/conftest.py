# SPDX-License-Identifier: MIT
"""The examples under container/examples: rendered, and run with podman."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

pytest.register_assert_rewrite("lab")

import lab as lab_package  # noqa: E402  (the path above comes first)
import cluster  # noqa: E402
import images  # noqa: E402
import surroundings  # noqa: E402


@pytest.fixture(scope="session", params=lab_package.RELEASES)
def release(request):
    return request.param


@pytest.fixture(scope="session")
def stage():
    """The pod network and who is on it."""
    with surroundings.Stage() as made:
        yield made


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return surroundings.Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def dovecot(stage, certificates):
    """A running pod of the Dovecot example."""
    with cluster.Pod(stage.mail, cluster.kustomize("dovecot/base"),
                     {"postern": images.postern(), "docker.io/dovecot/dovecot": images.dovecot()},
                     {"dovecot-users": {"users": "alice:{PLAIN}secret\n"},
                      "dovecot-tls": certificates.make("first")}) as pod:
        pod.wait_ready()
        yield pod


@pytest.fixture(scope="module")
def postfix(stage, certificates, release):
    """A running pod of the Postfix example; its start takes a while, so it is one for all tests."""
    with cluster.Pod(stage.mail, cluster.kustomize("postfix/base"),
                     {"postern": images.postern(),
                      "docker.io/boky/postfix": images.postfix(release)},
                     {"postfix-users": {"users": "alice@example.org:secret"},
                      "postfix-tls": certificates.make("first")}) as pod:
        pod.wait_ready()
        yield pod
