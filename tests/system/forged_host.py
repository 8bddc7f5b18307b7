# SPDX-License-Identifier: MIT
"""The mail host that tests of forged headers use: generous to many networks, and patched."""
import contextlib

from lab import Lab, forged_headers, mailhost

# A twin without what postern adds.
NAIVE_PORT = 12526
NAIVE = f"""\
{NAIVE_PORT} inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
  -o inet_protocols=all
  -o syslog_name=postfix/naive
"""
# Every right that an address may have by mynetworks.
MAIN_CF = {
    "mynetworks": forged_headers.OURS,
    "postscreen_access_list": "permit_mynetworks",
    "smtpd_authorized_xclient_hosts": "$mynetworks",
    "smtpd_authorized_xforward_hosts": "$mynetworks",
    "smtpd_client_port_logging": "yes",
    "smtpd_client_connection_count_limit": "0",
}
# So that a client is found in the log by its port.
DOVECOT = {
    "bookworm": "login_log_format_elements = user=<%u> rip=%r lip=%l rport=%b %c\n",
    "trixie": "login_log_format_elements = user=<%{user}> rip=%{remote_ip} lip=%{local_ip} "
              "rport=%{remote_port} %{secured}\n",
}
ANY_NUMBER = "mail_max_userip_connections = 0\n"


def configure(mail, main_cf=None, dovecot="", master_cf=None):
    """As docker-mailserver's, with mynetworks in every form; the servers do not run yet."""
    for path, text in forged_headers.TABLES.items():
        mail.write(path, text)
        mail.age(path)
    mail.run(["postmap", "hash:/etc/postfix/maps/ours.hash"])
    settings = {**MAIN_CF, **(main_cf or {})}
    mail.postconf("-e", *(f"{name}={value}" for name, value in settings.items()))
    mail.write(mailhost.MASTER_CF, (master_cf or mail.read(mailhost.MASTER_CF)) + NAIVE)
    mail.write("/etc/dovecot/conf.d/94-forged.conf", DOVECOT[mail.release] + ANY_NUMBER + dovecot)
    mail.age_main_cf()


@contextlib.contextmanager
def started(release, postern_conf=None, **configuration):
    """A lab whose servers run and are patched."""
    with Lab(release) as lab:
        configure(lab.mail, **configuration)
        lab.mail.start_servers()
        if postern_conf:
            lab.mail.configure_postern(postern_conf)
        lab.mail.patch()
        yield lab
