# SPDX-License-Identifier: MIT
"""The Postfix example, on an image of the shape of boky/postfix."""
import smtplib
import ssl

import pytest

import cluster
import controllers
import surroundings
from lab import mail_clients, proxy_client, wait

TWIN = "postfix/submission_proxied/smtpd"


@pytest.fixture(params=["ingress-nginx", "traefik"])
def controller(request, stage):
    objects = cluster.kustomize(f"postfix/overlays/{request.param}")
    yield controllers.start(stage, request.param, objects), objects
    controllers.stop(stage)


def port(service):
    return cluster.pod_port(cluster.kustomize("postfix/base"), service, "submission")


def talk(sock, *commands):
    """The last reply."""
    with proxy_client.LineClient(sock) as client:
        reply = client.greeting()
        for command in commands:
            assert reply and reply[0] in "23", reply
            reply = client.smtp(command)
        return reply


ENVELOPE = ("EHLO client.example.org", "MAIL FROM:<a@example.org>", "RCPT TO:<b@elsewhere.example>")


def test_postfix_sees_the_client_behind_the_controller(stage, postfix, controller):
    address, objects = controller
    public = cluster.service_port(objects, "postfix-proxied", "submission")
    assert talk(stage.client.connect(address, public)).startswith("220 mail.example.org")
    surroundings.wait_for_line(postfix.log, rf"{TWIN}\[\d+\]: connect from \S+\[198\.51\.100\.7\]")


def test_neighbours_use_the_stock_port_as_ever(stage, postfix):
    reply = talk(stage.neighbour.connect(stage.mail.address(), port("postfix")), *ENVELOPE)
    assert reply.startswith("250 "), reply
    surroundings.wait_for_line(postfix.log,
                           r"postfix/smtpd\[\d+\]: connect from \S+\[10\.43\.0\.66\]")


def test_who_claims_to_be_a_neighbour_gains_nothing_on_the_twin(stage, postfix):
    header = proxy_client.v2(stage.neighbour.address(), stage.mail.address())
    reply = talk(stage.neighbour.connect(stage.mail.address(), port("postfix-proxied"),
                                         first_bytes=header), *ENVELOPE)
    assert reply.startswith("554 5.7.1 ") and "rejected" in reply, reply


def test_the_twin_follows_a_change_without_a_restart(stage, postfix):
    before = postfix.state()["StartedAt"]
    volume = postfix.config_maps["postfix-postern"]
    text = volume.read()["postern.conf"]
    volume.write({"postern.conf": text.replace(
        b"listener smtp { enable = false }",
        b"listener smtp { enable = false }\n  listener submission { port = 12587 }")})
    stage.mail.wait_listening([12587])
    stage.mail.wait_closed([port("postfix-proxied")])
    assert postfix.state()["StartedAt"] == before


def test_a_renewed_certificate_is_shown(stage, postfix, certificates):
    def shown():
        with mail_clients.Smtp(
                stage.neighbour.connect(stage.mail.address(), port("postfix"))) as smtp:
            smtp.starttls(context=surroundings.careless_tls())
            return ssl.DER_cert_to_PEM_cert(smtp.sock.getpeercert(binary_form=True))

    assert shown() == certificates.make("first")["tls.crt"]
    renewed = certificates.make("second")
    postfix.secrets["postfix-tls"].write({k: v.encode() for k, v in renewed.items()})
    surroundings.wait_for_line(postfix.log, r"postern: notice: /etc/postfix-tls: changed\n"
                                        r"postern: notice: postfix: reloaded ")
    wait.until(lambda: shown() == renewed["tls.crt"], "the new certificate", every=0.1,
               passing=(OSError, smtplib.SMTPException))
    wait.until(lambda: postfix.probe("readinessProbe"), "the pod to be ready", every=0.1)


def test_the_container_may_be_started_anew_in_its_pod(stage, postfix):
    postfix.replace_container()
    postfix.wait_ready()
    assert talk(stage.neighbour.connect(stage.mail.address(), port("postfix"))).startswith("220 ")


def test_the_pod_ends_within_its_grace_period_and_with_0(postfix):
    assert postfix.probe("livenessProbe")
    assert postfix.stop() == 0
