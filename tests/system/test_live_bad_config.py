# SPDX-License-Identifier: MIT
"""A bad postern.conf: the last good state stays in force, and what is wrong is said once."""
import os
import re

from lab import files, host, mailhost, postern, recipe

CONF = mailhost.POSTERN_CONF
TWINS = mailhost.TWIN_PORTS
GOOD = postern.conf()
OTHER_GOOD = postern.conf(postern.twins_at(imap=20143))
OTHER_TWINS = {**TWINS, "imap": 20143}
# What stands there instead, and what the reason has to name.
BAD = {
    "unknown key": (GOOD + "prot-offset = 1\n", r"postern\.conf:2: .*prot-offset"),
    "bad network": (postern.conf(networks=["10.0.0.0/33"]), r"postern\.conf:1: .*10\.0\.0\.0/33"),
    "garbage": (bytes(range(1, 256)) * 3, r"postern\.conf:\d+: "),
    "with a NUL byte": (GOOD.encode() + b"\0\n", r"postern\.conf"),
    "empty": ("", r"trusted-networks .*postern\.conf"),
    "1 MiB of noise": (os.urandom(1 << 20), r"postern\.conf"),
    "1 MiB of text": (b"# noise\n" * (1 << 17) + b"what = 1\n", r"postern\.conf:131073: .*what"),
    "two on one port": (postern.conf(postern.twins_at(imap=10993)), r"postern\.conf:\d+: .*10993"),
    "missing": (None, r"trusted-networks .*postern\.conf"),
}


class Source:
    """postern.conf in a ConfigMap, beside a key of no meaning."""

    def __init__(self, mail):
        self.volume = postern.conf_volume(mail)
        self.swaps = 0

    def write(self, text):
        data = text.encode() if isinstance(text, str) else text
        self.swap({os.path.basename(CONF): data})

    def swap(self, changes=None):
        """A swap by which postern.conf does not change, unless told so."""
        self.swaps += 1
        self.volume.write({"beside": b"%d" % self.swaps, **(changes or {})})


def begin(lab):
    source = Source(lab.mail)
    source.write(GOOD)
    running = postern.Postern(lab.mail).start()
    running.wait_twins(TWINS)
    running.look_at_all()
    return source, running


def refused(running, reason):
    return running.wait_for(
        lambda s: s["outcome"] == "refused" and re.search(reason, s["reason"]),
        f"a refusal that matches {reason!r}")


def test_bad_after_bad_and_then_good(lab, postern_built):
    """Each is said once, however often the volume is swapped; mail flows all the time."""
    source, running = begin(lab)
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    good = running.status()
    for name, (text, reason) in BAD.items():
        said = len(running.errors())
        source.write(text)
        status = refused(running, reason)
        assert postern.ports(status) == TWINS and status["ready"], name
        assert status["uses_last_good"], name
        assert status["hash"] == good["hash"] and status["generation"] == good["generation"], name
        assert re.search(reason, status["last_failure"]["reason"]), name
        code, words = running.probe("--ready")
        assert code == 0 and re.search(r"^refused: .*" + reason, words, re.M), (name, words)
        running.wait_looks(source.swap)
        new = running.errors()[said:]
        assert len(new) == 1 and re.search(reason, new[0]), (name, new)
        assert "the last good configuration stays in force" in new[0], name
        assert "\0" not in running.output, name
        postern.all_answer(lab.mail)
    postern.mail_flows(lab.mail)
    said = len(running.errors())
    source.write(OTHER_GOOD)
    running.wait_twins(OTHER_TWINS)
    code, words = running.probe("--ready")
    assert (code, words) == (0, "ready\n")
    assert len(running.errors()) == said
    assert running.lines("everything is as wanted again")
    source.write(GOOD)
    after = running.wait_twins(TWINS)
    assert after["hash"] == good["hash"]
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    assert running.probe("--live")[0] == 0


def test_back_to_the_good_one(lab, postern_built):
    """What is in force already is applied at once: nothing is written or reloaded for it."""
    source, running = begin(lab)
    good = running.status()
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    for text, reason in (BAD["garbage"], BAD["unknown key"]):
        source.write(text)
        refused(running, reason)
        source.write(GOOD)
        status = running.wait_current()
        assert status["hash"] == good["hash"] and not status["uses_last_good"]
        assert status["reason"] is None
        assert running.probe("--ready") == (0, "ready\n")
    # The same mistake once more is a new one.
    source.write(BAD["unknown key"][0])
    refused(running, BAD["unknown key"][1])
    assert len(running.errors()) == 3
    assert postern.reloads(running.status()) == postern.reloads(good)
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION), strict=True) == []


def test_bad_one_that_was_bad_from_the_start(lab, postern_built):
    """There is no last good one: nothing is touched, and `ready` says why."""
    before = lab.mail.snapshot(*mailhost.CONFIGURATION)
    source = Source(lab.mail)
    source.write(BAD["unknown key"][0])
    running = postern.Postern(lab.mail).start()
    status = refused(running, BAD["unknown key"][1])
    assert not status["ready"] and not status["uses_last_good"]
    code, words = running.probe("--ready")
    assert code == 1 and re.search(BAD["unknown key"][1], words), words
    assert running.probe("--live")[0] == 0
    assert files.differences(before, lab.mail.snapshot(*mailhost.CONFIGURATION), strict=True) == []
    source.write(GOOD)
    running.wait_twins(TWINS)


def test_server_that_restarts_meanwhile_has_its_twins(lab, postern_built):
    """The last good configuration is more than what happens to stand in the files."""
    source, running = begin(lab)
    source.write(BAD["empty"][0])
    refused(running, BAD["empty"][1])
    lab.mail.stop_postfix()
    running.wait_for(lambda s: not s["ready"], "Postfix to be missed")
    # As when a container starts: the image's own file.
    lab.mail.shell(f"postconf -MX 12525/inet 10587/inet 10465/inet; "
                   f"! grep -E '^1(2525|0587|0465)' {mailhost.MASTER_CF}")
    lab.mail.start_postfix()
    status = running.wait_for(lambda s: s["ready"] and postern.ports(s) == TWINS, "the twins")
    assert status["outcome"] == "refused" and status["uses_last_good"]
    postern.all_answer(lab.mail)


def test_first_look_that_is_refused_tells_what_runs(lab, postern_built):
    """Nothing was in force before; the servers are there all the same."""
    recipe.apply_to_postfix(lab.mail)
    lab.mail.configure_postern(postern.conf())
    running = postern.Postern(lab.mail).start()
    status = running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    assert re.search("12525", status["reason"])
    for server in ("postfix", "dovecot"):
        assert status["servers"][server]["enabled"] and status["servers"][server]["running"], status
    said = lab.mail.run([mailhost.POSTERN, "status"]).stdout
    assert "switched off" not in said and "no mail server is running" not in said


def test_require_gate_is_refused_live(lab, postern_built):
    """What cannot be had here is not pretended; the ports stay as they were."""
    source = Source(lab.mail)
    source.write(GOOD)
    lab.mail.capabilities = host.ENGINE_CAPABILITIES
    running = postern.Postern(lab.mail).start()
    running.wait_twins(TWINS)
    source.write(postern.conf('gate = "require"\n'))
    status = refused(running, "gate")
    assert postern.ports(status) == TWINS
    source.write(GOOD)
    running.wait_current()


def test_order_of_swaps_does_not_matter(lab, postern_built):
    """Bad ones and good ones in turn, faster than they can be looked at: the last one counts."""
    source, running = begin(lab)
    for turn in range(30):
        source.write(BAD["garbage"][0] if turn % 2 else OTHER_GOOD)
    source.write(GOOD)
    running.look_at_all()
    status = running.wait_twins(TWINS)
    assert status["reason"] is None
