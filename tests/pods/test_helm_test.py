# SPDX-License-Identifier: MIT
"""The pods of `helm test`, run beside the mail pod: what they say of it is right."""
import contextlib

import pytest

import chart
import cluster_net
import kube_pod
import wire
from lab import mailhost

# Where a test's pod may be: its addresses.
PLACES = {"trusted": wire.TRUSTED_TEST, "not trusted": wire.UNTRUSTED_TEST}
PASSED, FAILED = 0, 1


@pytest.fixture(scope="module")
def entrypoint(stage, release):
    """One pod for what does not depend on the mode."""
    with stage.mail_pod(release, chart.values("entrypoint")) as running:
        yield running


@contextlib.contextmanager
def judged(mail, place, moved=None):
    """What a pod of `helm test` says from that place: {container: exit code}, and the pod."""
    [manifest] = mail.rendered.test_pods()
    services = cluster_net.Services(mail.rendered, mail.pod, moved)
    pod = kube_pod.KubePod(mail.stage.wire, manifest, mail.rendered,
                           mail.stage.images(mail.release), PLACES[place], services)
    try:
        pod.start()
        yield pod.wait_end(), pod
    finally:
        pod.stop()


@pytest.mark.parametrize("place", PLACES)
def test_passes_wherever_its_pod_is(mail, place):
    with cluster_net.guarded(mail.rendered, mail.pod), judged(mail, place) as (codes, pod):
        assert codes == {"twins": PASSED, "stock": PASSED}, pod.logs()


def test_finds_out_whether_a_gate_keeps_others_away(mail, mode):
    """No NetworkPolicy is in force, and Postfix has no list of its own."""
    with judged(mail, "not trusted") as (codes, pod):
        said = pod.containers["twins"].logs()
        if mode == "sidecar":
            assert codes == {"twins": PASSED, "stock": PASSED}, pod.logs()
        else:
            assert codes["twins"] == FAILED, pod.logs()
            assert "which is not trusted" in said


def test_fails_when_a_twin_is_a_stock_port(entrypoint):
    """As with an external Service that leads to the wrong port."""
    wrong = {mailhost.TWIN_PORTS["imap"]: mailhost.STOCK_PORTS["imap"]}
    with judged(entrypoint, "trusted", wrong) as (codes, pod):
        assert codes == {"twins": FAILED, "stock": PASSED}, pod.logs()


def test_fails_when_a_stock_port_is_a_twin(entrypoint):
    wrong = {mailhost.STOCK_PORTS["submission"]: mailhost.TWIN_PORTS["submission"]}
    with judged(entrypoint, "trusted", wrong) as (codes, pod):
        assert codes == {"twins": PASSED, "stock": FAILED}, pod.logs()
