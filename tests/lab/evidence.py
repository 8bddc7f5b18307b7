# SPDX-License-Identifier: MIT
"""What the servers write in their log about a client; patterns for maillog."""
import re

from . import mailhost

# Service -> the name before the process number when the stock port was used.
_POSTFIX_STOCK = {"submission": "postfix/submission/smtpd",
                  "submissions": "postfix/submissions/smtpd"}
_DOVECOT_PROGRAM = {"imap": "imap-login", "imaps": "imap-login", "pop3": "pop3-login",
                    "pop3s": "pop3-login", "sieve": "managesieve-login"}


def connected(program, address):
    """A Postfix smtpd took a connection of that address."""
    return rf" {re.escape(program)}\[\d+\]: connect from \S*\[{re.escape(address)}\]"


def screened(address, program="postfix/postscreen"):
    return rf" {re.escape(program)}\[\d+\]: CONNECT from \[{re.escape(address)}\]:\d+ to "


def logged_in(program, address):
    """A Dovecot log-in, in the words of 2.3 or 2.4."""
    return rf" dovecot: {program}: Log(?:ged )?in: .*\brip={re.escape(address)},"


def failed_log_in(program, address):
    return rf" dovecot: {program}: (?:Disconnected|Login aborted).*\brip={re.escape(address)},"


def seen_on_twin(service, address):
    """The service's twin saw a client of that address do its business."""
    if service == "smtp":
        return connected("postfix/smtp_proxied/smtpd", address)
    if service in mailhost.POSTFIX_TWINS:
        return connected(f"postfix/{service}_proxied/smtpd", address)
    return logged_in(_DOVECOT_PROGRAM[service], address)


def seen_on_stock(service, address):
    if service == "smtp":
        return connected("postfix/smtpd", address)
    if service in _POSTFIX_STOCK:
        return connected(_POSTFIX_STOCK[service], address)
    return logged_in(_DOVECOT_PROGRAM[service], address)


def dovecot_program(service):
    return _DOVECOT_PROGRAM[service]
