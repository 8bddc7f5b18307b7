# SPDX-License-Identifier: MIT
"""The host under test: real Postfix and Dovecot of one Debian release, and postern."""
import contextlib
import json
import os
import re
import signal
import ssl

from . import host, mail_config, processes, wait

POSTFIX_PORTS = {"smtp": 25, "submission": 587, "submissions": 465}
DOVECOT_PORTS = {"imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995, "sieve": 4190}
STOCK_PORTS = {**POSTFIX_PORTS, **DOVECOT_PORTS}
POSTFIX_TWINS = {"smtp": 12525, "submission": 10587, "submissions": 10465}
DOVECOT_TWINS = {"imap": 10143, "imaps": 10993, "pop3": 10110, "pop3s": 10995, "sieve": 14190}
TWIN_PORTS = {**POSTFIX_TWINS, **DOVECOT_TWINS}
# The services on which TLS comes before the protocol.
IMPLICIT_TLS = {"submissions", "imaps", "pop3s"}

MASTER_CF = "/etc/postfix/master.cf"
MAIN_CF = "/etc/postfix/main.cf"
DROP_IN = "/etc/dovecot/conf.d/95-postern.conf"
POSTERN_CONF = "/etc/postern/postern.conf"
POSTERN = "/usr/local/bin/postern"
POSTFIX_PID = "/var/spool/postfix/pid/master.pid"
DOVECOT_PID = "/run/dovecot/master.pid"
# By server.
START = {"postfix": ["postfix", "start-fg"],
         "dovecot": ["dovecot", "-F", "-c", "/etc/dovecot/dovecot.conf"]}
PID_FILES = {"postfix": POSTFIX_PID, "dovecot": DOVECOT_PID}
PORTS = {"postfix": {*POSTFIX_PORTS.values(), *POSTFIX_TWINS.values()},
         "dovecot": {*DOVECOT_PORTS.values(), *DOVECOT_TWINS.values()}}
# What postern may write in, and what a `revert` has to leave as it was.
CONFIGURATION = ("/etc/postfix", "/etc/dovecot")

# What a server's master logs when it reloads.
RELOADED = {
    "postfix": r"postfix/master\[\d+\]: reload",
    "dovecot": r"dovecot: master: (?:Warning: )?SIGHUP received",
}

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def postern_binary():
    """The binary under test, as this machine sees it."""
    return os.environ.get("POSTERN", os.path.join(REPOSITORY, "build", "release", "postern"))


def libraries_in(root):
    """Shell text: what a program that is not static needs in another root (tests/sanitized).

    The sanitizers read /proc, too, and valgrind writes into /tmp.
    """
    folder = os.environ.get("POSTERN_LIBRARIES")
    if not folder:
        return ":"
    inside = f"{root}{folder}"
    return (f"mountpoint -q {inside} || {{ mkdir -p {inside} {root}/proc {root}/tmp && "
            f"chmod 1777 {root}/tmp && "
            f"mount --bind {folder} {inside} && mount -t proc proc {root}/proc; }}")


class MailHost(host.Host):
    def __init__(self, release, addresses, folder):
        super().__init__("mail", release, addresses, folder)
        self.postfix = None
        self.dovecot = None

    # -- set-up

    def configure(self, amavis=False, inet_protocols="all", main_cf_extra="", names=None,
                  block_list=None):
        """Write the configuration of both servers, as it stands before postern comes."""
        self.write(MASTER_CF, mail_config.MASTER_CF + (mail_config.AMAVIS if amavis else ""))
        self.write(MAIN_CF, mail_config.main_cf(inet_protocols, block_list) + main_cf_extra)
        self.age_main_cf()
        for path, text in mail_config.POSTFIX_TABLES.items():
            self.write(path, text)
            self.age(path)
        for name, text in mail_config.DOVECOT[self.release].items():
            self.write("/etc/dovecot/conf.d/" + name, text)
        self.write("/etc/dovecot/userdb", mail_config.DOVECOT_USERS)
        self.write(POSTERN_CONF, mail_config.POSTERN)
        self.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"
                   + "".join(f"{address} {name}\n" for address, name in (names or {}).items()))
        self.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"
                                         "services: files\nprotocols: files\n")
        self.write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n")
        self.shell(f"""
            set -e
            mkdir -p /etc/dms/tls /var/mail/{mail_config.DOMAIN}/alice
            chown -R {mail_config.VMAIL_ID}:{mail_config.VMAIL_ID} /var/mail/{mail_config.DOMAIN}
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \\
                -subj /CN={mail_config.HOST_NAME} -keyout {mail_config.KEY} \\
                -out {mail_config.CERTIFICATE} 2>/dev/null
            newaliases
        """)

    def install_postern(self):
        """Copy the binary in, if it has been built."""
        if os.path.exists(postern_binary()):
            self.copy_in(postern_binary(), POSTERN)

    def age(self, path):
        """Postfix's programs wait for a file that is younger than two seconds."""
        info = os.stat(self.path(path))
        os.utime(self.path(path), ns=(info.st_atime_ns, info.st_mtime_ns - 5 * 10**9))

    def age_main_cf(self):
        self.age(MAIN_CF)

    # -- servers

    def start_postfix(self):
        self._spawn_postfix()
        self._await_postfix()

    def start_dovecot(self, ports=DOVECOT_PORTS.values()):
        self._spawn_dovecot()
        self._await_dovecot(ports)

    def start_servers(self):
        # Both at once: most of the time goes by in Postfix's own checks.
        self._spawn_dovecot()
        self._spawn_postfix()
        self._await_dovecot()
        self._await_postfix()

    def _spawn_postfix(self):
        self.postfix = self.spawn(START["postfix"])

    def _spawn_dovecot(self):
        self.dovecot = self.spawn(START["dovecot"])

    def _await_postfix(self):
        self._await_server("Postfix", self.postfix, POSTFIX_PID, POSTFIX_PORTS.values())

    def _await_dovecot(self, ports=DOVECOT_PORTS.values()):
        self._await_server("Dovecot", self.dovecot, DOVECOT_PID, ports)

    def _await_server(self, name, process, pid_file, ports):
        """Until it listens and can be told to reload.

        Both masters listen first.  Dovecot's pid file comes after that, and Postfix's master ends
        of a SIGHUP that comes before it has said that it wants to handle it.
        """
        def up():
            if not process.running:
                raise AssertionError(f"{name} ended: {process.output}\n{self.log.since()[-3000:]}")
            return set(ports) <= self.listening_ports() and self._handles_reload(pid_file)

        wait.until(up, lambda: f"{name} to handle SIGHUP and to listen on "
                   f"{sorted(set(ports) - self.listening_ports())}"
                   f"\n{process.output}\n{self.log.since()[-3000:]}")

    def _handles_reload(self, pid_file):
        return self._hangs_up(pid_file, "SigCgt")

    def awaits_reload(self, pid_file):
        """Whether the master was told, and is stopped."""
        return self._hangs_up(pid_file, "ShdPnd")

    def _hangs_up(self, pid_file, field):
        """Whether SIGHUP is in this set of its signals."""
        pid = self.master_pid(pid_file)
        if pid is None:
            return False
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            signals = re.search(rf"^{field}:\s*(\S+)$", self.read(f"/proc/{pid}/status"), re.M)[1]
            return bool(int(signals, 16) >> (signal.SIGHUP - 1) & 1)
        return False

    def stop_postfix(self):
        if self.postfix is None:
            return
        self.signal_master(POSTFIX_PID, signal.SIGTERM)
        self.postfix.stop()
        self.postfix = None
        self.wait_closed(POSTFIX_PORTS.values())

    def stop_dovecot(self):
        """The log-in processes listen on for a moment when their master has ended."""
        if self.dovecot is None:
            return
        self.dovecot.stop()
        self.dovecot = None
        self.wait_closed(DOVECOT_PORTS.values())

    def restart_postfix(self):
        self.stop_postfix()
        self.start_postfix()

    def restart_dovecot(self):
        self.stop_dovecot()
        self.start_dovecot()

    def master_pid(self, pid_file):
        """A master's process number inside the host, or None."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(self.read(pid_file))
        return None

    def master_pids(self):
        return {server: self.master_pid(path) for server, path in PID_FILES.items()}

    def signal_master(self, pid_file, number):
        pid = self.master_pid(pid_file)
        if pid is not None:
            self.run(["kill", f"-{int(number)}", str(pid)], check=False)

    def postconf(self, *words):
        """An edit of the owner's, which need not wait for main.cf to be old enough."""
        self.age_main_cf()
        self.run(["postconf", *words])

    def reload_postfix(self):
        """As an administrator does it; waits until the master has heard of it."""
        self.age_main_cf()
        mark = self.log.mark()
        self.run(["postfix", "reload"])
        self.log.wait_for(RELOADED["postfix"], mark)

    def reload_idle_postfix(self):
        """As reload_postfix, while nobody is connected: all that has read the old files is gone.

        The master logs before it acts, and a process that waits for a client may take one more.
        """
        old = [pid for pid in processes.descendants(self.postfix.pid)
               if processes.name(pid) != "master"]
        self.reload_postfix()
        wait.until(lambda: all(map(processes.is_gone, old)), "Postfix's old processes to end")

    def restart_dovecot_without(self, services):
        """As restart_dovecot, when some of the stock services have been switched off."""
        self.stop_dovecot()
        self.start_dovecot({port for name, port in DOVECOT_PORTS.items() if name not in services})

    # -- postern

    def configure_postern(self, text):
        self.write(POSTERN_CONF, text)

    def postern(self, *arguments, check=True, env=None, config=POSTERN_CONF):
        """Run postern in the host, with the lab's configuration file.

        When it says that it made a server reload, the server's own line about that is in the log
        at the end: a mark that is set then is after it.
        """
        options = ["--config", config] if config else []
        mark = self.log.mark()
        done = self.run([POSTERN, *options, *arguments], check=check, env=env)
        for server, said in RELOADED.items():
            if f"{server}: reloaded (" in done.stderr:
                self.log.wait_for(said, mark)
        return done

    def patch(self, *arguments, **options):
        """A patch that has to succeed: when it returns, the twins are open."""
        return self.postern("patch", *arguments, **options)

    # -- looking

    def services(self):
        """The entries as Postfix reads them: [(name/type, whole logical line)]."""
        lines = self.run(["postconf", "-M"]).stdout.splitlines()
        return [("/".join(line.split()[:2]), " ".join(line.split())) for line in lines]

    def parameter(self, name):
        """What main.cf says, as Postfix reads it."""
        return self.run(["postconf", "-h", name]).stdout.strip()

    def option(self, service, name):
        """An -o option of an entry of master.cf, or None."""
        said = self.run(["postconf", "-P", f"{service}/{name}"], check=False).stdout
        return said.partition(" = ")[2].strip() or None

    def doveconf(self):
        return self.run(["doveconf", "-n"]).stdout

    def tls_context(self):
        """A client's context that trusts the host's certificate and no other."""
        context = ssl.create_default_context(cadata=self.read(mail_config.CERTIFICATE))
        context.check_hostname = False
        return context

    def queue_ids(self):
        listed = self.run(["postqueue", "-j"], check=False)
        return [json.loads(line)["queue_id"] for line in listed.stdout.splitlines()]

    def queue_size(self):
        return len(self.queue_ids())

    def flush_queue(self):
        self.run(["postsuper", "-d", "ALL"], check=False)
