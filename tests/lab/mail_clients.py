# SPDX-License-Identifier: MIT
"""Real mail clients over a socket that the caller opened (in whichever network namespace).

Python's own SMTP, IMAP and POP3 clients, made to take a socket instead of a host name, and a small
ManageSieve client.  Each function logs in or sends, and returns what the server said.
"""
import base64
import imaplib
import poplib
import smtplib
import socket

from . import wait

HELO = "client.example.org"


class Smtp(smtplib.SMTP):
    """smtplib's client on a given socket; the TLS context, if any, wraps it first."""

    def __init__(self, sock, tls=None):
        self._given = tls.wrap_socket(sock) if tls else sock
        super().__init__("given", 1, local_hostname=HELO, timeout=wait.LIMIT_S)

    def _get_socket(self, host, port, timeout):
        self._given.settimeout(timeout)
        return self._given


class Imap(imaplib.IMAP4):
    def __init__(self, sock, tls=None):
        self._given = tls.wrap_socket(sock) if tls else sock
        super().__init__("given", timeout=wait.LIMIT_S)

    def _create_socket(self, timeout):
        self._given.settimeout(timeout)
        return self._given


class Pop3(poplib.POP3):
    def __init__(self, sock, tls=None):
        self._given = tls.wrap_socket(sock) if tls else sock
        super().__init__("given", timeout=wait.LIMIT_S)

    def _create_socket(self, timeout):
        self._given.settimeout(timeout)
        return self._given


class Refused(Exception):
    """The server said no, or nothing."""


class ManageSieve:
    """As much of RFC 5804 as a log-in needs."""

    def __init__(self, sock, tls=None):
        self._sock = sock
        self._sock.settimeout(wait.LIMIT_S)
        self._tls = tls
        self._file = sock.makefile("rb")
        self.greeting = self._response()

    def _response(self):
        lines = []
        while True:
            line = self._file.readline()
            if not line:
                raise Refused("closed after " + repr(lines))
            text = line.decode(errors="replace").rstrip("\r\n")
            lines.append(text)
            word = text.split(" ")[0].upper()
            if word in ("NO", "BYE"):
                raise Refused(text)
            if word == "OK":
                return lines

    def command(self, line):
        self._sock.sendall(line.encode() + b"\r\n")
        return self._response()

    def starttls(self):
        self.command("STARTTLS")
        self._file.close()
        self._sock = self._tls.wrap_socket(self._sock)
        self._file = self._sock.makefile("rb")
        return self._response()

    def login(self, user, password):
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command(f'AUTHENTICATE "PLAIN" "{secret}"')

    def close(self):
        try:
            self.command("LOGOUT")
        except (Refused, OSError):
            pass
        self._file.close()
        self._sock.close()


def message(sender, recipient, subject="lab"):
    return (f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\n\r\n"
            "A line of text.\r\n")


def deliver(sock, recipient, sender="someone@example.org", subject="lab"):
    """Hand a message to port 25's service, as another mail server does."""
    with Smtp(sock) as smtp:
        smtp.sendmail(sender, [recipient], message(sender, recipient, subject))


def submit(sock, user, password, recipient, tls, implicit, subject="lab"):
    """Send a message as a user's mail program does, after TLS and log-in."""
    with Smtp(sock, tls if implicit else None) as smtp:
        if not implicit:
            smtp.starttls(context=tls)
        smtp.login(user, password)
        smtp.sendmail(user, [recipient], message(user, recipient, subject))


def imap_login(sock, user, password, tls, implicit):
    """Log in and open the inbox; the number of messages in it."""
    imap = Imap(sock, tls if implicit else None)
    try:
        if not implicit:
            imap.starttls(tls)
        imap.login(user, password)
        status, counted = imap.select("INBOX", readonly=True)
        assert status == "OK", counted
        return int(counted[0])
    finally:
        imap.logout()


def pop3_login(sock, user, password, tls, implicit):
    """Log in; the number of messages."""
    pop3 = Pop3(sock, tls if implicit else None)
    try:
        if not implicit:
            pop3.stls(tls)
        pop3.user(user)
        pop3.pass_(password)
        return pop3.stat()[0]
    finally:
        try:
            pop3.quit()
        except (OSError, poplib.error_proto):
            pop3.close()


def sieve_login(sock, user, password, tls):
    sieve = ManageSieve(sock, tls)
    try:
        sieve.starttls()
        return sieve.login(user, password)
    finally:
        sieve.close()


def use(service, sock, user, password, tls):
    """Log in at a service with the client that speaks its protocol."""
    implicit = service in ("submissions", "imaps", "pop3s")
    if service == "smtp":
        return deliver(sock, user)
    if service in ("submission", "submissions"):
        return submit(sock, user, password, user, tls, implicit)
    if service in ("imap", "imaps"):
        return imap_login(sock, user, password, tls, implicit)
    if service in ("pop3", "pop3s"):
        return pop3_login(sock, user, password, tls, implicit)
    assert service == "sieve", service
    return sieve_login(sock, user, password, tls)


REFUSALS = (smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto, Refused, OSError,
            socket.timeout)
