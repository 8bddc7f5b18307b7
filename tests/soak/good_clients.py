# SPDX-License-Identifier: MIT
"""Clients that do everything right: whole dialogues of SMTP, IMAP and POP3, with PROXY headers of
their own (v1, v2, with TLVs), through HAProxy and nginx, and at the stock ports.

Each session has an address and a port of its own to claim, and each message an identity.  What
became of it is one of

    ok        the server said so
    unknown   all was sent, and no answer came: it may or may not have been done
    failed    it cannot have been done
"""
import imaplib
import itertools
import random
import ssl
import struct
import time

import world as world_module
from lab import CLIENT, mail_clients, mail_config, mailhost, proxy_client

SPEAKER = {4: "10.77.0.22", 6: "fd77::22"}  # the balancer's address that sends headers of its own
LIMIT_S = 60
SLOW_S = 0.01  # between two bytes of a slow client
PAUSE_S = (0.0, 0.15)
NOTHING_SENT, ALL_SENT = "failed", "unknown"

DIRECT = ("v1", "v2", "v2+tlv")
BALANCED = {"haproxy": lambda balancer, family: balancer.haproxy_address(family),
            "nginx": lambda balancer, family: balancer.nginx_address(family)}
STOCK = "stock"
# What is asked for, and how often beside the others.
SERVICES = {"smtp": 4, "submission": 4, "imap": 3, "imaps": 2, "pop3s": 1}
VIAS = {"v1": 2, "v2": 3, "v2+tlv": 2, "haproxy": 2, "nginx": 2, "stock": 2}

_numbers = itertools.count(1)  # of one process; next() is atomic


def claimed(number, family):
    """An address that nobody else claims."""
    if family == 4:
        return f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    return f"2001:db8:5::{number:x}"


def tlvs():
    """A PP2_TYPE_AUTHORITY, a PP2_TYPE_UNIQUE_ID and one of the experimental range."""
    return b"".join(struct.pack("!BH", kind, len(value)) + value for kind, value in
                    ((0x02, b"mail.example.test"), (0x05, b"soak" * 8), (0xE0, bytes(40))))


def header(via, source, port, destination_port):
    if via == "v1":
        return proxy_client.v1(source, source_port=port, destination_port=destination_port)
    plain = proxy_client.v2(source, source_port=port, destination_port=destination_port)
    if via == "v2":
        return plain
    more = tlvs()
    length = struct.unpack("!H", plain[14:16])[0] + len(more)
    return plain[:14] + struct.pack("!H", length) + plain[16:] + more


class Slow:
    """A socket that sends a byte at a time."""

    def __init__(self, sock):
        self._sock = sock

    def sendall(self, data):
        for i in range(len(data)):
            self._sock.sendall(data[i:i + 1])
            time.sleep(SLOW_S)

    def __getattr__(self, name):
        return getattr(self._sock, name)


class Smtp(mail_clients.Smtp):
    stage = NOTHING_SENT

    def send(self, s):
        if self.stage == NOTHING_SENT and s[-5:] in (b"\r\n.\r\n", "\r\n.\r\n"):
            self.stage = ALL_SENT
        return super().send(s)


class Imap(mail_clients.Imap):
    pass


class Session:
    """One client's visit."""

    def __init__(self, service, via, family, address, port, mid):
        self.service, self.via, self.family = service, via, family
        self.address, self.port, self.mid = address, port, mid
        self.stage = NOTHING_SENT
        self.peer = None
        self.user = mail_config.USER
        self.certificate = None


class Clients:
    def __init__(self, world, seed):
        self.lab = world.lab
        self.known_certificates = set(world.fingerprints)
        self._seed = seed
        # Whatever certificate it is: that it is one of ours is looked at by hand.
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    def workers(self, n, slow=1):
        return [self._worker(number, number < slow) for number in range(n)]

    def _worker(self, number, slow):
        def work(stop, journal):
            chance = random.Random(f"{self._seed}-good-{number}")
            while not stop.is_set():
                self._visit(chance, slow, journal)
                stop.wait(chance.uniform(*PAUSE_S))
        return work

    def _visit(self, chance, slow, journal):
        service = "smtp" if slow else _choose(chance, SERVICES)
        via = _choose(chance, VIAS)
        family = chance.choice((4, 6))
        number = next(_numbers)
        session = Session(service, via, family, None, None, f"soak-{number}-{service}@client")
        if service == "imap" or service == "imaps":
            session.user = chance.choice(world_module.USERS)
        begin, outcome, error = time.time(), "ok", None
        try:
            sock = self._connect(session, number, chance)
            try:
                session.peer = sock.getsockname()[:2]
                self._talk(session, Slow(sock) if slow else sock)
            finally:
                sock.close()
        except (*mail_clients.REFUSALS, EOFError, AssertionError) as why:
            outcome, error = session.stage, f"{type(why).__name__}: {why}"[:300]
        journal.write(service=service, via=via, family=family, address=session.address,
                      port=session.port, mid=session.mid, user=session.user, begin=begin,
                      end=time.time(), outcome=outcome, error=error, peer=session.peer,
                      certificate=session.certificate, slow=slow)

    def _connect(self, session, number, chance):
        """Fills in what the session claims."""
        family, via, mail = session.family, session.via, self.lab.mail
        if via in DIRECT:
            session.address, session.port = claimed(number, family), chance.randrange(1024, 65536)
            port = world_module.FIXED_TWINS[session.service]
            return self.lab.balancer.connect(
                mail.address(family), port, SPEAKER[family],
                header(via, session.address, session.port, port), LIMIT_S)
        address = chance.choice([a for a in CLIENT if (":" in a) == (family == 6)])
        port = mailhost.STOCK_PORTS[session.service]
        target = BALANCED[via](self.lab.balancer, family) if via != STOCK else mail.address(family)
        sock = self.lab.client.connect(target, port, address, timeout=LIMIT_S)
        session.address, session.port = sock.getsockname()[:2]
        return sock

    def _talk(self, session, sock):
        if session.service in ("smtp", "submission"):
            self._send(session, sock)
        elif session.service == "pop3s":
            self._pop3(session, sock)
        else:
            self._imap(session, sock)
        assert session.certificate in (None, *self.known_certificates), "an unknown certificate"

    def _send(self, session, sock):
        sender = mail_config.USER if session.service == "submission" else "someone@example.org"
        with Smtp(sock) as smtp:
            try:
                if session.service == "submission":
                    smtp.starttls(context=self._tls)
                    session.certificate = _certificate(smtp.sock)
                    smtp.login(mail_config.USER, mail_config.PASSWORD)
                smtp.sendmail(sender, [mail_config.USER], _message(sender, session.mid))
                session.stage = "ok"
            finally:
                if session.stage != "ok":
                    session.stage = smtp.stage

    def _imap(self, session, sock):
        imap = Imap(sock, self._tls if session.service == "imaps" else None)
        try:
            if session.service == "imap":
                imap.starttls(self._tls)
            session.certificate = _certificate(imap.sock)
            imap.login(session.user, mail_config.PASSWORD)
            _must(imap.select("INBOX"))
            session.stage = ALL_SENT
            _must(imap.append("INBOX", "", imaplib.Time2Internaldate(time.time()),
                              _message("me", session.mid).encode()))
            session.stage = "ok"
        finally:
            # What is done is done, whatever becomes of the good-bye.
            try:
                imap.logout()
            except (imaplib.IMAP4.error, OSError):
                imap.shutdown()
        assert session.stage == "ok"

    def _pop3(self, session, sock):
        pop3 = mail_clients.Pop3(sock, self._tls)
        try:
            session.certificate = _certificate(pop3.sock)
            pop3.user(world_module.USERS[0])
            session.user = world_module.USERS[0]
            pop3.pass_(mail_config.PASSWORD)
            pop3.stat()
            session.stage = "ok"
        finally:
            pop3.close()


def _must(answer):
    if answer[0] != "OK":
        raise imaplib.IMAP4.error(f"{answer}")


def _certificate(sock):
    return world_module.fingerprint(sock.getpeercert(binary_form=True))


def _message(sender, mid):
    return (f"From: <{sender}>\r\nTo: <{mail_config.USER}>\r\nMessage-ID: <{mid}>\r\n"
            "Subject: soak\r\n\r\nA line of text.\r\n")


def _choose(chance, weights):
    return chance.choices(list(weights), list(weights.values()))[0]
