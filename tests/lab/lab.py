# SPDX-License-Identifier: MIT
"""The lab: a mail host, a balancer, clients and an outsider on one private wire.

    with Lab("bookworm") as lab:
        lab.mail.start_servers()
        lab.balancer.start_haproxy(lab.mail.address())
        sock = lab.client.connect(lab.balancer.haproxy_address(), 587)

Everything is in namespaces of its own; nothing of the machine's network, processes or mail set-up
is touched, and all of it is gone when the block ends, in whatever way it ends.
"""
import contextlib
import shutil
import signal
import tempfile
import threading

from . import balancer, mailhost, netns, processes, tree
from . import pod as pod_module

MAIL = ["10.77.0.10", "fd77::10"]
# HAProxy's, nginx's, and one for a test that speaks as a balancer itself.
BALANCER = ["10.77.0.20", "10.77.0.21", "10.77.0.22", "fd77::20", "fd77::21", "fd77::22"]
BALANCER_BY_HAND = BALANCER[2]
# What the balancer's networks are called in a postern configuration.
TRUSTED = ["10.77.0.0/24", "fd77::/64"]
CLIENT = ([f"198.51.100.{n}" for n in range(1, 50)]
          + [f"2001:db8:1::{n}" for n in range(1, 10)])
OUTSIDER = ["203.0.113.66", "2001:db8:66::66"]


class Lab:
    """One mail host of a Debian release and what stands around it.

    With `pod`, the mail host is a container of a pod, in which there is a sidecar, too.
    """

    def __init__(self, release, with_balancer=True, pod=False, **configuration):
        self._configuration = configuration
        self._folder = tempfile.mkdtemp(prefix="postern-lab-")
        self.release = release
        self.wire = netns.Wire()
        self.pause = self.sidecar = None
        if pod:
            self.pause = pod_module.Pause("pod", MAIL)
            self.mail = pod_module.PodMailHost(self.pause, release, self._folder)
            self.sidecar = pod_module.Sidecar(self.pause, self._folder)
        else:
            self.mail = mailhost.MailHost(release, MAIL, self._folder)
        self.client = netns.NetHost("client", CLIENT)
        self.outsider = netns.NetHost("outsider", OUTSIDER)
        self.balancer = None
        if with_balancer:
            self.balancer = balancer.Balancer(tree.BALANCER_RELEASE, BALANCER, self._folder)
        self._old_handlers = {}

    @property
    def hosts(self):
        """Who is on the wire."""
        return [h for h in (self.mail, self.balancer, self.client, self.outsider) if h is not None]

    @property
    def _all(self):
        """In the order in which they end: containers before what holds their namespaces."""
        return [h for h in (self.sidecar, *self.hosts, self.pause, self.wire) if h is not None]

    def __enter__(self):
        self._take_signals()
        try:
            started = [self.wire, *self.hosts]
            if self.pause is not None:
                self.pause.start()
                self.pause.ready()
                started.append(self.sidecar)
            for host in started:
                host.start()
            for host in started:
                host.ready()
            self.wire.plug(self.hosts)
            self.mail.configure(**self._configuration)
            self.mail.install_postern()
        except BaseException:
            self.close()
            raise
        return self

    def replace_mail(self):
        """The pod's mail container ends and is started anew: same image and configuration."""
        self.mail.replace(**self._configuration)

    def mail_root(self):
        """Where the sidecar sees the mail container's files."""
        return f"/proc/{processes.inner_number(self.mail.pid)}/root"

    @contextlib.contextmanager
    def another_mail(self):
        """A second mail container of the pod, configured as the first; no server of it runs."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            other = pod_module.PodMailHost(self.pause, self.release, folder)
            other.start()
            try:
                other.ready()
                other.configure(**self._configuration)
                yield other
            finally:
                other.stop()

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End every process that the lab started, and with them all mounts and interfaces."""
        failure = None
        for host in self._all:
            try:
                host.stop()
            except Exception as error:  # go on: the other hosts have to end too
                failure = error
        shutil.rmtree(self._folder, ignore_errors=True)
        self._give_signals_back()
        if failure is not None:
            raise failure

    # SIGINT is an exception in Python already; SIGTERM and SIGHUP are made one, so that the block
    # is left in the orderly way.
    def _take_signals(self):
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                self._old_handlers[number] = signal.signal(number, _end_by_signal)

    def _give_signals_back(self):
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers.clear()


def _end_by_signal(number, _frame):
    raise SystemExit(128 + number)


@contextlib.contextmanager
def started(release, haproxy=False, nginx=False, pod=False, **configuration):
    """A lab whose servers run."""
    with Lab(release, with_balancer=haproxy or nginx, pod=pod, **configuration) as lab:
        lab.mail.start_servers()
        if haproxy:
            lab.balancer.start_haproxy(lab.mail.address())
        if nginx:
            lab.balancer.start_nginx(lab.mail.address())
        yield lab
