# SPDX-License-Identifier: MIT
"""Generations of the ConfigMap, good and bad, and how their numbers show in the servers' files.

A generation is a number for each of four parts, and a swap gives the next number to some of them.
Every file that postern writes holds the number of its part at least twice: two different ones in
one file are a torn write, and none is a lost one.
"""
import hashlib
import re
from typing import NamedTuple

CONF, MAIN, MASTER, DOVECOT = "postern.conf", "postfix-main.cf", "postfix-master.cf", "dovecot.cf"
PARTS = (CONF, MAIN, MASTER, DOVECOT)
OVERRIDES = "/soak"  # the folder in the mail host
TLS_FOLDER = "/etc/dms/tls"
LISTEN = "127.0.0.1:9477"
RESYNC_S = 20
NETWORKS = ("10.77.0.0/24", "fd77::/64")  # of the lab's balancer
# Ports that move with the generation; below those that the kernel gives to clients.
SUBMISSIONS_FROM, POP3_FROM, SIEVE_FROM, PORTS = 20000, 21000, 22000, 1000
FOREIGN_PORT = 23999  # where somebody else listens
HEADER_FROM, BODY_FROM, ERRORS_FROM, CONNECTIONS_FROM = 1_000_000, 500_000, 1000, 1000

MASTER_CF, MAIN_CF = "/etc/postfix/master.cf", "/etc/postfix/main.cf"
DROP_IN, LOCAL_CONF = "/etc/dovecot/conf.d/95-postern.conf", "/etc/dovecot/local.conf"
FILES = (MASTER_CF, MAIN_CF, DROP_IN, LOCAL_CONF)


class Torn(AssertionError):
    """A file that is not of one generation."""


WITHOUT_OURS = "without ours"


class Generation(NamedTuple):
    """The number of each part."""

    conf: int
    main: int
    master: int
    dovecot: int

    def next(self, number, parts):
        """With this number for these parts."""
        return Generation(*(number if part in parts else old for part, old in zip(PARTS, self)))

    def networks(self):
        high, low = divmod(self.conf, 256)
        return [*NETWORKS, f"10.99.{high}.{low}/32", f"fd99::{self.conf:x}/128"]

    def submissions_port(self):
        return SUBMISSIONS_FROM + self.conf % PORTS

    def moved_ports(self):
        return {"submissions": self.submissions_port(), "pop3": POP3_FROM + self.conf % PORTS,
                "sieve": SIEVE_FROM + self.conf % PORTS}

    def keys(self):
        """{key: bytes} of the ConfigMap."""
        return {CONF: self._conf().encode(), MAIN: self._main().encode(),
                MASTER: self._master().encode(), DOVECOT: self._dovecot()}

    def hash(self):
        """What `postern status` shows of it: SHA-256 of postern.conf, then of each kind of
        overrides whether it is there and its text."""
        keys = self.keys()
        fields = [keys[CONF]]
        for key in (MAIN, MASTER, DOVECOT):
            fields += [int(keys[key] is not None).to_bytes(8, "big"), keys[key] or b""]
        return hashlib.sha256(b"".join(len(field).to_bytes(8, "big") + field
                                       for field in fields)).hexdigest()

    def _conf(self):
        listed = ", ".join(f'"{network}"' for network in self.networks())
        ports = self.moved_ports()
        return f"""\
trusted-networks = {{ {listed} }}
listen = "{LISTEN}"
resync = {RESYNC_S}
postfix {{ listener submissions {{ port = {ports["submissions"]} }} }}
dovecot {{
  listener pop3 {{ port = {ports["pop3"]} }}
  listener sieve {{ port = {ports["sieve"]} }}
}}
overrides "{OVERRIDES}" {{ }}
watch "{TLS_FOLDER}" {{ reload = {{ "postfix", "dovecot" }} }}
"""

    def _main(self):
        # Every third has a line that the others do not have: it comes and goes, at the end, where a
        # parameter that was not there before is put.
        comes_and_goes = "smtpd_soft_error_limit = 11\n" if self.main % 3 == 0 else ""
        return (f"header_size_limit = {HEADER_FROM + self.main}\n"
                f"body_checks_size_limit = {BODY_FROM + self.main}\n{comes_and_goes}")

    def _master(self):
        return f"submission/inet/smtpd_hard_error_limit={ERRORS_FROM + self.master}\n"

    def _dovecot(self):
        if self.dovecot % 7 == 0:
            return None  # a key that goes: local.conf goes with it
        return (f"# soak {self.dovecot}\n"
                f"mail_max_userip_connections = {CONNECTIONS_FROM + self.dovecot}\n"
                f"# soak {self.dovecot}\n").encode()

    def shown(self):
        """What numbers_in() finds of each file when this generation is in force."""
        return {MASTER_CF: (self.conf % PORTS, self.master), MAIN_CF: (self.main,),
                DROP_IN: (self.conf,),
                LOCAL_CONF: () if self.dovecot % 7 == 0 else (self.dovecot,)}


FIRST = Generation(1, 1, 1, 1)


# -- bad ones: what is wrong, as a change to the keys, and what the refusal has to say

class Bad(NamedTuple):
    name: str
    part: str
    break_it: object  # (bytes, number) -> bytes or None
    said: str  # a pattern, with {n} for the number
    outcomes: tuple = ("refused",)


BAD = (
    Bad("unknown key", CONF, lambda text, n: text + b"soak-bad-%d = 1\n" % n, r"soak-bad-{n}"),
    Bad("network", CONF, lambda text, n: text.replace(b"{ ", b'{ "10.98.%d.0/99", ' % (n % 250), 1),
        r"10\.98\.\d+\.0/99"),
    Bad("unclosed", CONF, lambda text, n: text + b"dovecot { # soak %d" % n, r"postern\.conf"),
    Bad("one port twice", CONF,
        lambda text, n: text.replace(b"dovecot {", b"dovecot {\n  listener imap { port = 10993 }"),
        r"10993"),
    Bad("a port of somebody else's", CONF,
        lambda text, n: text.replace(
            b"postfix {", b"postfix { listener submission { port = %d }" % FOREIGN_PORT),
        str(FOREIGN_PORT), ("refused", "failed")),  # the port may become free
    Bad("Dovecot's setting", DOVECOT, lambda text, n: (text or b"") + b"soak_bad_%d = yes\n" % n,
        r"soak_bad_{n}"),
    Bad("Postfix's line", MAIN, lambda text, n: text + b"soak bad %d\n" % n, r"soak bad {n}"),
    Bad("no file", CONF, lambda text, n: None, r"postern\.conf"),
)


# -- numbers in files

def numbers_in(path, text):
    """The numbers that a file shows, as Generation.shown(); Torn when it is of several."""
    return _READERS[path](text)


def _one(path, found, times):
    numbers = set(found)
    if len(found) != times or len(numbers) != 1:
        raise Torn(f"{path}: of one number {times} times: {sorted(found)}")
    return numbers.pop()


def _of_master_cf(text):
    ports = [int(port) - SUBMISSIONS_FROM
             for port in re.findall(r"^(20\d{3})[ \t]+inet\b", text, re.M)]
    limits = [int(limit) - ERRORS_FROM
              for limit in re.findall(r"smtpd_hard_error_limit=(\d+)$", text, re.M)]
    if not text.endswith("\n") or "\npostlog " not in text:
        raise Torn(f"{MASTER_CF}: not whole: …{text[-80:]!r}")
    if "postern_twin_of" not in text:
        # Taken back where somebody else had edited in the meantime: that leaves no twin.
        return (WITHOUT_OURS,)
    return _one(MASTER_CF, ports, 1), _one(MASTER_CF, limits, 2)


def _of_main_cf(text):
    found = [int(n) - HEADER_FROM for n in re.findall(r"^header_size_limit *= *(\d+)$", text, re.M)]
    found += [int(n) - BODY_FROM
              for n in re.findall(r"^body_checks_size_limit *= *(\d+)$", text, re.M)]
    return (_one(MAIN_CF, found, 2),)


def _of_drop_in(text):
    found = [int(high) * 256 + int(low)
             for high, low in re.findall(r"\b10\.99\.(\d+)\.(\d+)/32\b", text)]
    found += [int(n, 16) for n in re.findall(r"\bfd99::([0-9a-f]+)/128\b", text)]
    number = _one(DROP_IN, found, 2)
    ports = [int(port) for port in re.findall(r"\bport *= *(2[12]\d{3})\b", text)]
    if sorted(ports) != [POP3_FROM + number % PORTS, SIEVE_FROM + number % PORTS]:
        raise Torn(f"{DROP_IN}: {number} with the ports {ports}")
    return (number,)


def _of_local_conf(text):
    if not text:
        return ()
    found = [int(n) for n in re.findall(r"^# soak (\d+)$", text, re.M)]
    found += [int(n) - CONNECTIONS_FROM
              for n in re.findall(r"^mail_max_userip_connections = (\d+)$", text, re.M)]
    return (_one(LOCAL_CONF, found, 3),)


_READERS = {MASTER_CF: _of_master_cf, MAIN_CF: _of_main_cf, DROP_IN: _of_drop_in,
            LOCAL_CONF: _of_local_conf}
