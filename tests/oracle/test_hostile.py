# SPDX-License-Identifier: MIT
"""Names and values that would smuggle something in: what postern wrote, the servers' tools read.

Every case of hostile_table.py goes through "postern patch --no-reload" itself.
"""
import ipaddress
import os
import re
import subprocess
import tempfile

import hostile_table as table
import pytest
import pytest
from cases import Faults, rows
from generate_dovecot import HEAD_24
from judge import OLD_S, REPOSITORY
from postfix_listing import FATAL_AT_ONCE, one_blank

ENDS_WITHIN_S = 30
LOOPBACK = ("127.0.0.1/32", "::1/128")
EMPTY = ("mynetworks", "smtpd_authorized_xclient_hosts", "smtpd_authorized_xforward_hosts")
LOCK = b"/run/postern/lock"


def postern():
    return os.environ.get("POSTERN", os.path.join(REPOSITORY, "build", "dev", "postern"))


class Host:
    """A root of its own for one case, and what postern does there."""
    def __init__(self, judge, case, place):
        self._judge = judge
        self.case = case
        self.folder = judge.new_folder()
        self.root = f"{self.folder}/root"  # as the servers' tools see it
        self.outside = self.bytes(f"{judge.outside(self.folder)}/{case.root}")
        for path, text in {**table.FILES, **case.files}.items():
            if text is not None:
                self.write(path, text)
        # Not below /proc/PID/root, as the rest is: postern's own file follows no such link.
        self.config = os.fsencode(place) + b"/" + self.bytes(case.config)
        with open(self.config, "wb") as file:
            file.write(case.conf.encode("latin-1"))

    @staticmethod
    def bytes(path):
        return path.encode("latin-1")

    def write(self, path, text):
        """A file whose time stamp is long past, by a name of any bytes."""
        if path.endswith("/dovecot.conf") and self._judge.release != "bookworm":
            text = HEAD_24 + text
        whole = self.outside + self.bytes(path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "wb") as file:
            file.write(text.encode("latin-1"))
        os.utime(whole, (OLD_S, OLD_S))

    def state(self):
        """Every file, with its bytes; but for the lock, which a run takes before it reads."""
        found = {}
        for folder, _, names in os.walk(self.outside):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    found[os.path.join(folder, name)] = file.read()
        return {path: text for path, text in found.items() if not path.endswith(LOCK)}

    def patch(self):
        argv = [postern(), "--config", self.config, "--root", self.outside,
                *map(self.bytes, self.case.options), "patch", "--no-reload"]
        environment = {"PATH": "/usr/bin", "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", ""),
                       **self.case.environment}
        return subprocess.run(argv, env={name: self.bytes(text)
                                         for name, text in environment.items()},
                              capture_output=True, timeout=ENDS_WITHIN_S, check=False)

    def settle(self):
        """For the servers' tools, which may take a folder's name for a pattern."""
        os.rename(self.outside, self._judge.outside(self.root))

    def jobs(self):
        folder = self.root + self.case.directory
        return [["postconf", "-c", folder, option] for option in ("-M", "-P", "-n")]

    def dovecot_job(self):
        return ["doveconf", "-n", "-c", f"{self.root}{self.case.dovecot_directory}/dovecot.conf"]


class Seen:
    """What the servers' tools say of a host's files."""
    def __init__(self, host, listing, options, main, dovecot):
        self.faults = [said.err for said in (listing, options, main, dovecot) if said.status != 0]
        self.entries = rows(listing.out)
        self.options = sorted(one_blank(options.out))
        self.main = sorted(line for line in one_blank(main.out)
                           if not line.startswith("config_directory"))
        self.dovecot = settings_of(dovecot)
        folder = re.sub("[^ -~]", "?", host.root + host.case.directory)
        self.warnings = {line.replace(folder, "DIR") for said in (listing, main)
                         for line in one_blank(said.err)}


def settings_of(dovecot):
    return [line for line in rows(dovecot.out) if not line.startswith("#")]


def flat(value):
    return one_blank(value + "\n")[0]


# -- what is meant

def with_main(case, lines):
    """`postconf -n` with what the case sets; what nothing uses is not listed."""
    kept = [line for line in lines if line.partition(" =")[0] not in case.main]
    unused = {text.partition("=")[0] for text in case.unused}
    return sorted(kept + [f"{name} = {flat(value)}".rstrip() for name, value in case.main.items()
                          if name not in unused])


def with_options(case, lines):
    """`postconf -P` of the owner's entries with what the case sets."""
    for service, options in case.set_options.items():
        for name, value in options.items():
            start = f"{service}/{name} ="
            lines = [line for line in lines if not line.startswith(start)]
            lines.append(f"{start} {flat(value)}".rstrip())
    return lines


def twin_options(case, lines, stock, twin, ours):
    start = f"{stock}/"
    kept = [line[len(start):] for line in lines if line.startswith(start)]
    kept = [line for line in kept if line.partition(" =")[0] not in ours]
    return [f"{twin}/{line}" for line in
            kept + [f"{name} = {value}".rstrip() for name, value in ours.items()]]


def with_twins(case, lines):
    """And the twins: the stock entry's own options, and ours."""
    out = list(lines)
    shared = {"inet_protocols": "all", "mynetworks": ""}
    smtpd = {**shared, **dict.fromkeys(EMPTY, ""),
             "syslog_name": "postfix/${postern_twin_of}_proxied"}
    for mark, stock, twin in case.twins:
        if stock == "smtp":
            ours = {**shared, "postscreen_upstream_proxy_protocol": "haproxy",
                    "postscreen_cache_map": case.cache_map + "_${postern_twin_of}_proxied",
                    "smtpd_service_name": "smtpd_proxied"}
        else:
            ours = {**smtpd, "smtpd_upstream_proxy_protocol": "haproxy"}
        out += twin_options(case, lines, f"{stock}/inet", f"{twin}/inet",
                            {**ours, "postern_twin_of": mark})
    for stock, twin in case.passes:
        out += twin_options(case, lines, f"{stock}/pass", f"{twin}/pass",
                            {**smtpd, "postern_twin_of": "smtp"})
    return sorted(out)


def fields(entry):
    return tuple(entry.split()[:8])


def wanted_entries(case, entries):
    of = {fields(entry)[:2]: fields(entry) for entry in entries}
    twins = []
    for _, stock, twin in case.twins:
        twins.append((twin, *of[stock, "inet"][1:]))
        if stock == "smtp":
            twins += [(name, *of[passed, "pass"][1:]) for passed, name in case.passes]
    return [fields(entry) for entry in entries] + twins


def networks_of(lines):
    for line in lines:
        if line.startswith("haproxy_trusted_networks ="):
            words = re.split(r"[\s,]+", line.partition("=")[2].strip())
            return sorted(map(str, map(ipaddress.ip_network, words)))
    return []


def listeners_of(lines):
    """The rest, with the twins' ports apart."""
    rest = [line for line in lines if not line.startswith("haproxy_trusted_networks =")]
    text = "\n".join(rest)
    return {name: int(port) for name, port in
            re.findall(r"inet_listener (\S+)_proxied \{[^}]*?port = (\d+)", text)}, \
        re.sub(r"(inet_listener \S+_proxied \{[^}]*?port = )\d+", r"\1N", text)


def differences(wanted, got):
    return {"missing": [line[:300] for line in wanted if line not in got][:5],
            "beside": [line[:300] for line in got if line not in wanted][:5]}


def check_written(faults, case, before, after, plain):
    """`before` without postern, `plain` with nothing odd."""
    said = f"{case.name}: "
    if after.faults or before.faults:
        faults.add(case.name, f"they refuse what was written: {after.faults} {before.faults}")
        return
    for what, wanted, got in (
            ("main.cf", with_main(case, before.main), after.main),
            ("options", with_twins(case, with_options(case, before.options)), after.options),
            ("entries", wanted_entries(case, before.entries), list(map(fields, after.entries))),
            ("owner's entries", [] if case.set_options else before.entries,
             [] if case.set_options else after.entries[:len(before.entries)]),
            ("warnings", [], [line for line in sorted(after.warnings - before.warnings)
                              if not is_own_fault(case, line)]),
            ("unused", case.unused, tuple(re.findall(r"main.cf: unused parameter: (.*)",
                                                     "\n".join(sorted(after.warnings))))),
            ("networks", sorted({*case.networks, *LOOPBACK}), networks_of(after.dovecot)),
    ):
        if wanted != got:
            faults.add(said + what, str(differences(wanted, got)))
    ports, rest = listeners_of(after.dovecot)
    plain_ports, plain_rest = listeners_of(plain.dovecot)
    if ports != {**plain_ports, **case.dovecot_ports} or plain_ports != {"imap": 10143}:
        faults.add(said + "Dovecot's ports", f"{ports}")
    if case.dovecot is None and rest != plain_rest:
        faults.add(said + "Dovecot", str(differences(rows(plain_rest), rows(rest))))


def is_own_fault(case, warning):
    """The owner's text is as it is: of a name that nothing sets or uses, of its braces."""
    about = re.search(r"(?:undefined|unused) parameter: (.*)|"
                      r"""(?:missing '}' in|syntax error after '}' in) "(.*)"|"""
                      r"#comment after other text is not allowed: (.*) \.\.\.", warning)
    text = about and (about[1] or about[2] or about[3]).partition("=")[0]
    return about and any(text in given for given in case.files.values() if given)


# -- the tests

def plain_case():
    return table.Case("nothing odd")


@pytest.fixture
def place():
    with tempfile.TemporaryDirectory(prefix="postern-hostile.") as folder:
        yield folder


def check_said(faults, case, done, pattern, statuses):
    said = done.stderr.decode("latin-1")
    if done.returncode not in statuses or not re.search(pattern, said):
        faults.add(case.name, f"status {done.returncode}, said: {said[:600]!r}")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", said):
        faults.add(case.name, f"not to be shown: {said[:600]!r}")


def test_what_is_refused_is_told_and_nothing_is_written(judge, place):
    faults = Faults()
    refused = [case for case in table.cases() if case.refused]
    for case in refused:
        host = Host(judge, case, place)
        before = host.state()
        check_said(faults, case, host.patch(), r"(?m)^postern: error: .*" + case.refused, (1, 2))
        if host.state() != before:
            faults.add(case.name, "something was written")
    faults.check(len(refused))


def owner_of(case):
    """The servers' own files, as text: what they say without postern is asked once."""
    return repr((case.directory, case.dovecot_directory, sorted(
        item for item in case.files.items() if not item[0].startswith((table.OVERRIDES, "/srv/")))))


def local_of(judge, case, place):
    """The same as docker-mailserver has it: dovecot.cf is Dovecot's local.conf."""
    host = Host(judge, plain_case(), place)
    host.patch()
    host.write("/etc/dovecot/local.conf", case.dovecot)
    host.settle()
    return host


def test_what_is_accepted_is_what_the_servers_read_and_nothing_else(judge, place):
    faults = Faults()
    accepted = [plain_case(), *(case for case in table.cases() if not case.refused)]
    owners = {owner_of(case): case for case in accepted}  # one of each, without postern
    hosts = [Host(judge, case, place) for case in owners.values()]
    for case in accepted:
        hosts.append(Host(judge, case, place))
        check_said(faults, case, hosts[-1].patch(), case.passed_over or "", (0,))
    for host in hosts:
        host.settle()
    jobs = [job for host in hosts for job in (*host.jobs(), host.dovecot_job())]
    locals_ = [case for case in accepted if case.dovecot is not None]
    jobs += [local_of(judge, case, place).dovecot_job() for case in locals_]
    said = iter(judge.run(jobs, at_once=FATAL_AT_ONCE))
    seen = [Seen(host, *(next(said) for _ in range(4))) for host in hosts]
    before = dict(zip(owners, seen))
    after = seen[len(owners):]
    for case, its in zip(accepted, after):
        check_written(faults, case, before[owner_of(case)], its, after[0])
    for case in locals_:
        wanted, got = settings_of(next(said)), after[accepted.index(case)].dovecot
        if wanted != got or not any("login_greeting" in line for line in got):
            faults.add(case.name, str(differences(wanted, got)))
    faults.check(len(accepted))
