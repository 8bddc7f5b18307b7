# SPDX-License-Identifier: MIT
"""`postern patch`, `check`, `probe` and `revert` on live servers."""
import contextlib
import json
import re
import smtplib

import pytest

from lab import (TRUSTED, evidence, files, mail_clients, mail_config, mailhost, proxy_client,
                 recipe, started, wait)

SERVICES = list(mailhost.TWIN_PORTS)
IPV4_CLIENT, IPV6_CLIENT = "198.51.100.1", "2001:db8:1::1"
# A v1 or v2 header of either family, and LOCAL, for which the connection's own address counts.
# The balancer's address for what it says by hand: HAProxy and nginx speak from others.
BALANCER_ADDRESS = "10.77.0.22"
CAME_FROM_BALANCER = r"(?:\brip=|from \S*\[)(?:10\.77\.0\.2[01]|fd77::2[01])\b"
HEADERS = {
    "v1-ipv4": (proxy_client.v1("198.51.100.2"), "198.51.100.2"),
    "v1-ipv6": (proxy_client.v1("2001:db8:1::2"), "2001:db8:1::2"),
    "v2-ipv4": (proxy_client.v2("198.51.100.3"), "198.51.100.3"),
    "v2-ipv6": (proxy_client.v2("2001:db8:1::3"), "2001:db8:1::3"),
    "v2-local": (proxy_client.v2_local(), BALANCER_ADDRESS),
}
TWINS = set(mailhost.TWIN_PORTS.values())
RELOADED = "|".join(mailhost.RELOADED.values())
NOTHING_TO_DO = r"(?i)nothing|no change|unchanged|up to date|already"


@contextlib.contextmanager
def open_twin(lab, service, header, port=None):
    """A conversation with a twin, after TLS where TLS comes first; the balancer speaks."""
    sock = lab.balancer.connect(lab.mail.address(), port or mailhost.TWIN_PORTS[service],
                                BALANCER_ADDRESS, header)
    if service in mailhost.IMPLICIT_TLS:
        sock = lab.mail.tls_context().wrap_socket(sock)
    with proxy_client.LineClient(sock) as client:
        yield client


def is_greeting(line):
    return bool(line) and re.match(r'220|\* OK|\+OK|"IMPLEMENTATION"', line) is not None


def log_in(lab, service, host, address, port, source=None):
    sock = host.connect(address, port, source)
    return mail_clients.use(service, sock, mail_config.USER, mail_config.PASSWORD,
                            lab.mail.tls_context())


def logs_in_again(lab, service, port):
    """A connection in the moment of a reload may meet a process of the old generation that ends."""
    def tried():
        log_in(lab, service, lab.client, lab.mail.address(), port)
        return True
    wait.until(tried, f"a log-in on port {port}", passing=(OSError, smtplib.SMTPException))


def nothing_touched(mail, before, mark):
    assert files.differences(before, mail.snapshot(*mailhost.CONFIGURATION), strict=True) == []
    assert not mail.log.find(RELOADED, mark)


# -- the twins

@pytest.mark.parametrize("kind", HEADERS)
@pytest.mark.parametrize("service", SERVICES)
def test_twin_takes_header(patched, service, kind):
    header, address = HEADERS[kind]
    mark = patched.mail.log.mark()
    with open_twin(patched, service, header) as client:
        assert is_greeting(client.line()), client.heard
    if service == "smtp":
        patched.mail.log.wait_for(evidence.screened(address), mark)
    elif service in mailhost.POSTFIX_TWINS:
        patched.mail.log.wait_for(evidence.seen_on_twin(service, address), mark)
    else:
        program = evidence.dovecot_program(service)
        patched.mail.log.wait_for(rf"{program}: .*\brip={re.escape(address)},", mark)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("proxy", ["haproxy", "nginx"])
@pytest.mark.parametrize("service", SERVICES)
def test_real_client_through_balancer(patched, service, proxy, family):
    public = {"haproxy": patched.balancer.haproxy_address,
              "nginx": patched.balancer.nginx_address}[proxy](family)
    address = IPV4_CLIENT if family == 4 else IPV6_CLIENT
    mark = patched.mail.log.mark()
    log_in(patched, service, patched.client, public, mailhost.STOCK_PORTS[service])
    patched.mail.log.wait_for(evidence.seen_on_twin(service, address), mark)
    assert not patched.mail.log.find(CAME_FROM_BALANCER, mark)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("service", SERVICES)
def test_stock_port_works_without_header(patched, service, family):
    mark = patched.mail.log.mark()
    log_in(patched, service, patched.client, patched.mail.address(family),
           mailhost.STOCK_PORTS[service])
    address = IPV4_CLIENT if family == 4 else IPV6_CLIENT
    patched.mail.log.wait_for(evidence.seen_on_stock(service, address), mark)


def test_stock_port_takes_no_header(patched):
    header = proxy_client.v1("203.0.113.5")
    mark = patched.mail.log.mark()
    with open_twin(patched, "submission", header, port=587) as client:
        said = [client.reply(), client.reply()]
    # Postfix 3.10 says no at once to whoever talks before the greeting, 3.7 to the first command.
    assert not all(reply and reply.startswith("2") for reply in said), said
    assert not patched.mail.log.find(r"connect from \S*\[203\.0\.113\.5", mark)


@pytest.mark.parametrize("first", ["nothing", "garbage"])
def test_twin_refuses_who_sends_no_header(patched, first):
    """All twins at once: each takes some seconds to lose its patience."""
    header = proxy_client.garbage() if first == "garbage" else b""
    clients = {}
    with contextlib.ExitStack() as stack:
        for service, port in mailhost.TWIN_PORTS.items():
            sock = patched.balancer.connect(patched.mail.address(), port, BALANCER_ADDRESS, header)
            clients[service] = stack.enter_context(proxy_client.LineClient(sock))
        for service, client in clients.items():
            line = client.line()
            assert line is None or line.startswith("421"), (service, line)


def test_v1_unknown_is_refused_or_served_but_never_as_somebody(patched):
    """Postfix refuses UNKNOWN; Dovecot serves it as the connection that it is."""
    for service in ("smtp", "submission"):
        with open_twin(patched, service, proxy_client.v1_unknown()) as client:
            assert client.line().startswith("421"), service
    mark = patched.mail.log.mark()
    with open_twin(patched, "imap", proxy_client.v1_unknown()) as client:
        assert is_greeting(client.line())
    patched.mail.log.wait_for(rf"imap-login: .*\brip={re.escape(BALANCER_ADDRESS)},", mark)


# -- the other commands on a patched host

def test_probe_finds_every_twin_well(patched):
    said = patched.mail.postern("probe").stdout
    for port in TWINS:
        assert str(port) in said, said
    answers = json.loads(patched.mail.postern("probe", "--json").stdout)
    text = json.dumps(answers)
    for port in TWINS:
        assert str(port) in text, text


def test_check_of_a_patched_host(patched):
    before = patched.mail.snapshot(*mailhost.CONFIGURATION)
    mark = patched.mail.log.mark()
    said = patched.mail.postern("check").stdout
    for port in TWINS:
        assert str(port) in said, said
    assert re.search(r"(?i)gate", said), said
    json.loads(patched.mail.postern("check", "--json").stdout)
    patched.mail.postern("patch", "--check")
    nothing_touched(patched.mail, before, mark)


def test_twins_of_loopback_only_services_are_not_made(release, postern_built):
    with started(release, amavis=True) as lab:
        lab.mail.patch()
        twins = [line for _, line in lab.mail.services() if "postern_twin_of" in line]
        assert len([line for line in twins if " inet " in line]) == 3, twins
        assert len([line for line in twins if " pass " in line]) == 1, twins
        assert {("127.0.0.1", 10025)} == {l for l in lab.mail.listeners() if l[1] == 10025}


def test_dovecot_deprecated_sieve_port_gets_no_twin(patched):
    assert 12000 not in patched.mail.listening_ports()


# -- patching and taking it back

def test_second_patch_does_nothing_and_says_so(lab, postern_built):
    lab.mail.patch()
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    mark = lab.mail.log.mark()
    done = lab.mail.patch()
    assert re.search(NOTHING_TO_DO, done.stdout + done.stderr), done
    nothing_touched(lab.mail, before, mark)


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
    assert TWINS <= lab.mail.listening_ports()
    lab.mail.postern("revert")
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    lab.mail.wait_closed(TWINS)
    assert lab.mail.listening_ports() == ports
    log_in(lab, "submission", lab.client, lab.mail.address(), 587)
    log_in(lab, "imap", lab.client, lab.mail.address(), 143)


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
    nothing_touched(lab.mail, before, mark)


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
    nothing_touched(lab.mail, before, mark)


def test_no_reload_writes_only(lab, postern_built):
    mark = lab.mail.log.mark()
    lab.mail.patch("--no-reload")
    assert "postern_twin_of" in lab.mail.read(mailhost.MASTER_CF)
    assert not lab.mail.log.find(RELOADED, mark)
    assert not TWINS & lab.mail.listening_ports()
    lab.mail.postern("revert", "--no-reload")
    assert not lab.mail.log.find(RELOADED, mark)


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
    assert TWINS <= lab.mail.listening_ports()


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
    log_in(lab, "imap", lab.client, lab.mail.address(), 143)


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
    assert TWINS <= lab.mail.listening_ports()
    lab.mail.postern("revert", config=None, env={"POSTERN_TRUSTED_NETWORKS": " ".join(TRUSTED)})
    lab.mail.wait_closed(TWINS)


def test_in_place_mode(lab, postern_built):
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    lab.mail.configure_postern(mail_config.POSTERN + 'mode = "in-place"\n')
    lab.mail.patch()
    assert not TWINS & lab.mail.listening_ports()
    for service, port in mailhost.STOCK_PORTS.items():
        sock = lab.mail.connect("127.0.0.1", port, "127.0.0.1", proxy_client.v2("198.51.100.4"))
        if service in mailhost.IMPLICIT_TLS:
            sock = lab.mail.tls_context().wrap_socket(sock)
        with proxy_client.LineClient(sock) as client:
            assert is_greeting(client.line()), service
    lab.mail.log.wait_for(r"submission\S*/smtpd\[\d+\]: connect from \S*\[198\.51\.100\.4\]")
    again = lab.mail.patch()
    assert re.search(NOTHING_TO_DO, again.stdout + again.stderr), again
    lab.mail.postern("revert")
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    log_in(lab, "submission", lab.client, lab.mail.address(), 587)
    log_in(lab, "imap", lab.client, lab.mail.address(), 143)


# -- servers that are absent or at rest

def test_servers_at_rest_files_are_written_and_nothing_reloaded(idle_lab, postern_built):
    done = idle_lab.mail.patch()
    assert re.search(r"(?i)not running", done.stdout + done.stderr), done
    assert "postern_twin_of" in idle_lab.mail.read(mailhost.MASTER_CF)
    assert idle_lab.mail.exists(mailhost.DROP_IN)
    idle_lab.mail.start_servers()
    idle_lab.mail.wait_listening(TWINS)


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
    assert TWINS & idle_lab.mail.listening_ports() == expected
    idle_lab.mail.postern("revert")
    idle_lab.mail.wait_closed(TWINS)


def test_stale_pid_file_is_not_signalled(idle_lab, postern_built):
    """The number in the pid file is another program's by now."""
    sleeper = idle_lab.mail.spawn(["sleep", "600"])
    for pid_file in (mailhost.POSTFIX_PID, mailhost.DOVECOT_PID):
        idle_lab.mail.write(pid_file, f"{sleeper.inner_pid:>10}\n")
    done = idle_lab.mail.patch()
    assert re.search(r"(?i)not running", done.stdout + done.stderr), done
    assert sleeper.running


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
    nothing_touched(lab.mail, before, mark)
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
        log_in(lab, service, lab.client, lab.mail.address(), mailhost.STOCK_PORTS[service])
    lab.mail.patch()
    assert TWINS <= lab.mail.listening_ports()


# -- a server that says no

JUDGES = {
    "dovecot": ("/usr/bin/doveconf", "_proxied"),
    "postfix": ("/usr/sbin/postconf", "postern_twin_of"),
}


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
    for service in SERVICES:
        log_in(lab, service, lab.client, lab.mail.address(), mailhost.STOCK_PORTS[service])
    lab.mail.patch()
    assert TWINS <= lab.mail.listening_ports()


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


def test_two_patches_at_once(lab, postern_built):
    command = [mailhost.POSTERN, "--config", mailhost.POSTERN_CONF, "patch"]
    for process in [lab.mail.spawn(command) for _ in range(4)]:
        assert process.wait() == 0, process.output
    entries = [entry for entry, _ in lab.mail.services()]
    assert len(entries) == len(set(entries)), entries
    assert TWINS <= lab.mail.listening_ports()
    done = lab.mail.patch()
    assert re.search(NOTHING_TO_DO, done.stdout + done.stderr), done


def test_logs_can_be_json(lab, postern_built):
    done = lab.mail.run([mailhost.POSTERN, "--config", mailhost.POSTERN_CONF,
                         "--log-format", "json", "patch"])
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert lines and all(isinstance(line, dict) for line in lines), done


def test_broken_dovecot_configuration_is_not_reloaded(lab, postern_built):
    lab.mail.write("/etc/dovecot/conf.d/99-broken.conf", "no_such_setting_at_all = yes\n")
    before = lab.mail.snapshot("/etc/dovecot")
    mark = lab.mail.log.mark()
    done = lab.mail.postern("patch", check=False)
    assert done.returncode == 1, done
    assert "no_such_setting_at_all" in done.stderr, done
    assert files.differences(before, lab.mail.snapshot("/etc/dovecot")) == []
    assert not lab.mail.log.find(r"dovecot: master: .*SIGHUP", mark)
    log_in(lab, "imap", lab.client, lab.mail.address(), 143)


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


def test_what_was_not_reloaded_is_made_good(lab, postern_built):
    """A run that was told not to reload, or was killed before it, leaves work for the next."""
    lab.mail.patch("--no-reload")
    assert not TWINS & lab.mail.listening_ports()
    done = lab.mail.postern("check")
    assert "closed" in done.stdout, done
    done = lab.mail.patch()
    assert TWINS <= lab.mail.listening_ports(), done
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


def test_twin_ports_are_closed_when_revert_returns(lab, postern_built):
    lab.mail.patch()
    lab.mail.postern("revert")
    assert not TWINS & lab.mail.listening_ports()


def test_broken_settings_do_not_stop_revert(lab, postern_built):
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    lab.mail.patch()
    lab.mail.configure_postern("no-such-key = {\n")
    lab.mail.postern("revert")
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    assert not TWINS & lab.mail.listening_ports()
