# SPDX-License-Identifier: MIT
"""What has to agree at the end, of postern itself: its log, its status, its metrics, its files, its
memory."""
import collections
import datetime
import difflib
import re
import statistics

import generations
import watching
import world as world_module
from lab import Lab, mailhost, prometheus, wait
from record import POSTFIX, Window

# What a quiet process may have gained, and how far it may swing meanwhile.
GROWTH_KB, SWING_KB, SLOPE_KB_PER_MIN = 256, 2048, 64
WARM_UP_SHARE = 0.25
QUIET_S = 10
MOMENTS = 5  # a look without a cause comes every RESYNC_S
# A look that was under way says so when it comes to its end.
AFTER_A_KILL_S = 30.0
# How long before a look that finds it an edit may have been.
EDITED_S = 60.0
# Locks of Postfix's own update protocol stay where they are.
LOCKS = re.compile(r"/(?:master|main)\.cf\.tmp$")

_PLACE = r"/\S+"
# {kind: (level, pattern)}: all that a sound postern may say here.
EXPECTED = {
    "reloaded": ("notice", r"(?:postfix|dovecot): reloaded \(process \d+\)"),
    "twins answer": ("notice", r"(?:postfix|dovecot): \d+ twins? answers?"),
    "changed": ("notice", rf"{_PLACE}: (?:changed|made|removed)"),
    "master has ended": ("notice",
                         r"(?:postfix|dovecot): its master process \d+ has ended"),
    "not running": ("notice", r"(?:postfix|dovecot): (?:not running|still starting).*"),
    "SIGHUP": ("notice", r"SIGHUP: looking at everything"),
    "as wanted again": ("notice", r"everything is as wanted again"),
    "mail host": ("notice", r"mail host: .*|no mail container is to be seen: waiting for it"),
    "status": ("notice", r"status can be asked for at .*"),
    "metrics": ("notice", r"metrics, /healthz and /readyz at .*"),
    "capabilities": ("notice", r"capabilities kept: .*"),
    "somebody's change": ("notice", r"\S+.*: somebody else has changed it: .*"),
    "watched while away": ("notice", r"watched folders may have changed while nobody watched: .*"),
    "gate": ("notice", r"gate: .*"),
    "files stay": ("notice", r"(?:postfix|dovecot): its files stay: they were there before"),
    # Each of these has a count that it must not exceed: see judge_kinds().
    "edited meanwhile": ("warning", r"\S+: edited by another program meanwhile: .*"),
    "previous state is back": ("notice", r"\S+: the previous state is back"),
    "look killed": ("error", r"looking at the mail host ended by signal 9"),
    "master killed": ("error", r"(?:postfix|dovecot): its master process ended; start it again"),
    "master killed under a look": ("error",
                                   r"(?s:(?:postfix|dovecot): (?:verify|reload|judge|bind).*)"),
    "and under another": ("warning", r"(?s:the last good configuration: (?:postfix|dovecot): "
                                     r"(?:verify|reload).*)"),
    # Somebody has put an older master.cf in place and had Postfix read it.
    "still open": ("warning", r"postfix: port \d+ is still open"),
    "watcher killed": ("warning", r"run: the watching process was ended by SIGKILL; .*"),
}

AWAY = ("master killed under a look", "and under another")


def kind_of(line, bad_said):
    """A refusal is one of those generations that were made to be refused."""
    if line["level"] == "error" and any(re.search(said, line["message"]) for said in bad_said):
        return "refused"
    for kind, (level, pattern) in EXPECTED.items():
        if line["level"] == level and re.fullmatch(pattern, line["message"]):
            return kind
    return None


def time_of(line):
    if not line["time"]:
        return 0.0
    return datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()


class Log:
    """The lines of postern's log by kind."""

    def __init__(self, record, lines, bad_said):
        self.record, self.lines = record, lines
        self.kinds = collections.Counter()
        for line in lines:
            kind = kind_of(line, bad_said)
            self.kinds[kind or f"UNEXPECTED {line['level']}: {line['message'][:200]}"] += 1
            if kind is None:
                record.problem(f"unexpected in postern's log: {line['level']}: {line['message']}")
            if kind in AWAY and not self._master_was_away(line):
                record.problem(f"failed without cause: {line['message']}")
        self._limit("look killed", "look")
        self._limit("master killed", "postfix's master", "dovecot's master")
        self.taken_out = [time_of(line) for line in lines if "is taken out" in line["message"]]
        if record.counts["states without ours"] and not self.taken_out:
            record.problem("master.cf was seen without ours, and no line says why")
        if self.kinds["still open"] > self.kinds["edited meanwhile"]:
            record.problem(f"{self.kinds['still open']} ports were still open after a reload")
        self._add_windows()

    def _add_windows(self):
        """From a twin's being taken out where we had edited the file until it is there again."""
        back = [time_of(line) for line in self.lines
                if re.match(r"postfix: \d+ twins? answer", line["message"])]
        for at in self.taken_out:
            if not any(what in ("sed -i", "rename", "postconf -P") and at - EDITED_S <= when <= at
                       for when, what in self.record.events):
                self.record.problem("twins were taken out, and nobody had edited the file")
            until = min((each for each in back if each > at), default=at)
            self.record.windows.append(Window("twins taken out after an edit",
                                              frozenset([POSTFIX]), at, until))

    def _limit(self, kind, *killed):
        """No more lines of it than processes that were killed."""
        most = sum(self.record.counts[f"killed: {what}"] for what in killed)
        if self.kinds[kind] > most:
            self.record.problem(f"{kind}: {self.kinds[kind]} lines, {most} were killed")

    def _master_was_away(self, line):
        at = time_of(line)
        server = re.search(r"\b(postfix|dovecot):", line["message"])[1]
        if self.record.window_covering(server, at - AFTER_A_KILL_S, at):
            return True
        # Or somebody's edit has put an older file in place, under the look that was to prove it.
        return any("edited by another program meanwhile" in each["message"] and
                   at - AFTER_A_KILL_S <= time_of(each) <= at for each in self.lines)

    def reloads(self, server, begin, end, killed_too=False):
        """Reloads that were told of within the time, without those by looks that were killed."""
        at = [time_of(line) for line in self.lines
              if line["message"].startswith(f"{server}: reloaded (")]
        return sum(begin <= t < end and (killed_too or not self._by_a_killed_look(t)) for t in at)

    def _by_a_killed_look(self, at):
        # Times in the log are cut to milliseconds.
        return any(begin - 0.02 <= at <= end for begin, end in self.record.looks_killed)


def _at_one_moment(world, record):
    """Status and metrics that no look has come between."""
    for _ in range(MOMENTS):
        status = quiet_status(world)
        metrics = prometheus.parse(world.told("/metrics")[1])
        again = quiet_status(world)
        if watching.counts_of(status) == watching.counts_of(again):
            break
    else:
        record.problem(f"it is not quiet: {status['counts']} {again['counts']}")
    return status, metrics


def counters(world, record, log, state):
    """Status, metrics and log of the postern that runs now; and of those that were killed."""
    status, metrics = _at_one_moment(world, record)
    rows = []

    def agree(name, *values):
        rows.append((name, values))
        if len(set(values)) != 1:
            record.problem(f"{name} disagree: {values}")

    for name, metric in watching.METRICS.items():
        agree(name, status["counts"][name], int(metrics[metric].value()))
    agree("generation", status["generation"], int(metrics["postern_config_generation"].value()))
    begin = max(record.watcher_ends, default=0.0)
    for server, told in status["servers"].items():
        agree(f"reloads of {server}", told["reloads"],
              int(metrics["postern_reloads_total"].value(server=server)),
              log.reloads(server, begin, float("inf")))
    agree("twins", len(status["twins"]), int(metrics["postern_twins"].value()),
          int(metrics["postern_twins_up"].value()))
    latencies = metrics["postern_event_to_verified_seconds"].samples[
        ("postern_event_to_verified_seconds_count", ())]
    agree("applies and latencies", status["counts"]["applies"], int(latencies))
    # An apply that fails is no generation; the first look is one, changed or not.
    less = status["counts"]["applies"] - status["generation"]
    if not -1 <= less <= status["counts"]["failures"]:
        record.problem(f"{status['counts']} do not make generation {status['generation']}")
    if status["counts"]["inotify_overflows"]:
        record.count("inotify overflows", status["counts"]["inotify_overflows"])
    _of_ended(record, log, state)
    return status, rows


def _of_ended(record, log, state):
    """What those that were killed had told of themselves is in the log."""
    ends = sorted(record.watcher_ends)
    if len(state.of_ended) != len(ends):
        record.problem(f"{len(ends)} watchers were killed, {len(state.of_ended)} were seen to go")
        return
    for begin, end, status in zip([0.0, *ends], ends, state.of_ended):
        for server, told in status["servers"].items():
            logged = log.reloads(server, begin, end)
            if told["reloads"] > logged:
                record.problem(f"reloads of {server}: {told['reloads']} told, {logged} logged")


def ordered_reloads(record, log, mail_log):
    """Rows of (server, told, ordered): nobody reloads a server but postern and ourselves."""
    rows = []
    for server, by in (("postfix", "act: postfix reload"), ("dovecot", "act: doveadm reload")):
        ordered = log.reloads(server, 0.0, float("inf"), killed_too=True) + record.counts[by]
        told = len(mail_log.reloads[server])
        # One that was killed between the signal and the line about it.
        if told > ordered + len(record.looks_killed):
            record.problem(f"{server} reloaded {told} times, ordered were {ordered}")
        rows.append((server, told, ordered))
    return rows


def quiet_status(world):
    return world.postern.wait_for(lambda s: s["outcome"] == "current" and s["ready"],
                                  "all to be as wanted")


# -- memory and what is left about

def flatness(record, measures, baseline, shape, baseline_shape):
    """Rows of (what, first, last, max - min, slope a minute); problems where it is not flat."""
    rows = []
    for who in ("process 1", "watcher"):
        series = [(pid, samples) for (name, pid), samples in measures.samples.items()
                  if name == who]
        if not series:
            continue
        # The last one of several: the others were killed.
        samples = series[-1][1]
        samples = samples[int(len(samples) * WARM_UP_SHARE):]
        for field in ("rss", "anon", "descriptors", "threads"):
            values = [(at, getattr(sample, field)) for at, sample in samples]
            rows.append(_flat(record, f"{who}, {field}", values, field))
        rows.append((f"{who}, zombies at once", *[max(len(s.zombies) for _, s in samples)] * 2,
                     "", ""))
    left = {name for name in measures.last_names - baseline if not LOCKS.search(name)}
    rows.append(("files about", measures.files[0][1], measures.files[-1][1],
                 max(n for _, n in measures.files) - min(n for _, n in measures.files), ""))
    if left:
        record.problem(f"files left about: {sorted(left)}")
    if shape != baseline_shape:
        record.problem(f"the quiet watcher holds {shape}, and held {baseline_shape}")
    return rows


def _flat(record, name, values, field):
    numbers = [value for _, value in values]
    swing = max(numbers) - min(numbers)
    slope = slope_per_minute(values)
    quarter = max(1, len(numbers) // 4)
    growth = statistics.median(numbers[-quarter:]) - statistics.median(numbers[:quarter])
    if field in ("rss", "anon") and (growth > GROWTH_KB or swing > SWING_KB):
        record.problem(f"{name} grows: by {growth} KiB, swings by {swing} KiB")
    if field == "threads" and max(numbers) != 1:
        record.problem(f"{name}: {max(numbers)}")
    return (name, numbers[0], numbers[-1], swing, f"{slope:+.2f}")


def slope_per_minute(values):
    """Least squares."""
    if len(values) < 2:
        return 0.0
    times, numbers = zip(*values)
    middle, mean = statistics.mean(times), statistics.mean(numbers)
    spread = sum((t - middle) ** 2 for t in times)
    return 60 * sum((t - middle) * (n - mean) for t, n in values) / spread if spread else 0.0


# -- files

def expected_files(release, good, edits):
    """What the files hold when the last generation is put over what others made of them: made anew,
    by `postern patch`, on a mail host where nothing else has happened."""
    with Lab(release, with_balancer=False, main_cf_extra=world_module.MAIN_CF_EXTRA) as lab:
        mail = lab.mail
        world_module.prepare_files(mail, release)
        for name, number in edits.items():
            world_module.EDITS[name].do(mail, number)
        for key, data in good.keys().items():
            if data is not None:
                mail.write(f"{generations.OVERRIDES}/{key}", data)
        mail.age_main_cf()
        mail.postern("patch", "--no-reload", config=f"{generations.OVERRIDES}/postern.conf")
        return {path: mail.read(path) if mail.exists(path) else "" for path in generations.FILES}


def compare_files(record, world, expected):
    """How many are the same byte for byte."""
    same = 0
    for path, wanted in expected.items():
        now = world.file_text(path)
        if now == wanted:
            same += 1
            continue
        lines = [line for line in _difference(wanted, now)]
        record.problem(f"{path} is not as it has to be: {' | '.join(lines[:12])}")
    return same


def _difference(wanted, now):
    return [line for line in difflib.unified_diff(wanted.splitlines(), now.splitlines(),
                                                  "wanted", "is", lineterm="", n=0)][2:]


def patch_finds_nothing(record, world):
    """postern's own opinion of the files, from outside of the one that runs.  A row of what it
    found at first: a look may be under way, by `resync` or a lock file."""
    if world.way != world_module.RUN:
        return []
    found = []

    def finds_nothing():
        config = f"{generations.OVERRIDES}/postern.conf"
        done = world.mail.postern("patch", "--check", check=False, config=config)
        if done.returncode != 0:
            state = world.mail.postern("check", check=False, config=config).stdout
            found.append(f"{done.stdout[-500:]} {done.stderr[-500:]} {state}")
        return done.returncode == 0
    try:
        wait.until(finds_nothing, "nothing to be found", QUIET_S, every=0.2)
    except wait.TooLate:
        record.problem(f"patch --check finds something: {found[-1]}")
    return [("patch --check found at first", text) for text in found[:1]]


def gate_networks(record, world, gate, good):
    """The networks in the gate are those in force; "none" where there is no gate."""
    text = gate.table()
    if text is None:
        return "none"
    wanted = set(good.networks())
    found = watching.prefixes_in(text)
    own = {"127.0.0.0/8", "127.0.0.1/32", "::1/128"}
    if found - own != wanted:
        record.problem(f"the gate lets {sorted(found)} in, in force are {sorted(wanted)}")
    return f"seen {gate.seen} times, missing {gate.missing}, {len(found)} networks"


def twins_stand(record, status, good):
    wanted = {**mailhost.TWIN_PORTS, **good.moved_ports()}
    up = {twin["listener"]: twin["port"] for twin in status["twins"] if twin["up"]}
    if up != wanted:
        record.problem(f"twins {up}, wanted {wanted}")
