# SPDX-License-Identifier: MIT
"""What nearly took mail down, or left a twin where none should be: found in review, kept here."""
import re

import pytest

from lab import files, mail_config, mailhost, proxy_client, started, wait

STOCK = {25, 465, 587}
TWINS = set(mailhost.POSTFIX_TWINS.values())
DOVECOT_TWINS = set(mailhost.TWIN_PORTS.values()) - TWINS


def append(mail, path, text):
    mail.write(path, mail.read(path) + text)


def refused_and_untouched(lab, pattern):
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    mark = lab.mail.log.mark()
    done = lab.mail.postern("patch", check=False)
    assert done.returncode == 1 and re.search(pattern, done.stderr), done
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    assert not lab.mail.log.find(r"postfix/master\[\d+\]: (reload|fatal)", mark)
    assert STOCK <= lab.mail.listening_ports()


@pytest.mark.parametrize("line, pattern", [
    ("default_process_limit = abc\n", "default_process_limit"),
    ("mail_owner = nosuchuser\n", "nosuchuser"),
    ("inet_protocols = ipv5\n", "ipv5"),
    ("just words\n", "just words"),
])
def test_main_cf_that_ends_the_master_at_a_reload_is_refused(lab, postern_built, line, pattern):
    append(lab.mail, mailhost.MAIN_CF, line)
    lab.mail.age_main_cf()
    refused_and_untouched(lab, pattern)


@pytest.mark.parametrize("service", ["nosuch.example:2525", "[IPv6:2001:db8::9]:2525",
                                     "192.0.2.99:2525", "nosuchport"])
def test_service_that_cannot_be_bound_is_refused(lab, postern_built, service):
    append(lab.mail, mailhost.MASTER_CF, f"{service} inet n - n - - smtpd\n")
    refused_and_untouched(lab, re.escape(service))


def test_xclient_gives_no_rights_to_a_claimed_address(lab, postern_built):
    append(lab.mail, mailhost.MAIN_CF, "smtpd_authorized_xclient_hosts = 127.0.0.1\n"
                                       "smtpd_authorized_xforward_hosts = 127.0.0.1\n")
    lab.mail.age_main_cf()
    lab.mail.reload_postfix()
    lab.mail.configure_postern(mail_config.POSTERN + 'gate = "off"\n')
    lab.mail.patch()
    with lab.outsider.connect(lab.mail.address(), 10587) as sock:
        sock.sendall(proxy_client.v1("127.0.0.1"))
        stream = sock.makefile("rwb")
        assert stream.readline().startswith(b"220 ")
        stream.write(b"EHLO x.example\r\n")
        stream.flush()
        lines = [stream.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(stream.readline())
        assert not any(b"XCLIENT" in line or b"XFORWARD" in line for line in lines), lines
        stream.write(b"XCLIENT ADDR=198.51.100.5 LOGIN=alice@example.test\r\n")
        stream.flush()
        assert stream.readline()[:1] == b"5"


def test_revert_closes_postfix_twins_although_dovecot_is_broken(lab, postern_built):
    lab.mail.patch()
    lab.mail.write("/etc/dovecot/conf.d/99-broken.conf", "no_such_setting_at_all = yes\n")
    done = lab.mail.postern("revert", check=False)
    assert done.returncode == 1 and "no_such_setting_at_all" in done.stderr, done
    assert "postern" not in lab.mail.read(mailhost.MASTER_CF)
    assert not TWINS & lab.mail.listening_ports()
    lab.mail.remove("/etc/dovecot/conf.d/99-broken.conf")
    lab.mail.postern("revert")
    wait.until(lambda: not DOVECOT_TWINS & lab.mail.listening_ports(), "Dovecot's twins to close")


def test_revert_takes_ours_out_of_a_broken_master_cf(lab, postern_built):
    before = lab.mail.read(mailhost.MASTER_CF)
    lab.mail.patch()
    append(lab.mail, mailhost.MASTER_CF, "broken inet n - n\n")
    done = lab.mail.postern("revert", check=False)
    assert done.returncode == 1 and "bad field count" in done.stderr, done
    assert lab.mail.read(mailhost.MASTER_CF) == before + "broken inet n - n\n"
    assert not lab.mail.exists("/etc/dovecot/conf.d/95-postern.conf")
    assert STOCK <= lab.mail.listening_ports()


def test_failed_verification_is_not_forgotten(lab, postern_built):
    """The files were there before the run that fails: it has nothing to put back."""
    text = lab.mail.read(mailhost.MASTER_CF)
    option = "  -o { smtpd_timeout = ${smtpd_upstream_proxy_protocol?{never}:{300s}} }\n"
    name = "  -o syslog_name=postfix/submission\n"
    lab.mail.write(mailhost.MASTER_CF, text.replace(name, name + option, 1))
    lab.mail.reload_postfix()
    lab.mail.patch("--no-reload")
    checked = lab.mail.postern("patch", "--check", check=False)
    assert checked.returncode == 1 and checked.stdout == "", checked
    assert "postfix: it was not told of its files" in checked.stderr, checked
    for _ in range(2):
        done = lab.mail.postern("patch", check=False)
        assert done.returncode == 1 and "10587" in done.stderr, done


def test_servers_on_one_address_only(release, postern_built):
    with started(release, main_cf_extra="inet_interfaces = 10.77.0.10\n") as lab:
        lab.mail.write("/etc/dovecot/conf.d/80-listen.conf", "listen = 10.77.0.10\n")
        lab.mail.restart_dovecot()
        lab.mail.patch()
        done = lab.mail.postern("probe")
        assert "down" not in done.stdout, done
        assert TWINS | DOVECOT_TWINS <= lab.mail.listening_ports()


def test_folder_with_a_slash_at_its_end(lab, postern_built):
    lab.mail.configure_postern(mail_config.POSTERN
                               + 'dovecot { config-directory = "/etc//dovecot/" }\n')
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    lab.mail.patch()
    assert "nothing to do" in lab.mail.patch().stderr
    assert "!include_try" not in "".join(
        line for line in lab.mail.read("/etc/dovecot/dovecot.conf").splitlines()
        if "postern" in line)
    lab.mail.postern("revert")
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []


def test_networks_inside_a_protocol_block_are_named(lab, postern_built):
    lab.mail.write("/etc/dovecot/conf.d/97-filter.conf",
                   "protocol imap {\n  haproxy_trusted_networks = 192.0.2.0/24\n}\n")
    done = lab.mail.postern("patch", check=False)
    assert done.returncode == 1 and "97-filter.conf:2" in done.stderr, done
