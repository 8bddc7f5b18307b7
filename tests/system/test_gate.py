# SPDX-License-Identifier: MIT
"""The gate: nobody but the trusted networks and the host itself reaches a twin."""
import select
import signal

import pytest

from lab import gate, host, mailhost, postern, processes, proxy_client, wait

TWINS = mailhost.TWIN_PORTS
PORTS = set(TWINS.values())
NETWORKS = {"10.77.0.0/24", "fd77::/64"}
CLIENTS = "198.51.100.0/24"
OUTSIDE = ("203.0.113.0/24", "2001:db8:66::/48")
WITHOUT = tuple(c for c in host.ENGINE_CAPABILITIES if c != "NET_ADMIN")
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])


# A table as Fail2ban has one.
OTHERS = """
    table inet f2b {
        chain input {
            tcp dport 25 accept
        }
    }
"""


def stands(mail, ports=None, networks=None):
    return (gate.exists(mail) and gate.ports(mail) == (ports or PORTS)
            and gate.networks(mail) == (networks or NETWORKS))


def wait_stands(mail, ports=None, networks=None):
    wait.until(lambda: stands(mail, ports, networks),
               lambda: f"the gate to be as wanted: {gate.ruleset(mail)}")


def said(done):
    return done.stderr


# -- who gets in

@FAMILIES
def test_untrusted_connections_are_not_even_taken(patched, family):
    """Not a byte of theirs is read: the connection is never made, to none of the twins."""
    address = patched.mail.address(family)
    before = gate.refused_packets(patched.mail)
    with gate.knocking(patched.outsider, [(address, port) for port in PORTS]) as sockets:
        ready = select.select([], sockets, [], gate.REFUSED_WITHIN_S)[1]
        assert not ready, [sock.getpeername() for sock in ready]
    assert gate.refused_packets(patched.mail) >= before + len(PORTS)


@FAMILIES
def test_trusted_connections_are_unaffected(patched, family):
    mail, address = patched.mail, patched.mail.address(family)
    claimed = "198.51.100.9" if family == 4 else "2001:db8:1::9"
    for service, port in TWINS.items():
        sock = patched.balancer.connect(address, port, first_bytes=proxy_client.v2(claimed))
        if service in mailhost.IMPLICIT_TLS:
            sock = mail.tls_context().wrap_socket(sock)
        with proxy_client.LineClient(sock) as client:
            assert postern.is_greeting(client.line()), service


@FAMILIES
def test_stock_ports_are_open_to_all(patched, family):
    for port in mailhost.STOCK_PORTS.values():
        assert gate.lets_in(patched.outsider, patched.mail.address(family), port)


def test_the_host_itself_gets_in(patched):
    """By loopback and by its own addresses, which is how it verifies and is probed."""
    for address in ("127.0.0.1", "::1", *patched.mail.addresses):
        source = address
        for port in PORTS:
            assert gate.lets_in(patched.mail, address, port, source), (address, port)


def test_a_loopback_address_from_outside_is_no_key(patched):
    """Whoever claims ::1 or 127.0.0.1 as the sender of packets comes by another interface."""
    rules = gate.rules(patched.mail, "input")
    assert rules[0][0]["match"]["left"] == {"meta": {"key": "iiftype"}}
    assert rules[0][0]["match"]["right"] == "loopback"


# -- the table

def test_patch_puts_it_up_and_says_so(lab, postern_built):
    done = lab.mail.patch()
    assert stands(lab.mail)
    assert "gate: only trusted networks and this host reach the ports" in said(done)
    assert "protection: gate: in force" in lab.mail.postern("check").stdout
    again = lab.mail.patch()
    assert "nothing to do" in said(again), said(again)


def test_it_stands_before_a_port_opens(idle_lab, postern_built):
    """As docker-mailserver's hook runs it: the servers start later."""
    idle_lab.mail.patch()
    assert stands(idle_lab.mail)


def test_check_tells_what_is_missing(lab, postern_built):
    mail = lab.mail
    assert "protection: gate: not in force yet" in mail.postern("check").stdout
    assert not gate.exists(mail)
    mail.patch()
    gate.nft(mail, "delete", "table", *gate.TABLE.split())
    assert mail.postern("patch", "--check", check=False).returncode == 1
    assert not gate.exists(mail)
    mail.patch()
    assert stands(mail)


TAMPERED = {
    "a rule more": "insert rule inet postern twins accept",
    "a rule more, first": "insert rule inet postern input accept",
    "no rules": "flush chain inet postern twins",
    "no rule for ports": "flush chain inet postern input",
    "no table": "delete table inet postern",
    "put to sleep": "add table inet postern { flags dormant; }",
    "everything flushed": "flush ruleset",
    "another hook": """delete table inet postern
        table inet postern {
            chain input { type filter hook output priority -10; policy accept; }
            chain twins { drop; }
        }""",
    "another network": """flush chain inet postern twins
        add rule inet postern twins ip saddr 203.0.113.0/24 accept
        add rule inet postern twins drop""",
}


@pytest.mark.parametrize("how", list(TAMPERED))
def test_patch_mends_it(patched, how):
    mail = patched.mail
    gate.nft(mail, "-f", "-", text=TAMPERED[how] + "\n")
    checked = mail.postern("patch", "--check", check=False)
    assert checked.returncode == 1 and "gate: not as wanted" in said(checked)
    done = mail.patch()
    assert stands(mail)
    assert not gate.lets_in(patched.outsider, mail.address(), 12525)
    assert "reload" not in said(done), "the servers have nothing to do with it"


@pytest.mark.parametrize("how", list(TAMPERED))
def test_a_running_postern_mends_it_at_once(lab, postern_built, how):
    running, _ = postern.begun(lab.mail, "resync = 0\n")
    gate.nft(lab.mail, "-f", "-", text=TAMPERED[how] + "\n")
    wait_stands(lab.mail)
    assert not running.errors()


def test_others_rules_make_no_work(lab, postern_built):
    """Fail2ban bans and unbans all day."""
    running, before = postern.begun(lab.mail, "resync = 0\n")
    gate.nft(lab.mail, "-f", "-", text=OTHERS)
    for _ in range(20):
        gate.nft(lab.mail, "add", "rule", "inet", "f2b", "input", "drop")
    assert running.look_at_all()["counts"]["looks"] <= before["counts"]["looks"] + 2


# -- what becomes of it

@FAMILIES
def test_networks_are_live(lab, postern_built, family):
    """A network that is trusted gets in, and one that is no more loses what it has."""
    mail, address = lab.mail, lab.mail.address(family)
    running, _ = postern.begun(mail)
    mail.configure_postern(postern.conf(networks=(*NETWORKS, *OUTSIDE)))
    wait_stands(mail, networks={*NETWORKS, *OUTSIDE})
    with lab.outsider.connect(address, 10143,
                              first_bytes=proxy_client.v2(lab.outsider.address(family))) as sock:
        client = proxy_client.LineClient(sock, timeout=wait.LIMIT_S)
        running.wait_current()
        assert client.line().startswith("* OK")
        mail.configure_postern(postern.conf())
        wait_stands(mail)
        client.send("a NOOP")
        assert client.silence(gate.REFUSED_WITHIN_S)
    assert not gate.lets_in(lab.outsider, address, 10143)


def test_moved_port(lab, postern_built):
    """The new one is guarded, and what is behind the old one is nobody's business any more."""
    running, _ = postern.begun(lab.mail)
    lab.mail.configure_postern(postern.conf(postern.twins_at(submission=20587, imap=20143)))
    running.wait_twins({**TWINS, "submission": 20587, "imap": 20143})
    wait_stands(lab.mail, (PORTS - {10587, 10143}) | {20587, 20143})


def test_in_place(lab, postern_built):
    """There the stock ports ask for a header, so these are guarded."""
    trusted = (*NETWORKS, CLIENTS)
    lab.mail.configure_postern(postern.conf('mode = "in-place"\n', trusted))
    lab.mail.patch()
    assert gate.ports(lab.mail) == set(mailhost.STOCK_PORTS.values())
    assert not gate.lets_in(lab.outsider, lab.mail.address(), 25)
    assert gate.lets_in(lab.client, lab.mail.address(), 25)


def test_rollback_puts_the_previous_one_back(lab, postern_built):
    mail = lab.mail
    mail.patch()
    before = gate.ruleset(mail)
    with mail.listen("10.77.0.10", 20587):
        # Postfix's judge does not see it; the port is taken, so the look is refused.
        mail.configure_postern(postern.conf(postern.twins_at(submission=20587)))
        assert mail.postern("patch", check=False).returncode == 1
    assert gate.ruleset(mail) == before


def test_failed_verification_puts_the_previous_one_back(lab, postern_built):
    """The new port is guarded meanwhile, and the old network list is back afterwards."""
    mail = lab.mail
    mail.patch()
    before = gate.ruleset(mail)
    # A firewall of somebody's that keeps even the host itself out of the new port.
    gate.nft(mail, "-f", "-", text="""
        table inet other {
            chain input {
                type filter hook input priority 0
                tcp dport 20143 reject with tcp reset
            }
        }
    """)
    mail.configure_postern(postern.conf(postern.twins_at(imap=20143), (*NETWORKS, OUTSIDE[0])))
    done = mail.postern("patch", check=False)
    assert done.returncode == 1
    assert "gate: the previous state is back" in said(done)
    gate.nft(mail, "delete", "table", "inet", "other")
    assert gate.ruleset(mail) == before


def test_revert_takes_it_away_and_nothing_else(lab, postern_built):
    mail = lab.mail
    gate.nft(mail, "-f", "-", text=OTHERS)
    before = gate.ruleset(mail)
    mail.patch()
    done = mail.postern("revert")
    assert gate.ruleset(mail) == before
    assert "gate: removed" in said(done)
    assert "nothing to do" in said(mail.postern("revert"))


def test_revert_of_files_alone_leaves_it(lab, postern_built):
    """The ports are open until the servers are told."""
    lab.mail.patch()
    lab.mail.postern("revert", "--no-reload")
    assert gate.ports(lab.mail) == PORTS
    assert not gate.lets_in(lab.outsider, lab.mail.address(), 10587)
    lab.mail.postern("revert")
    assert not gate.exists(lab.mail)


@pytest.mark.parametrize("options", [("--no-reload",), ()], ids=["files alone", "port that stays"])
def test_revert_without_networks_shuts_nobody_out(lab, postern_built, options):
    """As by hand without the variable that patch had: whom to let in is known to the table only."""
    mail, trusted = lab.mail, {*NETWORKS, CLIENTS}
    mail.configure_postern(postern.conf(networks=trusted))
    mail.patch()
    mail.configure_postern("no = configuration\n")
    mail.signal_master(mailhost.POSTFIX_PID, signal.SIGSTOP)
    try:
        mail.run([mailhost.POSTERN, "revert", *options], check=False)
        assert stands(mail, networks=trusted)
        assert gate.lets_in(lab.client, mail.address(), 10587)
        assert not gate.lets_in(lab.outsider, mail.address(), 10587)
    finally:
        mail.signal_master(mailhost.POSTFIX_PID, signal.SIGCONT)
    mail.wait_closed([10587] if not options else [])
    mail.postern("revert")
    assert not gate.exists(mail)


def test_switched_off_live(lab, postern_built):
    running, _ = postern.begun(lab.mail)
    assert stands(lab.mail)
    assert running.status()["protection"]["gate"] == "in force"
    assert "\npostern_gate_in_force 1\n" in running.get("/metrics")[1]
    lab.mail.configure_postern(postern.conf('gate = "off"\n'))
    wait.until(lambda: not gate.exists(lab.mail), "the gate to be gone")
    wait.until(lambda: running.status()["protection"]["gate"] == "off", "status to say so")


def test_a_server_that_cannot_be_read_stays_guarded(lab, postern_built):
    """What it has open nobody knows; the other one's twins go on being followed."""
    mail = lab.mail
    running, _ = postern.begun(mail)
    mail.write("/etc/dovecot/dovecot.conf", mail.read("/etc/dovecot/dovecot.conf") + "\nbroken {\n")
    wait.until(lambda: not postern.is_current(running.status()), "the refusal")
    mail.configure_postern(postern.conf(postern.twins_at(submission=20587)))
    wait.until(lambda: gate.ports(mail) >= PORTS, "the guarded ports")
    assert not gate.lets_in(lab.outsider, mail.address(), 10143)


def test_a_server_that_is_refused_stays_guarded(lab, postern_built):
    """Of the last good configuration, too, each server for itself: what is open stays guarded."""
    mail = lab.mail
    running, _ = postern.begun(mail)
    mail.configure_postern("no = configuration\n")
    running.wait_for(lambda s: s["outcome"] == "refused" and s["uses_last_good"], "the refusal")
    mail.shell("echo 'inet_protocols = ipv5' >> /etc/postfix/main.cf")
    running.look_at_all()
    with processes.stopped(running.watcher_pid()):  # both at once
        # A twin that would close, if Postfix took it, and something to do about Dovecot.
        mail.shell(f"postconf -MX submission/inet; rm {mailhost.DROP_IN}")
    wait.until(lambda: mail.exists(mailhost.DROP_IN), "Dovecot's file")
    running.look_at_all()
    assert 10587 in mail.listening_ports()
    assert gate.ports(mail) == PORTS
    assert not gate.lets_in(lab.outsider, mail.address(), 10587)


# -- without the privilege

def test_auto_warns_and_goes_on(idle_lab, postern_built):
    mail = idle_lab.mail
    mail.start_servers()
    mail.capabilities = WITHOUT
    done = mail.patch()
    assert "warning: gate: not in force: CAP_NET_ADMIN is missing" in said(done)
    assert not gate.exists(mail)
    mail.wait_listening(PORTS)
    assert "not in force: CAP_NET_ADMIN is missing" in mail.postern("check").stdout
    assert "nothing to do" in said(mail.patch())
    mail.postern("revert")


def test_require_opens_no_port(idle_lab, postern_built):
    mail = idle_lab.mail
    mail.start_servers()
    mail.capabilities = WITHOUT
    mail.configure_postern(postern.conf('gate = "require"\n'))
    before = mail.read(mailhost.MASTER_CF)
    done = mail.postern("patch", check=False)
    assert done.returncode == 1
    assert ('gate = "require": the ports are not opened: CAP_NET_ADMIN is missing' in said(done))
    assert mail.read(mailhost.MASTER_CF) == before
    assert not PORTS & mail.listening_ports()


def test_require_opens_no_port_of_a_running_postern(idle_lab, postern_built):
    mail = idle_lab.mail
    mail.start_servers()
    mail.capabilities = WITHOUT
    mail.configure_postern(postern.conf('gate = "require"\n'))
    running = postern.Postern(mail).start()
    running.wait_line('gate = "require": the ports are not opened')
    assert not PORTS & mail.listening_ports()
    servers = running.status()["servers"]
    assert servers["postfix"]["running"] and servers["dovecot"]["running"], servers
    mail.configure_postern(postern.conf('gate = "auto"\n'))
    running.wait_twins(TWINS)


def test_require_with_the_privilege(lab, postern_built):
    lab.mail.configure_postern(postern.conf('gate = "require"\n'))
    lab.mail.patch()
    assert stands(lab.mail)


# -- whose network it is

def test_a_tree_without_processes_gets_no_gate(idle_lab, postern_built):
    """Its ports will be open elsewhere."""
    mail = idle_lab.mail
    mail.shell("mkdir -p /srv/tree/etc && cp -a /etc/postfix /etc/dovecot /srv/tree/etc")
    done = mail.postern("--root", "/srv/tree", "patch", "--no-reload")
    assert not gate.exists(mail)
    assert "no process of that root shares this network" in said(done)


def test_sidecar_guards_the_pods_network(pod_lab):
    pod_lab.sidecar.capabilities = (*host.ENGINE_CAPABILITIES, "SYS_PTRACE", "NET_ADMIN")
    done = pod_lab.sidecar.run([mailhost.POSTERN, "--root", pod_lab.mail_root(), "patch"])
    assert "gate: only trusted networks" in said(done), said(done)
    assert stands(pod_lab.mail)
    assert not gate.lets_in(pod_lab.outsider, pod_lab.mail.address(), 12525)
