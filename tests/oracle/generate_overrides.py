# SPDX-License-Identifier: MIT
"""Random override files of docker-mailserver from a seed; one character a byte."""
import random

import generate_postfix

NAMES = ("smtpd_tls_security_level", "mynetworks", "syslog_name", "content_filter",
         "smtpd_milters", "a1", "B_2", "smtpd_client_restrictions", "x-y", "x.y", "x:y")
VALUES = ("yes", "", "encrypt", "127.0.0.0/8,[::1]/128", "$mua_restrictions", "${a1?yes}",
          "${B_2?{a}:{b}}", "#no-comment", "it's", 'say"so"', "a\\b\\", "=", "==x", "x=y",
          "caf\xc3\xa9", "-v", "-o", "100%", "smtp/inet/a=b", "{}", "{a}b", "inet:127.0.0.1:8891")
# What postconf -P, or postern, refuses or passes over.
ODD_NAMES = ("", "*", "a b", "a/b", "a{", "}", "$a", "#a", "caf\xc3\xa9", "-a", "{a", "a=b", " a",
             "a ")
ODD_VALUES = ("a b", "a\tb", "{a b}", "{", "}", "{a", "a}", "}{", "a # b", "\x0ba", "a\x0c",
              "a\x0bb", "a\rb", '"a b"', " a ", "\ta")
ODD_SERVICES = ("smtp", "SMTP/inet", "smtp/INET", "smtp/", "/inet", "nosuch/inet", "smtp /inet",
                "smtp/ inet", "*/inet", "smtp/*", "smtp/inet/a", "[::1]:25/inet", "25/inet")


def postfix_main(seed):
    """A postfix-main.cf whose first line continues nothing."""
    text = generate_postfix.Main(("override", seed).__repr__()).text
    return text.removeprefix("  ignored = x\n")


def _setting(rng, services, names, values):
    blanks = ("", "", "", " ", "\t ")
    return (rng.choice(services) + "/" + rng.choice(names) + rng.choice(blanks) + "="
            + rng.choice(blanks) + rng.choice(values))


def postfix_master(seed, services):
    """Lines for these services ("NAME/TYPE"), all of which postconf -P takes."""
    rng = random.Random(("override master", seed).__repr__())
    any_type = [service.split("/")[0] + "/*" for service in services]
    lines = []
    for _ in range(rng.choice((1, 1, 2, 3, 5, 10))):
        form = rng.random()
        if form < 0.1:
            lines.append(rng.choice(("", "# comment", "  # smtp/inet/a1=b", "SMTP/inet/a1=b", "_x",
                                     "[::1]:25/inet/a1=b", "nosuch/inet/a1=b")))
            continue
        lines.append(rng.choice(("", "", "  ", "\t"))
                     + _setting(rng, any_type if form < 0.2 else services, NAMES, VALUES))
    return "\n".join(lines) + rng.choice(("", "\n"))


def odd_postfix_master(seed):
    """One line that is likely to be refused, for a service "smtp/inet"."""
    rng = random.Random(("odd", seed).__repr__())
    what = rng.randrange(4)
    return _setting(rng, ODD_SERVICES if what == 0 else ("smtp/inet",),
                    ODD_NAMES if what == 1 else NAMES, ODD_VALUES if what >= 2 else VALUES) + "\n"
