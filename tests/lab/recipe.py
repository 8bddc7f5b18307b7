# SPDX-License-Identifier: MIT
"""The well-known recipe that postern replaces, for tests that show its defects.

Users of docker-mailserver put a hook beside their configuration that copies the submission,
submissions and smtp entries under new names at the end of master.cf, turns the PROXY protocol on
in the copies, and declares further Dovecot listeners.  Two editions of it are about: they differ in
the log name and in whether postscreen's cache is moved to a shared map.
"""
from . import mailhost

PORTS = {"submission": 10587, "submissions": 10465, "smtp": 12525}
# Documentation for Kubernetes: no shared cache, and a log name without postfix/ in front.
KUBERNETES = "kubernetes"
# Documentation for proxies in general, and the community chart: the cache is shared.
SHARED_CACHE = "shared-cache"

LISTENERS = {
    "imap-login": (("imap", 10143, False), ("imaps", 10993, True)),
    "pop3-login": (("pop3", 10110, False), ("pop3s", 10995, True)),
    "managesieve-login": (("sieve", 14190, False),),
}


def postfix_script(edition=KUBERNETES):
    smtp_name = "smtp-proxyprotocol" if edition == KUBERNETES else "postfix/smtpd-proxyprotocol"
    lines = []
    for service in ("submission", "submissions"):
        port = PORTS[service]
        lines.append(f"postconf -Mf {service}/inet | sed -e 's/^{service}/{port}/' "
                     f"-e 's/{service}/{service}-proxyprotocol/' >>{mailhost.MASTER_CF}")
        lines.append(f"postconf -P {port}/inet/smtpd_upstream_proxy_protocol=haproxy")
    port = PORTS["smtp"]
    lines.append(f"postconf -Mf smtp/inet | sed -e 's/^smtp/{port}/' >>{mailhost.MASTER_CF}")
    lines.append(f"postconf -P {port}/inet/postscreen_upstream_proxy_protocol=haproxy "
                 f"{port}/inet/syslog_name={smtp_name}")
    if edition == SHARED_CACHE:
        lines.append("postconf 'postscreen_cache_map = "
                     "proxy:btree:$data_directory/postscreen_cache'")
    return "\n".join(lines) + "\n"


def dovecot_text(networks, sieve_haproxy=False):
    """The community chart's listeners: that of ManageSieve lacks `haproxy = yes`."""
    parts = [f"haproxy_trusted_networks = {networks}\n"]
    for service, listeners in LISTENERS.items():
        parts.append(f"service {service} {{\n")
        for name, port, tls in listeners:
            parts.append(f"  inet_listener {name}_proxyprotocol {{\n    port = {port}\n")
            if name != "sieve" or sieve_haproxy:
                parts.append("    haproxy = yes\n")
            parts.append("    ssl = yes\n  }\n" if tls else "  }\n")
        parts.append("}\n")
    return "".join(parts)


def apply_to_postfix(mail, edition=KUBERNETES, reload=True):
    """Run the hook once; as at a container's start, main.cf is old enough not to be waited for."""
    mail.age_main_cf()
    mail.shell(postfix_script(edition))
    if reload:
        mail.reload_postfix()
        mail.wait_listening({int(entry.partition("/")[0]) for entry in leftovers(mail)})


def apply_to_dovecot(mail, networks="10.77.0.0/24", sieve_haproxy=False, reload=True):
    mail.write("/etc/dovecot/local.conf", dovecot_text(networks, sieve_haproxy))
    if reload:
        mail.run(["doveadm", "reload"])


def leftovers(mail):
    """Entries of the recipe in master.cf, in its order."""
    return [entry for entry, _ in mail.services()
            if entry in {f"{port}/inet" for port in PORTS.values()}]
