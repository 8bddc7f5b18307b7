# SPDX-License-Identifier: MIT
"""`postern patch` and `revert` on live servers."""
import json
import re

import pytest

import patching
from lab import TRUSTED, files, mail_clients, mail_config, mailhost, postern, proxy_client

NOTHING_TO_DO = r"(?i)nothing|no change|unchanged|up to date|already"


def test_second_patch_does_nothing_and_says_so(lab, postern_built):
    lab.mail.patch()
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    mark = lab.mail.log.mark()
    done = lab.mail.patch()
    assert re.search(NOTHING_TO_DO, done.stdout + done.stderr), done
    patching.nothing_touched(lab.mail, before, mark)


def no_final_newline(mail):
    mail.write(mailhost.MASTER_CF, mail.read(mailhost.MASTER_CF).rstrip("\n"))


def dos_lines(mail):
    """A comment with CRLF: whole entries with it are refused by Postfix itself."""
    text = mail.read(mailhost.MASTER_CF)
    mail.write(mailhost.MASTER_CF, text.replace("\n# traces", "\r\n# traces") + "\n\n# end\r\n")


def other_owner(mail):
    mail.shell(f"chown 1:1 {mailhost.MASTER_CF}; chmod 604 {mailhost.MASTER_CF}")


def as_shipped(mail):
    del mail


@pytest.mark.parametrize("prepare", [as_shipped, no_final_newline, dos_lines, other_owner])
def test_patch_then_revert_leaves_every_file_as_it_was(lab, postern_built, prepare):
    prepare(lab.mail)
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    ports = lab.mail.listening_ports()
    lab.mail.patch()
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) != []
    assert patching.TWINS <= lab.mail.listening_ports()
    lab.mail.postern("revert")
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    lab.mail.wait_closed(patching.TWINS)
    assert lab.mail.listening_ports() == ports
    patching.log_in(lab, "submission", lab.client, lab.mail.address(), 587)
    patching.log_in(lab, "imap", lab.client, lab.mail.address(), 143)


def test_mode_and_owner_of_a_patched_file_stay(lab, postern_built):
    other_owner(lab.mail)
    lab.mail.patch()
    state = lab.mail.snapshot(mailhost.MASTER_CF)[mailhost.MASTER_CF]
    assert (state.mode & 0o7777, state.uid, state.gid) == (0o604, 1, 1)


def test_revert_of_an_unpatched_host_does_nothing(lab, postern_built):
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    mark = lab.mail.log.mark()
    done = lab.mail.postern("revert")
    assert re.search(NOTHING_TO_DO, done.stdout + done.stderr), done
    patching.nothing_touched(lab.mail, before, mark)


def test_dry_run_prints_a_diff_and_check_exits_1(lab, postern_built):
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    mark = lab.mail.log.mark()
    for option, status in (("--dry-run", 0), ("--check", 1)):
        done = lab.mail.postern("patch", option, check=False)
        assert done.returncode == status, (option, done)
        assert re.search(r"^\+\+\+ .*master\.cf", done.stdout, re.M), (option, done)
        assert re.search(r"^\+.*postern_twin_of=submission\b", done.stdout, re.M), (option, done)
        assert re.search(r"^\+\+\+ .*95-postern\.conf", done.stdout, re.M), (option, done)
        assert not re.search(r"^-[^-]", done.stdout, re.M), "removes a line"
    patching.nothing_touched(lab.mail, before, mark)


def test_no_reload_writes_only(lab, postern_built):
    mark = lab.mail.log.mark()
    lab.mail.patch("--no-reload")
    assert "postern_twin_of" in lab.mail.read(mailhost.MASTER_CF)
    assert not lab.mail.log.find(patching.RELOADED, mark)
    assert not patching.TWINS & lab.mail.listening_ports()
    lab.mail.postern("revert", "--no-reload")
    assert not lab.mail.log.find(patching.RELOADED, mark)


def test_sessions_in_progress_survive(lab, postern_built):
    tls = lab.mail.tls_context()
    smtp = mail_clients.Smtp(lab.client.connect(lab.mail.address(), 587))
    smtp.starttls(context=tls)
    smtp.login(mail_config.USER, mail_config.PASSWORD)
    imap = mail_clients.Imap(lab.client.connect(lab.mail.address(), 993), tls)
    imap.login(mail_config.USER, mail_config.PASSWORD)
    lab.mail.patch()
    assert smtp.noop()[0] == 250
    smtp.sendmail(mail_config.USER, [mail_config.USER],
                  mail_clients.message(mail_config.USER, mail_config.USER))
    assert imap.noop()[0] == "OK"
    lab.mail.postern("revert")
    assert smtp.noop()[0] == 250
    assert imap.noop()[0] == "OK"


def test_twins_are_open_when_patch_returns(lab, postern_built):
    lab.mail.patch()
    assert patching.TWINS <= lab.mail.listening_ports()


def test_twins_follow_their_stock_entries(lab, postern_built):
    lab.mail.patch()
    lab.mail.age_main_cf()
    lab.mail.shell("postconf -P submission/inet/smtpd_client_connection_count_limit=7; "
                   "postconf -MX submissions/inet")
    lab.mail.patch()
    said = lab.mail.run(["postconf", "-P", "10587/inet/smtpd_client_connection_count_limit"]).stdout
    assert said.split()[-1] == "7", said
    assert "10465/inet" not in [entry for entry, _ in lab.mail.services()]
    ports = lab.mail.listening_ports()
    assert 10587 in ports and 10465 not in ports


@pytest.mark.parametrize("option", [
    "-o { smtpd_forbidden_commands = postern_twin_of }",
    "-o lab_note=${postern_twin_of}",
])
def test_stock_entry_that_only_mentions_the_mark_is_kept(idle_lab, postern_built, option):
    name = "  -o syslog_name=postfix/submission\n"
    text = idle_lab.mail.read(mailhost.MASTER_CF)
    assert name in text
    idle_lab.mail.write(mailhost.MASTER_CF, text.replace(name, f"{name}  {option}\n", 1))
    before = idle_lab.mail.services()
    idle_lab.mail.patch("--no-reload")
    after = idle_lab.mail.services()
    assert [entry for entry in before if entry not in after] == []
    assert "10587/inet" in dict(after)


def test_listener_of_an_absent_protocol_is_skipped_and_said(lab, release, postern_built):
    if release == "bookworm":
        lab.mail.remove("/usr/share/dovecot/protocols.d/pop3d.protocol")
    else:
        lab.mail.write("/etc/dovecot/conf.d/96-no-pop3.conf", "protocols {\n  pop3 = no\n}\n")
    lab.mail.restart_dovecot_without({"pop3", "pop3s"})
    done = lab.mail.patch()
    assert re.search(r"(?i)pop3", done.stdout + done.stderr), done
    assert not {10110, 10995} & lab.mail.listening_ports()
    assert {10143, 10993, 14190} <= lab.mail.listening_ports()
    patching.log_in(lab, "imap", lab.client, lab.mail.address(), 143)


def test_trusted_networks_set_elsewhere_are_merged(lab, postern_built):
    """In local.conf, which Dovecot reads after conf.d: where docker-mailserver puts the user's."""
    lab.mail.write("/etc/dovecot/local.conf", "haproxy_trusted_networks = 192.0.2.0/24\n")
    lab.mail.run(["doveadm", "reload"])
    lab.mail.patch()
    value = re.search(r"^haproxy_trusted_networks = (.*)$", lab.mail.doveconf(), re.M)[1]
    for network in (*TRUSTED, "192.0.2.0/24", "127.0.0.1/32", "::1/128"):
        assert network in re.split(r"[ ,]+", value), value


def test_trusted_networks_from_the_environment(lab, postern_built):
    lab.mail.remove(mailhost.POSTERN_CONF)
    lab.mail.postern("patch", config=None, env={"POSTERN_TRUSTED_NETWORKS": ",".join(TRUSTED)})
    assert patching.TWINS <= lab.mail.listening_ports()
    lab.mail.postern("revert", config=None, env={"POSTERN_TRUSTED_NETWORKS": " ".join(TRUSTED)})
    lab.mail.wait_closed(patching.TWINS)


def test_in_place_mode(lab, postern_built):
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    lab.mail.configure_postern(mail_config.POSTERN + 'mode = "in-place"\n')
    lab.mail.patch()
    assert not patching.TWINS & lab.mail.listening_ports()
    for service, port in mailhost.STOCK_PORTS.items():
        sock = lab.mail.connect("127.0.0.1", port, "127.0.0.1", proxy_client.v2("198.51.100.4"))
        if service in mailhost.IMPLICIT_TLS:
            sock = lab.mail.tls_context().wrap_socket(sock)
        with proxy_client.LineClient(sock) as client:
            assert postern.is_greeting(client.line()), service
    lab.mail.log.wait_for(r"submission\S*/smtpd\[\d+\]: connect from \S*\[198\.51\.100\.4\]")
    again = lab.mail.patch()
    assert re.search(NOTHING_TO_DO, again.stdout + again.stderr), again
    lab.mail.postern("revert")
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    patching.log_in(lab, "submission", lab.client, lab.mail.address(), 587)
    patching.log_in(lab, "imap", lab.client, lab.mail.address(), 143)


def test_twin_ports_are_closed_when_revert_returns(lab, postern_built):
    lab.mail.patch()
    lab.mail.postern("revert")
    assert not patching.TWINS & lab.mail.listening_ports()


def test_broken_settings_do_not_stop_revert(lab, postern_built):
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    lab.mail.patch()
    lab.mail.configure_postern("no-such-key = {\n")
    lab.mail.postern("revert")
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    assert not patching.TWINS & lab.mail.listening_ports()


def test_two_patches_at_once(lab, postern_built):
    command = [mailhost.POSTERN, "--config", mailhost.POSTERN_CONF, "patch"]
    for process in [lab.mail.spawn(command) for _ in range(4)]:
        assert process.wait() == 0, process.output
    entries = [entry for entry, _ in lab.mail.services()]
    assert len(entries) == len(set(entries)), entries
    assert patching.TWINS <= lab.mail.listening_ports()
    done = lab.mail.patch()
    assert re.search(NOTHING_TO_DO, done.stdout + done.stderr), done


def test_logs_can_be_json(lab, postern_built):
    done = lab.mail.run([mailhost.POSTERN, "--config", mailhost.POSTERN_CONF,
                         "--log-format", "json", "patch"])
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines and all(isinstance(line, dict) for line in lines), done


# -- what an earlier run left

def test_what_was_not_reloaded_is_made_good(lab, postern_built):
    """A run that was told not to reload, or was killed before it, leaves work for the next."""
    lab.mail.patch("--no-reload")
    assert not patching.TWINS & lab.mail.listening_ports()
    done = lab.mail.postern("check")
    assert "closed" in done.stdout, done
    done = lab.mail.patch()
    assert patching.TWINS <= lab.mail.listening_ports(), done
    done = lab.mail.patch()
    assert re.search(NOTHING_TO_DO, done.stdout + done.stderr), done


def test_changed_option_that_was_not_reloaded_is_made_good(lab, postern_built):
    """The ports are open already: only the mark that the first run left tells."""
    lab.mail.patch()
    lab.mail.configure_postern(mail_config.POSTERN.replace("fd77::/64", "fd77::/48"))
    lab.mail.patch("--no-reload")
    mark = lab.mail.log.mark()
    done = lab.mail.patch()
    assert not re.search(NOTHING_TO_DO, done.stdout + done.stderr), done
    lab.mail.log.wait_for(r"dovecot: master: .*SIGHUP", mark)
    done = lab.mail.patch()
    assert re.search(NOTHING_TO_DO, done.stdout + done.stderr), done


# -- servers that are absent or at rest

def test_servers_at_rest_files_are_written_and_nothing_reloaded(idle_lab, postern_built):
    done = idle_lab.mail.patch()
    assert re.search(r"(?i)not running", done.stdout + done.stderr), done
    assert "postern_twin_of" in idle_lab.mail.read(mailhost.MASTER_CF)
    assert idle_lab.mail.exists(mailhost.DROP_IN)
    idle_lab.mail.start_servers()
    idle_lab.mail.wait_listening(patching.TWINS)


@pytest.mark.parametrize("absent", ["postfix", "dovecot"])
def test_absent_server_is_said_and_the_other_is_patched(idle_lab, postern_built, absent):
    idle_lab.mail.shell(f"rm -rf /etc/{absent}; rm -f /usr/sbin/{absent}")
    if absent == "postfix":
        idle_lab.mail.shell("rm -f /usr/sbin/postconf; rm -rf /usr/lib/postfix /var/spool/postfix")
        idle_lab.mail.start_dovecot()
        expected = set(mailhost.DOVECOT_TWINS.values())
    else:
        idle_lab.mail.shell("rm -f /usr/bin/doveconf /usr/bin/doveadm")
        idle_lab.mail.start_postfix()
        expected = set(mailhost.POSTFIX_TWINS.values())
    done = idle_lab.mail.patch()
    assert re.search(rf"(?i){absent}", done.stdout + done.stderr), done
    assert patching.TWINS & idle_lab.mail.listening_ports() == expected
    idle_lab.mail.postern("revert")
    idle_lab.mail.wait_closed(patching.TWINS)


def test_stale_pid_file_is_not_signalled(idle_lab, postern_built):
    """The number in the pid file is another program's by now."""
    sleeper = idle_lab.mail.spawn(["sleep", "600"])
    for pid_file in (mailhost.POSTFIX_PID, mailhost.DOVECOT_PID):
        idle_lab.mail.write(pid_file, f"{sleeper.inner_pid:>10}\n")
    done = idle_lab.mail.patch()
    assert re.search(r"(?i)not running", done.stdout + done.stderr), done
    assert sleeper.running
