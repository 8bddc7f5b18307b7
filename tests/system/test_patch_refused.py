# SPDX-License-Identifier: MIT
"""What `postern patch` does not do, or takes back: conflicts, servers that say no, bad input."""
import re
import smtplib

import pytest

import patching
from lab import (evidence, files, mail_config, mailhost, postern, proxy_client, recipe, started,
                 wait)


# -- conflicts

def line_of(mail, start):
    for number, line in enumerate(mail.read(mailhost.MASTER_CF).splitlines(), 1):
        if line.startswith(start):
            return number
    raise AssertionError(start)


def refused(lab, *words, status=1):
    """A patch that has to be refused without a byte written; what it said."""
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    ports = lab.mail.listening_ports()
    mark = lab.mail.log.mark()
    done = lab.mail.postern("patch", check=False)
    assert done.returncode == status, done
    for word in words:
        assert re.search(word, done.stderr), (word, done.stderr)
    patching.nothing_touched(lab.mail, before, mark)
    assert ports <= lab.mail.listening_ports()
    return done.stderr


def test_twin_port_of_another_service_is_refused(release, postern_built):
    with started(release, amavis=True) as lab:
        lab.mail.configure_postern(mail_config.POSTERN
                                   + "postfix {\n  listener smtp { port = 10025 }\n}\n")
        refused(lab, r"10025", rf"\b{line_of(lab.mail, 'smtp      inet')}\b",
                rf"\b{line_of(lab.mail, '127.0.0.1:10025')}\b")


ADOPTED = {"smtp": "port = 12525", "submission": "", "submissions": ""}


def test_leftover_of_the_recipe_is_refused_then_adopted(lab, postern_built):
    recipe.apply_to_postfix(lab.mail)
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    said = refused(lab, r"adopt")
    pairs = (("smtp ", "12525 "), ("submission ", "10587 "), ("submissions ", "10465 "))
    assert any(all(re.search(rf"\b{line_of(lab.mail, start)}\b", said) for start in pair)
               for pair in pairs), said
    lab.mail.configure_postern(mail_config.POSTERN + "postfix {\n" + "".join(
        f"  listener {name} {{ {port} adopt = true }}\n" for name, port in ADOPTED.items())
        + "}\n")
    lab.mail.patch()
    entries = [entry for entry, _ in lab.mail.services()]
    assert len(entries) == len(set(entries)), entries
    assert "proxyprotocol" not in lab.mail.run(["postconf", "-M"]).stdout
    mark = lab.mail.log.mark()
    for port, header in ((25, b""), (12525, proxy_client.v1("198.51.100.5"))):
        with proxy_client.LineClient(lab.mail.connect(lab.mail.address(), port, None,
                                                      header)) as client:
            assert client.line().startswith("220")
    lab.mail.log.wait_for(evidence.screened("198.51.100.5"), mark)
    lab.mail.postern("revert")
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []


@pytest.mark.parametrize("address", ["0.0.0.0", "10.77.0.10", "::"])
@pytest.mark.parametrize("port", [10587, 10143])
def test_foreign_listener_on_a_twin_port_is_refused(lab, postern_built, address, port):
    foreign = lab.mail.listen(address, port)
    try:
        refused(lab, str(port))
    finally:
        foreign.close()
    for service in ("submission", "imap"):
        patching.log_in(lab, service, lab.client, lab.mail.address(), mailhost.STOCK_PORTS[service])
    lab.mail.patch()
    assert patching.TWINS <= lab.mail.listening_ports()


# -- a server that says no

JUDGES = {
    "dovecot": ("/usr/bin/doveconf", "_proxied"),
    "postfix": ("/usr/sbin/postconf", "postern_twin_of"),
}


def test_doveconf_is_found_where_dovecots_own_image_has_it(idle_lab, postern_built):
    idle_lab.mail.shell("mkdir -p /dovecot/bin && mv /usr/bin/doveconf /dovecot/bin/")
    idle_lab.mail.write("/etc/dovecot/conf.d/99-mistake.conf", "no_such_setting = 1\n")
    refused(idle_lab, r"doveconf does not accept the configuration: .*no_such_setting")


@pytest.mark.parametrize("server", JUDGES)
def test_rejected_configuration_is_rolled_back_with_the_servers_words(lab, postern_built, server):
    """The server's own tool, made to refuse what postern adds and nothing else."""
    tool, mark_in_output = JUDGES[server]
    lab.mail.shell(f"mv {tool} {tool}.real")
    lab.mail.write(tool, f"""#!/bin/sh
out=$({tool}.real "$@" 2>&1)
status=$?
case $out in
*{mark_in_output}*)
    echo "lab: fatal: no such thing is allowed here" >&2
    exit 89 ;;
esac
printf '%s\\n' "$out"
exit $status
""", 0o755)
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    done = lab.mail.postern("patch", check=False)
    assert done.returncode == 1, done
    assert "no such thing is allowed here" in done.stderr, done
    after = lab.mail.snapshot(*mailhost.CONFIGURATION)
    own = [said for said in files.differences(before, after) if f"/etc/{server}" in said]
    assert own == []
    lab.mail.shell(f"mv {tool}.real {tool}")
    for service in mailhost.STOCK_PORTS:
        patching.log_in(lab, service, lab.client, lab.mail.address(), mailhost.STOCK_PORTS[service])
    lab.mail.patch()
    assert patching.TWINS <= lab.mail.listening_ports()


def logs_in_again(lab, service, port):
    """A connection in the moment of a reload may meet a process of the old generation that ends."""
    def tried():
        patching.log_in(lab, service, lab.client, lab.mail.address(), port)
        return True
    wait.until(tried, f"a log-in on port {port}", passing=(OSError, smtplib.SMTPException))


def test_twin_that_does_not_answer_is_taken_back(lab, postern_built):
    """The tools find nothing wrong, and then the twin's smtpd ends as soon as it starts."""
    text = lab.mail.read(mailhost.MASTER_CF)
    option = "  -o { smtpd_timeout = ${smtpd_upstream_proxy_protocol?{never}:{300s}} }\n"
    name = "  -o syslog_name=postfix/submission\n"
    lab.mail.write(mailhost.MASTER_CF, text.replace(name, name + option, 1))
    lab.mail.reload_postfix()
    before = lab.mail.snapshot("/etc/postfix")
    done = lab.mail.postern("patch", check=False)
    assert done.returncode == 1, done
    assert "10587" in done.stderr, done
    assert files.differences(before, lab.mail.snapshot("/etc/postfix")) == []
    lab.mail.wait_closed(mailhost.POSTFIX_TWINS.values())
    logs_in_again(lab, "submissions", 465)
    logs_in_again(lab, "smtp", 25)


def test_broken_dovecot_configuration_is_not_reloaded(lab, postern_built):
    lab.mail.write("/etc/dovecot/conf.d/99-broken.conf", "no_such_setting_at_all = yes\n")
    before = lab.mail.snapshot("/etc/dovecot")
    mark = lab.mail.log.mark()
    done = lab.mail.postern("patch", check=False)
    assert done.returncode == 1, done
    assert "no_such_setting_at_all" in done.stderr, done
    assert files.differences(before, lab.mail.snapshot("/etc/dovecot")) == []
    assert not lab.mail.log.find(r"dovecot: master: .*SIGHUP", mark)
    patching.log_in(lab, "imap", lab.client, lab.mail.address(), 143)


def test_what_breaks_while_it_is_judged_is_judged_again(lab, postern_built):
    """The verdict was on another configuration than the one that Dovecot would read."""
    mistake = "/etc/dovecot/conf.d/99-broken.conf"
    postern.change_while_judged(lab.mail, mistake, "no_such_setting_at_all = yes\n")
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    mark = lab.mail.log.mark()
    done = lab.mail.postern("patch", check=False)
    assert done.returncode == 1, done
    assert "no_such_setting_at_all" in done.stderr, done
    assert lab.mail.exists(mistake)
    lab.mail.shell(f"rm {mistake}")
    patching.nothing_touched(lab.mail, before, mark)


# -- bad input

BAD_SETTINGS = {
    "no trusted networks": ("port-offset = 10000\n", r"trusted-networks"),
    "bad network": ('\ntrusted-networks = { "10.77.0.0/33" }\n',
                    r"postern\.conf:2\b.*10\.77\.0\.0/33"),
    "not a network": ('trusted-networks = { "pod-network" }\n', r"postern\.conf:1\b.*pod-network"),
    "port 0": (mail_config.POSTERN + "postfix {\n  listener smtp { port = 0 }\n}\n",
               r"postern\.conf:3\b"),
    "port 70000": (mail_config.POSTERN + "postfix {\n  listener smtp { port = 70000 }\n}\n",
                   r"postern\.conf:3\b.*70000"),
    "unknown key": (mail_config.POSTERN + "prot-offset = 10000\n",
                    r"postern\.conf:2\b.*prot-offset"),
    "unclosed block": (mail_config.POSTERN + "postfix {\n  listener smtp {\n",
                       r"postern\.conf:\d+"),
    "two listeners on one port": (
        mail_config.POSTERN + "postfix {\n  listener smtp { port = 10587 }\n}\n", r"10587"),
    "any network": ('trusted-networks = { "0.0.0.0/0" }\n', r"allow-any-network"),
}


@pytest.fixture(scope="module")
def untouched(release, postern_built):
    """One lab for all that is refused: it has to stay as it is."""
    with started(release) as running:
        yield running


@pytest.mark.parametrize("text, pattern", BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_bad_settings_are_refused(untouched, text, pattern):
    untouched.mail.configure_postern(text)
    refused(untouched, pattern, status=2)


def test_master_cf_entry_with_missing_fields_is_refused(lab, postern_built):
    lab.mail.write(mailhost.MASTER_CF, lab.mail.read(mailhost.MASTER_CF) + "broken inet n - n\n")
    line = line_of(lab.mail, "broken")
    refused(lab, rf"master\.cf:{line}\b", r"broken inet n - n")


@pytest.mark.parametrize("arguments", [["patsch"], ["patch", "--no-such-option"], []])
def test_wrong_usage_exits_2(untouched, arguments):
    assert untouched.mail.postern(*arguments, check=False).returncode == 2


def test_help_and_version(untouched):
    text = untouched.mail.run([mailhost.POSTERN, "--help"]).stdout
    for command in ("patch", "check", "revert", "probe"):
        assert re.search(rf"^\s*{command}\b", text, re.M), text
    assert re.search(r"\d+\.\d+", untouched.mail.run([mailhost.POSTERN, "version"]).stdout)


def test_output_has_colours_only_on_a_terminal(untouched):
    untouched.mail.configure_postern(mail_config.POSTERN)
    said = untouched.mail.postern("check", check=False)
    assert "\x1b" not in said.stdout + said.stderr
