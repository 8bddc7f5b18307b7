# SPDX-License-Identifier: MIT
"""A trusted peer that lies: every forged header to every twin, many at a time, and what came of it.

    outcomes = forging.campaign(lab.mail, lab.balancer, mailhost.TWIN_PORTS)
    assert not outcomes["submission", "v1-loopback-to-pod"].relay

Nothing is judged here: each conversation tries what a liar would like, and notes what was granted.
"""
import base64
import concurrent.futures
import contextlib
import dataclasses
import re
import select
import socket
import ssl

from . import forged_headers, mail_config, mailhost, proxy_client, wait

FOREIGN = "victim@elsewhere.example"
SENDER = "a@outsider.example"
AT_ONCE = 24
# Longer than any server waits for the rest of a header.
SILENCE_S = 20.0
# Between pieces of a header, so that a server may read one before the next is there.
PAUSE_S = 0.02


@dataclasses.dataclass
class Outcome:
    """What one forgery got from one twin."""
    forgery: forged_headers.Forgery
    own_port: int = 0          # the connection's own, which counts where the header claims none
    heard: str = ""
    served: bool = False       # the protocol's greeting came
    answered: bool = False     # and the server did something proper afterwards
    relay: bool = False        # a recipient in a foreign domain
    xclient: bool = False      # XCLIENT or XFORWARD
    offers_clear: bool = False  # a log-in without TLS is offered
    clear: bool = False        # ... and succeeds, with the right password
    impostor: bool = False     # a log-in without the right password
    delivered: bool = False    # mail for a user of this host

    @property
    def port(self):
        return self.forgery.port or self.own_port


def _secret(password):
    return base64.b64encode(f"\0{mail_config.USER}\0{password}".encode()).decode()


class _Talk(proxy_client.LineClient):
    """A conversation that ends, instead of failing, where the server has had enough."""

    def ask(self, line):
        try:
            self.send(line)
            return self.reply() or ""
        except OSError:
            return ""

    def ask_until(self, line, *beginnings):
        """The first line of the answer with one of these beginnings, or an empty one."""
        try:
            self.send(line)
        except OSError:
            return ""
        line = self.line()
        while line is not None and not line.startswith(beginnings):
            line = self.line()
        return line or ""

    def line(self):
        try:
            return super().line()
        except OSError:
            return None

    def rest(self):
        """All that is said after our side has closed."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        while self.line() is not None:
            pass
        return self.heard.decode(errors="replace")


# -- SMTP

def _mail(talk, out):
    """Relay, other identities, and mail for a user here."""
    for command in ("XCLIENT", "XFORWARD"):
        out.xclient |= talk.ask(f"{command} ADDR=127.0.0.1 NAME=localhost").startswith("2")
    talk.ask("EHLO liar.example")
    out.answered = bool(talk.ask(f"MAIL FROM:<{SENDER}>"))
    out.relay = talk.ask(f"RCPT TO:<{FOREIGN}>").startswith("2")


def _deliver(talk, out):
    talk.ask("RSET")
    talk.ask(f"MAIL FROM:<{SENDER}>")
    if talk.ask(f"RCPT TO:<{mail_config.USER}>").startswith("2"):
        talk.ask("DATA")
        out.delivered = talk.ask(f"Subject: {out.forgery.name}\r\n\r\nx\r\n.").startswith("2")


def _smtp_login(talk, password):
    return talk.ask(f"AUTH PLAIN {_secret(password)}").startswith("235")


def _smtp(talk, out, mail, service, deliver):
    greeting = talk.greeting() or ""
    out.served = greeting.startswith("220")
    if not out.served:
        return
    said = talk.ask("EHLO liar.example")
    if service not in mailhost.IMPLICIT_TLS:
        out.offers_clear = bool(re.search(r"^250[- ]AUTH\b", said, re.M))
        out.clear = _smtp_login(talk, mail_config.PASSWORD)
    if service == "submission":
        out.relay = talk.ask(f"MAIL FROM:<{SENDER}>").startswith("2")
        if not talk.ask("STARTTLS").startswith("220"):
            return
        talk.sock = mail.tls_client.wrap_socket(talk.sock)
        talk.ask("EHLO liar.example")
    out.impostor = service != "smtp" and _smtp_login(talk, "wrong")
    _mail(talk, out)
    if deliver:
        _deliver(talk, out)
    talk.ask("QUIT")


# -- Dovecot

def _imap(talk, out, implicit):
    greeting = talk.line() or ""
    out.served = greeting.startswith("* OK")
    if not out.served:
        return
    password = "wrong" if implicit else mail_config.PASSWORD
    out.offers_clear = not implicit and ("LOGINDISABLED" not in greeting
                                         or "AUTH=PLAIN" in greeting)
    granted = [talk.ask_until(f'a LOGIN {mail_config.USER} "{password}"', "a ").startswith("a OK")]
    if not granted[0]:
        granted.append(talk.ask_until(f"b AUTHENTICATE PLAIN {_secret(password)}",
                                      "b ").startswith("b OK"))
    out.clear, out.impostor = (False, any(granted)) if implicit else (any(granted), False)
    if not any(granted):
        out.impostor |= talk.ask_until("c AUTHENTICATE EXTERNAL =", "c ").startswith("c OK")
    out.answered = talk.ask_until("z LOGOUT", "z ").startswith("z OK")


def _pop3(talk, out, implicit):
    out.served = (talk.line() or "").startswith("+OK")
    if not out.served:
        return
    password = "wrong" if implicit else mail_config.PASSWORD
    talk.ask_until("CAPA", "+OK", "-ERR")
    offers = []
    while (line := talk.line()) not in (None, "."):
        offers.append(line)
    out.offers_clear = not implicit and any(re.match(r"USER$|SASL .*PLAIN", o) for o in offers)
    granted = (talk.ask_until(f"USER {mail_config.USER}", "+OK", "-ERR").startswith("+OK")
               and talk.ask_until(f"PASS {password}", "+OK", "-ERR").startswith("+OK"))
    if not granted:
        said = talk.ask_until(f"AUTH PLAIN {_secret(password)}", "+OK", "-ERR")
        granted = said.startswith("+OK")
    out.clear, out.impostor = (False, granted) if implicit else (granted, False)
    if not granted:
        out.impostor |= talk.ask_until("AUTH EXTERNAL =", "+OK", "-ERR").startswith("+OK")
    out.answered = talk.ask_until("QUIT", "+OK").startswith("+OK")


def _sieve(talk, out, _implicit):
    offers = []
    while (line := talk.line()) is not None and not line.startswith(("OK", "NO", "BYE")):
        offers.append(line)
    out.served = (line or "").startswith("OK")
    if not out.served:
        return
    out.offers_clear = any(re.match(r'"SASL" ".*PLAIN', offer) for offer in offers)
    words = ("OK", "NO", "BYE")
    said = talk.ask_until(f'AUTHENTICATE "PLAIN" "{_secret(mail_config.PASSWORD)}"', *words)
    out.clear = said.startswith("OK")
    if not out.clear:
        out.impostor = talk.ask_until('AUTHENTICATE "EXTERNAL" ""', *words).startswith("OK")
    out.answered = talk.ask_until("LOGOUT", *words).startswith("OK")


def _converse(talk, out, mail, service, deliver):
    implicit = service in mailhost.IMPLICIT_TLS
    if service in mailhost.DOVECOT_TWINS:
        {"i": _imap, "p": _pop3, "s": _sieve}[service[0]](talk, out, implicit)
    else:
        _smtp(talk, out, mail, service, deliver)


def _listen(talk, out):
    """For forgeries that have said all at once: what was granted, by the server's words."""
    heard = talk.rest()
    out.served = bool(re.search(r"^(220|\* OK|\+OK|\"IMPL)", heard, re.M))
    out.relay = bool(re.search(r"^354|^250 2\.1\.5", heard, re.M))
    out.clear = bool(re.search(r"^a OK|^\+OK Logged in", heard, re.M))


# -- one forgery, and all of them

def _send(sock, forgery):
    data, pieces = forgery.data, list(forgery.pieces)
    if pieces:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data:
        size = pieces[0] if len(pieces) == 1 else pieces.pop(0) if pieces else len(data)
        sock.sendall(data[:size])
        data = data[size:]
        if data and select.select([sock], [], [], PAUSE_S)[0]:
            return  # the server has answered already


class _Mail:
    """What a conversation needs to know of the mail host; made once."""

    def __init__(self, mail):
        self.tls_client = mail.tls_context()


def attempt(mail, peer, address, port, service, forgery, deliver=False, source=None, known=None):
    """One forged header from `peer` to a port that stands for `service`."""
    known = known or _Mail(mail)
    out = Outcome(forgery)
    sock = peer.connect(address, port, source, timeout=wait.LIMIT_S)
    out.own_port = sock.getsockname()[1]
    sock.settimeout(SILENCE_S)
    talk = _Talk(sock, SILENCE_S)
    try:
        _send(sock, forgery)
        if service in mailhost.IMPLICIT_TLS and not forgery.talks_on:
            talk = _Talk(known.tls_client.wrap_socket(sock), SILENCE_S)
        if forgery.talks_on:
            _listen(talk, out)
        else:
            _converse(talk, out, known, service, deliver)
    except (ssl.SSLError, ConnectionError, BrokenPipeError):
        pass  # refused: what was granted before that is noted
    finally:
        out.heard = talk.heard.decode(errors="replace")
        talk.sock.close()
    return out


def campaign(mail, peer, ports, forgeries=None, deliver=(), source=None, address=None):
    """{(service, forgery's name): Outcome}; `deliver` names services that get a mail to keep."""
    forgeries = forgeries or forged_headers.FORGERIES.values()
    known = _Mail(mail)
    address = address or mail.address()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as threads:
        futures = {(service, forgery.name): threads.submit(
            attempt, mail, peer, address, port, service, forgery, service in deliver, source, known)
            for forgery in forgeries for service, port in ports.items()}
        return {key: future.result() for key, future in futures.items()}
