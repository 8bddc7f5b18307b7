# SPDX-License-Identifier: MIT
"""postern.conf is live: however it is replaced, what it says is soon in force."""
import os

import pytest

from lab import files, mailhost, postern, wait

CONF = mailhost.POSTERN_CONF
TWINS = mailhost.TWIN_PORTS


class InPlace:
    """The file is opened, emptied, and written, as `cp` and many editors do."""

    def __init__(self, mail):
        self.mail = mail

    def write(self, text):
        self.mail.write(CONF, text)


class ByRename(InPlace):
    """A new file beside it, renamed over it."""

    def write(self, text):
        self.mail.write(CONF + ".new", text)
        os.rename(self.mail.path(CONF + ".new"), self.mail.path(CONF))


class ByVolume(InPlace):
    """A ConfigMap, and kubelet."""
    order = "new"

    def __init__(self, mail):
        super().__init__(mail)
        self.volume = postern.conf_volume(mail)

    def write(self, text):
        self.volume.write({os.path.basename(CONF): text.encode()}, self.order)


class ByOldVolume(ByVolume):
    order = "old"


WAYS = {"in place": InPlace, "by rename": ByRename, "ConfigMap": ByVolume,
        "ConfigMap of an old kubelet": ByOldVolume}


@pytest.fixture(params=list(WAYS))
def way(request):
    return WAYS[request.param]


def begin(lab, way, command=postern.RUN, text=""):
    source = way(lab.mail)
    source.write(postern.conf(text))
    running = postern.Postern(lab.mail, command).start()
    running.wait_twins(TWINS)
    # It hears its own writing, too.
    return source, running, running.look_at_all()


def one_more(before, after, server):
    """Only this server was reloaded, once, by one new configuration."""
    wanted = postern.reloads(before)
    wanted[server] += 1
    assert postern.reloads(after) == wanted
    assert after["generation"] == before["generation"] + 1
    assert after["hash"] != before["hash"]
    assert after["counts"]["failures"] == before["counts"]["failures"]


def test_changed_port(lab, postern_built, way):
    source, running, before = begin(lab, way)
    source.write(postern.conf(postern.twins_at(submission=20587)))
    after = running.wait_twins({**TWINS, "submission": 20587})
    one_more(before, after, "postfix")
    assert 10587 not in lab.mail.listening_ports()
    postern.all_answer(lab.mail, {**TWINS, "submission": 20587})

    source.write(postern.conf(postern.twins_at(submission=20587, imap=20143)))
    last = running.wait_twins({**TWINS, "submission": 20587, "imap": 20143})
    one_more(after, last, "dovecot")
    assert 10143 not in lab.mail.listening_ports()
    postern.all_answer(lab.mail, {**TWINS, "submission": 20587, "imap": 20143})
    assert postern.reloads(running.look_at_all()) == postern.reloads(last)
    assert running.errors() == []
    assert running.stop() == 143


def test_exchanged_ports(lab, postern_built):
    """Also where one of the two speaks TLS at once and the other waits to be asked."""
    source, running, before = begin(lab, InPlace)
    wanted = {**TWINS, "submission": 10465, "submissions": 10587, "imap": 10993, "imaps": 10143}
    for service, port in (("submission", 10587), ("submissions", 10465), ("imap", 10143)):
        postern.answers(lab.mail, service, port)
    source.write(postern.conf(postern.twins_at(submission=10465, submissions=10587, imap=10993,
                                               imaps=10143)))
    after = running.wait_twins(wanted)
    postern.all_answer(lab.mail, wanted)
    source.write(postern.conf())
    last = running.wait_twins(TWINS)
    postern.all_answer(lab.mail)
    assert last["counts"]["failures"] == before["counts"]["failures"], running.errors()
    assert postern.reloads(after) == {n: c + 1 for n, c in postern.reloads(before).items()}


def test_changed_networks(lab, postern_built, way):
    source, running, before = begin(lab, way, postern.WATCH)
    assert postern.is_greeting(postern.greeting(lab.mail, "imap", 10143))
    source.write(postern.conf(networks=["192.0.2.0/24"]))
    after = running.wait_for(
        lambda s: postern.is_current(s) and s["generation"] > before["generation"],
        "the new networks")
    one_more(before, after, "dovecot")
    # Our own address is trusted no more; loopback always is.
    wait.until(lambda: not postern.is_greeting(postern.greeting(lab.mail, "imap", 10143)),
               "the header from a stranger to be refused")
    assert postern.is_greeting(postern.greeting(lab.mail, "imap", 10143, address="127.0.0.1"))
    assert 'mode": "watch' in lab.mail.postern("status", "--json").stdout
    assert running.stop() == 0


def test_what_stays_the_same_is_not_applied(lab, postern_built, way):
    source, running, before = begin(lab, way)
    state = lab.mail.snapshot(*mailhost.CONFIGURATION)
    source.write(postern.conf("# A comment more.\n"))
    after = running.wait_for(lambda s: s["hash"] != before["hash"], "the new text")
    assert postern.is_current(after)
    assert postern.reloads(after) == postern.reloads(before)
    assert files.differences(state, lab.mail.snapshot(*mailhost.CONFIGURATION), strict=True) == []


def test_file_of_the_command_line(lab, postern_built):
    """--config names a file of our own root, not of the mail host's."""
    path = "/srv/twins/postern.conf"
    lab.mail.write(path, postern.conf())
    lab.mail.write(CONF, "nonsense\n")
    running = postern.Postern(lab.mail, ("--config", path, *postern.RUN)).start()
    running.wait_twins(TWINS)
    lab.mail.write(path, postern.conf(postern.twins_at(sieve=24190)))
    running.wait_twins({**TWINS, "sieve": 24190})


def test_root_may_be_relative(lab, postern_built):
    lab.mail.configure_postern(postern.conf())
    lab.mail.shell("ln -s / /srv/host")
    running = postern.Postern(lab.mail, ("--root", "host", *postern.RUN), before="cd /srv").start()
    running.wait_twins(TWINS)


def test_networks_of_the_environment(lab, postern_built):
    """No file is needed; one that comes later is heard."""
    lab.mail.shell("rm -r /etc/postern")
    running = postern.Postern(lab.mail, env={"POSTERN_TRUSTED_NETWORKS": "10.77.0.0/24"}).start()
    running.wait_twins(TWINS)
    lab.mail.write(CONF, postern.twins_at(pop3=20110))
    running.wait_twins({**TWINS, "pop3": 20110})
    lab.mail.shell("rm -r /etc/postern")
    running.wait_twins(TWINS)


# -- every other key

def test_listener_switched_off_and_on(lab, postern_built):
    source, running, before = begin(lab, InPlace)
    off = ("postfix {\n  listener submissions { enable = false }\n}\n"
           "dovecot {\n  listener pop3 { enable = false }\n  listener pop3s { enable = false }\n}\n")
    source.write(postern.conf(off))
    left = {name: port for name, port in TWINS.items()
            if name not in ("submissions", "pop3", "pop3s")}
    running.wait_twins(left)
    lab.mail.wait_closed({10465, 10110, 10995})
    source.write(postern.conf())
    running.wait_twins(TWINS)
    postern.all_answer(lab.mail)
    assert postern.reloads(running.look_at_all()) == \
        {name: count + 2 for name, count in postern.reloads(before).items()}


@pytest.mark.parametrize("server, twins", [("dovecot", mailhost.POSTFIX_TWINS),
                                           ("postfix", mailhost.DOVECOT_TWINS)])
def test_server_switched_off_and_on(lab, postern_built, server, twins):
    untouched = lab.mail.snapshot(f"/etc/{server}")
    source, running, _ = begin(lab, ByVolume)
    source.write(postern.conf(f"{server} {{ enable = false }}\n"))
    running.wait_twins(dict(twins))
    lab.mail.wait_closed(set(TWINS.values()) - set(twins.values()))
    assert files.differences(untouched, lab.mail.snapshot(f"/etc/{server}")) == []
    source.write(postern.conf())
    running.wait_twins(TWINS)
    postern.all_answer(lab.mail)


def test_mode_in_place_and_back(lab, postern_built):
    source, running, _ = begin(lab, InPlace)
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    source.write(postern.conf('mode = "in-place"\n'))
    running.wait_twins(dict(mailhost.STOCK_PORTS))
    lab.mail.wait_closed(set(TWINS.values()))
    for service, port in mailhost.STOCK_PORTS.items():
        postern.answers(lab.mail, service, port)
    source.write(postern.conf('mode = "separate"\n'))
    running.wait_twins(TWINS)
    postern.all_answer(lab.mail)
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []


# epoll_wait or epoll_pwait; their fourth argument is the time limit.
SLEEPS = {"232", "281", "22"}


def sleeps_without_limit(pid):
    with open(f"/proc/{pid}/syscall", encoding="ascii") as call:
        words = call.read().split()
    return words[0] in SLEEPS and int(words[4], 16) & 0xffffffff == 0xffffffff


def test_resync_that_is_set_later(lab, postern_built):
    """Looks go on by themselves, with nothing that happens; and no more when it is 0."""
    source, running, _ = begin(lab, InPlace, text="resync = 0\n")
    source.write(postern.conf("resync = 1\n"))
    looks = running.wait_current()["counts"]["looks"]
    running.wait_for(lambda s: s["counts"]["looks"] >= looks + 4, "four more looks")
    digest = running.status()["hash"]
    source.write(postern.conf("resync = 0\n# none\n"))
    running.wait_for(lambda s: s["hash"] != digest, "the last text")
    running.look_at_all()
    wait.until(lambda: sleeps_without_limit(running.watcher_pid()), "a sleep without a limit")
