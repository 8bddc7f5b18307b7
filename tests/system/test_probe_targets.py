# SPDX-License-Identifier: MIT
"""`postern probe` aimed at other hosts: right and wrong answers of real servers, real names."""
import json
import subprocess
import time

import pytest

from lab import dns, mail_config, mailhost, netns, started

HEADERS = ["v1", "v2", "LOCAL", "garbage", "none"]
# Where SMTP is spoken in the clear.
ASKED_TO_RELAY = {"smtp", "submission"}
TRUSTED = "10.77.0.0/24,fd77::/64"
# After garbage, what waits for TLS waits for long.
PLAIN_STOCK = {name: port for name, port in mailhost.STOCK_PORTS.items()
               if name not in mailhost.IMPLICIT_TLS}
TLS_STOCK = {name: mailhost.STOCK_PORTS[name] for name in mailhost.IMPLICIT_TLS}
# Nothing of a lab's listens there.
NOBODY = 19999
RESOLV_CONF = """\
search mail.svc.cluster.test svc.cluster.test wild.test
nameserver 127.0.0.1
options ndots:5
"""


def targets(ports, host="10.77.0.10", only=None):
    return [f"{name}={host}:{port}" for name, port in ports.items() if only in (None, name)]


def in_network_of(host, *arguments):
    """postern in a network namespace, for hosts that have no files of their own."""
    return subprocess.run(["nsenter", f"--net=/proc/{host.pid}/ns/net", mailhost.postern_binary(),
                           "probe", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120, check=False)


def rows_of(done, status):
    assert done.returncode == status, done
    return json.loads(done.stdout)


def by_cell(rows):
    """{(listener, header): row}; each is there once."""
    cells = {(row["listener"], row["header"]): row for row in rows}
    assert len(cells) == len(rows)
    return cells


def wrong(rows):
    return {(row["listener"], row["header"]) for row in rows if not row["right"]}


# -- twins

def test_trusted_host_finds_every_twin_right(patched):
    mark = patched.mail.log.mark()
    asked = targets(mailhost.TWIN_PORTS) + targets(mailhost.TWIN_PORTS, "[fd77::10]")
    rows = rows_of(in_network_of(patched.balancer, "--json", *asked), 0)
    for address in patched.mail.addresses:
        cells = by_cell([row for row in rows if row["address"] == address])
        assert set(cells) == {(name, header) for name in mailhost.TWIN_PORTS for header in HEADERS}\
            | {(name, "forged") for name in ASKED_TO_RELAY}
        for (name, header), row in cells.items():
            assert row["right"] and row["meaning"] == "" and row["expected"] == "twin", row
            assert row["port"] == mailhost.TWIN_PORTS[name]
            served = header not in ("garbage", "none")
            assert (row["outcome"] == "served") == served, row
        assert "Relay access denied" in cells["smtp", "forged"]["answer"]
    for client in ("192.0.2.1", "2001:db8::1"):
        patched.mail.log.wait_for(rf"imap-login: .*\brip={client},", mark)


def test_quick_probe_relays_nothing_and_silence_ends_within_some_seconds(patched):
    """Each twin loses its patience by itself, long before the default of --timeout is over."""
    began = time.monotonic()
    rows = rows_of(in_network_of(patched.balancer, "--json", "--quick",
                                 *targets(mailhost.TWIN_PORTS)), 0)
    assert time.monotonic() - began < 12
    cells = by_cell(rows)
    assert {header for _, header in cells} == set(HEADERS)
    forced = rows_of(in_network_of(patched.balancer, "--json", "--quick", "--header", "forged",
                                   *targets(mailhost.TWIN_PORTS, only="smtp")), 0)
    assert "Relay access denied" in forced[0]["answer"]
    assert {cells[name, "none"]["outcome"] for name in mailhost.TWIN_PORTS} <= {"refused", "closed"}


def assert_no_twins(host, stock, in_the_clear):
    """Whatever is sent to them is wrong; without TLS in the way, each in its own words."""
    cells = by_cell(rows_of(in_network_of(host, "--json", *in_the_clear), 1))
    for (name, header), row in cells.items():
        assert header in ("garbage", "forged") or not row["right"], row
    cells |= by_cell(rows_of(in_network_of(host, "--json", "--header", "none", *stock), 1))
    for name in mailhost.STOCK_PORTS:
        assert "answers without a header" in cells[name, "none"]["meaning"], cells[name, "none"]


def test_stock_ports_are_right_as_such_and_wrong_as_twins(patched):
    stock = targets(mailhost.STOCK_PORTS)
    rows = rows_of(in_network_of(patched.outsider, "--expect", "stock", "--json", *stock), 0)
    assert set(by_cell(rows)) == {(name, "none") for name in mailhost.STOCK_PORTS}
    assert_no_twins(patched.balancer, targets(TLS_STOCK), targets(PLAIN_STOCK))


def test_twins_are_wrong_as_stock_ports(patched):
    rows = rows_of(in_network_of(patched.balancer, "--expect", "stock", "--json",
                                 *targets(mailhost.TWIN_PORTS)), 1)
    assert {row["listener"] for row in rows} == set(mailhost.TWIN_PORTS)
    for row in rows:
        assert not row["right"] and "wants a header" in row["meaning"], row


def test_table_for_people_says_each_thing_once(patched):
    done = in_network_of(patched.balancer, *targets(mailhost.STOCK_PORTS, only="imap"))
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].split() == ["LISTENER", "HOST", "ADDRESS", "PORT", "SENT",
                                                   "EXPECTED", "RESULT", "ANSWER"]
    said = done.stdout.partition("\n\n")[2].splitlines()
    assert 1 <= len(said) <= 3, done.stdout
    assert all(line.startswith("imap at 10.77.0.10 port 143 (") for line in said), said
    assert "\x1b" not in done.stdout


# -- who is not trusted

def test_dovecot_is_shut_for_strangers_and_postfix_is_not(lab, postern_built):
    """What the twins do by themselves: without gate and NetworkPolicy Postfix believes everybody."""
    lab.mail.configure_postern(mail_config.POSTERN + 'gate = "off"\n')
    lab.mail.patch()
    shut = in_network_of(lab.outsider, "--expect", "shut", "--json",
                         *targets(mailhost.TWIN_PORTS))
    cells = by_cell(rows_of(shut, 1))
    for (name, header), row in cells.items():
        if name in mailhost.DOVECOT_TWINS:
            assert row["right"], row
        elif header not in ("garbage", "none"):
            assert not row["right"], row
            assert "it answers 203.0.113.66, which is not trusted" in row["meaning"], row
    as_twin = rows_of(in_network_of(lab.outsider, "--json", "--header", "v2",
                                    *targets(mailhost.TWIN_PORTS, only="imap")), 1)
    assert "203.0.113.66 is not among the trusted networks" in as_twin[0]["meaning"], as_twin


def test_all_are_shut_for_strangers_by_the_gate(patched):
    shut = in_network_of(patched.outsider, "--expect", "shut", "--json",
                         *targets(mailhost.TWIN_PORTS))
    assert all(row["right"] for row in rows_of(shut, 0))


@pytest.fixture
def walled(patched):
    """As a NetworkPolicy does it: what comes from the outsider gets no answer."""
    lines = ["203.0.113.0/24", "2001:db8:66::/64"]
    netns.ip_batch(patched.mail.pid, [f"route add blackhole {line}" for line in lines])
    yield patched
    netns.ip_batch(patched.mail.pid, [f"route del blackhole {line}" for line in lines])


def test_expectation_follows_from_the_own_address(walled):
    asked = ["--expect", "auto", "--trusted", TRUSTED, "--json", *targets(mailhost.TWIN_PORTS),
             "imap=[fd77::10]:10143"]
    inside = rows_of(in_network_of(walled.balancer, *asked), 0)
    assert {row["expected"] for row in inside} == {"twin"}
    assert {row["from"] for row in inside} <= set(walled.balancer.addresses)
    outside = rows_of(in_network_of(walled.outsider, "--timeout", "3", *asked), 0)
    assert {row["expected"] for row in outside} == {"shut"}
    assert {row["from"] for row in outside} == {"203.0.113.66", "2001:db8:66::66"}
    assert {row["outcome"] for row in outside} == {"unreached"}
    assert len(inside) == len(outside)


def test_twin_out_of_reach_is_wrong_with_the_cure(walled):
    rows = rows_of(in_network_of(walled.outsider, "--timeout", "2", "--json",
                                 *targets(mailhost.TWIN_PORTS, only="imap")), 1)
    assert wrong(rows) == {("imap", header) for header in HEADERS}
    assert all("keeps 203.0.113.66 out" in row["meaning"] for row in rows), rows


# -- forged headers

def test_forged_header_that_relays_is_found_and_no_mail_is_sent(lab, postern_built):
    lab.mail.write(mailhost.MASTER_CF, lab.mail.read(mailhost.MASTER_CF) + """\
12599     inet  n       -       n       -       -       smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
  -o smtpd_relay_restrictions=permit_mynetworks,reject
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
""")
    lab.mail.reload_postfix()
    lab.mail.wait_listening([12599])
    rows = rows_of(in_network_of(lab.outsider, "--json", "smtp=10.77.0.10:12599",
                                 "smtp=[fd77::10]:12599"), 1)
    assert wrong(rows) == {("smtp", "forged")}, rows
    for row in rows:
        if row["header"] == "forged":
            assert row["outcome"] == "relays" and "forges a header" in row["meaning"], row
    assert lab.mail.queue_size() == 0
    assert not lab.mail.log.find(r"message-id=|postfix/qmgr\[\d+\]: \w+: from=")


# -- something in between

def test_balancer_with_headers_is_a_stock_port_for_clients(patched):
    public = targets(mailhost.STOCK_PORTS, patched.balancer.haproxy_address())
    rows_of(in_network_of(patched.client, "--expect", "stock", "--json", *public), 0)
    address = patched.balancer.haproxy_address()
    assert_no_twins(patched.client, targets(TLS_STOCK, address), targets(PLAIN_STOCK, address))


def test_forwarder_without_headers_is_what_it_leads_to(release, postern_built):
    """As kube-proxy or a TCP route does it, and then with nobody behind it."""
    ports = {name: (mailhost.STOCK_PORTS[name], twin)
             for name, twin in mailhost.TWIN_PORTS.items()}
    with started(release, haproxy=True) as lab:
        lab.mail.patch()
        lab.balancer.stop_haproxy()
        lab.balancer.start_haproxy(lab.mail.address(), ports, options="")
        public = targets(mailhost.STOCK_PORTS, lab.balancer.haproxy_address())
        rows = rows_of(in_network_of(lab.outsider, "--json", *public), 0)
        assert len(rows) == 5 * len(public) + len(ASKED_TO_RELAY)
        lab.balancer.stop_haproxy()
        lab.balancer.start_haproxy(lab.mail.address(),
                                   {name: (port, NOBODY) for name, (port, _) in ports.items()},
                                   options="")
        rows = rows_of(in_network_of(lab.outsider, "--expect", "shut", "--json", *public), 0)
        assert {row["outcome"] for row in rows} == {"closed"}
        rows = rows_of(in_network_of(lab.outsider, "--json", *public), 1)
        for row in rows:
            if row["header"] in ("v1", "v2", "LOCAL"):
                assert not row["right"] and "finds no server" in row["meaning"], row


def test_twins_on_the_stock_ports(lab, postern_built):
    lab.mail.configure_postern(mail_config.POSTERN + 'mode = "in-place"\n')
    lab.mail.patch()
    stock = targets(mailhost.STOCK_PORTS)
    rows_of(in_network_of(lab.mail, "--json", *stock), 0)
    stock = targets(mailhost.DOVECOT_PORTS)
    rows = rows_of(in_network_of(lab.outsider, "--expect", "stock", "--json", *stock), 1)
    assert wrong(rows) == {(name, "none") for name in mailhost.DOVECOT_PORTS}


# -- names

@pytest.fixture
def prober(patched):
    """The balancer with postern alone in a root folder, as in an image made from scratch."""
    host = patched.balancer
    host.copy_in(mailhost.postern_binary(), "/alone/postern")
    host.shell(mailhost.libraries_in("/alone"))
    host.write("/alone/etc/resolv.conf", RESOLV_CONF)
    host.write("/alone/etc/hosts", "127.0.0.1 localhost\n10.77.0.10 by-file\nfd77::10 by-file\n")
    return host


def alone(host, *arguments):
    return host.run(["chroot", "/alone", "/postern", "probe", "--json", *arguments], check=False)


NAMES = {
    "dms.mail.svc.cluster.test": ["10.77.0.10", "fd77::10"],
    "dms4.mail.svc.cluster.test": ["10.77.0.10"],
    "dms4.wild.test": ["fd77::99"],
    "halved.test": ["10.77.0.10", "fd77::99"],
}


@pytest.mark.parametrize("name, addresses", [
    ("dms", ["10.77.0.10", "fd77::10"]),
    ("dms.mail.svc.cluster.test.", ["10.77.0.10", "fd77::10"]),
    ("dms.mail", ["10.77.0.10", "fd77::10"]),
    ("dms4", ["10.77.0.10"]),
    ("by-file", ["10.77.0.10", "fd77::10"]),
])
def test_every_address_of_a_name_is_tried(prober, name, addresses):
    with dns.Server(prober, NAMES) as server:
        rows = rows_of(alone(prober, "--header", "v2", f"imap={name}:10143"), 0)
    assert [row["address"] for row in rows] == addresses
    assert {row["host"] for row in rows} == {name}
    assert bool(server.asked) == (name != "by-file")


def test_address_of_one_family_that_does_not_work_is_wrong(prober):
    with dns.Server(prober, NAMES):
        rows = rows_of(alone(prober, "--header", "v2", "--timeout", "5",
                             "imap=halved.test:10143"), 1)
    assert {row["address"] for row in rows if row["right"]} == {"10.77.0.10"}
    assert {row["address"] for row in rows if not row["right"]} == {"fd77::99"}


def test_unknown_name_is_said_and_the_others_are_tried(prober):
    with dns.Server(prober, NAMES):
        done = alone(prober, "--header", "v2", "imap=nosuch:10143", "pop3=dms4:10110")
    rows = rows_of(done, 1)
    assert "nosuch: there is no such name, or it has no address" in done.stderr
    assert {row["host"] for row in rows} == {"dms4"} and not wrong(rows)


def test_name_server_that_is_not_there_has_its_time_and_no_more(prober):
    began = time.monotonic()
    done = alone(prober, "--timeout", "2", "imap=dms:10143")
    assert rows_of(done, 1) == []
    assert "dms: the name servers did not answer in time" in done.stderr
    assert time.monotonic() - began < 10


# -- usage

@pytest.mark.parametrize("arguments, said", [
    (["smtp"], "wanted LISTENER=HOST:PORT"),
    (["smtp=h:0"], "wanted a port"),
    (["http=h:80"], "wanted smtp, submission"),
    (["--expect", "twin"], "are of targets"),
    (["--trusted", "10.0.0.0/8"], "are of targets"),
    (["--expect", "auto", "smtp=h:25"], "go together"),
    (["--trusted", "10.0.0.0/8", "smtp=h:25"], "go together"),
    (["--expect", "auto", "--trusted", "", "smtp=h:25"], "wanted networks"),
    (["--expect", "auto", "--trusted", "10.0.0.0/33", "smtp=h:25"], "--trusted: "),
    (["--expect", "open", "smtp=h:25"], "wanted twin, stock, shut or auto"),
    (["--header", "garbage"], "wanted v1, v2 or local"),
    (["--header", "v3", "smtp=h:25"], "garbage, none or forged"),
    (["--live", "smtp=h:25"], "ask the running postern"),
    (["--timeout", "0", "smtp=h:25"], "wanted seconds"),
])
def test_usage(postern_built, arguments, said):
    done = subprocess.run([postern_built, "probe", *arguments], capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 2 and said in done.stderr and not done.stdout, done


def test_nothing_to_send_is_not_right(postern_built):
    done = subprocess.run([postern_built, "probe", "--header", "forged", "imap=127.0.0.1:1"],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and "nothing to send" in done.stderr, done
