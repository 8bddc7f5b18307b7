# SPDX-License-Identifier: MIT
"""The compose example: run by podman, with Traefik itself in front of the mail image."""
import re

import pytest

import compose
import surroundings
from lab import evidence, gate, mail_clients, mail_config, mailhost, proxy_client, wait

EDGE_GATEWAY, INSIDE = "172.30.25.1", "mail-inside"
TRUSTED = 'trusted-networks = { "172.30.25.2", "fd00:25::2" }'
SERVICES = ["smtp", "submission", "submissions", "imap", "imaps", "sieve"]


@pytest.fixture(scope="module")
def machine(release, certificates):
    with compose.Machine(certificates.make("mail.example.org"), release) as running:
        running.wait_ready()
        yield running


def use(service, sock):
    """What a user's program does with a service."""
    mail_clients.use(service, sock, mail_config.USER, mail_config.PASSWORD, surroundings.careless_tls())


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("service", SERVICES)
def test_the_mail_log_has_the_clients_address(machine, service, family):
    use(service, machine.client.connect(machine.address(family), mailhost.STOCK_PORTS[service]))
    surroundings.wait_for_line(machine.mail_log,
                           evidence.seen_on_twin(service, machine.client.address(family)))


@pytest.mark.parametrize("service", ["submission", "imap", "imaps"])
def test_neighbours_use_the_stock_ports_as_ever(machine, service):
    address = machine.address_on(INSIDE)
    gateway = address.rsplit(".", 1)[0] + ".1"
    use(service, machine.connect(address, mailhost.STOCK_PORTS[service], source=gateway))
    surroundings.wait_for_line(machine.mail_log, evidence.seen_on_stock(service, gateway))


def speak(machine):
    """What the twin of 143 says to a neighbour's PROXY header."""
    header = proxy_client.v2(machine.client.address())
    with proxy_client.LineClient(machine.connect(
            machine.address_on("mail-edge"), mailhost.TWIN_PORTS["imap"], source=EDGE_GATEWAY,
            first_bytes=header, timeout=gate.REFUSED_WITHIN_S)) as client:
        return client.line()


@pytest.mark.parametrize("network", ["mail-edge", INSIDE])
def test_a_neighbour_that_is_not_trusted_cannot_connect(machine, network):
    address = machine.address_on(network)
    gateway = address.rsplit(".", 1)[0] + ".1"
    for service in SERVICES:
        assert gate.lets_in(machine, address, mailhost.STOCK_PORTS[service], gateway), service
        assert not gate.lets_in(machine, address, mailhost.TWIN_PORTS[service], gateway), service


def test_a_neighbour_that_is_trusted_from_now_on_is_served(machine):
    with pytest.raises(TimeoutError):
        speak(machine)
    before = machine.state("mailserver")["StartedAt"]
    text = machine.read("postern/postern.conf")
    assert TRUSTED in text
    machine.write("postern/postern.conf", text.replace(
        TRUSTED, f'trusted-networks = {{ "{EDGE_GATEWAY}", "172.30.25.2" }}'))
    wait.until(lambda: (speak(machine) or "").startswith("* OK"), "the neighbour to be trusted",
               every=0.1, passing=(OSError,))
    assert machine.state("mailserver")["StartedAt"] == before


def test_traefik_takes_every_label_and_the_file(machine):
    """It complains of a router, of a provider, of a file; not of an engine that is busy for once."""
    log = "\n".join(line for line in machine.log("traefik").splitlines()
                    if "Provider error, retrying" not in line)
    assert not re.search(r"(routerName|serviceName|providerName|entryPointName)=", log), log


def test_the_mail_server_ends_with_0(machine):
    machine.compose("stop", "mailserver")
    assert machine.state("mailserver")["ExitCode"] == 0
