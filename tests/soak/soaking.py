# SPDX-License-Identifier: MIT
"""One soak of one release: begin, let everything happen, end, account."""
import os
import time

import account
import acts
import bad_clients
import crew
import good_clients
import judge
import tables
import watching
import world as world_module
from lab import postern as postern_module, wait
from record import DOVECOT, POSTFIX, Record

CLIENTS_END_S = 90
QUEUE_EMPTY_S = 60
SAID_OF_QUEUE = 40  # lines of the log


class Soak:
    def __init__(self, release, way, seed, given, folder):
        self.release, self.way, self.seed, self.given, self.folder = (release, way, seed, given,
                                                                      folder)
        self.seconds = given.minutes * 60
        self.record = Record()
        self.rows = []

    def run(self):
        """True when everything agrees."""
        print(f"Debian {self.release}, postern {self.way}, {self.given.minutes:g} minutes, "
              f"--seed {self.seed}", flush=True)
        with world_module.World(self.release, self.way) as world:
            self.world = world
            world.start()
            try:
                self._begin()
                self._let_it_happen()
                self._end()
                self._account()
            finally:
                self._keep()
        tables.show(self.record, self.rows)
        return not self.record.problems

    def _begin(self):
        world, record = self.world, self.record
        self.files = watching.Files(world, record)
        self.in_place = watching.InPlace(world, record)
        self.state = watching.State(world, record)
        self.measures = watching.Measures(world, record)
        self.gate = watching.Gate(world, record)
        self.fail2ban = watching.Fail2ban(world, record)
        # Warm: every kind of file has been written.  Quiet: this is what the end is compared with.
        self.swapper = acts.Swapper(world, record, self.seed)
        account.quiet_status(world)
        self.baseline = self.measures.names()
        self.baseline_shape = self.measures.shape()
        self.disturber = acts.Disturber(world, record, self.files, self.seed, self.seconds)
        self.good = crew.Crew(self._at("good"), good_clients.Clients(world, self.seed).workers(
            self.given.good))
        self.bad = crew.Crew(self._at("bad"), bad_clients.BadClients(world, self.seed).workers(
            self.given.bad, self.given.burst))
        self.watchers = [self.files, self.in_place, self.state, self.measures, self.gate,
                         self.fail2ban]

    def _at(self, name):
        return os.path.join(self.folder, name)

    def _let_it_happen(self):
        self.begun = time.time()
        # Processes before threads.
        for each in (self.good, self.bad):
            each.start()
        for each in (*self.watchers, self.swapper, self.disturber):
            each.start()
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            time.sleep(min(1.0, max(0.0, deadline - time.monotonic())))

    def _end(self):
        """Everything comes to rest, in the order in which it can be judged."""
        self.disturber.finish()
        self.swapper.finish()
        self.bad.ask_to_stop()
        self.ended = time.time()
        for each, name in ((self.good, "good clients"), (self.bad, "bad clients")):
            if each.join(CLIENTS_END_S) != 0:
                self.record.problem(f"{name} did not end as they should")
        for each in (self.state, self.fail2ban):
            each.stop()
        self._queue_empties()
        account.quiet_status(self.world)
        postern_module.all_answer(self.world.mail, world_module.FIXED_TWINS)
        account.quiet_status(self.world)
        for each in (self.files, self.in_place, self.measures, self.gate):
            each.stop()
        self.measures.once()

    def _queue_empties(self):
        """What stays in it is told with all that the log says of it.  A mail that an orphan of
        a killed master had locked was put aside for minutes, until somebody flushes."""
        mail = self.world.mail
        mail.run(["postqueue", "-f"], check=False)
        try:
            wait.until(lambda: mail.queue_size() == 0, "the queue to be empty", QUEUE_EMPTY_S,
                       every=0.2)
        except wait.TooLate as late:
            ids = mail.queue_ids()
            said = [line for line in mail.log.since().splitlines()
                    if any(each in line for each in ids)]
            self.record.problem(f"{late}: {ids}: " + "\n  ".join(said[-SAID_OF_QUEUE:]))

    def _keep(self):
        for name, text in (("mail.log", self.world.mail.log.since()),
                           ("postern.log", "\n".join(map(str, self.world.log_lines()))),
                           ("record", "\n".join(f"{at:.3f} {what}" for at, what in
                                                self.record.events))):
            with open(self._at(name), "w", encoding="utf-8") as file:
                file.write(text)

    # -- accounts

    def _row(self, label, text):
        self.rows.append((label, str(text)))

    def _account(self):
        world, record, row = self.world, self.record, self._row
        sessions = crew.read(self._at("good"))
        mail_log = judge.MailLog(world.mail.log.since())
        log = account.Log(record, world.log_lines(), self.swapper.bad_said)
        clients = judge.Clients(record, sessions, mail_log, judge.messages_in_boxes(world.mail))
        self._show_clients(clients, sessions)
        self._show_bad(crew.read(self._at("bad")))
        self._show_generations()
        status, agreed = account.counters(world, record, log, self.state)
        for name, values in agreed:
            row(f"  {name}", " = ".join(map(str, values)))
        for server, told, ordered in account.ordered_reloads(record, log, mail_log):
            row(f"  {server} reloaded", f"{told} times by its own log, {ordered} times by order")
        account.twins_stand(record, status, self.swapper.good)
        self._show_files()
        self._show_acts()
        row("questions to postern", ", ".join(
            f"{name.removeprefix('answers of ')} {n}" for name, n in sorted(record.counts.items())
            if name.startswith("answers of ")) + f"; unanswered {len(self.state.unanswered)}, "
            f"explained {judge.unanswered(record, self.state)}")
        self.fail2ban.judge()
        row("somebody else's nftables", f"{record.counts['bans by somebody else']} changes")
        row("gate", account.gate_networks(record, world, self.gate, self.swapper.good))
        for name, first, last, swing, slope in account.flatness(
                record, self.measures, self.baseline, self.measures.shape(), self.baseline_shape):
            row(f"  {name}", f"{first} -> {last}" + (f", max-min {swing}" if swing != "" else "")
                + (f", {slope} a minute" if slope else ""))
        for kind, n in log.kinds.most_common():
            row(f"  postern said: {kind}", n)

    def _show_clients(self, clients, sessions):
        c, row = clients.counts, self._row
        row("good clients", f"{len(sessions)} sessions: ok {c['ok']}, failed {c['failed']}, "
            f"unknown {c['unknown']}")
        for service in good_clients.SERVICES:
            row(f"  {service}", self._outcomes(c, service))
        for via in good_clients.VIAS:
            row(f"  via {via}", self._outcomes(c, f"via {via}"))
        row("mails accepted", f"{c['mails']}: once in log and mailbox, with the claimed address")
        row("  lost / twice / address", f"{c['lost']} / {c['twice or unasked']} / "
            f"{c['not the claimed address']}")
        row("log-ins", f"{c['log-ins']}, while Dovecot's log was down {c[judge.LOG_WAS_DOWN]}")
        row("failures explained", ", ".join(f"{what}: {n}" for what, n in
                                            clients.explained.most_common()) or "none to explain")
        row("failures unexplained", len(clients.unexplained))
        for server in (POSTFIX, DOVECOT):
            share = self.record.share_of_windows(server, self.begun, self.ended)
            row(f"  time without {server}", f"{share:.1%}")

    @staticmethod
    def _outcomes(counts, name):
        return (f"ok {counts[name + ' ok']}, failed {counts[name + ' failed']}, "
                f"unknown {counts[name + ' unknown']}")

    def _show_bad(self, journal):
        total = sum(each["n"] for each in journal)
        relays = [each for each in journal if each["kind"] == "relay"]
        for each in relays:
            if each["relayed"]:
                self.record.problem(f"relayed: {each}")
        at_once = max((each.get("at_once", 0) for each in journal), default=0)
        self._row("bad clients", f"{total} connections, {at_once} at once; relayed "
                  f"{sum(each['relayed'] for each in relays)} of {len(relays)}")

    def _show_generations(self):
        c, row, took = self.record.counts, self._row, sorted(self.swapper.took)
        row("generations", f"{c['generations']}: good {c['generations good']}, bad "
            f"{c['generations bad']}, overtaken {c['generations overtaken']}")
        row("  applied / refused", f"{c['generations applied']} / {c['generations refused']}")
        row("  until in force", f"median {took[len(took) // 2]:.2f} s, most {took[-1]:.2f} s")
        if c["generations good"] != c["generations applied"] or \
                c["generations bad"] != c["generations refused"]:
            self.record.problem("not every generation was applied or refused")

    def _show_files(self):
        world, record, row = self.world, self.record, self._row
        edits = self.disturber.edits()
        expected = account.expected_files(self.release, self.swapper.good, edits)
        same = account.compare_files(record, world, expected)
        for label, text in account.patch_finds_nothing(record, world):
            row(label, text)
        row("files as they have to be", f"{same} of {len(expected)}, byte for byte")
        row("states of files read", f"{self.files.rounds} times, "
            + ", ".join(f"{os.path.basename(path)} {len(found)}"
                        for path, found in self.files.states.items())
            + f"; torn {record.counts['torn files']}, lost edits {record.counts['lost edits']}")
        served = set(judge.served_certificates(world).values())
        if served != {self.disturber.certificate()}:
            record.problem(f"certificates served: {served}")

    def _show_acts(self):
        c = self.record.counts
        self._row("acts", ", ".join(f"{name.removeprefix('act: ')} {n}" for name, n in
                                    sorted(c.items()) if name.startswith("act: ")))
        self._row("killed", ", ".join(f"{name.removeprefix('killed: ')} {n}" for name, n in
                                      sorted(c.items()) if name.startswith("killed: ")))
