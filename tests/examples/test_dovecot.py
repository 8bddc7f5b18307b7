# SPDX-License-Identifier: MIT
"""The Dovecot example, on an image of the shape of Dovecot's own."""
import pytest

import cluster
import controllers
import surroundings
from lab import mail_clients, proxy_client, wait

NETWORKS = 'trusted-networks = { "10.42.0.0/16", "fd00:42::/48" }'


@pytest.fixture(params=["ingress-nginx", "traefik"])
def controller(request, stage):
    """(address, objects) of a running ingress controller."""
    objects = cluster.kustomize(f"dovecot/overlays/{request.param}")
    yield controllers.start(stage, request.param, objects), objects
    controllers.stop(stage)


def log_in(sock, implicit):
    tls = surroundings.careless_tls()
    client = mail_clients.Imap(sock, tls if implicit else None)
    if not implicit:
        client.starttls(tls)
    client.login("alice", "secret")
    client.logout()


def seen(pod, program, address):
    surroundings.wait_for_line(pod.log, rf" {program}: Info: Log(ged )?in: .*\brip={address},")


def port(service, name):
    return cluster.pod_port(cluster.kustomize("dovecot/base"), service, name)


def test_dovecot_sees_the_client_behind_the_controller(stage, dovecot, controller):
    address, objects = controller
    for name, implicit in (("imap", False), ("imaps", True)):
        public = cluster.service_port(objects, "dovecot-proxied", name)
        log_in(stage.client.connect(address, public), implicit)
    seen(dovecot, "imap-login", stage.client.address())
    sieve = mail_clients.ManageSieve(
        stage.client.connect(address, cluster.service_port(objects, "dovecot-proxied", "sieve")),
        surroundings.careless_tls())
    sieve.starttls()
    sieve.login("alice", "secret")
    sieve.close()
    seen(dovecot, "managesieve-login", stage.client.address())


def test_no_client_logs_in_without_tls(stage, dovecot, controller):
    address, objects = controller
    public = cluster.service_port(objects, "dovecot-proxied", "imap")
    client = mail_clients.Imap(stage.client.connect(address, public))
    assert "LOGINDISABLED" in client.capabilities, client.capabilities
    client.logout()


def test_neighbours_use_the_stock_ports_as_ever(stage, dovecot):
    for name, implicit in (("imap", False), ("imaps", True)):
        log_in(stage.neighbour.connect(stage.mail.address(), port("dovecot", name)), implicit)
    seen(dovecot, "imap-login", stage.neighbour.address())


def test_a_neighbour_that_is_not_trusted_is_refused_until_it_is(stage, dovecot):
    twin = port("dovecot-proxied", "imap")
    header = proxy_client.v2(stage.client.address())
    with proxy_client.LineClient(
            stage.neighbour.connect(stage.mail.address(), twin, first_bytes=header)) as refused:
        assert refused.line() is None
    surroundings.wait_for_line(dovecot.log, r"haproxy: Client not trusted \(rip=10\.43\.0\.66\)")

    before = dovecot.state()["StartedAt"]
    volume = dovecot.config_maps["dovecot-postern"]
    text = volume.read()["postern.conf"].decode()
    assert NETWORKS in text
    volume.write({"postern.conf": text.replace(NETWORKS, 'trusted-networks = { "10.43.0.66" }')
                  .encode()})

    def greeted():
        with proxy_client.LineClient(
                stage.neighbour.connect(stage.mail.address(), twin, first_bytes=header)) as client:
            return (client.line() or "").startswith("* OK")

    wait.until(greeted, "the neighbour to be trusted", every=0.1, passing=(OSError,))
    assert dovecot.state()["StartedAt"] == before


def test_a_mistake_leaves_all_as_it_was(stage, dovecot):
    dovecot.config_maps["dovecot-postern"].write({"postern.conf": b"trusted-networks = {\n"})
    surroundings.wait_for_line(dovecot.log, r"postern: error: /etc/postern/postern\.conf:\d+: ")
    assert dovecot.probe("readinessProbe") and dovecot.probe("livenessProbe")
    log_in(stage.neighbour.connect(stage.mail.address(), port("dovecot", "imap")), False)


def test_dovecots_own_settings_are_live(stage, dovecot):
    volume = dovecot.config_maps["dovecot-settings"]
    text = volume.read()["mail.conf"]
    volume.write({"mail.conf": text + b"login_greeting = Changed.\n"})

    def greeting():
        with proxy_client.LineClient(
                stage.neighbour.connect(stage.mail.address(), port("dovecot", "imap"))) as client:
            return (client.line() or "").endswith("Changed.")

    wait.until(greeting, "the new greeting", every=0.1, passing=(OSError,))


POP3 = b"""
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = 31110
  }
  inet_listener pop3s {
    port = 31995
    ssl = yes
  }
}
"""


def test_a_protocol_that_is_switched_on_gets_its_twins(stage, dovecot):
    volume = dovecot.config_maps["dovecot-settings"]
    before = volume.read()
    assert b"protocols = imap sieve\n" in before["mail.conf"]
    volume.write({"rootless.conf": before["rootless.conf"] + POP3,
                  "mail.conf": before["mail.conf"].replace(b"imap sieve", b"imap pop3 sieve")})
    stage.mail.wait_listening([31110, 31995, 10110, 10995])


def test_a_renewed_certificate_is_shown(stage, dovecot, certificates):
    def shown():
        return surroundings.certificate_of(
            stage.neighbour.connect(stage.mail.address(), port("dovecot", "imaps")))

    assert shown() == certificates.make("first")["tls.crt"]
    renewed = certificates.make("second")
    dovecot.secrets["dovecot-tls"].write({k: v.encode() for k, v in renewed.items()})
    wait.until(lambda: shown() == renewed["tls.crt"], "the new certificate", every=0.1,
               passing=(OSError,))


def test_the_container_may_be_started_anew_in_its_pod(stage, dovecot):
    dovecot.replace_container()
    dovecot.wait_ready()
    log_in(stage.neighbour.connect(stage.mail.address(), port("dovecot", "imap")), False)


def test_the_pod_ends_within_its_grace_period_and_with_0(dovecot):
    assert dovecot.stop() == 0


def test_nothing_in_the_pod_has_a_right_that_it_does_not_need(dovecot):
    status = dovecot.exec("cat", "/proc/1/status").stdout
    assert "Uid:\t1000\t1000\t1000\t1000" in status
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
