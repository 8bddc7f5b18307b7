# SPDX-License-Identifier: MIT
"""What tests of `postern patch` and of the twins that it makes have in common."""
from lab import files, mail_clients, mail_config, mailhost

TWINS = set(mailhost.TWIN_PORTS.values())
RELOADED = "|".join(mailhost.RELOADED.values())


def log_in(lab, service, host, address, port):
    """A real client of that host does its business at a port of the mail host."""
    return mail_clients.use(service, host.connect(address, port), mail_config.USER,
                            mail_config.PASSWORD, lab.mail.tls_context())


def nothing_touched(mail, before, mark):
    assert files.differences(before, mail.snapshot(*mailhost.CONFIGURATION), strict=True) == []
    assert not mail.log.find(RELOADED, mark)
