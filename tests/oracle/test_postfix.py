# SPDX-License-Identifier: MIT
"""Postfix judges our reading of master.cf and main.cf, and the master.cf that we plan.

Every test runs for both releases; see cases.py for the environment.
"""
import random
import re

import generate_postfix as generate
import pytest
from cases import Faults, files, first_difference, rows, seeds
from postfix_listing import FATAL_AT_ONCE, MAIN_CF, entry_names, meaning, one_blank

SERVICES = "/etc/services"
# What master(8) refuses and postconf only warns of.
BRACE_WARNINGS = re.compile(r"missing '}' in|syntax error after '}' in")
TIMED_OUT = 124
EDITS_PER_FILE = 30


def master_cases(count):
    """(name, text) of every golden master.cf and of generated ones."""
    for name, text in files("golden/postfix/*.in", "golden/postfix/*.out",
                            "fuzz/corpus/master_cf/*"):
        if name not in SPLIT_BY_POSTCONF:
            yield name, text
    for seed in seeds(count):
        yield f"master_cf({seed})", generate.master_cf(seed)


# postconf takes "--o-o" for two options, as it does with "-oinet_protocols=all", and loses what
# follows "-o" in "-o{}r".
SPLIT_BY_POSTCONF = ("fuzz/corpus/master_cf/found-double-dash-flags",
                     "fuzz/corpus/master_cf/found-braces-behind-flag")
NO_ASSIGNMENT = "attribute name: "


def lines(text):
    return [line.rstrip(" ") for line in rows(text)]


def without_duplicates(listing, parameters):
    """postconf -P keeps one table for all entries of one name: leave such entries out."""
    names = entry_names(listing)
    several = {name + "/" for name in names if names.count(name) > 1}
    return sorted(line for line in parameters if not any(line.startswith(name) for name in several))


# -- reading


def test_master_cf_is_read_as_postconf_reads_it(judge, reading):
    cases = [(name, text, judge.postfix(text)) for name, text in master_cases(500)]
    said = iter(
        judge.run([["postconf", "-c", folder, option] for _, _, folder in cases
                   for option in ("-M", "-F", "-P")],
                  at_once=FATAL_AT_ONCE))
    faults = Faults()
    for name, text, folder in cases:
        listing, fields, options = next(said), next(said), next(said)
        path = judge.outside(folder + "/master.cf")
        ours = reading.ask("master", path)
        if ours.refused:
            # Broken golden files, and unbalanced braces by an unlucky comment.
            if listing.status == 0 and "\0" not in text and not BRACE_WARNINGS.search(listing.err) \
                    and not stricter_than_postconf(listing.out):
                faults.add(name, f"refused by us alone: {ours.text}", text)
            continue
        if "macro processing error" in listing.err:
            continue  # of a value: not what this is about
        if listing.status != 0:
            faults.add(name, f"accepted by us alone: {listing.err}", text)
            continue
        for mode, theirs, mine in (("-M", lines(listing.out),
                                    lines(ours.text)), ("-F", lines(fields.out),
                                                        lines(reading.ask("fields", path).text)),
                                   ("-P", without_duplicates(listing.out, one_blank(options.out)),
                                    without_duplicates(listing.out,
                                                       one_blank(reading.ask("options",
                                                                             path).text)))):
            difference = first_difference(theirs, mine)
            if difference:
                faults.add(name, f"postconf {mode}\n  {difference}", text)
    faults.check(len(cases))


def stricter_than_postconf(listing):
    """master(8) refuses a private inet service and an absent command; postconf takes both."""
    entries = [line.split() for line in rows(listing)]
    return any((entry[1] == "inet" and entry[2] != "n") or entry[7] == "-" for entry in entries)


def test_broken_master_cf_is_refused_when_master_refuses_it(judge, reading):
    cases = []
    for seed in seeds(120):
        text, entry = generate.broken_master_cf(seed)
        folder = judge.postfix(text)
        judge.write(
            folder + "/main.cf",
            f"queue_directory = {folder}/queue\ndata_directory = {folder}/data\n"
            "compatibility_level = 3.6\nmaillog_file = \ninet_interfaces = all\n")
        cases.append((seed, text, entry, folder))
    prepare = "".join(f"mkdir -p {folder}/queue/pid {folder}/queue/private {folder}/queue/public "
                      f"{folder}/data; chown postfix {folder}/data {folder}/queue/private;\n"
                      for _, _, _, folder in cases)
    assert judge.run([["sh", "-c", prepare]])[0].status == 0
    # Each takes a second, asleep; what it says is in the log only.
    said = judge.run([["/usr/lib/postfix/sbin/master", "-c", folder, "-e", "1"]
                      for _, _, _, folder in cases],
                     at_once=32)
    faults = Faults()
    refusals = 0
    for (seed, text, entry, folder), master in zip(cases, said):
        ours = reading.ask("strip", judge.outside(folder + "/master.cf"))
        assert master.status != TIMED_OUT, f"broken_master_cf({seed}): {entry!r}"
        refusals += master.status != 0
        if master.status != 0 and not ours.refused:
            faults.add(f"broken_master_cf({seed})", f"master(8) refuses, we do not: {master}",
                       entry)
        if ours.refused and not re.match(r"\d+: ", ours.text):
            faults.add(f"broken_master_cf({seed})", f"no line in {ours.text!r}", entry)
    assert refusals > len(cases) / 2, said[:3]
    faults.check(len(cases))


def test_main_cf_is_read_as_postconf_reads_it(judge, reading):
    cases = [(name, text, None)
             for name, text in files("golden/postfix/*.main.cf", "fuzz/corpus/main_cf/*")]
    for seed in seeds(400):
        main = generate.Main(seed)
        cases.append((f"Main({seed})", main.text, main.names))
    folders = [judge.postfix("", text) for _, text, _ in cases]
    said = iter(
        judge.run([["postconf", "-c", folder, "-n"] for folder in folders], at_once=FATAL_AT_ONCE))
    faults = Faults()
    for (name, text, _), folder in zip(cases, folders):
        theirs = next(said)
        ours = reading.ask("assignments", judge.outside(folder + "/main.cf"))
        if NO_ASSIGNMENT in theirs.err or "\0" in text:
            continue  # we pass over the one, and refuse the other
        if theirs.status != 0 or ours.refused:
            faults.add(name, f"theirs {theirs.status} {theirs.err}, ours {ours}", text)
            continue
        # postconf -n leaves out what is no parameter of Postfix, and sorts.
        listed = [
            line for line in one_blank(theirs.out) if not line.startswith("config_directory =")
        ]
        known = {line.split(" = ")[0].removesuffix(" =") for line in listed}
        mine = [
            line for line in one_blank(ours.text)
            if line.split(" = ")[0].removesuffix(" =") in known
        ]
        difference = first_difference(sorted(listed), sorted(mine))
        if difference:
            faults.add(name, difference, text)
    faults.check(len(cases))


def test_values_are_expanded_as_postconf_expands_them(judge, reading):
    cases = []
    for seed in seeds(400):
        main = generate.Main(seed)
        cases.append((f"Main({seed})", main, judge.postfix("", main.text)))
    said = iter(
        judge.run([["postconf", "-c", folder, "-x", "-h", *main.names]
                   for _, main, folder in cases]))
    faults = Faults()
    for name, main, folder in cases:
        theirs = next(said)
        # postconf prints what it knows in the order asked; it warns of a name it does not know.
        known = [n for n in main.names if f"warning: {n}: unknown parameter" not in theirs.err]
        path = judge.outside(folder + "/main.cf")
        ours = [reading.ask("value", path, n) for n in known]
        if theirs.status != 0:
            if not any(read.refused for read in ours):
                faults.add(name, f"they refuse: {theirs.err}", main.text)
            continue
        mine = [
            read.text.removesuffix("\n") if not read.refused else f"refused: {read.text}"
            for read in ours
        ]
        difference = first_difference(one_blank(theirs.out),
                                      one_blank("".join(value + "\n" for value in mine)))
        if difference:
            faults.add(name, difference, main.text)
    faults.check(len(cases))


def test_broken_values_are_refused(judge, reading):
    cases = []
    for value in generate.BROKEN_VALUES:
        text = f"mail_name = n\nsmtpd_banner = {value}\n"
        cases.append((value, text, judge.postfix("", text)))
    said = judge.run([["postconf", "-c", folder, "-x", "-h", "smtpd_banner"]
                      for _, _, folder in cases],
                     at_once=FATAL_AT_ONCE)
    faults = Faults()
    for (value, text, folder), theirs in zip(cases, said):
        ours = reading.ask("value", judge.outside(folder + "/main.cf"), "smtpd_banner")
        if (theirs.status != 0) != ours.refused:
            faults.add(value, f"theirs {theirs}, ours {ours}", text)
    faults.check(len(cases))


# -- planning


def warnings(said, folder):
    return {line.replace(folder, "DIR") for line in rows(said.err)}


def plan(judge, reading, mode, folder):
    return reading.ask(mode, judge.outside(folder + "/master.cf"),
                       judge.outside(folder + "/main.cf"), judge.outside(SERVICES))


def mail_cases(count):
    yield from files("golden/postfix/*.in")
    for seed in seeds(count):
        yield f"mail_master_cf({seed})", generate.mail_master_cf(seed)


@pytest.mark.parametrize("mode", ("twins", "in-place"))
def test_what_we_plan_is_accepted_and_is_the_stock_and_its_twins(judge, reading, mode):
    stock, planned = [], []
    faults = Faults()
    count = 0
    for name, text in mail_cases(150):
        folder = judge.postfix(text, MAIN_CF)
        read = plan(judge, reading, mode, folder)
        count += 1
        if read.refused:
            if name.startswith(
                    "mail_master_cf"
            ) and "missing '}'" not in read.text and "after '}'" not in read.text:
                faults.add(name, f"no plan: {read.text}", text)
            continue
        stock.append((name, text, folder))
        planned.append((read.text, judge.postfix(read.text, MAIN_CF)))
    jobs = []
    for (_, _, before), (_, after) in zip(stock, planned):
        jobs += [["postconf", "-c", folder, option] for folder in (before, after)
                 for option in ("-M", "-n")]
    said = iter(judge.run(jobs))
    for (name, text, before), (new_text, after) in zip(stock, planned):
        old, old_main, new, new_main = next(said), next(said), next(said), next(said)
        check_plan(judge, reading, faults, mode, name, text, (before, old, old_main),
                   (new_text, after, new, new_main))
    faults.check(count)


def check_plan(judge, reading, faults, mode, name, text, stock, planned):
    before, old, old_main = stock
    new_text, after, new, new_main = planned
    if new.status != 0 or new_main.status != 0:
        faults.add(name, f"postconf refuses the plan: {new.err} {new_main.err}", text)
        return
    added = (warnings(new, after) | warnings(new_main, after)) - warnings(old, before) - warnings(
        old_main, before)
    # A stock entry's own unused parameter is unused in its twin too, said in other words.
    if added:
        faults.add(name, f"new warnings: {sorted(added)}", text)
    old_lines, new_lines = rows(old.out), rows(new.out)
    if mode == "twins":
        if new_lines[:len(old_lines)] != old_lines:
            faults.add(
                name, "the stock entries are not the same: "
                + str(first_difference(old_lines, new_lines)), text)
        check_twins(faults, name, text, old_lines, new_lines[len(old_lines):])
    else:
        check_in_place(faults, name, text, old_lines, new_lines)
    again = plan(judge, reading, mode, after)
    if again.text != new_text:
        faults.add(name, "a second plan differs", text)
    stripped = reading.ask("strip", judge.outside(after + "/master.cf"))
    if stripped.text != text:
        faults.add(name, f"strip gives {stripped.text!r}", text)


TWIN_PORTS = {
    "25": "12525",
    "smtp": "12525",
    "587": "10587",
    "submission": "10587",
    "465": "10465",
    "smtps": "10465",
    "submissions": "10465"
}
MARKED = re.compile(r"postern_(?:twin_of|in_place)")


def stock_services(old_lines):
    """The entries that shall get a twin: the last of each address, by the design's words."""
    chosen = {}
    for (fields, options, rest) in meaning("\n".join(old_lines)):
        host, _, port = fields[0].rpartition(":")
        if fields[1] != "inet" or port not in TWIN_PORTS or fields[7] not in ("smtpd",
                                                                              "postscreen"):
            continue
        if host in ("127.0.0.1", "localhost", "[::1]", "::1"):
            continue
        chosen[host, TWIN_PORTS[port]] = (fields, dict(options), rest)
    return chosen


def check_twins(faults, name, text, old_lines, twins):
    wanted = stock_services(old_lines)
    for fields, options, rest in meaning("\n".join(twins)):
        if fields[1] == "pass":
            continue
        host, _, port = fields[0].rpartition(":")
        stock = wanted.pop((host, port), None)
        if not stock:
            faults.add(name, f"a twin of nothing: {fields}", text)
            continue
        options = dict(options)
        ours = {
            option
            for option in options
            if option in ("postern_twin_of", "inet_protocols", "mynetworks", "syslog_name",
                          "smtpd_authorized_xclient_hosts", "smtpd_authorized_xforward_hosts",
                          "smtpd_service_name",
                          "postscreen_cache_map") or option.endswith("_upstream_proxy_protocol")
        }
        kept = {key: value for key, value in options.items() if key not in ours}
        stock_kept = {key: value for key, value in stock[1].items() if key not in ours}
        if fields[1:] != stock[0][1:] or kept != stock_kept or rest != stock[2]:
            faults.add(name,
                       f"twin {fields} {kept} {rest}\n  of {stock[0]} {stock_kept} {stock[2]}",
                       text)
        if options.get("mynetworks") != "mynetworks=" or options.get(
                "inet_protocols") != "inet_protocols=all":
            faults.add(name, f"unsafe twin {fields} {options}", text)
    if wanted:
        faults.add(name, f"no twins of {sorted(wanted)}", text)


def check_in_place(faults, name, text, old_lines, new_lines):
    wanted = {stock[0][0] for stock in stock_services(old_lines).values()}
    new = [
        entry for entry in meaning("\n".join(new_lines))
        if not (entry[0][1] == "pass" and MARKED.search(str(entry[1])))
    ]
    old = meaning("\n".join(old_lines))
    if [entry[0] for entry in new] != [entry[0] for entry in old]:
        faults.add(name, "in place: the entries differ", text)
        return
    for before, after in zip(old, new):
        marked = MARKED.search(str(after[1])) is not None
        left = {k: v for k, v in after[1] if not MARKED.search(v) and k != "postern_in_place"}
        if not marked and before != after:
            faults.add(name, f"in place: {before} became {after}", text)
        elif marked and (before[2] != after[2]
                         or any(dict(before[1]).get(k) != v for k, v in left.items())):
            faults.add(name, f"in place: {before} lost something: {after}", text)
        if marked:
            wanted.discard(before[0][0])
    if wanted:
        faults.add(name, f"in place: nothing added to {sorted(wanted)}", text)


# -- others edit between two plans


def edits_of(service):
    """postconf's edits of one service, as options."""
    name, kind = service.rsplit("/", 1)
    yield "P-new", ["-P", f"{service}/milter_macro_daemon_name=EDITED"]
    yield "P-mynetworks", ["-P", f"{service}/mynetworks=192.0.2.77/32"]
    yield "P-syslog", ["-P", f"{service}/syslog_name=postfix/edited"]
    yield "PX-mynetworks", ["-PX", f"{service}/mynetworks"]
    yield "PX-mark", ["-PX", f"{service}/postern_twin_of", f"{service}/postern_in_place"]
    yield "F-command", ["-F", f"{service}/command=smtpd -o smtpd_banner=EDITED"]
    yield "M-replace", ["-M", f"{service}={name} {kind} n - n - 7 smtpd -o smtpd_banner=EDITED"]
    yield "F-chroot", ["-F", f"{service}/chroot=y"]
    yield "MX", ["-MX", service]
    yield "M#", ["-M#", service]


# Without its mark a twin is the owner's own entry: no edit by chance, and never removed by us.
MARK_REMOVED = ("PX-mark", "F-command", "M-replace")


def edit_runs(judge, reading, mode, name, text):
    """(name, planned file, folder to edit, the owner's edited alike, is it stock, edit)."""
    folder = judge.postfix(text, MAIN_CF)
    first = plan(judge, reading, mode, folder)
    if first.refused:
        return
    original = entry_names(reading.ask("master", judge.outside(folder + "/master.cf")).text)
    planned = judge.outside(judge.postfix(first.text, MAIN_CF) + "/master.cf")
    every = [(service, *edit)
             for service in dict.fromkeys(entry_names(reading.ask("master", planned).text))
             for edit in edits_of(service)]
    rng = random.Random(name)
    for service, kind, edit in rng.sample(every, min(len(every), EDITS_PER_FILE)):
        yield (f"{name} {service} {kind}", first.text, judge.postfix(first.text, MAIN_CF),
               judge.postfix(text, MAIN_CF), service in original, edit)


@pytest.mark.parametrize("mode", ("twins", "in-place"))
def test_edits_by_postconf_between_two_plans_lose_nothing(judge, reading, mode):
    """Edit each entry of the planned file; and, where it is a stock entry, of the original too."""
    runs = []
    for name, text in mail_cases(8):
        # Postfix 3.7's own editors glue what they add to a last line without an end.
        runs += edit_runs(judge, reading, mode, name, text.rstrip("\r\n") + "\n")
    jobs = [["postconf", "-c", edited, *edit] for _, _, edited, _, _, edit in runs]
    jobs += [["postconf", "-c", same, *edit] for _, _, _, same, is_stock, edit in runs if is_stock]
    # postconf locks and syncs: it waits more than it works.
    said = judge.run(jobs, at_once=FATAL_AT_ONCE)
    faults = Faults()
    for run, done in zip(runs, said):
        check_edit(judge, reading, faults, mode, run, done)
    faults.check(len(runs))


def check_edit(judge, reading, faults, mode, run, done):
    name, planned, edited, same, is_stock, _ = run
    if done.status != 0:
        faults.add(name, f"the edit failed: {done.err}", planned)
        return
    edited_text = judge.read(edited + "/master.cf")

    def told(folder, what):
        return reading.ask(what, judge.outside(folder + "/master.cf"))

    stripped = told(edited, "strip")
    if stripped.refused:
        faults.add(name, f"strip refuses: {stripped.text}", edited_text)
        return
    if name.endswith(
            MARK_REMOVED) and not is_stock and not set(meaning(told(same, "master").text)) - set(
                meaning(told(judge.postfix(stripped.text, MAIN_CF), "master").text)):
        return
    left = judge.postfix(stripped.text, MAIN_CF)
    wanted, got = told(same, "master"), told(left, "master")
    if sorted(meaning(wanted.text)) != sorted(meaning(got.text)):
        faults.add(
            name, "revert leaves something else than the owner's: " + str(
                first_difference(sorted(map(str, meaning(wanted.text))),
                                 sorted(map(str, meaning(got.text))))), edited_text)
    again, expected = plan(judge, reading, mode, edited), plan(judge, reading, mode, same)
    if again.refused != expected.refused:
        faults.add(name, f"planned anew: {again.text!r:.300}, wanted {expected.text!r:.300}",
                   edited_text)
        return
    if again.refused:
        return
    now = judge.postfix(again.text, MAIN_CF)
    then = judge.postfix(expected.text, MAIN_CF)
    a, b = sorted(meaning(told(then, "master").text)), sorted(meaning(told(now, "master").text))
    if a != b:
        faults.add(name,
                   "planned anew: " + str(first_difference(list(map(str, a)), list(map(str, b)))),
                   edited_text)
