# SPDX-License-Identifier: MIT
"""The mail host under soak: supervisord with Postfix and Dovecot, a postern in one of its two ways
of running, HAProxy and nginx in front."""
import contextlib
import hashlib
import json
import os
import re
import signal
import ssl

import generations
from lab import (kubelet, lab as lab_module, mail_config, mailhost, postern, processes,
                 supervisord)

RUN, WATCH = "run", "watch"
PAIRS = 5  # certificates that take turns
USERS = [f"u{n}@{mail_config.DOMAIN}" for n in range(10)]
FIXED_TWINS = {"smtp": 12525, "submission": 10587, "imap": 10143, "imaps": 10993, "pop3s": 10995}

# Room for thousands of clients, so that a good one is never turned away for want of it, and quick
# second tries; clients' ports in the log, by which a session is known behind a balancer, too.  No
# mail to a postmaster, whose domain nobody can look up here: it would stay in the queue.
MAIN_CF_EXTRA = """
default_process_limit = 1500
smtpd_client_connection_count_limit = 0
smtpd_client_port_logging = yes
enable_long_queue_ids = yes
service_throttle_time = 1s
queue_run_delay = 2s
minimal_backoff_time = 2s
maximal_backoff_time = 4s
in_flow_delay = 0
smtpd_junk_command_limit = 100
notify_classes =
"""

DOVECOT_EXTRA = {
    "bookworm": """\
default_process_limit = 600
default_client_limit = 8000
login_log_format_elements = user=<%u> method=%m rip=%r rport=%{rport} lip=%l mpid=%e %c
""",
    "trixie": """\
default_process_limit = 600
default_client_limit = 8000
login_log_format_elements = user=<%{user}> method=%{mechanism} rip=%{remote_ip} \
rport=%{remote_port} lip=%{local_ip} mpid=%{mail_pid} %{secured}
""",
}

_PROGRAM = """
[program:{name}]
command = {command}
autorestart = true
startsecs = 0
stopwaitsecs = 55
redirect_stderr = true
stdout_logfile = /var/log/supervisor/%(program_name)s.log
"""


def supervisord_conf():
    commands = {name: "/usr/sbin/" + " ".join(argv) for name, argv in mailhost.START.items()}
    # Without pidproxy, which looks only every five seconds whether Postfix is there.
    return supervisord.MAIN + "".join(_PROGRAM.format(name=name, command=command)
                                      for name, command in commands.items())


class World:
    """A context; everything in it is gone at the end of the block."""

    def __init__(self, release, way):
        self.release = release
        self.way = way
        self.lab = lab_module.Lab(release, pod=way == WATCH, main_cf_extra=MAIN_CF_EXTRA)
        self.postern = None
        self.outputs = []  # of posterns of before
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.lab)
            self._set_up()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    @property
    def mail(self):
        return self.lab.mail

    @property
    def host(self):
        """Where postern runs."""
        return self.lab.mail if self.way == RUN else self.lab.sidecar

    # -- set-up

    def _set_up(self):
        if self.way == WATCH:
            self.lab.sidecar.capabilities = (*self.lab.sidecar.capabilities, "NET_ADMIN")
        prepare_files(self.mail, self.release)
        self._make_certificates()
        self.overrides = kubelet.Volume(self.mail.path(generations.OVERRIDES))
        self.secret = kubelet.Volume(self.mail.path(generations.TLS_FOLDER))
        self.configuration = self.overrides
        self._config = f"{generations.OVERRIDES}/postern.conf"
        if self.way == WATCH:
            self._config = mailhost.POSTERN_CONF
            self.configuration = kubelet.Volume(self.host.path(os.path.dirname(self._config)))
        for name in (mail_config.CERTIFICATE, mail_config.KEY):
            self.mail.remove(name)
        self.secret.write(self.pairs[0])
        self.mail.write(supervisord.CONFIG, supervisord_conf())

    def _make_certificates(self):
        self.mail.shell("mkdir -p /root/pairs && cd /root/pairs && for n in "
                        + " ".join(map(str, range(PAIRS))) + f"""; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \\
                -subj /CN={mail_config.HOST_NAME} -keyout $n.key -out $n.cert 2>/dev/null; done""")
        cert, key = (os.path.basename(p) for p in (mail_config.CERTIFICATE, mail_config.KEY))
        self.pairs = [{cert: self.mail.read(f"/root/pairs/{n}.cert").encode(),
                       key: self.mail.read(f"/root/pairs/{n}.key").encode()} for n in range(PAIRS)]
        self.fingerprints = [fingerprint(ssl.PEM_cert_to_DER_cert(pair[cert].decode()))
                             for pair in self.pairs]

    def swap(self, keys, bad_part=None):
        """Kubelet's swap of a generation: one volume, or under `watch` two.  What is bad comes
        first: a look in between would find the other half good, and keep it."""
        if self.way == RUN:
            self.configuration.write(keys)
            return
        mine = {generations.CONF: keys.get(generations.CONF)}
        others = {key: data for key, data in keys.items() if key != generations.CONF}
        swaps = [lambda: self.overrides.write(others), lambda: self.configuration.write(mine)]
        for swap in reversed(swaps) if bad_part == generations.CONF else swaps:
            swap()

    def start(self):
        """All of it; returns when postern says that the first generation is in force."""
        self.swap(generations.FIRST.keys())
        if self.way == WATCH:
            self.mail.spawn(["supervisord", "-c", supervisord.CONFIG])
        self.start_postern()
        self.postern.wait_proven(self.mail, {**mailhost.TWIN_PORTS,
                                             **generations.FIRST.moved_ports()})
        self.lab.balancer.start_haproxy(self.mail.address(), balanced())
        self.lab.balancer.start_nginx(self.mail.address(), balanced())

    def start_postern(self):
        """In a sidecar, again when it was killed, as kubelet does."""
        options = ("--log-format", "json", "--config", self._config)
        command = (*options, "run", "--rewrite", "HUP:0", "--", "supervisord", "-c",
                   supervisord.CONFIG)
        if self.way == WATCH:
            command = (*options, "watch")
        if self.postern is not None:
            self.outputs.append(self.postern.process)
        self.postern = postern.Postern(self.host, command).start()

    # -- what postern says

    def told(self, path="/status"):
        """What the status socket answers."""
        code, body = self.postern.get(path)
        if path != "/status":
            return code, body
        return json.loads(body) if code == 200 else None

    def log_lines(self):
        """[{time, level, message}] of all that postern has said, one run after the other."""
        found = []
        for process in [*self.outputs, self.postern.process]:
            for line in process.output.splitlines():
                try:
                    found.append(json.loads(line))
                except ValueError:
                    if '"level"' in line or line.startswith("postern: "):
                        found.append({"time": "", "level": "error", "message": f"no JSON: {line}"})
        return found

    # -- looking

    def file_text(self, path):
        """"" when there is none."""
        with contextlib.suppress(FileNotFoundError):
            with open(self.mail.path(path), "rb") as file:
                return file.read().decode(errors="surrogateescape")
        return ""

    def stock_answers(self, server):
        """Whether each stock port of a server greets; one of Dovecot's is enough for it."""
        offered = {"postfix": ("smtp", "submission"), "dovecot": ("imap", "pop3")}[server]
        return all(postern.is_greeting(postern.greeting(self.mail, name,
                                                        mailhost.STOCK_PORTS[name], header=False))
                   for name in offered)

    def twins_answer(self, server):
        offered = [name for name in FIXED_TWINS if name in
                   (mailhost.POSTFIX_TWINS if server == "postfix" else mailhost.DOVECOT_TWINS)]
        return all(postern.is_greeting(postern.greeting(self.mail, name, FIXED_TWINS[name]))
                   for name in offered)

    def programs(self, name):
        """Processes of the mail host by their program's name, as this machine counts."""
        return [pid for pid in processes.with_mounts_of(self.mail.pid)
                if processes.name(pid) == name]


def prepare_files(mail, release):
    """Users, limits, and the places that other programs edit; before postern comes."""
    mail.write("/etc/dovecot/userdb", "".join(f"{user}:{{PLAIN}}{mail_config.PASSWORD}\n"
                                              for user in [mail_config.USER, *USERS]))
    mail.write("/etc/dovecot/conf.d/30-soak.conf", DOVECOT_EXTRA[release])
    for place in EDITS.values():
        place.prepare(mail)
    mail.age_main_cf()
    mail.shell(f"mkdir -p {generations.OVERRIDES} /var/log/supervisor")


def balanced():
    """{service: (public port, twin's port)} of the twins that stay where they are."""
    return {name: (mailhost.STOCK_PORTS[name], port) for name, port in FIXED_TWINS.items()}


def fingerprint(der):
    return hashlib.sha256(der).hexdigest()[:16]


# -- edits by others: each kind has its own number in one place of a file

class Edit:
    def __init__(self, path, pattern, do, prepare):
        self.path = path
        self._pattern = re.compile(pattern, re.M)
        self.do = do
        self.prepare = prepare

    def number(self, text):
        """The number that stands there; None when it does not, or twice."""
        found = self._pattern.findall(text)
        return int(found[0]) if len(found) == 1 else None


def _postconf_e(mail, number):
    mail.run(["postconf", "-e", f"smtpd_junk_command_limit = {100 + number}"])


def _postconf_p(mail, number):
    mail.run(["postconf", "-P", f"flush/unix/syslog_name=postfix/flush{100 + number}"])


def _sed(mail, number):
    mail.run(["sed", "-i", f"s,postfix/retry[0-9]*,postfix/retry{100 + number},",
              mailhost.MASTER_CF])


def _prepare_sed(mail):
    text = mail.read(mailhost.MASTER_CF)
    line = re.search(r"^retry .*\n", text, re.M)[0]
    mail.write(mailhost.MASTER_CF, text.replace(line, line + "  -o syslog_name=postfix/retry100\n"))


def _rename(mail, number):
    path = mail.path(mailhost.MASTER_CF)
    with open(path, "rb") as file:
        text = file.read()
    with open(path + ".soak", "wb") as file:
        file.write(re.sub(rb"^# soak rename \d+$", b"# soak rename %d" % (100 + number), text,
                          flags=re.M))
    os.rename(path + ".soak", path)


def _prepare_rename(mail):
    mail.write(mailhost.MASTER_CF, "# soak rename 100\n" + mail.read(mailhost.MASTER_CF))


EDITS = {
    "postconf -e": Edit(mailhost.MAIN_CF, r"^smtpd_junk_command_limit = (\d+)$", _postconf_e,
                        lambda mail: _postconf_e(mail, 0)),
    "sed -i": Edit(mailhost.MASTER_CF, r"postfix/retry(\d+)$", _sed, _prepare_sed),
    "rename": Edit(mailhost.MASTER_CF, r"^# soak rename (\d+)$", _rename, _prepare_rename),
    "postconf -P": Edit(mailhost.MASTER_CF, r"postfix/flush(\d+)$", _postconf_p,
                        lambda mail: _postconf_p(mail, 0)),
}
BASE_NUMBER = 100


def peers_of(mail, pid):
    """{(address, port)} at the other ends of a process's TCP connections."""
    inodes = set()
    for link in processes.open_files(pid):
        found = re.fullmatch(r"socket:\[(\d+)\]", link)
        if found:
            inodes.add(found[1])
    return mail.tcp_peers(inodes) if inodes else set()


def kill(pid, number=signal.SIGKILL):
    """True when it was there to be killed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False
