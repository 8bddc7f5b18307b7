# SPDX-License-Identifier: MIT
"""Where pods run: a wire with whoever talks to them; and a mail pod with its renderings."""
import contextlib
import ssl

import chart
import kube_pod
import mail_image
import mail_view
import wire
from lab import gate, mail_config, mailhost, netns, proxy_client, wait

MAILSERVER, SIDECAR = "mailserver", "postern"


class Stage:
    """Everybody on the wire but the pods."""

    def __init__(self):
        self.wire = wire.Wire()
        self.balancer = netns.NetHost("balancer", wire.BALANCER)
        self.other_balancer = netns.NetHost("other-balancer", wire.OTHER_BALANCER)
        self.outsider = netns.NetHost("outsider", wire.OUTSIDER)
        self.certificate = chart.make_certificate()

    def __enter__(self):
        try:
            self.wire.start()
            self.wire.ready()
            for host in (self.balancer, self.other_balancer, self.outsider):
                host.start()
                host.ready()
                self.wire.plug_one(host)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for host in (self.balancer, self.other_balancer, self.outsider, self.wire):
            host.stop()

    def images(self, release):
        """A function that gives each image of the chart one that is there."""
        local = {chart.MAIL_IMAGE: mail_image.mail(release),
                 chart.POSTERN_IMAGE: mail_image.postern()}
        return lambda image: local[image.rpartition(":")[0]]

    @contextlib.contextmanager
    def mail_pod(self, release, values, heir_of=None):
        """A pod of these values, ready, until the end of the block.

        It finds the claims of the pod whose heir it is, which goes.
        """
        running = MailPod(self, release, values, heir_of)
        try:
            running.pod.start()
            running.pod.ready()
            yield running
        finally:
            running.pod.stop()


class MailPod:
    """A pod, what it was rendered from, and what talks to it."""

    def __init__(self, stage, release, values, heir_of=None):
        self.stage = stage
        self.release = release
        self.values = values
        self.certificate = stage.certificate
        self.rendered = chart.render(values, self.certificate)
        self.pod = kube_pod.KubePod(stage.wire, self.rendered.template(), self.rendered,
                                    stage.images(release), wire.pod_addresses(),
                                    heir_of=heir_of and heir_of.pod)

    @property
    def host(self):
        """The mail container that runs now, as a mail host."""
        return mail_view.MailView(self.release, self.pod, MAILSERVER)

    @property
    def keeper(self):
        """The container in which postern runs."""
        return self.pod.containers.get(SIDECAR, self.pod.containers[MAILSERVER])

    def upgrade(self, certificate=None, **changes):
        """`helm upgrade` with other values, up to kubelet's work; the volumes that changed.

        Nothing of the pod may be another: else Kubernetes would replace it.
        """
        rendered = chart.render(chart.merged(self.values, changes), certificate or self.certificate)
        assert rendered.template() == self.rendered.template()
        return self.pod.update(rendered)

    def downgrade(self):
        """`helm rollback`."""
        return self.pod.update(self.rendered)

    # -- what clients see

    def tls_context(self):
        context = ssl.create_default_context(cadata=self.certificate[0])
        context.check_hostname = False
        return context

    def connect(self, port, header=b"", source=None, family=4, within=wait.LIMIT_S):
        """The connection is taken within that time; else TimeoutError."""
        source = source or self.stage.balancer
        sock = source.connect(self.pod.address(family), port, first_bytes=header, timeout=within)
        sock.settimeout(wait.LIMIT_S)
        return sock

    def greeting(self, service, port, header=b"", source=None):
        """The first line of a service, after TLS where that comes first; None: it closed."""
        return self.greeting_on(self.connect(port, header, source), service)

    def greeting_of_who_is_not_trusted(self, service, port, header):
        """The same for the outsider; None: it closed, or, where there is a gate, took nobody."""
        try:
            sock = self.connect(port, header, self.stage.outsider, within=gate.REFUSED_WITHIN_S)
        except TimeoutError:
            return None
        return self.greeting_on(sock, service)

    def greeting_on(self, sock, service):
        try:
            if service in mailhost.IMPLICIT_TLS:
                sock = self.tls_context().wrap_socket(sock)
            with proxy_client.LineClient(sock) as client:
                return client.line()
        except (ssl.SSLError, ConnectionError):
            return None
        finally:
            sock.close()

    def served_certificate(self, service, port, header=b""):
        """What a service on which TLS comes first shows, in binary."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        assert service in mailhost.IMPLICIT_TLS
        with self.connect(port, header) as sock, context.wrap_socket(sock) as wrapped:
            return wrapped.getpeercert(binary_form=True)

    def wait_until(self, probe, what, passing=()):
        return wait.until(probe, lambda: f"{what}\n{self.pod.logs()}", passing=passing)


USER, PASSWORD = mail_config.USER, mail_config.PASSWORD
