# SPDX-License-Identifier: MIT
"""How long `postern patch` takes: beside the recipe that it replaces, and as master.cf grows.

Times are of one process as its parent sees it, from fork to exit, taken inside the lab's host by
one small driver (driver.py), so that nothing of the lab itself is in them.  Pairs alternate,
A B A B.
"""
import statistics

import inside
from lab import mailhost, recipe
from tables import ms, quartiles, table

POSTERN = [mailhost.POSTERN, "--config", mailhost.POSTERN_CONF, "--log-level", "error"]

# Name, age of main.cf when the clock starts, and what of postern's command follows `patch`.
SITUATIONS = (
    ("main.cf just written, as at a container's start", 0, []),
    ("main.cf old, servers not running", 60, []),
    ("main.cf old, patch --no-reload", 60, ["--no-reload"]),
)


def bench_patch(mail, pairs):
    """The whole of a patch beside the whole of the recipe, on the same files."""
    # Under set -e, so that a recipe that fails is not taken for a quick one.
    hook = ["sh", "-c", "set -e\n" + recipe.postfix_script()]
    rows = []
    for name, age_s, options in SITUATIONS:
        patch = [*POSTERN, "patch", *options]
        taken = inside.drive(mail, {
            "files": [mailhost.MASTER_CF, mailhost.MAIN_CF, mailhost.DROP_IN],
            "main_cf": mailhost.MAIN_CF, "age_s": age_s, "rounds": pairs,
            "commands": {"recipe": [hook], "patch": [patch, patch]},
        })
        for label, theirs, ours in (
                (name, [t[0] for t in taken["recipe"]], [t[0] for t in taken["patch"]]),
                ("  second patch", None, [t[1] for t in taken["patch"]])):
            ratios = [a / b for a, b in zip(theirs, ours)] if theirs else []
            low, middle, high = quartiles(ours)
            rows.append([label, ms(statistics.median(theirs)) if theirs else "",
                         ms(middle), f"{low * 1000:.2f}-{high * 1000:.2f}",
                         f"{statistics.median(ratios):.1f} x" if ratios else "",
                         f"{min(ratios):.1f}-{max(ratios):.1f}" if ratios else ""])
    print(f"A patch beside the recipe (Postfix's half alone), {pairs} pairs, ms\n")
    table(["situation", "recipe", "postern", "quartiles", "ratio", "range"], rows)


def services(count):
    """A master.cf of so many services: the lab's own, and a mix of what people add."""
    kinds = (
        "worker{n} unix - - n - 10 smtp\n  -o syslog_name=postfix/worker{n}\n"
        "  -o smtp_bind_address=192.0.2.1\n",
        "filter{n} unix - n n - - pipe\n  flags=Rq user=nobody argv=/usr/bin/filter{n} -f\n"
        "  ${{sender}} -- ${{recipient}}\n",
        "# Of customer {n}, who wants it so.\n127.0.0.1:{port} inet n - n - - smtpd\n"
        "  -o smtpd_client_restrictions=permit_mynetworks,reject\n  -o mynetworks=127.0.0.0/8\n",
        "relay{n}  unix  -       -       n       -       -       smtp\n",
    )
    text = mailhost.mail_config.MASTER_CF
    own = sum(line[:1] not in ("#", " ", "\t", "") for line in text.splitlines())
    parts = [text]
    for n in range(max(0, count - own)):
        parts.append(kinds[n % len(kinds)].format(n=n, port=20000 + n % 40000))
    return "".join(parts)


def bench_services(mail, counts, rounds):
    """What reading, planning and showing the difference takes as services grow.

    "us/added" is what each service costs beyond the size before, or beyond doing nothing: the same
    in every row when time grows linearly.
    """
    sizes, files, commands = {}, [], {}
    for count in counts:
        text = services(count)
        sizes[count] = len(text)
        folder = f"/root/postfix-{count}"
        mail.shell(f"mkdir -p {folder} && cp {mailhost.MAIN_CF} {folder}/")
        files.append(f"{folder}/master.cf")
        mail.write(files[-1], text)
        conf = f"/root/postern-{count}.conf"
        mail.write(conf, mailhost.mail_config.POSTERN
                   + f'postfix {{ config-directory = "{folder}" }}\n')
        base = [mailhost.POSTERN, "--config", conf, "--log-level", "error"]
        commands[f"check {count}"] = [[*base, "patch", "--check"]]
        commands[f"again {count}"] = [[*base, "patch", "--no-reload"]] * 2
    commands["nothing"] = [[mailhost.POSTERN, "version"]]
    taken = inside.drive(mail, {"files": files, "rounds": rounds, "commands": commands,
                                "statuses": {f"check {count}": 1 for count in counts}})
    rows, before = [], (0, statistics.median(t[0] for t in taken["nothing"]))
    for count in counts:
        check = [t[0] for t in taken[f"check {count}"]]
        middle = statistics.median(check)
        added = (middle - before[1]) / (count - before[0])
        before = (count, middle)
        rows.append([f"{count:,}", f"{sizes[count] / 1024:,.0f}", ms(middle),
                     ms(quartiles(check)[0]), ms(quartiles(check)[2]), ms(min(check)),
                     f"{middle / count * 1e6:.2f}", f"{added * 1e6:.2f}",
                     ms(statistics.median(t[0] for t in taken[f"again {count}"])),
                     ms(statistics.median(t[1] for t in taken[f"again {count}"]))])
    print(f"As master.cf grows, {rounds} rounds, ms; `postern version` takes "
          f"{statistics.median(t[0] for t in taken['nothing']) * 1000:.2f}\n")
    table(["services", "KiB", "patch --check", "quarter", "three", "least", "us/service",
           "us/added", "patch --no-reload", "second"], rows)
