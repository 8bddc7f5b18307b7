# SPDX-License-Identifier: MIT
"""What has to agree at the end, of clients and servers: mail, log-ins, failures, their causes."""
import collections
import datetime
import os
import re
import ssl

import world as world_module
from lab import mail_config, proxy_client
from record import DOVECOT, POSTFIX

# The log is a process's own until it is written; a session's end is noted by two clocks.
SLACK_S = 1.0
BEHIND_S = 5.0  # what a busy balancer takes to hand on that a server has closed
SERVERS_OF = {"smtp": (POSTFIX,), "submission": (POSTFIX,), "imap": (DOVECOT,),
              "imaps": (DOVECOT,), "pop3s": (DOVECOT,)}
# Dovecot's reload ends the process that log-ins are waiting for, and a little later those that do
# not end by themselves: they are cut off.
CUT_OFF = r"EOF|reset by peer|Connection closed|[Ss]hutting down|Internal error occurred"
CUT_OFF_S = 1.0
# While it does so, an smtpd that starts finds nobody to ask for log-ins, and ends.
_NO_LOG_INS = re.compile(r"/smtpd\[(\d+)\]: fatal: no SASL authentication mechanisms")
AWAY_S = 3.0
# One that opens the certificate before a swap and the key after it goes without TLS to its end,
# which the next reload brings; and one of before a reload may not find the tlsmgr of after it.
_NO_TLS = re.compile(r"/smtpd\[(\d+)\]: warning: (?:TLS library problem: .* mismatch|"
                     r"problem talking to server private/tlsmgr: )")
RENEWAL_S = 3.0
LOG_WAS_DOWN = "log-ins while Dovecot's log was down"
_ENDED = re.compile(r" dovecot: master: Warning: Sent SIGTERM to ")
KILLED = {POSTFIX: "smtpd", DOVECOT: "login"}

_CLEANUP = re.compile(r"/cleanup\[\d+\]: (\w+): message-id=<([^>]+)>$")
_CLIENT = re.compile(r"/smtpd\[\d+\]: (\w+): client=[^\[]*\[([^\]]+)\]:(\d+)")
_SENT = re.compile(r"postfix/virtual\[\d+\]: (\w+): .* status=sent \(delivered to maildir\)")
_CONNECT = re.compile(r"/smtpd\[(\d+)\]: connect from [^\[]*\[([^\]]+)\]:(\d+)")
RELOADED = {POSTFIX: re.compile(r" postfix/master\[\d+\]: reload "),
            DOVECOT: re.compile(r" dovecot: master: (?:Warning: )?SIGHUP received")}
_LOGIN = re.compile(r" dovecot: \S*-login: Log(?:ged )?in: user=<([^>]*)>"
                    r".* rip=(\S+?),? rport=(\d+)")


def time_of(line):
    return datetime.datetime.fromisoformat(line.split(" ", 1)[0]).timestamp()


class MailLog:
    """What the servers wrote, in one pass."""

    def __init__(self, text):
        self.queue_ids = collections.defaultdict(set)  # of a message's identity
        self.clients = {}  # (address, port) of a queue id
        self.sent = collections.Counter()  # by queue id
        self.logins = collections.Counter()  # by (user, address, port)
        self.smtpd = {}  # process of (address, port), the last one
        self.reloads = {server: [] for server in RELOADED}  # times
        self.cut_off = []  # times at which Dovecot cuts off who is logging in
        self.without_log_ins = {}  # when an smtpd ended of that, by process
        self.without_tls = {}  # since when an smtpd cannot do TLS, by process
        self.throttled = len(re.findall(r"bad command startup -- throttling", text))
        for line in text.splitlines():
            self._take(line)

    def _take(self, line):
        if found := _CLEANUP.search(line):
            self.queue_ids[found[2]].add(found[1])
        elif found := _CLIENT.search(line):
            self.clients[found[1]] = (found[2], int(found[3]))
        elif found := _SENT.search(line):
            self.sent[found[1]] += 1
        elif found := _CONNECT.search(line):
            self.smtpd[(found[2], int(found[3]))] = int(found[1])
        elif found := _LOGIN.search(line):
            self.logins[(found[1], found[2], int(found[3]))] += 1
        elif found := _NO_LOG_INS.search(line):
            self.without_log_ins[int(found[1])] = time_of(line)
        elif found := _NO_TLS.search(line):
            self.without_tls[int(found[1])] = time_of(line)
        elif _ENDED.search(line):
            self.cut_off.append(time_of(line))
        else:
            for server, said in RELOADED.items():
                if said.search(line):
                    self.reloads[server].append(time_of(line))
                    if server == DOVECOT:
                        self.cut_off.append(time_of(line))


def messages_in_boxes(mail):
    """{identity: how many files}."""
    found = collections.Counter()
    for folder, _, names in os.walk(mail.path(f"/var/mail/{mail_config.DOMAIN}")):
        if os.path.basename(folder) in ("new", "cur"):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    for mid in re.findall(rb"^Message-ID: <([^>]+)>", file.read(2000), re.M | re.I):
                        found[mid.decode()] += 1
    return found


def identity(session):
    return session["user"], session["address"], session["port"]


class Clients:
    """The sessions of good clients against the log and the mailboxes."""

    def __init__(self, record, sessions, log, boxes):
        self.record, self.sessions, self.log, self.boxes = record, sessions, log, boxes
        self.counts = collections.Counter()
        self.explained = collections.Counter()
        self.unexplained = []
        # Behind a balancer a client's port may come again.
        self._logged_in = collections.Counter(
            identity(session) for session in sessions if session["outcome"] == "ok")
        for session in sessions:
            self.counts[session["outcome"]] += 1
            self.counts[f"{session['service']} {session['outcome']}"] += 1
            self.counts[f"via {session['via']} {session['outcome']}"] += 1
            if session["service"] in ("smtp", "submission"):
                self._judge_mail(session)
            else:
                self._judge_log_in(session)
            if session["outcome"] != "ok":
                self._explain(session)

    def _wrong(self, what, session, more=""):
        self.counts[what] += 1
        self.record.problem(f"{what}: {session['mid']} of {session['address']}:{session['port']} "
                            f"via {session['via']}, {session['outcome']} {session['error'] or ''} "
                            f"{more}")

    def _judge_mail(self, session):
        ids = self.log.queue_ids.get(session["mid"], set())
        sent = sum(self.log.sent[each] for each in ids)
        files = self.boxes[session["mid"]]
        at_least, at_most = {"ok": (1, 1), "unknown": (0, 1), "failed": (0, 0)}[session["outcome"]]
        if files > at_most or sent > at_most:
            self._wrong("twice or unasked", session, f"{files} files, sent {sent} times")
        if files < at_least or sent < at_least:
            self._wrong("lost", session, f"{files} files, sent {sent} times")
        if files != sent:
            self._wrong("log and mailbox differ", session, f"{files} files, sent {sent} times")
        if session["outcome"] == "ok":
            self.counts["mails"] += 1
            claims = {self.log.clients.get(each) for each in ids}
            if claims != {(session["address"], session["port"])}:
                self._wrong("not the claimed address", session, f"the log has {claims}")

    def _judge_log_in(self, session):
        logged = self.log.logins[identity(session)]
        wanted = self._logged_in[identity(session)]
        appended = session["service"] != "pop3s"
        files = self.boxes[session["mid"]] if appended else 0
        if session["outcome"] == "ok":
            self.counts["log-ins"] += 1
            if logged < wanted and not self._log_was_down(session):
                self._wrong("not the claimed address", session, f"logged {logged} times")
            if appended and files != 1:
                self._wrong("lost" if files == 0 else "twice or unasked", session, f"{files} files")
        elif files > (1 if session["outcome"] == "unknown" else 0):
            self._wrong("twice or unasked", session, f"{files} files")

    def _log_was_down(self, session):
        """Dovecot's log process goes with its master, and what was on its way to it."""
        begin, end = session["begin"] - SLACK_S, session["end"]
        if self.record.window_covering(DOVECOT, begin, end, SLACK_S):
            self.counts[LOG_WAS_DOWN] += 1
            return True
        return False

    # -- failures

    def _explain(self, session):
        cause = self._cause(session)
        if cause:
            self.explained[cause] += 1
        else:
            self.unexplained.append(session)
            self.record.problem(f"unexplained: {session['service']} via {session['via']}: "
                                f"{session['error']}; "
                                f"{self.record.events_about(session['begin'], session['end'])}")

    def _cause(self, session):
        begin, end = session["begin"], session["end"]
        for server in SERVERS_OF[session["service"]]:
            window = self.record.window_covering(server, begin, end)
            if window:
                return window.what
            for kill in self.record.kills:
                if kill.what == KILLED[server] and begin <= kill.at <= end + SLACK_S and \
                        self._was_served_by(session, kill):
                    return f"its {kill.what} was killed"
            if server == DOVECOT and re.search(CUT_OFF, session["error"]) and \
                    any(begin - CUT_OFF_S <= at <= end + SLACK_S for at in self.log.cut_off):
                return "Dovecot reloaded meanwhile"
            if server == POSTFIX and self._found_nobody_for_log_ins(session):
                return "Dovecot reloaded as its smtpd started"
            if server == POSTFIX and self._had_no_tls(session):
                return "its smtpd could not do TLS, between two certificates or generations"
        return None

    def _smtpd_of(self, session):
        return self.log.smtpd.get((session["address"], session["port"]))

    def _had_no_tls(self, session):
        since = self.log.without_tls.get(self._smtpd_of(session), 0.0)
        causes = [at for at, what in self.record.events if what == "certificate"]
        causes += self.log.reloads[POSTFIX]
        return "TLS" in session["error"] and \
            since <= session["end"] + SLACK_S and session["begin"] <= since + RENEWAL_S and \
            any(abs(at - since) <= SLACK_S for at in causes)

    def _found_nobody_for_log_ins(self, session):
        ended = self.log.without_log_ins.get(self._smtpd_of(session), 0.0)
        return session["begin"] <= ended <= session["end"] + SLACK_S and (
            any(ended - AWAY_S <= at <= ended for at in self.log.cut_off) or
            self.record.window_covering(DOVECOT, ended - AWAY_S, ended) is not None)

    def _was_served_by(self, session, kill):
        if tuple(session["peer"] or ()) in kill.peers:
            return True
        if self._smtpd_of(session) == kill.pid:
            return True
        # Behind a balancer the peer is the balancer's own connection: known by its address.
        behind = session["via"] in ("haproxy", "nginx")
        return behind and kill.at - SLACK_S <= session["end"] <= kill.at + BEHIND_S and \
            any(address in BALANCERS for address, _ in kill.peers)


BALANCERS = {"10.77.0.20", "10.77.0.21", "fd77::20", "fd77::21"}


def unanswered(record, state, watcher="watcher"):
    """Questions to postern that nobody answered: only while its watcher was away."""
    explained = 0
    for path, over_http, begin, end, why in state.unanswered:
        if record.window_covering(watcher, begin, end, SLACK_S):
            explained += 1
        else:
            record.problem(f"unanswered: {path}{' over HTTP' if over_http else ''}: {why}")
    return explained


def served_certificates(world):
    """{port: fingerprint} of what is served where TLS comes first."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    found = {}
    for port, twin in ((465, False), (993, False), (995, False), (10993, True), (10995, True)):
        first = proxy_client.v2("198.51.100.9") if twin else b""
        sock = world.mail.connect(world.mail.address(), port, None, first)
        with context.wrap_socket(sock) as tls:
            found[port] = world_module.fingerprint(tls.getpeercert(binary_form=True))
    return found
