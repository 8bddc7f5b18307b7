# SPDX-License-Identifier: MIT
"""Each mode's pod, rendered and run: twins with the client's address, stock ports as ever."""
import pytest

import stage
import wire
from lab import evidence, gate, mail_clients, mailhost, postern, processes, proxy_client

# Each case has a client of its own, so that the log tells them apart.
CLIENTS = {"v1": {4: "198.51.100.1", 6: "2001:db8:1::1"},
           "v2": {4: "198.51.100.2", 6: "2001:db8:1::2"}}
HEADERS = {"v1": proxy_client.v1, "v2": proxy_client.v2}


def use(mail, service, sock):
    mail_clients.use(service, sock, stage.USER, stage.PASSWORD, mail.tls_context())


@pytest.mark.parametrize("family", (4, 6))
@pytest.mark.parametrize("version", HEADERS)
def test_every_twin_serves_and_logs_the_client_of_the_header(mail, version, family):
    host, client = mail.host, CLIENTS[version][family]
    mark = host.log.mark()
    for service, port in mailhost.TWIN_PORTS.items():
        use(mail, service, mail.connect(port, HEADERS[version](client), family=family))
    for service in mailhost.TWIN_PORTS:
        host.log.wait_for(evidence.seen_on_twin(service, client), mark)


def test_every_stock_port_serves_without_a_header(mail):
    host, client = mail.host, mail.stage.outsider
    mark = host.log.mark()
    for service, port in mailhost.STOCK_PORTS.items():
        use(mail, service, mail.connect(port, source=client))
    for service in mailhost.STOCK_PORTS:
        host.log.wait_for(evidence.seen_on_stock(service, client.address()), mark)


@pytest.mark.parametrize("service", ("smtp", "submission", "submissions"))
def test_twin_is_no_relay_for_a_header_that_claims_the_pod_itself(mail, service):
    header = proxy_client.v2("127.0.0.1")
    sock = mail.connect(mailhost.TWIN_PORTS[service], header)
    with mail_clients.Smtp(sock, mail.tls_context() if service == "submissions" else None) as smtp:
        if service == "submission":
            smtp.starttls(context=mail.tls_context())
        smtp.ehlo()
        assert smtp.mail("someone@example.org")[0] == 250
        code, text = smtp.rcpt("other@elsewhere.example")
    assert code in (454, 550, 554), text
    assert b"denied" in text


@pytest.mark.parametrize("service", mailhost.DOVECOT_TWINS)
def test_twin_of_dovecot_turns_away_who_is_not_trusted(mail, service):
    header, port = proxy_client.v2("198.51.100.3"), mailhost.TWIN_PORTS[service]
    assert mail.greeting_of_who_is_not_trusted(service, port, header) is None
    assert postern.is_greeting(mail.greeting(service, port, header, mail.stage.balancer))


@pytest.mark.parametrize("service", mailhost.TWIN_PORTS)
def test_twin_does_not_serve_without_a_header(mail, service):
    sock = mail.connect(mailhost.TWIN_PORTS[service])
    with proxy_client.LineClient(sock) as client:
        client.send("EHLO client.example.org")
        line = client.line()
        assert line is None or line.startswith("421 "), line


def test_the_gate_is_there_where_baseline_is_left_anyhow(mail, mode):
    """By default: the mail container is given no NET_ADMIN for it, and says what it lacks."""
    if mode == "sidecar":
        assert gate.ports(mail.pod) == set(mailhost.TWIN_PORTS.values())
        assert gate.networks(mail.pod) == set(wire.TRUSTED)
    else:
        assert not gate.exists(mail.pod)
        assert "gate: not in force: CAP_NET_ADMIN is missing" in mail.keeper.logs()


def test_every_probe_of_the_pod_is_answered_well(mail):
    asked = 0
    for container in mail.pod.containers.values():
        for kind in ("startup", "readiness", "liveness"):
            good = container.probe(kind)
            assert good is not False, f"{container.name}: {kind}: {container.last_probe}"
            asked += good is True
    assert asked >= 2


def test_containers_have_the_capabilities_of_the_chart_and_no_other(mail):
    for name, container in mail.pod.containers.items():
        wanted = set(container.spec["securityContext"]["capabilities"]["add"])
        assert processes.capabilities(container.pid, "CapBnd") == wanted, name
        assert processes.status(container.pid)["Seccomp"].strip() == "2", name
