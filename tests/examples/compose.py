# SPDX-License-Identifier: MIT
"""The compose example on a machine of its own: a network namespace with podman in it.

Everything that podman does to a network, bridges and packet filters, it does in that namespace.
The file is the example's own; images and the engine's socket are given by its variables.
"""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

import yaml

import images
from lab import mail_config, mailhost, netns, podman, proxy_client, wait

EXAMPLE = os.path.join(mailhost.REPOSITORY, "container", "examples", "compose")
MACHINE = ["198.51.100.1", "2001:db8:1::1"]
CLIENT = ["198.51.100.7", "2001:db8:1::7"]
UP_LIMIT_S = 300


class Machine(netns.NetHost):
    """A machine with an engine, and a copy of the example's folder."""

    def __init__(self, certificate, release):
        super().__init__("machine", MACHINE)
        self.client = netns.NetHost("client", CLIENT)
        self._certificate = certificate
        self._release = release
        self.project = podman.name("compose")

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            self.folder = undo.enter_context(
                tempfile.TemporaryDirectory(prefix="postern-compose-", ignore_cleanup_errors=True))
            self._make_network(undo)
            self._lay_folder()
            self._configure_podman()
            self._start_engine(undo)
            self._undo_containers(undo)
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
        with open(settings["CONTAINERS_CONF"], encoding="utf-8") as file:
            text = file.read()
        path = os.path.join(self.folder, "containers.conf")
        with open(path, "w", encoding="utf-8") as file:
            # A compose file's containers have networks, and Traefik listens to the engine's events.
            text = text.replace('netns = "none"', "").replace('events_logger = "none"', (
                f'events_logger = "file"\nevents_logfile_path = "{self.folder}/events"'))
            file.write(f'{text}[network]\nnetwork_backend = "netavark"\n'
                       f'network_config_dir = "{self.folder}/networks"\n')
        self._socket = os.path.join(self.folder, "engine.sock")
        self._environment = {
            **settings, "CONTAINERS_CONF": path, "DOCKER_SOCKET": self._socket,
            "POSTERN_IMAGE": images.postern(), "TRAEFIK_IMAGE": images.traefik(),
            "MAILSERVER_IMAGE": images.mail(self._release)}

    def _start_engine(self, undo):
        log = undo.enter_context(open(os.path.join(self.folder, "engine.log"), "wb"))
        engine = subprocess.Popen(  # it ends with us, also when we are killed
            self._inside("setpriv", "--pdeathsig=KILL", "podman", "system", "service", "--time=0",
                         f"unix://{self._socket}"),
            env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        undo.callback(_end, engine)
        wait.until(lambda: os.path.exists(self._socket), "the engine's socket", every=0.05)

    def _inside(self, *command):
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", *command]

    def run(self, *command, **options):
        return podman.run(self._inside(*map(str, command)),
                          **{"env": self._environment, "cwd": self.folder, **options})

    # -- containers

    def _services(self):
        with open(os.path.join(self.example, "compose.yaml"), encoding="utf-8") as file:
            return yaml.safe_load(file)

    def container(self, service):
        return f"{self.project}_{service}_1"

    def _undo_containers(self, undo):
        """Everything of the project, also when this process is killed."""
        words = self._services()
        volumes = [f"{self.project}_{name}" for name in words["volumes"]]
        podman.at_end("volume", "rm", "--force", *volumes)
        names = [self.container(name) for name in words["services"]]
        podman.at_end("rm", "--force", "--volumes", "--time=0", *names)
        undo.callback(self.run, "podman", "volume", "rm", "--force", *volumes, check=False)
        undo.callback(self.run, "podman", "rm", "--force", "--volumes", "--time=0", *names,
                      check=False)

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


def _end(process):
    process.terminate()
    try:
        process.wait(wait.LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
