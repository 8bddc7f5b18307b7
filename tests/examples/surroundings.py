# SPDX-License-Identifier: MIT
"""The network that a pod of the examples is on, and who else is there."""
import re
import ssl
import subprocess
import tempfile

from lab import balancer, netns, tree, wait

# Of the networks that the examples' postern.conf trusts.
MAIL = ["10.42.0.10", "fd00:42::10"]
CONTROLLER = ["10.42.0.20", "10.42.0.21", "fd00:42::20", "fd00:42::21"]
# Elsewhere in the cluster, and not among them.
NEIGHBOUR = ["10.43.0.66", "fd00:43::66"]
CLIENT = ["198.51.100.7", "2001:db8:1::7"]


class Stage:
    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="postern-stage-")
        self.wire = netns.Wire()
        self.mail = netns.NetHost("mail", MAIL)
        self.client = netns.NetHost("client", CLIENT)
        self.neighbour = netns.NetHost("neighbour", NEIGHBOUR)
        self.controller = balancer.Balancer(tree.BALANCER_RELEASE, CONTROLLER, self._folder.name)
        self._hosts = [self.mail, self.client, self.neighbour, self.controller]
        try:
            for host in (self.wire, *self._hosts):
                host.start()
            for host in (self.wire, *self._hosts):
                host.ready()
            self.wire.plug(self._hosts)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for host in (*self._hosts, self.wire):
            host.stop()
        self._folder.cleanup()


class Certificates:
    """Certificates of one's own make, as cert-manager puts them into a Secret."""

    def __init__(self, folder):
        self._folder = folder

    def make(self, name):
        key, certificate = self._folder / f"{name}.key", self._folder / f"{name}.crt"
        if not certificate.exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                            f"/CN={name}", "-keyout", key, "-out", certificate],
                           check=True, capture_output=True, timeout=wait.LIMIT_S)
        return {"tls.crt": certificate.read_text(), "tls.key": key.read_text()}


def careless_tls():
    """A client that takes every certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def certificate_of(sock):
    """What a server with implicit TLS shows, as PEM."""
    with careless_tls().wrap_socket(sock) as tls:
        return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True))


def wait_for_line(read, pattern):
    """The first match of a pattern in what `read()` gives."""
    return wait.until(lambda: re.search(pattern, read(), re.M),
                      lambda: f"{pattern!r} in the log; it has:\n{read()[-4000:]}", every=0.1)
