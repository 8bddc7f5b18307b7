# SPDX-License-Identifier: MIT
"""docker-mailserver's own procedure judges what we make of its override files for Postfix.

It appends postfix-main.cf to main.cf and takes what "postconf -n" prints for the new main.cf; it
gives each line of postfix-master.cf that begins with a digit or a lower-case letter to
"postconf -P".
"""
import generate_overrides
import generate_postfix
from cases import Faults, files, first_difference, rows, seeds
from postfix_listing import FATAL_AT_ONCE, MAIN_CF, entry_names, meaning

STOCK = "smtp inet n - n - - smtpd -o a1=before\n"

# The loop of docker-mailserver's set-up, with its way of leaving comments out.
APPLY = r"""
status=0
while read -r line; do
    if [[ ${line} =~ ^[0-9a-z] ]]; then
        postconf -c "$1" -P "${line}" || status=1
    fi
done < <(grep --extended-regexp --invert-match "^\s*$|^\s*#" "$1/postfix-master.cf")
exit "${status}"
"""


def ended(text):
    return text if not text or text.endswith("\n") else text + "\n"


def applied(judge, reading, kind, text, override):
    """The server's file with the override in force, by our reading."""
    folder = judge.new_folder()
    judge.write(folder + "/file", text)
    judge.write(folder + "/override", override)
    return reading.ask(kind, judge.outside(folder + "/file"), judge.outside(folder + "/override"))


def main_cases(count):
    for seed in seeds(count):
        yield (f"main_cf({seed})", generate_postfix.Main(seed).text,
               generate_overrides.postfix_main(seed))
    for name, text in files("golden/postfix/*.main.cf"):
        yield name, text, generate_overrides.postfix_main(name)


def test_main_cf_has_the_values_that_appending_gives(judge, reading):
    faults = Faults()
    cases = []
    for name, text, override in main_cases(300):
        ours = applied(judge, reading, "override-main", text, override)
        if ours.refused:
            faults.add(name, f"refused: {ours.text}", override)
            continue
        cases.append((name, text, override, judge.postfix(STOCK, ended(text) + override),
                      judge.postfix(STOCK, ours.text)))
    said = iter(
        judge.run([["postconf", "-c", folder, "-n"] for case in cases for folder in case[3:]],
                  at_once=FATAL_AT_ONCE))
    good = 0
    for name, text, override, _, _ in cases:
        theirs, ours = next(said), next(said)
        good += theirs.status == 0
        difference = first_difference(rows(without_folder(theirs.out)),
                                      rows(without_folder(ours.out)))
        if theirs.status != ours.status or difference:
            faults.add(name, f"{theirs.status} {ours.status} {difference}",
                       f"{text}\n+\n{override}")
    assert good > len(cases) / 2
    faults.check(len(cases))


def without_folder(listing):
    return "".join(line + "\n" for line in rows(listing) if not line.startswith("config_directory"))


def last_entries(listing):
    """What Postfix uses: of several entries for a service the last."""
    return {entry[0][:2]: entry for entry in meaning(listing)}


def master_folders(judge, text, override):
    """(folder to be edited by docker-mailserver's loop, the loop as a job)"""
    folder = judge.postfix(text, MAIN_CF)
    judge.write(folder + "/postfix-master.cf", override)
    return folder, ["bash", "-c", APPLY, "bash", folder]


def stock_cases(count):
    yield from files("golden/postfix/*.in")
    for seed in seeds(count):
        yield f"mail_master_cf({seed})", generate_postfix.mail_master_cf(seed)


def services_of(reading, path):
    """NAME/TYPE of all services that postconf can name; none when master(8) would refuse them."""
    listing = reading.ask("master", path)
    names = [] if listing.refused else entry_names(listing.text)
    return [name for name in names if name.count("/") == 1]


def test_master_cf_has_the_options_that_postconf_sets(judge, reading):
    faults = Faults()
    cases = []
    for name, text in stock_cases(80):
        text = ended(text.rstrip("\r\n"))
        services = services_of(reading, judge.outside(judge.postfix(text) + "/master.cf"))
        # twins are not the owner's
        if not services or "postern_" in text:
            continue
        override = generate_overrides.postfix_master(name, services)
        ours = applied(judge, reading, "override-master", text, override)
        if ours.refused:
            faults.add(name, f"refused: {ours.text}", f"{text}\n+\n{override}")
            continue
        cases.append((name, text, override, ours.text, *master_folders(judge, text, override)))
    said = judge.run([case[-1] for case in cases], at_once=FATAL_AT_ONCE)
    for (name, text, override, ours, folder, _), done in zip(cases, said):
        if done.status != 0:
            faults.add(name, f"postconf refuses: {done.err}", override)
            continue
        theirs = judge.read(folder + "/master.cf")
        check_master(judge, reading, faults, name, f"{text}\n+\n{override}", theirs, ours)
    assert len(cases) > 30
    faults.check(len(cases))


def check_master(judge, reading, faults, name, text, theirs, ours):
    listings = []
    for master_cf in (theirs, ours):
        folder = judge.postfix(master_cf)
        read = reading.ask("master", judge.outside(folder + "/master.cf"))
        if read.refused:
            faults.add(name, f"cannot be read: {read.text}", master_cf)
            return
        listings.append(last_entries(read.text))
    difference = first_difference(sorted(map(str, listings[0].values())),
                                  sorted(map(str, listings[1].values())))
    if difference:
        faults.add(name, difference, text)


def test_what_postconf_refuses_we_pass_over_and_what_we_take_it_sets(judge, reading):
    faults = Faults()
    cases = []
    for seed in seeds(120):
        override = generate_overrides.odd_postfix_master(seed)
        ours = applied(judge, reading, "override-master", STOCK, override)
        cases.append((f"odd({seed})", override, ours, *master_folders(judge, STOCK, override)))
    # A fatal error costs postconf a second of sleep.
    said = judge.run([case[-1] for case in cases], at_once=FATAL_AT_ONCE)
    refusals = taken = 0
    for (name, override, ours, folder, _), theirs in zip(cases, said):
        refusals += theirs.status != 0
        if ours.refused or ours.text == STOCK:
            continue
        taken += 1
        if theirs.status != 0:
            faults.add(name, f"taken by us alone: {theirs.err}", override)
            continue
        check_master(judge, reading, faults, name, override, judge.read(folder + "/master.cf"),
                     ours.text)
    assert len(cases) / 10 < refusals < len(cases)
    assert taken > len(cases) / 20
    faults.check(len(cases))


def test_master_cf_with_overrides_is_accepted(judge, reading):
    """postconf reads what we made without a new warning of syntax."""
    faults = Faults()
    cases = []
    for name, text in stock_cases(40):
        folder = judge.postfix(text)
        services = services_of(reading, judge.outside(folder + "/master.cf"))
        if not services:
            continue
        ours = applied(judge, reading, "override-master", text,
                       generate_overrides.postfix_master(name, services))
        if not ours.refused:
            cases.append((name, ours.text, folder, judge.postfix(ours.text)))
    said = iter(judge.run([["postconf", "-c", folder, "-M"] for case in cases
                           for folder in case[2:]]))
    for name, text, _, _ in cases:
        before, after = next(said), next(said)
        if after.status != before.status or len(rows(after.out)) != len(rows(before.out)):
            faults.add(name, f"{after}", text)
    faults.check(len(cases))
