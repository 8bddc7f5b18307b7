# SPDX-License-Identifier: MIT
"""Each defect of the well-known recipe, shown on the real servers; and that postern has it not.

The numbers are those of the table in the README.
"""
import contextlib
import re

import pytest

from lab import (TRUSTED, dns, evidence, mail_clients, mail_config, mailhost, proxy_client, recipe,
                 started)

FOREIGN = "victim@elsewhere.example"
DEAD_FOR_S = 1.5


@contextlib.contextmanager
def talk(host, address, port, header=b"", source=None):
    with proxy_client.LineClient(host.connect(address, port, source, header)) as client:
        yield client


def greeting(host, mail, port, header=b"", family=4):
    with talk(host, mail.address(family), port, header) as client:
        return client.reply()


def relay_attempt(host, mail, port, header):
    """What the server says to a mail for a foreign domain, up to its first refusal."""
    with talk(host, mail.address(), port, header) as client:
        said = [client.reply()]
        for command in ("EHLO outsider.example", "MAIL FROM:<a@outsider.example>",
                        f"RCPT TO:<{FOREIGN}>", "DATA", "Subject: x\r\n\r\nx\r\n."):
            said.append(client.smtp(command))
            if not said[-1] or said[-1][0] not in "23":
                break
        return said


# -- 1: two postscreens, one cache

@pytest.mark.parametrize("first", ["stock", "twin"])
def test_1_recipe_second_postscreen_is_dead(lab, first):
    recipe.apply_to_postfix(lab.mail)
    header = proxy_client.v1("198.51.100.1")
    ports = [(25, b""), (12525, header)]
    if first == "twin":
        ports.reverse()
    assert greeting(lab.client, lab.mail, *ports[0]).startswith("220")
    mark = lab.mail.log.mark()
    with talk(lab.client, lab.mail.address(), *ports[1]) as client:
        lab.mail.log.wait_for(r"postscreen_cache: unable to get exclusive lock", mark)
        assert client.silence(DEAD_FOR_S), f"was told {client.heard!r}"


def test_1_newer_recipe_shares_the_cache(lab):
    """The one defect that an edition of the recipe has cured."""
    recipe.apply_to_postfix(lab.mail, recipe.SHARED_CACHE)
    for port, header in ((25, b""), (12525, proxy_client.v1("198.51.100.1"))):
        assert greeting(lab.client, lab.mail, port, header).startswith("220"), port


@pytest.mark.parametrize("first", ["stock", "twin"])
def test_1_postern_both_postscreens_answer(lab, postern_built, first):
    lab.mail.patch()
    ports = [(25, b""), (12525, proxy_client.v1("198.51.100.1"))]
    if first == "twin":
        ports.reverse()
    mark = lab.mail.log.mark()
    for port, header in ports * 2:
        host = lab.client if port == 25 else lab.mail
        assert greeting(host, lab.mail, port, header).startswith("220"), port
    assert not lab.mail.log.find(r"fatal|throttling|exclusive lock", mark)


# -- 2: open relay

FORGED = {
    "v1-ipv4": proxy_client.v1("127.0.0.1", "127.0.0.1"),
    "v1-ipv6": proxy_client.v1("::1", "::1"),
    "v2-ipv4": proxy_client.v2("127.0.0.1", "127.0.0.1"),
    "v2-ipv6": proxy_client.v2("::1", "::1"),
}


@pytest.mark.parametrize("header", FORGED.values(), ids=FORGED)
def test_2_recipe_is_an_open_relay(lab, header):
    recipe.apply_to_postfix(lab.mail)
    mark = lab.mail.log.mark()
    said = relay_attempt(lab.outsider, lab.mail, 12525, header)
    assert re.match(r"250 2\.0\.0 Ok: queued", said[-1]), said
    assert lab.mail.log.wait_for(r"ALLOWLISTED", mark)


def test_2_postern_relays_for_no_header(lab, postern_built):
    """Not even from an address that may speak PROXY: here, the mail host's own loopback."""
    lab.mail.patch()
    for name, header in FORGED.items():
        for port in (12525, 10587):
            with talk(lab.mail, "127.0.0.1", port, header, "127.0.0.1") as client:
                assert client.reply().startswith("220"), (name, port)
                assert client.smtp("EHLO outsider.example").startswith("250")
                said = client.smtp("MAIL FROM:<a@outsider.example>")
                if said.startswith("250"):
                    said = client.smtp(f"RCPT TO:<{FOREIGN}>")
                assert re.match(r"[45]\d\d ", said), (name, port, said)
    assert lab.mail.queue_size() == 0


def test_2_postern_forged_loopback_is_screened(lab, postern_built):
    """The greet wait applies to it: postscreen does not take it for one of ours."""
    lab.mail.patch()
    mark = lab.mail.log.mark()
    with talk(lab.mail, "127.0.0.1", 12525, FORGED["v1-ipv4"], "127.0.0.1") as client:
        assert client.reply().startswith("220")
    lab.mail.log.wait_for(r"postfix/postscreen\[\d+\]: PASS NEW \[127\.0\.0\.1\]", mark)
    assert not lab.mail.log.find("ALLOWLISTED|WHITELISTED", mark)


def test_2_stock_port_still_relays_for_mynetworks(lab, postern_built):
    """The stock services keep their rights: only the twins lose them."""
    lab.mail.patch()
    said = relay_attempt(lab.mail, lab.mail, 25, b"")
    with talk(lab.mail, "127.0.0.1", 25, b"", "127.0.0.1") as client:
        assert client.reply().startswith("220")
        client.smtp("EHLO localhost")
        client.smtp("MAIL FROM:<a@example.test>")
        assert client.smtp(f"RCPT TO:<{FOREIGN}>").startswith("250")
    assert re.match(r"[45]\d\d ", said[-1]), said


# -- 3: log lines that no ban sees

def failed_submission(host, mail, port, header):
    with talk(host, mail.address(), port, header) as client:
        assert client.reply().startswith("220")
        client.smtp("EHLO client.example.org")
        assert client.smtp("STARTTLS").startswith("220")
        with proxy_client.LineClient(mail.tls_context().wrap_socket(client.sock)) as secure:
            secure.smtp("EHLO client.example.org")
            said = secure.smtp("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw==")
            assert said.startswith("535"), said


@contextlib.contextmanager
def block_listing_lab(release, *addresses):
    """A lab whose postscreen asks a block list that has these addresses."""
    with started(release, block_list=dns.ZONE) as lab:
        with dns.BlockList(lab.mail, addresses):
            yield lab


def screened_out(host, mail, port, header):
    """The client does as it should, and is rejected for its address."""
    with talk(host, mail.address(), port, header) as client:
        assert client.reply().startswith("220")
        for command in ("EHLO listed.example.org", "MAIL FROM:<a@listed.example.org>",
                        f"RCPT TO:<{mail_config.USER}>"):
            said = client.smtp(command)
        assert said.startswith("550 5.7.1"), said


def banned(mail, mark, pattern):
    """How many of the log's lines that match the pattern Fail2ban's own filter acts upon."""
    lines = [line for line in mail.log.since(mark).splitlines() if re.search(pattern, line)]
    assert lines, f"no line {pattern!r} in\n{mail.log.since(mark)}"
    mail.write("/tmp/lines.log", "\n".join(lines) + "\n")
    said = mail.run(["fail2ban-regex", "/tmp/lines.log", "postfix[mode=extra]"]).stdout
    return int(re.search(r"^Lines: \d+ lines, \d+ ignored, (\d+) matched", said, re.M)[1])


SASL_FAILURE = r"SASL PLAIN authentication failed"
SCREENED_OUT = r"postscreen\[\d+\]: NOQUEUE: reject"


LISTED = "198.51.100.1"


@pytest.mark.parametrize("edition", [recipe.KUBERNETES, recipe.SHARED_CACHE])
def test_3_recipe_hides_postscreen_from_fail2ban(release, edition):
    with block_listing_lab(release, LISTED) as lab:
        recipe.apply_to_postfix(lab.mail, edition)
        mark = lab.mail.log.mark()
        screened_out(lab.client, lab.mail, 12525, proxy_client.v1(LISTED))
        lab.mail.log.wait_for(SCREENED_OUT, mark)
        assert banned(lab.mail, mark, SCREENED_OUT) == 0


def test_3_recipe_failed_log_in_and_fail2ban(lab, release):
    """Fail2ban 1.0 (Debian 12) does not see the hyphenated name; 1.1 (Debian 13) does."""
    recipe.apply_to_postfix(lab.mail)
    mark = lab.mail.log.mark()
    failed_submission(lab.client, lab.mail, 10587, proxy_client.v1("198.51.100.1"))
    lab.mail.log.wait_for(SASL_FAILURE, mark)
    assert banned(lab.mail, mark, SASL_FAILURE) == (0 if release == "bookworm" else 1)


def test_3_postern_fail2ban_sees_both(release, postern_built):
    with block_listing_lab(release, LISTED) as lab:
        lab.mail.patch()
        mark = lab.mail.log.mark()
        header = proxy_client.v1(LISTED)
        screened_out(lab.mail, lab.mail, 12525, header)
        failed_submission(lab.mail, lab.mail, 10587, header)
        lab.mail.log.wait_for(SCREENED_OUT + rf".*\[{re.escape(LISTED)}\]", mark)
        lab.mail.log.wait_for(SASL_FAILURE, mark)
        assert banned(lab.mail, mark, SCREENED_OUT) == 1
        assert banned(lab.mail, mark, SASL_FAILURE) == 1


# -- 3b: IPv6 clients while main.cf says ipv4

IPV6_CLIENT = "2001:db8:1::1"


@pytest.mark.parametrize("port", [12525, 10587])
def test_3b_recipe_ipv6_client_gets_421(release, port):
    with started(release, inet_protocols="ipv4") as lab:
        recipe.apply_to_postfix(lab.mail)
        said = greeting(lab.client, lab.mail, port, proxy_client.v2(IPV6_CLIENT))
        assert said.startswith("421"), said


def test_3b_postern_ipv6_client_is_served(release, postern_built):
    with started(release, haproxy=True, inet_protocols="ipv4") as lab:
        lab.mail.patch()
        for port in (12525, 10587):
            said = greeting(lab.balancer, lab.mail, port, proxy_client.v2(IPV6_CLIENT))
            assert said.startswith("220"), (port, said)
        mark = lab.mail.log.mark()
        sock = lab.client.connect(lab.balancer.haproxy_address(6), 587)
        mail_clients.use("submission", sock, mail_config.USER, mail_config.PASSWORD,
                         lab.mail.tls_context())
        lab.mail.log.wait_for(evidence.seen_on_twin("submission", IPV6_CLIENT), mark)


# -- 4: appends on every run

def test_4_recipe_twice_leaves_duplicates(lab):
    recipe.apply_to_postfix(lab.mail, reload=False)
    recipe.apply_to_postfix(lab.mail, reload=False)
    assert len(recipe.leftovers(lab.mail)) == 2 * len(recipe.PORTS)
    mark = lab.mail.log.mark()
    lab.mail.reload_postfix()
    lab.mail.log.wait_for(r"duplicate master.cf entry for service \"12525\"", mark)


def test_4_postern_twice_leaves_one_of_each(lab, postern_built):
    lab.mail.patch()
    once = lab.mail.read(mailhost.MASTER_CF)
    lab.mail.patch()
    assert lab.mail.read(mailhost.MASTER_CF) == once
    entries = [entry for entry, _ in lab.mail.services()]
    assert len(entries) == len(set(entries)), entries


# -- 6: Dovecot's listeners

def sieve_through(lab):
    sock = lab.client.connect(lab.balancer.haproxy_address(), 4190)
    return mail_clients.use("sieve", sock, mail_config.USER, mail_config.PASSWORD,
                            lab.mail.tls_context())


def imap_greeting(lab, family):
    with talk(lab.balancer, lab.mail.address(family), 10143,
              proxy_client.v2("198.51.100.1")) as client:
        return client.line()


def test_6_recipe_sieve_twin_does_not_speak_proxy(balanced_lab):
    recipe.apply_to_dovecot(balanced_lab.mail, " ".join(TRUSTED))
    balanced_lab.mail.wait_listening([14190])
    with pytest.raises(mail_clients.REFUSALS):
        sieve_through(balanced_lab)


def test_6_recipe_ipv6_balancer_is_not_trusted(balanced_lab):
    recipe.apply_to_dovecot(balanced_lab.mail, TRUSTED[0])
    balanced_lab.mail.wait_listening([10143])
    assert imap_greeting(balanced_lab, 4).startswith("* OK")
    assert imap_greeting(balanced_lab, 6) is None
    balanced_lab.mail.log.wait_for(r"haproxy: Client not trusted \(rip=fd77::20")


def test_6_postern_sieve_and_ipv6_work(balanced_lab, postern_built):
    balanced_lab.mail.patch()
    mark = balanced_lab.mail.log.mark()
    assert "OK" in sieve_through(balanced_lab)[0]
    balanced_lab.mail.log.wait_for(evidence.seen_on_twin("sieve", "198.51.100.1"), mark)
    for family in (4, 6):
        assert imap_greeting(balanced_lab, family).startswith("* OK"), family


# -- 7: master.cf is not text to run sed over

def edit_master(mail, old, new):
    text = mail.read(mailhost.MASTER_CF)
    assert old in text
    mail.write(mailhost.MASTER_CF, text.replace(old, new, 1))


HOST_PART = ("submission inet n       -", "10.77.0.10:submission inet n -")
BRACES = ("  -o syslog_name=postfix/submission\n",
          "  -o syslog_name=postfix/submission\n"
          "  # the policy daemon's socket\n"
          "  -o { smtpd_data_restrictions = check_policy_service\n"
          "       unix:private/submission-policy }\n")
SMTPD_25 = ("smtp      inet  n       -       n       -       1       postscreen",
            "smtp      inet  n       -       n       -       -       smtpd")


def test_7_recipe_misses_a_service_with_a_host_part(lab):
    edit_master(lab.mail, *HOST_PART)
    recipe.apply_to_postfix(lab.mail)
    assert "10587/inet" not in recipe.leftovers(lab.mail)


def test_7_postern_keeps_the_host_part(lab, postern_built):
    edit_master(lab.mail, *HOST_PART)
    lab.mail.reload_postfix()
    lab.mail.patch()
    assert ("10.77.0.10", 10587) in lab.mail.listeners()
    assert not {("0.0.0.0", 10587), ("::", 10587)} & lab.mail.listeners()
    said = greeting(lab.mail, lab.mail, 10587, proxy_client.v2("198.51.100.1"))
    assert said.startswith("220"), said


def data_restrictions(mail, port):
    said = mail.run(["postconf", "-P", f"{port}/inet/smtpd_data_restrictions"]).stdout
    return " ".join(said.partition("=")[2].split())


def test_7_recipe_changes_values_that_hold_the_service_name(lab):
    edit_master(lab.mail, *BRACES)
    recipe.apply_to_postfix(lab.mail, reload=False)
    assert "unix:private/submission-proxyprotocol-policy" in data_restrictions(lab.mail, 10587)


def test_7_postern_copies_values_as_they_are(lab, postern_built):
    edit_master(lab.mail, *BRACES)
    lab.mail.reload_postfix()
    lab.mail.patch()
    wanted = "check_policy_service unix:private/submission-policy"
    assert data_restrictions(lab.mail, 10587) == wanted
    assert data_restrictions(lab.mail, "submission") == wanted
    assert "  # the policy daemon's socket\n" in lab.mail.read(mailhost.MASTER_CF)


def test_7_recipe_smtpd_on_port_25_gets_no_proxy(lab):
    edit_master(lab.mail, *SMTPD_25)
    recipe.apply_to_postfix(lab.mail)
    with talk(lab.client, lab.mail.address(), 12525, proxy_client.v1("198.51.100.1")) as client:
        said = [client.reply(), client.reply()]
    assert not all(line and line.startswith("2") for line in said), said
    assert not lab.mail.log.find(r"connect from \S*\[198\.51\.100\.9\]")


def test_7_postern_smtpd_on_port_25_gets_proxy(lab, postern_built):
    edit_master(lab.mail, *SMTPD_25)
    lab.mail.reload_postfix()
    lab.mail.patch()
    mark = lab.mail.log.mark()
    assert greeting(lab.mail, lab.mail, 12525, proxy_client.v1("198.51.100.9")).startswith("220")
    lab.mail.log.wait_for(evidence.connected("postfix/smtp_proxied/smtpd", "198.51.100.9"), mark)
