# SPDX-License-Identifier: MIT
"""`gate: require` in each mode: nobody but the trusted networks reaches a twin of the pod."""
import contextlib
import select

import pytest

import chart
import wire
from lab import gate, mailhost, postern, processes, proxy_client

HEADER = proxy_client.v2("198.51.100.7")
TWINS = mailhost.TWIN_PORTS
BOTH = [*wire.TRUSTED, *wire.OTHER_TRUSTED]


@pytest.fixture(scope="module")
def gated(stage, release, mode):
    """A pod whose gate has to be there, ready, for all tests of this module."""
    with stage.mail_pod(release, chart.values(mode, postern={"gate": "require"})) as running:
        yield running


def stands(mail, networks):
    return (gate.exists(mail.pod) and gate.ports(mail.pod) == set(TWINS.values())
            and gate.networks(mail.pod) == set(networks))


@contextlib.contextmanager
def upgraded(mail, **how):
    """Other values, then its own again; only postern.conf changes."""
    assert mail.upgrade(**how) == ["postern-config"]
    try:
        yield
    finally:
        mail.downgrade()


def test_the_gate_is_in_the_pods_network_by_the_right_container(gated):
    assert stands(gated, wire.TRUSTED), gate.ruleset(gated.pod)
    may = {name for name, container in gated.pod.containers.items()
           if "NET_ADMIN" in processes.capabilities(container.pid, "CapBnd")}
    assert may == {gated.keeper.spec["name"]}


@pytest.mark.parametrize("family", (4, 6))
def test_untrusted_connections_are_not_taken(gated, family):
    """At none of the twins, while the stock ports take them all."""
    pod, outsider = gated.pod, gated.stage.outsider
    address, before = pod.address(family), gate.refused_packets(pod)
    with gate.knocking(outsider, [(address, port) for port in TWINS.values()]) as sockets:
        ready = select.select([], sockets, [], gate.REFUSED_WITHIN_S)[1]
        assert not ready, [sock.getpeername() for sock in ready]
    assert gate.refused_packets(pod) >= before + len(TWINS)
    for port in mailhost.STOCK_PORTS.values():
        assert gate.lets_in(outsider, address, port), port


@pytest.mark.parametrize("family", (4, 6))
def test_trusted_connections_are_served(gated, family):
    for service, port in TWINS.items():
        sock = gated.connect(port, HEADER, family=family)
        if service in mailhost.IMPLICIT_TLS:
            sock = gated.tls_context().wrap_socket(sock)
        with proxy_client.LineClient(sock) as client:
            assert postern.is_greeting(client.line()), service


def test_probes_get_past_it(gated):
    for container in gated.pod.containers.values():
        for kind in ("startup", "readiness", "liveness"):
            assert container.probe(kind) is not False, f"{kind}: {container.last_probe}"


def test_networks_of_an_upgrade(gated, mode):
    """kubelet swaps the ConfigMap, and the gate follows; in mode init the pod starts anew."""
    pod, other = gated.pod, gated.stage.other_balancer
    if mode == "init":
        changed = chart.merged(gated.values, {"trustedNetworks": BOTH})
        assert chart.render(changed, gated.certificate).template() != gated.rendered.template()
        return
    assert not gate.lets_in(other, pod.address(), TWINS["smtp"])
    with upgraded(gated, trustedNetworks=BOTH):
        gated.wait_until(lambda: stands(gated, BOTH), "the new networks in the gate")
        for family in (4, 6):
            assert gate.lets_in(other, pod.address(family), TWINS["smtp"])
        assert gate.lets_in(gated.stage.balancer, pod.address(), TWINS["smtp"])
    gated.wait_until(lambda: stands(gated, wire.TRUSTED), "the old networks in the gate")
    assert not gate.lets_in(other, pod.address(), TWINS["smtp"])
