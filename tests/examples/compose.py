# SPDX-License-Identifier: MIT
"""The compose example on a machine of its own: a network namespace with podman in it.

Everything that podman does to a network, bridges and packet filters, it does in that namespace.
Its containers are the machine's alone, in a storage that takes images from the lab's; they end with
the machine, and the machine with the test, also when that is killed.  The file is the example's
own; images and the engine's socket are given by its variables.
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import images
from lab import mail_config, mailhost, netns, podman, processes, proxy_client, wait

EXAMPLE = os.path.join(mailhost.REPOSITORY, "container", "examples", "compose")
MACHINE = ["198.51.100.1", "2001:db8:1::1"]
CLIENT = ["198.51.100.7", "2001:db8:1::7"]
UP_LIMIT_S = 300
# What podman has once for a whole machine, whatever its configuration says.
OWN_FOLDERS = "/run/containers /run/netns"
# The first process of the machine; all others end with it.
FIRST = (f"mount -t proc proc /proc && mkdir -p {OWN_FOLDERS} && for folder in {OWN_FOLDERS}; do "
         "mount -t tmpfs tmpfs $folder || exit 1; done; exec cat")


class Machine(netns.NetHost):
    """A machine with an engine, and a copy of the example's folder."""

    def __init__(self, certificate, release):
        super().__init__("machine", MACHINE)
        self.client = netns.NetHost("client", CLIENT)
        self._certificate = certificate
        self._release = release
        self._engine = None
        self.project = "example"

    def start(self):
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
             "--propagation=private", "sh", "-c", FIRST],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)

    def ready(self):
        def first():
            found = [pid for pid in processes.children(self._holder.pid)
                     if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "cat"]
            return found[0] if found else None

        self.pid = wait.until(first, "the machine", every=0.01, passing=(OSError,))

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            self.folder = undo.enter_context(
                tempfile.TemporaryDirectory(prefix="postern-compose-", ignore_cleanup_errors=True))
            undo.callback(lambda: self._engine and self._engine.wait(wait.LIMIT_S))
            self._make_network(undo)
            self._lay_folder()
            self._configure_podman()
            self._start_engine()
            undo.callback(self.run, "podman", "rm", "--all", "--force", "--time=0", check=False)
            self.compose("up", "--detach", timeout=UP_LIMIT_S)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_):
        self._undo.close()

    # -- what a machine has

    def _make_network(self, undo):
        wire = netns.Wire()
        for host in (wire, self, self.client):
            undo.callback(host.stop)
            host.start()
        for host in (wire, self, self.client):
            host.ready()
        wire.plug([self, self.client])

    def _lay_folder(self):
        self.example = os.path.join(self.folder, "example")
        shutil.copytree(EXAMPLE, self.example)
        self.write("config/postfix-accounts.cf",
                   f"{mail_config.USER}|{{PLAIN}}{mail_config.PASSWORD}\n")
        for name, text in self._certificate.items():
            self.write(f"tls/{name}", text)

    def _configure_podman(self):
        settings = podman.environment()
        names = {"CONTAINERS_CONF": self._containers_conf(settings["CONTAINERS_CONF"]),
                 "CONTAINERS_STORAGE_CONF": self._storage_conf(settings["CONTAINERS_STORAGE_CONF"])}
        self._socket = os.path.join(self.folder, "engine.sock")
        self._environment = {
            **settings, **names, "DOCKER_SOCKET": self._socket,
            "POSTERN_IMAGE": images.postern(), "TRAEFIK_IMAGE": images.traefik(),
            "MAILSERVER_IMAGE": images.mail(self._release)}

    def _put(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def _containers_conf(self, labs):
        """The lab's, with networks, and with events, to which Traefik listens."""
        kept = [line for line in _lines(labs)
                if not re.match(r"netns|events_logger|static_dir|volume_path|tmp_dir", line)]
        return self._put("containers.conf", "\n".join([*kept, f"""\
static_dir = "{self.folder}/storage/libpod"
volume_path = "{self.folder}/storage/volumes"
tmp_dir = "/run/containers/libpod"
events_logger = "file"
events_logfile_path = "{self.folder}/events"
[network]
network_backend = "netavark"
network_config_dir = "{self.folder}/networks"
"""]))

    def _storage_conf(self, labs):
        images_of_lab = re.search(r"^graphroot = (.*)$", "\n".join(_lines(labs)), re.M)[1]
        return self._put("storage.conf", f"""\
[storage]
driver = "overlay"
graphroot = "{self.folder}/storage"
runroot = "/run/containers/storage"
[storage.options]
additionalimagestores = [{images_of_lab}]
""")

    def _start_engine(self):
        with open(os.path.join(self.folder, "engine.log"), "wb") as log:
            self._engine = subprocess.Popen(
                self._inside("podman", "system", "service", "--time=0", f"unix://{self._socket}"),
                env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait.until(lambda: os.path.exists(self._socket), "the engine's socket", every=0.05)

    def _inside(self, *command):
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--",
                *command]

    def run(self, *command, **options):
        return podman.run(self._inside(*map(str, command)),
                          **{"env": self._environment, "cwd": self.folder, **options})

    # -- containers

    def container(self, service):
        return f"{self.project}_{service}_1"

    def compose(self, *words, **options):
        return self.run(sys.executable, images.podman_compose(), "--project-name", self.project,
                        "--in-pod", "false", "--file", os.path.join(self.example, "compose.yaml"),
                        *words, **options)

    def state(self, service):
        return json.loads(self.run("podman", "inspect", "--format", "{{json .State}}",
                                   self.container(service)).stdout)

    def log(self, service):
        done = self.run("podman", "logs", self.container(service), check=False)
        return done.stdout + done.stderr

    def exec(self, service, *command, check=True):
        return self.run("podman", "exec", self.container(service), *command, check=check)

    def wait_ready(self):
        """Until postern says so, and Traefik has found the mail server."""
        wait.until(lambda: self.exec("mailserver", "/opt/postern/postern", "probe", "--ready",
                                     check=False).returncode == 0 and self._is_routed(),
                   lambda: f"the example to be ready\n{self.log('mailserver')}\n"
                           f"{self.log('traefik')}", every=0.2)

    def _is_routed(self):
        """A port of Traefik's without a route is closed as soon as it is opened."""
        with proxy_client.LineClient(self.client.connect(self.address(), 143)) as client:
            if client.line() is None:
                return False
            client.send("a LOGOUT")
            while client.line() is not None:
                pass
            return True

    def mail_log(self):
        return self.exec("mailserver", "cat", "/var/log/mail/mail.log", check=False).stdout

    def address_on(self, network, service="mailserver"):
        networks = json.loads(self.run("podman", "inspect", "--format",
                                       "{{json .NetworkSettings.Networks}}",
                                       self.container(service)).stdout)
        return networks[network]["IPAddress"]

    # -- files

    def path(self, name):
        return os.path.join(self.example, name)

    def write(self, name, text):
        """As an editor does that saves by rename."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()



def _lines(path):
    with open(path, encoding="utf-8") as file:
        return [line.strip() for line in file.read().splitlines()]
