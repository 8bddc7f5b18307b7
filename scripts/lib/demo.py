# SPDX-License-Identifier: MIT
"""The showing itself; scripts/demo has seen to all that it needs.

    demo.py RELEASE

Every row of the table at the end is judged by what the servers wrote and answered here and now.
"""
import contextlib
import hashlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from typing import NamedTuple

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests"))

from lab import (Lab, balancer, files, mail_clients, mail_config, mailhost,  # noqa: E402
                 postern, proxy_client, recipe, started, wait)
from telling import Telling  # noqa: E402

CLIENTS = {4: "198.51.100.7", 6: "2001:db8:1::7"}
SERVICES = ("smtp", "submission", "imap", "imaps")
FOREIGN = "victim@elsewhere.example"
FORGED = proxy_client.v1("127.0.0.1", "127.0.0.1")
# postscreen keeps a client waiting for 1 s here; who says nothing for longer is dead.
DEAF_AFTER_S = 3.0
FAILURES = (*mail_clients.REFUSALS, AssertionError)

# What a server writes about a client: who writes, and which address it saw.
SCREENED = r"(postfix/\S*postscreen)\[\d+\]: CONNECT from \[(\S+)\]:\d+ to .*"
CONNECTED = r"(postfix/\S*smtpd)\[\d+\]: connect from \S*\[(\S+)\]"
LOGGED_IN = r"dovecot: (imap-login): Log(?:ged )?in: .*\brip=([^,]+),.*"
WRITTEN = {"smtp": (SCREENED, CONNECTED), "submission": (CONNECTED,),
           "imap": (LOGGED_IN,), "imaps": (LOGGED_IN,)}
RELOADED = "|".join(mailhost.RELOADED.values())


class Seen(NamedTuple):
    """What the server wrote about a visit."""
    address: str
    writer: str


# -- things done

def visit(told, lab, service, address, source):
    """A real client does its business at a service; quotes the log."""
    port = mailhost.STOCK_PORTS[service]
    mark = lab.mail.log.mark()
    try:
        mail_clients.use(service, lab.client.connect(address, port, source), mail_config.USER,
                         mail_config.PASSWORD, lab.mail.tls_context())
        found = [lab.mail.log.wait_for(pattern, mark) for pattern in WRITTEN[service]]
    except FAILURES as error:
        told.say(f"The client failed at port {port}: {error}")
        return Seen("no service", "")
    for match in found:
        told.quote(match[0], stress=match[2])
    addresses = sorted({match[2] for match in found})
    return Seen(" ".join(addresses), found[-1][1])


def talk(told, sock, commands):
    """An SMTP conversation up to the first no; quotes it and returns the last reply."""
    with proxy_client.LineClient(sock) as client:
        said = client.reply()
        for command in commands:
            said = client.smtp(command)
            last = (said or "nothing").splitlines()[-1]
            told.quote(f"{command.splitlines()[0]:34} -> {last}", stress=last[:3])
            if not said or said[0] not in "23":
                break
    return said or ""


def try_to_relay(told, lab):
    """From outside, with a header that claims to be the mail host itself."""
    commands = ("EHLO outsider.example", "MAIL FROM:<a@outsider.example>", f"RCPT TO:<{FOREIGN}>",
                "DATA", "Subject: relayed\r\n\r\nA line.\r\n.")
    try:
        sock = lab.outsider.connect(lab.mail.address(), mailhost.TWIN_PORTS["smtp"],
                                    first_bytes=FORGED)
        return talk(told, sock, commands)
    except OSError as error:
        return f"no conversation: {error}"


def greetings(told, *conversations):
    """The greetings of (port, socket) pairs that are open at the same time; None: it said none."""
    answers = []
    with contextlib.ExitStack() as stack:
        clients = [(port, stack.enter_context(proxy_client.LineClient(sock, DEAF_AFTER_S)))
                   for port, sock in conversations]
        for port, client in clients:
            try:
                answers.append(client.reply())
            except OSError:
                answers.append(None)
            told.quote(f"port {port:5} -> {(answers[-1] or '(silence)').splitlines()[-1]}")
    return answers


def ports(services):
    return " ".join(str(mailhost.STOCK_PORTS[service]) for service in services)


def open_twins(lab):
    return set(mailhost.TWIN_PORTS.values()) & lab.mail.listening_ports()


def outcome(reply):
    """An attempt to relay in two words."""
    if re.match(r"250 2\.0\.0 Ok: queued", reply):
        return "250 queued"
    if re.match(r"[45]\d\d .*Relay access denied", reply):
        return f"{reply[:3]} denied"
    return reply[:30]


def codes(answers):
    return " ".join(answer[:3] if answer else "silence" for answer in answers)


def run_postern(told, lab, command):
    done = lab.mail.postern(command, check=False, config=None)
    told.quote(f"$ postern {command}\n{(done.stdout + done.stderr).strip()}")
    return done


def quote_log(told, lab, pattern, mark):
    """One line of the log, which may take a moment to come; its match, or None."""
    with contextlib.suppress(wait.TooLate):
        match = lab.mail.log.wait_for(pattern, mark, within=30)
        told.quote(match[0])
        return match
    return None


def fingerprint(snapshot):
    """One SHA-256 over the names and contents of all files."""
    total = hashlib.sha256()
    for path, state in sorted(snapshot.items()):
        total.update(f"{hashlib.sha256(state.data).hexdigest()}  {path}\n".encode())
    return total.hexdigest()


# -- the steps

def through_balancer(told, lab):
    """{(service, family): Seen} of a client of each family at each service."""
    return {(service, family): visit(told, lab, service, lab.balancer.haproxy_address(family),
                                     CLIENTS[family])
            for service in SERVICES for family in CLIENTS}


def show_before(told, lab):
    told.step("Before: behind the balancer, every client has the balancer's address")
    told.say(f"Clients {CLIENTS[4]} and {CLIENTS[6]} use ports 25, 587, 143 and 993 of HAProxy,")
    told.say(f"which hands them to the stock ports. Postfix and Dovecot of {lab.release} write:")
    lab.balancer.start_haproxy(lab.mail.address(), balancer.stock_ports(), options="")
    seen = through_balancer(told, lab)
    lab.balancer.stop_haproxy()
    return seen


def show_patch(told, lab):
    told.step("postern gives each service a twin that requires the PROXY protocol")
    before = open_twins(lab)
    checked = run_postern(told, lab, "check")
    patched = run_postern(told, lab, "patch")
    after = open_twins(lab)
    told.row("postern patch", f"{len(before)} twins open", f"{len(after)} twins open",
             checked.returncode == 0 and patched.returncode == 0 and not before
             and after == set(mailhost.TWIN_PORTS.values()))


def show_after(told, lab, before):
    told.step("After: the same clients, through the same balancer, to the twins")
    told.say("HAProxy now says \"send-proxy-v2\". The servers see the clients:")
    lab.balancer.start_haproxy(lab.mail.address())
    after = through_balancer(told, lab)
    for (service, family), seen in after.items():
        told.row(f"client {CLIENTS[family]} at port {mailhost.STOCK_PORTS[service]} is logged as",
                 before[service, family].address, seen.address,
                 before[service, family].address == lab.balancer.haproxy_address()
                 and seen.address == CLIENTS[family])


def show_stock_ports(told, lab, before):
    told.step("The stock ports still serve clients that send no header")
    visits = [(service, family, visit(told, lab, service, lab.mail.address(family),
                                      CLIENTS[family]))
              for service, family in zip(SERVICES, (4, 6, 4, 6))]
    served = ports(service for service, family, seen in visits
                   if seen.address == CLIENTS[family] and "_proxied" not in seen.writer)
    served_before = ports(service for service in SERVICES if before[service, 4].writer)
    told.row("stock ports serve without a header", served_before, served,
             served == served_before == ports(SERVICES))


def show_forged_header(told, lab, old):
    told.step("A header can be forged: it says 127.0.0.1, and the mail is for somebody elsewhere")
    told.say("A second mail host, with the well-known recipe in place of postern, relays it:")
    mark = old.mail.log.mark()
    with_recipe = try_to_relay(told, old)
    quote_log(told, old, r"\S+/postscreen\[\d+\]: \w+LISTED \[127.*", mark)
    told.say("With postern, nobody on a twin is of the house:")
    mark = lab.mail.log.mark()
    with_postern = try_to_relay(told, lab)
    quote_log(told, lab, r"postfix/smtp_proxied/smtpd\[\d+\]: NOQUEUE: reject.*", mark)
    told.row("header that claims 127.0.0.1, mail to elsewhere", f"recipe: {outcome(with_recipe)}",
             outcome(with_postern), outcome(with_recipe) == "250 queued"
             and outcome(with_postern) in ("454 denied", "554 denied"))


def show_both_ports(told, lab, old):
    told.step("Ports 25 and 12525 both answer")
    told.say("The recipe's two postscreens both want one cache for themselves; the second dies:")
    mark = old.mail.log.mark()
    header = proxy_client.v2(CLIENTS[4])
    with_recipe = greetings(
        told, (12525, old.client.connect(old.mail.address(), 12525, first_bytes=header)),
        (25, old.client.connect(old.mail.address(), 25)))
    locked = quote_log(told, old, r"\S+/postscreen\[\d+\]: .*unable to get exclusive lock.*", mark)
    told.say("postern's twin has a cache of its own:")
    with_postern = greetings(
        told, (12525, lab.client.connect(lab.balancer.haproxy_address(), 25, CLIENTS[4])),
        (25, lab.client.connect(lab.mail.address(), 25)))
    told.row("ports 12525 and 25 answer", f"recipe: {codes(with_recipe)}", codes(with_postern),
             locked and codes(with_recipe) == "220 silence" and codes(with_postern) == "220 220")


def show_again(told, lab):
    told.step("A second patch finds nothing to do")
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    mark = lab.mail.log.mark()
    done = run_postern(told, lab, "patch")
    written = files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION), strict=True)
    idle = not written and not lab.mail.log.find(RELOADED, mark)
    told.row("second patch", "-", "nothing written or reloaded" if idle else "it did something",
             idle and done.returncode == 0 and "nothing to do" in done.stdout + done.stderr)


def lines_since(running, mark, pattern):
    """What postern has said since, of the lines that match."""
    return "\n".join(line for line in running.output[mark:].splitlines()
                     if re.search(pattern, line))


def show_live(told, lab):
    told.step("postern run keeps the twins in step with a ConfigMap")
    told.say("It starts the container's command, and watches beside it. kubelet swaps the ConfigMap:")
    good, moved = postern.conf(), postern.conf(postern.twins_at(submission=20587))
    bad = postern.conf("postfix { listener submission { prot = 20588 } }\n")
    twins, other = mailhost.TWIN_PORTS, {**mailhost.TWIN_PORTS, "submission": 20587}
    volume = postern.conf_volume(lab.mail)
    volume.write({"postern.conf": good.encode()})
    running = postern.Postern(lab.mail).start()
    running.wait_twins(twins)

    mark = len(running.output)
    volume.write({"postern.conf": moved.encode()})
    took = running.wait_twins(other)["last_apply_seconds"]
    told.quote(lines_since(running, mark, "changed|reloaded|answer"))
    told.row("a ConfigMap that moves a twin", "10587 open", f"20587 open, verified in {took:.2f} s",
             open_twins(lab) == set(twins.values()) - {10587})

    told.say("A mistake in it is told once, with file and line; the last good state stays in force:")
    mark = len(running.output)
    volume.write({"postern.conf": bad.encode()})
    status = running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    told.quote(lines_since(running, mark, "error"))
    told.row("a ConfigMap with a mistake", f"{len(other)} twins up",
             f"{len(postern.ports(status))} twins up, ready", status["ready"] and
             status["outcome"] == "refused" and postern.ports(status) == other)

    volume.write({"postern.conf": good.encode()})
    running.wait_twins(twins)
    status = running.stop()
    told.row("SIGTERM to postern run", "-", f"its command ends, exit status {status}",
             status == 128 + signal.SIGTERM)


def show_revert(told, lab, before):
    told.step("revert takes it all away")
    patched = lab.mail.snapshot(*mailhost.CONFIGURATION)
    done = run_postern(told, lab, "revert")
    after = lab.mail.snapshot(*mailhost.CONFIGURATION)
    told.say(f"SHA-256 over the {len(before)} files of {' and '.join(mailhost.CONFIGURATION)}:")
    for when, snapshot in (("before", before), ("patched", patched), ("reverted", after)):
        told.quote(f"{fingerprint(snapshot)}  {when}")
    different = files.differences(before, after)
    for sentence in different:
        told.say(sentence)
    with contextlib.suppress(wait.TooLate):
        wait.until(lambda: not open_twins(lab), "the twins to close")
    left = open_twins(lab)
    told.row("revert: all files' SHA-256", fingerprint(before)[:12],
             f"{fingerprint(after)[:12]}, {len(left)} twins open",
             done.returncode == 0 and not different and not left
             and fingerprint(before) == fingerprint(after) != fingerprint(patched))


def show(told, release):
    with started(release) as old, Lab(release) as lab:
        lab.mail.start_servers()
        recipe.apply_to_postfix(old.mail)
        untouched = lab.mail.snapshot(*mailhost.CONFIGURATION)
        before = show_before(told, lab)
        show_patch(told, lab)
        show_after(told, lab, before)
        show_stock_ports(told, lab, before)
        show_forged_header(told, lab, old)
        show_both_ports(told, lab, old)
        show_again(told, lab)
        show_live(told, lab)
        show_revert(told, lab, untouched)
    return told.table()


# -- ending in good order

class Ended(BaseException):
    """A signal came; raised once, so that the clearing away is not interrupted in its turn."""


def end_on_signals():
    came = []

    def end(number, _frame):
        came.append(number)
        if len(came) == 1:
            raise Ended(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def main():
    start = time.monotonic()
    told = Telling()
    folder = None
    try:
        end_on_signals()
        folder = tempfile.tempdir = tempfile.mkdtemp(prefix="postern-demo-")
        good = show(told, sys.argv[1])
    except Ended as ended:
        print("\nended by a signal; nothing is left running", file=sys.stderr)
        return 128 + ended.args[0]
    except (OSError, AssertionError, RuntimeError) as error:
        print(f"\nthe demo failed: {error}", file=sys.stderr)
        return 1
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"took {time.monotonic() - start:.1f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
