# SPDX-License-Identifier: MIT
"""Sessions in progress live through fifty reloads: IMAP in IDLE, SMTP in the middle of DATA.

With Dovecot's default, shutdown_clients = yes, its master itself ends IMAP sessions some seconds
after any reload, by whomever; the last test shows that postern's is no different.
"""
import base64
import contextlib
import os
import ssl

import pytest

from lab import mail_config, mailhost, postern, proxy_client, wait

RELOADS = 50
CLIENT = postern.CLIENT_ADDRESS


class Line(proxy_client.LineClient):
    """A conversation from the mail host's own network namespace, with TLS where it is wanted."""

    def __init__(self, mail, port, proxied):
        super().__init__(mail.connect(mail.address(), port, None,
                                      proxy_client.v2(CLIENT) if proxied else b""),
                         wait.LIMIT_S)
        self._tls = mail.tls_context()

    def start_tls(self):
        self.sock = self._tls.wrap_socket(self.sock)
        self.sock.settimeout(wait.LIMIT_S)

    def until(self, beginning):
        """The line that begins so; what comes before it is passed over."""
        while True:
            line = self.line()
            assert line is not None, f"closed before {beginning!r}: {self.heard[-500:]!r}"
            if line.startswith(beginning):
                return line

    def imap(self, tag, command):
        self.send(f"{tag} {command}")
        line = self.until(f"{tag} ")
        assert line.startswith(f"{tag} OK"), line

    def ask(self, command, code):
        said = self.smtp(command)
        assert said and said.startswith(code), (command, said)
        return said


def closed(line):
    """Waits for the server's end of a conversation."""
    with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
        while line.sock.recv(4096):
            pass
    return True


class Idle:
    """An IMAP session that waits for news of its mailbox."""

    def __init__(self, mail, port, proxied, tls_first):
        self._line = line = Line(mail, port, proxied)
        if tls_first:
            line.start_tls()
        line.until("* OK")
        if not tls_first:
            line.imap("a", "STARTTLS")
            line.start_tls()
        line.imap("b", f'LOGIN {mail_config.USER} "{mail_config.PASSWORD}"')
        line.imap("c", "SELECT INBOX")
        line.send("d IDLE")
        line.until("+ ")

    def step(self, number):
        """Nothing may come of a reload but what Dovecot says to keep the line warm."""
        sock = self._line.sock
        sock.settimeout(0)
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
            data = sock.recv(4096)
            assert data and all(line.startswith(b"* OK") or b"EXISTS" in line or b"RECENT" in line
                                for line in data.splitlines()), data
        sock.settimeout(wait.LIMIT_S)

    def is_closed(self):
        return closed(self._line)

    def finish(self):
        """It hears of the mail that has come."""
        while not self._line.until("* ").endswith(" EXISTS"):
            pass
        self._line.send("DONE")
        self._line.until("d OK")
        self._line.imap("e", "NOOP")
        self._line.send("f LOGOUT")
        self._line.until("f OK")
        self._line.sock.close()


class Data:
    """An SMTP session that sends a message a line at a time."""

    def __init__(self, mail, port, proxied, tls_first, subject):
        self.subject = subject
        self._line = line = Line(mail, port, proxied)
        if tls_first:
            line.start_tls()
        assert line.greeting().startswith("220")
        line.ask("EHLO client.example.org", "250")
        sender = "someone@example.org"
        if port not in (25, 12525):
            if not tls_first:
                line.ask("STARTTLS", "220")
                line.start_tls()
                line.ask("EHLO client.example.org", "250")
            secret = f"\0{mail_config.USER}\0{mail_config.PASSWORD}".encode()
            line.ask("AUTH PLAIN " + base64.b64encode(secret).decode(), "235")
            sender = mail_config.USER
        line.ask(f"MAIL FROM:<{sender}>", "250")
        line.ask(f"RCPT TO:<{mail_config.USER}>", "250")
        line.ask("DATA", "354")
        line.send(f"From: <{sender}>")
        line.send(f"Subject: {subject}")
        line.send("")

    def step(self, number):
        try:
            self._line.send(f"line {number}")
        except OSError as error:
            raise AssertionError(f"{self.subject} was dropped at line {number}") from error

    def is_closed(self):
        return closed(self._line)

    def finish(self):
        """The message is whole, and taken."""
        self._line.ask(".", "250")
        self._line.ask("QUIT", "221")
        self._line.sock.close()


def sessions_of(mail):
    """One of each kind on each port, twins and stock."""
    found = []
    for proxied, ports in ((True, mailhost.TWIN_PORTS), (False, mailhost.STOCK_PORTS)):
        for service in ("imap", "imaps"):
            found.append(Idle(mail, ports[service], proxied, service == "imaps"))
        for service in ("smtp", "submission", "submissions"):
            found.append(Data(mail, ports[service], proxied, service == "submissions",
                              f"{service}-{'twin' if proxied else 'stock'}"))
    return found


def finished(sessions):
    """The SMTP sessions among them come to their end: the subjects of their messages."""
    sending = [session for session in sessions if isinstance(session, Data)]
    for session in sending:
        session.finish()
    return [session.subject for session in sending]


def delivered(mail):
    """The messages in the mailbox, by subject: their lines."""
    folder = f"/var/mail/{mail_config.DOMAIN}/alice/new"
    cur = f"/var/mail/{mail_config.DOMAIN}/alice/cur"
    found = {}
    for path in (folder, cur):
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(mail.path(path)):
                with contextlib.suppress(FileNotFoundError):
                    lines = mail.read(f"{path}/{name}").splitlines()
                    subject = [line for line in lines if line.startswith("Subject: ")][0][9:]
                    found[subject] = [line for line in lines if line.startswith("line ")]
    return found


# What a change of the ConfigMap says, and the twins then: each reloads one of the servers, the
# sessions' own entries and listeners among them.
CHANGES = [
    (postern.twins_at(pop3=20110), {"pop3": 20110}),
    ("postfix { listener submission { trust-mynetworks = true } }\n", {}),
    (postern.twins_at(imap=20143), {"imap": 20143}),
    ("postfix { listener smtp { trust-mynetworks = true } }\n", {}),
    (postern.twins_at(imaps=20993), {"imaps": 20993}),
    ("postfix { listener submissions { trust-mynetworks = true } }\n", {}),
]


def begin(lab, command=postern.RUN, clients_stay=True):
    """postern, whose configuration is a ConfigMap."""
    mail = lab.mail
    if clients_stay:
        mail.write("/etc/dovecot/conf.d/80-clients.conf", "shutdown_clients = no\n")
        mail.restart_dovecot()
    volume = postern.conf_volume(mail)
    volume.write({"postern.conf": postern.conf().encode()})
    p = postern.Postern(mail, command).start()
    p.wait_twins(mailhost.TWIN_PORTS)
    return p, volume


def change(p, volume, text, ports):
    """Write it, and wait until it is in force."""
    before = p.status()["generation"]
    assert volume.write({"postern.conf": postern.conf(text).encode()})
    p.wait_for(lambda s: s["generation"] > before and postern.is_current(s)
               and postern.ports(s) == {**mailhost.TWIN_PORTS, **ports}, text)


@pytest.mark.parametrize("command", [postern.RUN, postern.WATCH], ids=["run", "watch"])
def test_none_is_dropped(lab, postern_built, command):
    mail = lab.mail
    p, volume = begin(lab, command)
    sessions = sessions_of(mail)
    for number in range(RELOADS):
        # There and back, by turns.
        text, ports = CHANGES[number // 2 % len(CHANGES)] if number % 2 == 0 else ("", {})
        change(p, volume, text, ports)
        for session in sessions:
            session.step(number)
    # One for each change, after the first.
    assert sum(postern.reloads(p.status()).values()) == RELOADS + 2
    subjects = finished(sessions)
    assert len(subjects) == 6
    wait.until(lambda: set(subjects) <= set(delivered(mail)),
               lambda: f"{subjects}; there are {sorted(delivered(mail))}")
    for session in sessions:
        if isinstance(session, Idle):
            session.finish()
    whole = [f"line {number}" for number in range(RELOADS)]
    assert {subject: delivered(mail)[subject] for subject in subjects} == \
        {subject: whole for subject in subjects}
    assert p.errors() == []


def test_only_a_postfix_twin_that_goes_takes_its_sessions_with_it(lab, postern_built):
    """Postfix's master ends the processes of an entry that is no longer there: a moved twin's
    sessions end, and nobody else's."""
    mail = lab.mail
    p, volume = begin(lab)
    moved = Data(mail, mailhost.TWIN_PORTS["submission"], True, False, "moved")
    others = [session for session in sessions_of(mail)
              if getattr(session, "subject", "") != "submission-twin"]
    change(p, volume, postern.twins_at(submission=20587), {"submission": 20587})
    assert moved.is_closed()
    for session in others:
        session.step(0)
    change(p, volume, "", {})
    for session in others:
        session.step(1)
    subjects = finished(others)
    wait.until(lambda: set(subjects) <= set(delivered(mail)),
               lambda: f"{subjects}; there are {sorted(delivered(mail))}")
    assert "moved" not in delivered(mail)


def test_dovecots_own_default_is_what_ends_imap_sessions(lab, postern_built):
    """shutdown_clients = yes: `doveadm reload` does the same to them.  SMTP's are let be."""
    mail = lab.mail
    p, volume = begin(lab, clients_stay=False)
    text, ports = CHANGES[0]
    for reload in (lambda: change(p, volume, text, ports), lambda: mail.run(["doveadm", "reload"])):
        idle = Idle(mail, mailhost.STOCK_PORTS["imap"], False, False)
        data = Data(mail, mailhost.TWIN_PORTS["submission"], True, False, "stays")
        mark = mail.log.mark()
        reload()
        mail.log.wait_for(r"Sent SIGTERM to \d+ imap processes", mark)
        assert idle.is_closed()
        data.step(0)
        data.finish()
