# SPDX-License-Identifier: MIT
"""A running `postern run` or `postern watch` in the mail host, and waiting for what it says."""
import contextlib
import fcntl
import http.client
import json
import os
import re
import signal
import socket

from . import kubelet, mail_clients, mail_config, mailhost, processes, proxy_client, wait

RUN = ("run", "--", "sleep", "infinity")
WATCH = ("--root", "/", "watch")
SOCKET = "/run/postern/status.sock"
LOCK = "/run/postern/lock"
OVERRIDES = "/tmp/docker-mailserver"
# Whom the twins are told of.
CLIENT_ADDRESS = "198.51.100.9"


def conf(text="", networks=("10.77.0.0/24", "fd77::/64")):
    """A postern.conf."""
    listed = ", ".join(f'"{network}"' for network in networks)
    return f"trusted-networks = {{ {listed} }}\n{text}"


def twins_at(alone=False, **ports):
    """The part of a postern.conf that gives twins other ports: submission=20587, and so on.

    alone: there are no other twins.
    """
    text = ""
    for server, names in (("postfix", mailhost.POSTFIX_TWINS), ("dovecot", mailhost.DOVECOT_TWINS)):
        lines = [f"  listener {name} {{ port = {port} }}\n"
                 for name, port in ports.items() if name in names]
        lines += [f"  listener {name} {{ enable = false }}\n"
                  for name in names if alone and name not in ports]
        text += f"{server} {{\n{''.join(lines)}}}\n" if lines else ""
    return text


def change_while_judged(mail, path, text):
    """Once doveconf has judged a configuration, and before it says so, the file is made."""
    mail.write("/srv/next.conf", text)
    mail.shell("mv /usr/bin/doveconf /usr/bin/doveconf.real")
    mail.write("/usr/bin/doveconf", f"""#!/bin/sh
/usr/bin/doveconf.real "$@"
status=$?
case "$*" in *judge*) [ ! -e /srv/next.conf ] || mv /srv/next.conf {path} ;; esac
exit $status
""", 0o755)


def is_current(status):
    return status["outcome"] == "current" and status["ready"]


def ports(status):
    """The twins that are up: {listener: port}."""
    return {twin["listener"]: twin["port"] for twin in status["twins"] if twin["up"]}


def reloads(status):
    return {name: server["reloads"] for name, server in status["servers"].items()}


class Postern:
    """It is started by start(), and stopped by stop() or the end of the host.

    `before` is shell text that comes first, in the process that becomes postern: limits, say.
    """

    def __init__(self, mail, command=RUN, env=None, before=""):
        self.mail = mail
        self.process = None
        self._command = command
        self._env = env
        self._before = before

    def start(self):
        argv = [mailhost.POSTERN, *self._command]
        if self._before:
            argv = ["sh", "-c", f'{self._before}\nexec "$@"', "sh", *argv]
        self.process = self.mail.spawn(argv, env=self._env)
        return self

    def stop(self, number=signal.SIGTERM):
        """The exit status."""
        return self.process.stop(number)

    # -- what it says

    @property
    def output(self):
        return self.process.output

    def lines(self, pattern):
        """The lines of the log that a regular expression is found in."""
        return [line for line in self.output.splitlines() if re.search(pattern, line)]

    def errors(self):
        return self.lines(r"^postern: error: ")

    def status(self):
        """`postern status --json`; None while nobody answers."""
        done = self.mail.run([mailhost.POSTERN, "status", "--json"], check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def told(self):
        """The same, without the program: for who asks again and again."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            code, body = self.get("/status")
            return json.loads(body) if code == 200 else None
        return None

    def probe(self, what="--ready"):
        """Exit status and words of `postern probe`."""
        done = self.mail.run([mailhost.POSTERN, "probe", what], check=False)
        return done.returncode, done.stdout

    def wait_for(self, condition, what, within=wait.LIMIT_S):
        """The first status for which the condition is true."""
        last = None

        def probe():
            nonlocal last
            if not self.process.running:
                raise AssertionError(f"postern ended while waiting for {what}:\n{self.output}")
            last = self.told() or last
            return last if last is not None and condition(last) else None

        return wait.until(probe, lambda: f"{what}; it says:\n{json.dumps(last, indent=1)}\n"
                          f"{self.output[-6000:]}", within, every=0.02)

    def wait_answer(self):
        """It can be asked, whatever it says."""
        return self.wait_for(lambda status: True, "postern to answer")

    def wait_current(self, within=wait.LIMIT_S):
        """Everything is as wanted, and proven."""
        return self.wait_for(is_current, "the configuration to be in force", within)

    def wait_twins(self, wanted, within=wait.LIMIT_S):
        """Exactly these twins, {listener: port}, are up and all is current."""
        return self.wait_for(lambda s: is_current(s) and ports(s) == wanted,
                             f"the twins {wanted}", within)

    def wait_proven(self, mail, wanted=None):
        """These twins, or all, are those of the masters that run now, by that host's numbers."""
        def is_proven(status):
            told = {name: server["pid"] for name, server in status["servers"].items()}
            return is_current(status) and ports(status) == (wanted or mailhost.TWIN_PORTS) and \
                told == mail.master_pids() and \
                all(server["verified"] for server in status["servers"].values())

        return self.wait_for(is_proven, "the twins of the masters that run now")

    def wait_line(self, pattern, within=wait.LIMIT_S):
        return wait.until(lambda: self.lines(pattern),
                          lambda: f"{pattern!r} in the log of postern:\n{self.output[-6000:]}",
                          within)[0]

    def wait_looks(self, poke, times=2):
        """Poke, and wait until it has looked; twice, as a look may have been under way."""
        for _ in range(times):
            before = self.status()["counts"]["looks"]
            poke()
            status = self.wait_for(lambda s: s["counts"]["looks"] > before, "another look")
        return status

    def look_at_all(self):
        """Have it look at everything by SIGHUP, and wait for that look's end."""
        return self.wait_looks(self.hang_up)

    def wait_look(self):
        """The process of a look that has begun."""
        return wait.until(lambda: processes.look_of(self.watcher_pid()), "a look to begin",
                          every=0.001)

    def wait_look_at_lock(self):
        """A look that has read everything, and waits for whoever has the lock."""
        def has_opened_it():
            look = processes.look_of(self.watcher_pid())
            return look and any(path.endswith(LOCK) for path in processes.open_files(look))
        wait.until(has_opened_it, lambda: f"a look to wait for the lock\n{self.output}")

    # -- its processes

    def hang_up(self):
        """SIGHUP to the watching process (PID 1 would hand it on to its child, too)."""
        os.kill(self.watcher_pid(), signal.SIGHUP)

    def watcher_pid(self):
        """The watching process's number, as this machine has it."""
        if "run" not in self._command:
            return self.process.pid
        return wait.until(self._companion, "the watching process")

    def wait_successor(self, pid):
        """Another watching process than that one, which has ended."""
        wait.until(lambda: self.watcher_pid() != pid, "a successor")

    def _companion(self):
        return processes.child_of(self.process.pid, processes.WATCHER)

    def memory_kb(self, field="RssAnon"):
        return int(processes.status(self.watcher_pid())[field].split()[0])

    def descriptors(self):
        """What the watching process holds open."""
        return processes.open_files(self.watcher_pid())

    def watches(self):
        """How many inotify watches the kernel keeps for it."""
        folder = f"/proc/{self.watcher_pid()}/fdinfo"
        count = 0
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                with open(os.path.join(folder, name), encoding="ascii") as info:
                    count += sum(line.startswith("inotify ") for line in info)
        return count

    def wait_quiet(self):
        processes.wait_quiet(self.watcher_pid)

    # -- over HTTP

    def get(self, path, address=None):
        """(status, body) of a request to `listen`, or to the socket that `status` uses."""
        connection = http.client.HTTPConnection(address or "postern", timeout=10)
        if address:
            host, _, port = address.rpartition(":")
            with self.mail.entered():
                connection.sock = socket.create_connection((host.strip("[]"), int(port)), 10)
        else:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(self.mail.path(SOCKET))
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def mount_volume(mail, path):
    """A file system of its own at the path, as a volume is; where this machine sees it."""
    mail.shell(f"mkdir -p {path} && mount -t tmpfs volume {path}")
    return mail.path(path)


@contextlib.contextmanager
def lock_held(mail):
    """Meanwhile, whoever wants to change something waits."""
    with open(mail.path(LOCK), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def processes_in(mail):
    """All of postern's, by their program, which under valgrind is valgrind (tests/valgrind)."""
    found = []
    programs = (mailhost.POSTERN, os.environ.get("POSTERN_LIBRARIES", mailhost.POSTERN))
    for pid in processes.with_mounts_of(mail.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if os.readlink(f"/proc/{pid}/exe").startswith(programs) and \
                    not processes.is_gone(pid):
                found.append(pid)
    return found


def conf_volume(mail):
    """The folder of postern.conf as a ConfigMap with nothing in it."""
    mail.remove(mailhost.POSTERN_CONF)
    return kubelet.Volume(mount_volume(mail, os.path.dirname(mailhost.POSTERN_CONF)))


def begun(mail, text=""):
    """`postern run` with this text in its file, when all is in force: itself, and its status."""
    mail.configure_postern(conf(text))
    running = Postern(mail).start()
    running.wait_twins(mailhost.TWIN_PORTS)
    # It hears its own writing, too.
    return running, running.look_at_all()


# -- what a client sees

def greeting(mail, service, port, header=True, address=None):
    """The first line that a service says, after TLS where that comes first; None: nothing."""
    address = address or mail.address()
    first = proxy_client.v2(CLIENT_ADDRESS) if header else b""
    source = address if address.startswith("127.") else None
    sock = mail.connect(address, port, source, first)
    try:
        if service in mailhost.IMPLICIT_TLS:
            sock = mail.tls_context().wrap_socket(sock)
        with proxy_client.LineClient(sock) as client:
            return client.line()
    finally:
        sock.close()


def is_greeting(line):
    return bool(line) and re.match(r'220|\* OK|\+OK|"IMPLEMENTATION"', line) is not None


def answers(mail, service, port, header=True):
    """Waits: a connection in the moment of a reload may meet a process that ends."""
    wait.until(lambda: is_greeting(greeting(mail, service, port, header)),
               f"{service} to answer on port {port}", passing=(OSError,))


def all_answer(mail, twins=None):
    """Every twin with a header, and every stock port without one."""
    for service, port in (twins or mailhost.TWIN_PORTS).items():
        answers(mail, service, port)
    for service, port in mailhost.STOCK_PORTS.items():
        answers(mail, service, port, header=False)


def mail_flows(mail, twins=None):
    """A real client does its business on every twin and every stock port."""
    header = proxy_client.v2(CLIENT_ADDRESS)
    offered = [(*twin, header) for twin in (twins or mailhost.TWIN_PORTS).items()]
    offered += [(*stock, b"") for stock in mailhost.STOCK_PORTS.items()]
    for service, port, first in offered:
        sock = mail.connect(mail.address(), port, None, first, timeout=30)
        mail_clients.use(service, sock, mail_config.USER, mail_config.PASSWORD, mail.tls_context())
