# SPDX-License-Identifier: MIT
"""Fail2ban's rules and the gate's, changed at once: neither loses one."""
import json
import threading

from lab import gate, mailhost, postern, wait

TIMES = 1000
BATCH = 50  # addresses in one word to Fail2ban, which tells nft of each by itself
JAIL = "postern-test"
CONFIGURATION = f"""
[DEFAULT]
banaction = nftables[type=allports]
[{JAIL}]
enabled = true
filter = postfix
backend = polling
logpath = /var/log/f2b.log
bantime = -1
"""
PLANS = ({"10.77.0.0/24", "fd77::/64"}, {"10.77.0.0/24", "fd77::/64", "192.0.2.0/24"})
# Both plans in turn, each put in force by a postern of its own.
CHANGES = f"""
    for i in $(seq {TIMES}); do
        cp /srv/plan-$((i % 2)) {mailhost.POSTERN_CONF}
        {mailhost.POSTERN} patch --no-reload || exit
    done
"""


def banned(mail):
    """What Fail2ban has in its sets: one rule for each family leads to them.

    By the nft of the mail host: another release's may die of what that one has written.
    """
    found = set()
    said = mail.run(["nft", "--json", "list", "ruleset"]).stdout
    for item in json.loads(said)["nftables"]:
        if item.get("set", {}).get("table", "").startswith("f2b"):
            found |= set(item["set"].get("elem", ()))
    return found


def addresses():
    return [f"198.18.{i // 200}.{i % 200 + 1}" for i in range(TIMES)]


def ban_all(mail, stop, failures):
    """Fail2ban answers when it has noted the addresses; its thread runs nft later."""
    try:
        all_of_them = addresses()
        for i in range(0, TIMES, BATCH):
            if stop.is_set():
                return
            mail.run(["fail2ban-client", "set", JAIL, "banip", *all_of_them[i:i + BATCH]])
            wait.until(lambda end=i + BATCH: len(banned(mail)) >= end,
                       f"{i + BATCH} bans to be in force", within=wait.slowed(300), every=0.05)
    except BaseException as error:  # told by the test's own thread
        failures.append(error)


def watch(mail, stop, failures):
    """The gate is always one of the two, whole; and a ban stays a ban."""
    known = set()
    looks = 0
    while not stop.is_set() or looks == 0:
        networks, now = gate.networks(mail), banned(mail)
        if networks not in PLANS:
            failures.append(AssertionError(f"the gate lets in {networks}"))
        if not known <= now:
            failures.append(AssertionError(f"bans are lost: {known - now}"))
        known, looks = now, looks + 1
    return looks


def test_neither_loses_a_rule(idle_lab, postern_built):
    mail = idle_lab.mail
    for i, plan in enumerate(PLANS):
        mail.write(f"/srv/plan-{i}", postern.conf(networks=sorted(plan)))
    mail.configure_postern(postern.conf())
    mail.patch()
    mail.write("/etc/fail2ban/jail.d/defaults-debian.conf", CONFIGURATION)
    mail.shell("touch /var/log/f2b.log; mkdir -p /run/fail2ban")
    server = mail.spawn(["fail2ban-server", "-xf", "start"])
    wait.until(lambda: mail.run(["fail2ban-client", "ping"], check=False).returncode == 0,
               lambda: f"Fail2ban to start: {server.output}")
    failures, stop = [], threading.Event()
    threads = [threading.Thread(target=ban_all, args=(mail, stop, failures)),
               threading.Thread(target=watch, args=(mail, stop, failures))]
    for thread in threads:
        thread.start()
    try:
        done = mail.shell(CHANGES, check=False, timeout=wait.slowed(400))
        threads[0].join()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[0]
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.count("gate: only trusted networks") == TIMES
    assert banned(mail) == set(addresses())
    assert gate.networks(mail) == PLANS[TIMES % 2]
    # And one goes without the other.
    gate_rules = gate.nft(mail, "--stateless", "list", "table", *gate.TABLE.split()).stdout
    mail.run(["fail2ban-client", "unban", "--all"])
    wait.until(lambda: not banned(mail), "the bans to be lifted", within=wait.slowed(300))
    server.stop()
    assert gate.nft(mail, "--stateless", "list", "table", *gate.TABLE.split()).stdout == gate_rules
    mail.postern("revert")
    assert not gate.exists(mail)
