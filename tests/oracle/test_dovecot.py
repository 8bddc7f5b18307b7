# SPDX-License-Identifier: MIT
"""Dovecot judges our reading of its configuration, and the drop-in that we plan.

Every test runs for both releases; see cases.py for the environment.
"""
import ipaddress
import os
import re

import generate_dovecot as generate
import pytest
from cases import Faults, dovecot_trees, first_difference, rows, seeds
from judge import error_name

STOCK = (("imap", "imap-login", "143", False), ("imaps", "imap-login", "993",
                                                True), ("pop3", "pop3-login", "110", False),
         ("pop3s", "pop3-login", "995", True), ("sieve", "managesieve-login", "4190", False))
SERVICE_PROTOCOL = {"imap-login": "imap", "pop3-login": "pop3", "managesieve-login": "sieve"}
DROP_IN = "conf.d/95-postern.conf"
TRUSTED = ("10.42.0.0/16", "fd00:42::/48", "127.0.0.1/32", "::1/128")
# Where a path of ours is a setting that doveconf shows under the same path in both releases.
COMPARED = re.compile(
    r"service/|protocol/|ssl$|listen$|haproxy_trusted_networks$|"
    r"login_greeting$|instance_name$|login_log_format$"
)
SEMANTIC = re.compile(
    r"Unknown setting|Unknown section|Invalid|Missing key name|is missing|"
    r"duplicate|Unknown protocol|"
    r"The first setting must be|Unknown variable|Service #|Failed to expand|can't be|service\(")

# We read both languages; this file has words that only 2.4 knows.
WORDS_OF_24 = "fuzz/corpus/dovecot_conf/names"


def is_24(judge):
    return judge.release != "bookworm"


def unquote(value):
    if len(value) > 1 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def settings_of(output):
    """What doveconf printed, as {path: value}."""
    found, sections = {}, []
    for line in rows(output):
        line = line.strip(" ")
        if line == "}":
            sections.pop()
        elif line.endswith(" {"):
            words = re.findall(r'"(?:[^"\\]|\\.)*"|\S+', line[:-2])
            sections.append("/".join(unquote(word) for word in words) + "/")
        elif " = " in line + " " and not line.startswith("#"):
            key, _, value = (line + " ").partition(" = ")
            found["".join(sections) + key] = unquote(value.strip(" "))
    return found


def is_yes(value):
    return value.lower() in ("yes", "y", "1")


def protocols_of(settings):
    listed = settings.get("protocols")
    if listed is not None and not any(path.startswith("protocols/") for path in settings):
        return set(listed.replace(",", " ").split())
    return {
        path.split("/")[1]
        for path, value in settings.items() if path.startswith("protocols/") and is_yes(value)
    }


def opened(settings, service, name, port, ssl):
    """(port, ssl) of a listener by what doveconf says; None when it is not opened."""
    stem = f"service/{service}/inet_listener/{name}/"
    port = settings.get(stem + "port", port)
    ssl = is_yes(settings.get(stem + "ssl", "yes" if ssl else "no"))
    protocol = settings.get(f"service/{service}/protocol", SERVICE_PROTOCOL.get(service, ""))
    if int(port) == 0 or (protocol and protocol not in protocols_of(settings)):
        return None
    if settings.get(f"service/{service}/executable",
                    "x") == "" or (ssl and settings.get("ssl", "yes") == "no"):
        return None
    return int(port), ssl


def on_loopback_only(settings, service, name):
    stem = f"service/{service}/inet_listener/{name}/"
    words = settings.get(stem + "listen", settings.get(stem + "address", "")).replace(",",
                                                                                      " ").split()
    return bool(words) and all(word in ("127.0.0.1", "::1", "[::1]", "localhost") for word in words)


def expected_listeners(settings):
    found = []
    for name, service, port, ssl in STOCK:
        listener = opened(settings, service, name, port, ssl)
        if listener and not on_loopback_only(settings, service, name):
            found.append(
                f"listener {name} {listener[0]} {int(port) + 10000} "
                f"{'ssl' if listener[1] else 'plain'}"
            )
    return found


def doveconf(folder, name="dovecot.conf"):
    return ["doveconf", "-c", f"{folder}/{name}", "-a"]


def compare_settings(faults, name, text, theirs, ours):
    known = settings_of(theirs.out)
    for line in rows(ours.text):
        path, _, value = line.partition(" = ")
        # Our values are not expanded.
        if not COMPARED.match(path) or path not in known or value.startswith("$"):
            continue
        same = known[path] == value or (is_yes(known[path]) and is_yes(value)) \
            or (known[path].lower() == "no" and value.lower() == "no")
        if path == "listen" or path.endswith("/listen"):
            same = known[path].replace(",", " ").split() == value.replace(",", " ").split()
        if not same:
            faults.add(name, f"{path}: theirs {known[path]!r}, ours {value!r}", text)


def trees(judge, count, **options):
    for seed in seeds(count):
        yield f"Tree({seed})", generate.Tree(seed, is_24(judge), **options).files


def golden_trees(judge):
    """The golden trees of this release's language, in the names of `Tree`."""
    for name, files in dovecot_trees():
        main = files.get("/etc/dovecot/dovecot.conf", "")
        if ("dovecot_config_version" in main) == is_24(judge):
            # What lies outside of Dovecot's folder is the release's own.
            yield name, {
                path.removeprefix("/etc/dovecot/"): text
                for path, text in files.items() if path.startswith("/etc/dovecot/")
            }


def test_configuration_is_read_as_doveconf_reads_it(judge, reading):
    cases = [(name, files, judge.tree(files))
             for name, files in [*golden_trees(judge), *trees(judge, 500)]]
    said = judge.run([doveconf(folder) for _, _, folder in cases])
    faults = Faults()
    refused = 0
    for (name, files, folder), theirs in zip(cases, said):
        ours = reading.ask("dovecot-settings", judge.root, folder + "/dovecot.conf")
        if theirs.status != 0:
            refused += 1
            if not ours.refused and not SEMANTIC.search(theirs.err) and name != WORDS_OF_24:
                faults.add(name, f"they refuse: {theirs.err}", files)
            continue
        if ours.refused:
            faults.add(name, f"we refuse: {ours.text}", files)
            continue
        compare_settings(faults, name, files, theirs, ours)
        plan = reading.ask("dovecot", judge.root, folder + "/dovecot.conf")
        if error_name(plan) == "EADDRINUSE":
            continue  # a leftover of the recipe: no plan
        listeners = [line for line in rows(plan.text) if line.startswith("listener ")]
        difference = first_difference(expected_listeners(settings_of(theirs.out)), listeners)
        if difference:
            faults.add(name, f"in force\n  {difference}", files)
    assert refused < len(cases) / 4, f"{refused} of {len(cases)}: {said[-1].err}"
    faults.check(len(cases))


def test_odd_lines_are_read_as_doveconf_reads_them(judge, reading):
    head = generate.HEAD_24 if is_24(judge) else ""
    cases = []
    for snippet in generate.SNIPPETS:
        folder = judge.tree({**generate.SNIPPET_FILES, "dovecot.conf": head + snippet + "\n"})
        os.symlink("nowhere", judge.outside(folder + "/dangling.conf"))
        cases.append((repr(snippet), snippet, folder))
    said = judge.run([doveconf(folder) for _, _, folder in cases])
    faults = Faults()
    for (name, snippet, folder), theirs in zip(cases, said):
        ours = reading.ask("dovecot-settings", judge.root, folder + "/dovecot.conf")
        if theirs.status == 0 and ours.refused:
            faults.add(name, f"we refuse: {ours.text}", snippet)
        elif theirs.status != 0 and not ours.refused and not SEMANTIC.search(theirs.err):
            faults.add(name, f"they refuse: {theirs.err}", snippet)
        elif theirs.status == 0:
            compare_settings(faults, name, snippet, theirs, ours)
    faults.check(len(cases))


def with_drop_in(judge, files, text):
    files = {**files, DROP_IN: text}
    main = files["dovecot.conf"]
    # Where the pattern for the folder is missing the program adds a line of its own.
    files["dovecot.conf"] = main + ("" if main.endswith("\n") else
                                    "\n") + "!include_try conf.d/95-*.conf\n"
    return files


@pytest.mark.parametrize("mode", ("separate", "in-place"))
def test_drop_in_does_what_it_says_and_nothing_else(judge, reading, mode):
    faults = Faults()
    cases, jobs = [], []
    for name, files in trees(judge, 250):
        before = judge.tree(files)
        plan = reading.ask("drop-in" if mode == "separate" else "drop-in-in-place", judge.root,
                           before + "/dovecot.conf")
        if plan.refused:
            continue
        after = judge.tree(with_drop_in(judge, files, plan.text))
        held = reading.ask("holds", judge.root, after + "/dovecot.conf", f"{after}/{DROP_IN}",
                           judge.outside(f"{after}/{DROP_IN}"), mode)
        cases.append((name, files, plan, held, before))
        jobs += [doveconf(before), doveconf(after)]
    said = iter(judge.run(jobs))
    planned = 0
    for name, files, plan, held, before in cases:
        old, new = next(said), next(said)
        if old.status != 0:
            continue
        if new.status != 0:
            faults.add(name, f"with the drop-in: {new.err}\n{plan.text}", files)
            continue
        if held.text != "holds\n":
            faults.add(name, f"we say that it does not hold: {held.text}", files)
        listeners = reading.ask("dovecot", judge.root, before + "/dovecot.conf")
        planned += bool(plan.text)
        check_drop_in(faults, name, files, mode, settings_of(old.out), settings_of(new.out),
                      rows(listeners.text))
    assert planned > len(cases) / 4
    faults.check(len(cases))


def check_drop_in(faults, name, files, mode, old, new, plan):
    listeners = [line.split()[1:] for line in plan if line.startswith("listener ")]
    allowed = {"haproxy_trusted_networks"}
    for stock, _, port, kind in listeners:
        service = next(row[1] for row in STOCK if row[0] == stock)
        twin = stock + ("_proxied" if mode == "separate" else "")
        stem = f"service/{service}/inet_listener/{twin}/"
        if not is_yes(new.get(stem + "haproxy", "no")):
            faults.add(name, f"{twin} has no haproxy", files)
        if mode == "separate":
            if opened(new, service, twin, "0", False) != (int(port), kind == "ssl"):
                faults.add(name,
                           f"{twin}: {opened(new, service, twin, '0', False)}, not {port} {kind}",
                           files)
            old_stem = f"service/{service}/inet_listener/{stock}/"
            for key in ("address", "listen"):
                if new.get(stem + key, "") != old.get(old_stem + key, ""):
                    faults.add(name, f"{twin}: {key} differs", files)
            allowed.update(path for path in new if path.startswith(stem))
        else:
            allowed.update((stem + "haproxy",))
    changed = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    # A service that was not mentioned before may now be shown.
    if changed - allowed:
        faults.add(name, f"changed as well: {sorted(changed - allowed)}", files)
    if listeners:
        wanted = (*TRUSTED, *old.get("haproxy_trusted_networks", "").replace(",", " ").split())
        trusted = [ipaddress.ip_network(word) for word in new["haproxy_trusted_networks"].split()]
        for network in map(ipaddress.ip_network, wanted):
            if not any(network.version == one.version and network.subnet_of(one)
                       for one in trusted):
                faults.add(name, f"{network} is not trusted: {trusted}", files)


def test_relocated_copies_mean_the_same(judge, reading):
    faults = Faults()
    cases, jobs = [], []
    for name, files in trees(judge, 150):
        folder = judge.tree(files)
        os.mkdir(judge.outside(folder + "/copy"))
        copied = reading.ask("relocate", judge.root, folder + "/dovecot.conf", folder + "/copy")
        cases.append((name, files, copied))
        jobs += [doveconf(folder), doveconf(folder, "copy/0.conf")]
    said = iter(judge.run(jobs))
    for name, files, copied in cases:
        old, new = next(said), next(said)
        if old.status == 0 and copied.refused:
            faults.add(name, f"not copied: {copied.text}", files)
        elif old.status != new.status or settings_of(old.out) != settings_of(new.out):
            left, right = (sorted(settings_of(one.out).items()) for one in (old, new))
            faults.add(
                name, f"{first_difference(list(map(str, left)), list(map(str, right)))} {new.err}",
                files)
    faults.check(len(cases))


STARTED = """
mkdir -p {folder}/run
dovecot -F -c {folder}/dovecot.conf >{folder}/out 2>&1 &
pid=$!
for i in $(seq 100); do
    [ -e {folder}/run/master.pid ] && break
    kill -0 $pid 2>/dev/null || {{ cat {folder}/out {folder}/log; exit 1; }}
    sleep 0.05
done
cat /proc/net/tcp /proc/net/tcp6
kill $pid
wait $pid
"""


def listening(text):
    return {
        int(fields[1].rpartition(":")[2], 16)
        for fields in map(str.split, rows(text)) if len(fields) > 3 and fields[3] == "0A"
    }


def test_dovecot_really_opens_the_ports_that_we_read_and_plan(judge, reading):
    """The last word on what is in force: the sockets of a running Dovecot."""
    faults = Faults()
    cases, jobs = [], []
    for name, files in trees(judge, 12, extras=False):
        folder = judge.tree(files)
        plan = reading.ask("drop-in", judge.root, folder + "/dovecot.conf")
        if plan.refused:
            continue
        listeners = [
            line.split()
            for line in rows(reading.ask("dovecot", judge.root, folder + "/dovecot.conf").text)
            if line.startswith("listener ")
        ]
        files = with_drop_in(judge, files, plan.text)
        running = judge.tree(files)
        judge.write(running + "/dovecot.conf",
                    files["dovecot.conf"] + f"base_dir = {running}/run\nlog_path = {running}/log\n")
        cases.append((name, files, listeners))
        jobs.append(["sh", "-c", STARTED.format(folder=running)])
    # One after the other: they all want the same ports.
    said = judge.run(jobs, at_once=1)
    started = 0
    for (name, files, listeners), done in zip(cases, said):
        if done.status != 0:
            continue  # it did not start: what its own check does not see
        started += 1
        wanted = {int(port) for listener in listeners for port in listener[2:4]}
        if listening(done.out) != wanted:
            faults.add(name,
                       f"open: {sorted(listening(done.out))}, by our reading: {sorted(wanted)}",
                       files)
    assert started > len(cases) / 2, said[0]
    faults.check(len(cases))
