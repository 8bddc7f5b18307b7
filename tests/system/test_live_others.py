# SPDX-License-Identifier: MIT
"""Others edit master.cf and main.cf while postern runs: the twins follow, and no edit is lost."""
import re

import pytest

from lab import files, mailhost, postern, wait

TWINS = mailhost.TWIN_PORTS
MASTER = mailhost.MASTER_CF


def await_option(running, service, name, value):
    return running.wait_for(
        lambda s: postern.is_current(s) and running.mail.option(service, name) == value,
        f"{service}/{name}={value}")


def entries(mail, name):
    """How many entries of that name there are."""
    return len(re.findall(rf"^{name}\s", mail.read(MASTER), re.M))


# -- edits

def test_option_is_set_changed_and_removed(lab, postern_built):
    name = "smtpd_client_connection_count_limit"
    lab.mail.postconf("-P", f"submission/inet/{name}=6")  # postconf's own layout stays
    lab.mail.postconf("-PX", f"submission/inet/{name}")
    running, _ = postern.begun(lab.mail)
    before = lab.mail.snapshot(MASTER)
    lab.mail.postconf("-P", f"submission/inet/{name}=7")
    await_option(running, "10587/inet", name, "7")
    lab.mail.shell(f"sed -i 's/{name}=7/{name}=8/' {MASTER}")
    await_option(running, "10587/inet", name, "8")
    assert lab.mail.option("submission/inet", name) == "8"
    lab.mail.postconf("-PX", f"submission/inet/{name}")
    await_option(running, "10587/inet", name, None)
    running.look_at_all()
    assert lab.mail.run(["postconf", "-M"]).stdout
    assert files.differences(before, lab.mail.snapshot(MASTER)) == []
    assert running.errors() == []


def test_field_is_changed(lab, postern_built):
    running, _ = postern.begun(lab.mail)
    lab.mail.postconf("-F", "submission/inet/process_limit=17")
    running.wait_for(lambda s: postern.is_current(s) and field(lab.mail, "10587/inet") == "17",
                     "the twin's process limit")


def field(mail, service):
    return mail.run(["postconf", "-Fh", f"{service}/process_limit"]).stdout.strip()


def test_stock_service_goes_and_comes_back(lab, postern_built):
    running, before = postern.begun(lab.mail)
    text = lab.mail.read(MASTER)
    lab.mail.postconf("-MX", "submissions/inet")
    left = {name: port for name, port in TWINS.items() if name != "submissions"}
    running.wait_twins(left)
    lab.mail.wait_closed({465, 10465})
    lab.mail.write(MASTER, text)
    running.wait_twins(TWINS)
    postern.all_answer(lab.mail)
    assert postern.reloads(running.status())["dovecot"] == postern.reloads(before)["dovecot"]


def test_twin_that_is_taken_out_comes_back(lab, postern_built):
    """By postconf, by sed, and with all the others; our own words around them too."""
    running, before = postern.begun(lab.mail)
    state = lab.mail.snapshot(MASTER)

    def is_back(status):
        return postern.is_current(status) and \
            files.differences(state, lab.mail.snapshot(MASTER)) == []

    lab.mail.postconf("-MX", "10587/inet")
    running.wait_for(is_back, "the one twin")
    lab.mail.shell(f"sed -i '/^10465/,/^[^ ]/{{/^10465/d;/^ /d}}' {MASTER}")
    running.wait_for(is_back, "the second twin")
    lab.mail.postconf("-P", "10587/inet/smtpd_upstream_proxy_protocol=")
    running.wait_for(is_back, "the option of the twin")
    lab.mail.shell(f"sed -i '/postern/,$d' {MASTER}")
    running.wait_for(is_back, "all twins")
    for name in ("12525", "10587", "10465"):
        assert entries(lab.mail, name) == 1
    status = running.wait_twins(TWINS)
    postern.all_answer(lab.mail)
    assert postern.reloads(status)["dovecot"] == postern.reloads(before)["dovecot"]


def test_drop_in_that_is_taken_out_comes_back(lab, postern_built):
    running, before = postern.begun(lab.mail)
    state = lab.mail.snapshot("/etc/dovecot")
    lab.mail.remove(mailhost.DROP_IN)
    running.wait_for(lambda s: postern.is_current(s)
                     and files.differences(state, lab.mail.snapshot("/etc/dovecot")) == [],
                     "the drop-in")
    lab.mail.write(mailhost.DROP_IN, "# mine now\n")
    running.wait_for(lambda s: postern.is_current(s)
                     and files.differences(state, lab.mail.snapshot("/etc/dovecot")) == [],
                     "the drop-in's text")
    postern.all_answer(lab.mail)
    assert postern.reloads(running.status())["postfix"] == postern.reloads(before)["postfix"]


def test_owners_edit_of_dovecot_is_followed(lab, postern_built):
    """A stock listener that is switched off has no twin."""
    running, _ = postern.begun(lab.mail)
    lab.mail.write("/etc/dovecot/conf.d/99-owner.conf",
                   "service imap-login {\n  inet_listener imap {\n    port = 0\n  }\n}\n")
    running.wait_twins({name: port for name, port in TWINS.items() if name != "imap"})
    lab.mail.wait_closed({143, 10143})
    lab.mail.remove("/etc/dovecot/conf.d/99-owner.conf")
    running.wait_twins(TWINS)


def test_edit_that_concerns_no_twin(lab, postern_built):
    """It is the owner's to reload for; nothing is written."""
    running, before = postern.begun(lab.mail)
    lab.mail.postconf("-e", "maximal_queue_lifetime = 3d")
    lab.mail.write("/etc/dovecot/conf.d/99-owner.conf", "login_greeting = mine\n")
    state = lab.mail.snapshot(*mailhost.CONFIGURATION)
    status = running.look_at_all()
    assert postern.is_current(status)
    assert postern.reloads(status) == postern.reloads(before)
    assert files.differences(state, lab.mail.snapshot(*mailhost.CONFIGURATION), strict=True) == []


def test_main_cf_that_a_twin_hangs_on(lab, postern_built):
    """postscreen's cache is of the type that the stock one has."""
    running, _ = postern.begun(lab.mail)
    lab.mail.postconf("-e", "postscreen_cache_map = hash:$data_directory/other_cache")
    running.wait_for(lambda s: postern.is_current(s) and (
        lab.mail.option("12525/inet", "postscreen_cache_map") or "").startswith("hash:"),
        "the twin's cache to be a hash, too")


def test_broken_edit_and_its_repair(lab, postern_built):
    """The owner's own mistake: nothing is reloaded for it, and it is named with its line."""
    running, before = postern.begun(lab.mail)
    text = lab.mail.read(MASTER)
    lab.mail.write(MASTER, text + "broken inet n\n")
    status = running.wait_for(lambda s: s["outcome"] == "refused", "a refusal")
    line = text.count("\n") + 1
    assert f"{MASTER}:{line}: " in status["reason"], status["reason"]
    assert postern.reloads(status) == postern.reloads(before)
    assert lab.mail.read(MASTER) == text + "broken inet n\n"
    assert postern.ports(status) == TWINS
    running.wait_looks(lambda: lab.mail.configure_postern(postern.conf()))
    assert len(running.errors()) == 1, running.errors()
    lab.mail.write(MASTER, text)
    status = running.wait_current()
    postern.all_answer(lab.mail)
    assert postern.reloads(status) == postern.reloads(before)


@pytest.mark.parametrize("folder", ["/etc/dovecot/conf.d", "/srv/dovecot"])
def test_broken_include_and_its_repair(lab, postern_built, folder):
    """What could not be read is heard of all the same when it is mended."""
    lab.mail.write(f"{folder}/10-owner.conf", "login_greeting = mine\n")
    main = lab.mail.read("/etc/dovecot/dovecot.conf")
    lab.mail.write("/etc/dovecot/dovecot.conf", main + f"!include_try {folder}/1*.conf\n"
                   f"!include_try {folder}/99-b*.conf\n")
    running, before = postern.begun(lab.mail, "resync = 0\n")
    lab.mail.write(f"{folder}/99-broken.conf", "protocol imap {\n")
    status = running.wait_for(lambda s: s["outcome"] == "refused", "a refusal")
    assert f"{folder}/99-broken.conf:1" in status["reason"], status["reason"]
    # A look that knows nothing new does not forget where to listen.
    running.wait_looks(lambda: lab.mail.configure_postern(postern.conf("resync = 0\n")))
    lab.mail.remove(f"{folder}/99-broken.conf")
    status = running.wait_current()
    assert postern.reloads(status) == postern.reloads(before)


def test_include_that_is_broken_from_the_start(lab, postern_built):
    lab.mail.write("/etc/dovecot/conf.d/99-broken.conf", "protocol imap {\n")
    lab.mail.configure_postern(postern.conf("resync = 0\n"))
    running = postern.Postern(lab.mail).start()
    running.wait_for(lambda s: s["outcome"] == "refused", "a refusal")
    lab.mail.remove("/etc/dovecot/conf.d/99-broken.conf")
    running.wait_twins(TWINS)


def test_one_broken_server_does_not_hold_up_the_other(lab, postern_built):
    """What the last good configuration wants of Postfix is kept up while Dovecot's cannot be read."""
    running, before = postern.begun(lab.mail)
    text = lab.mail.read("/etc/dovecot/dovecot.conf")
    lab.mail.write("/etc/dovecot/dovecot.conf", text + "protocol imap {\n")
    running.wait_for(lambda s: s["outcome"] == "refused", "a refusal")
    state = lab.mail.snapshot(MASTER)
    lab.mail.postconf("-MX", "10587/inet")
    status = running.wait_for(
        lambda s: s["servers"]["postfix"]["reloads"] > before["servers"]["postfix"]["reloads"]
        and s["ready"], "the twin")
    assert files.differences(state, lab.mail.snapshot(MASTER)) == []
    assert status["outcome"] == "refused" and "dovecot.conf" in status["reason"]
    assert postern.ports(status) == TWINS
    postern.all_answer(lab.mail)
    # Also a Postfix that comes back is asked.
    lab.mail.stop_postfix()
    running.wait_for(lambda s: not s["ready"], "the end to be noticed")
    lab.mail.start_postfix()
    status = running.wait_for(lambda s: s["ready"], "the start to be noticed")
    assert status["outcome"] == "refused" and postern.ports(status) == TWINS
    lab.mail.write("/etc/dovecot/dovecot.conf", text)
    assert postern.reloads(running.wait_current())["dovecot"] == postern.reloads(before)["dovecot"]


def test_edits_at_full_speed(lab, postern_built):
    """postconf takes Postfix's lock, and so does postern: neither loses the other's."""
    running, _ = postern.begun(lab.mail)
    editor = lab.mail.spawn(["sh", "-c", """
        for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            touch -d '5 seconds ago' /etc/postfix/main.cf
            postconf -P submission/inet/edit_$i=$i submissions/inet/edit_$i=$i || exit 1
        done"""])
    for port in range(20587, 20597):
        lab.mail.configure_postern(postern.conf(postern.twins_at(submission=port)))
    assert editor.wait() == 0, editor.output
    await_option(running, "20596/inet", "edit_20", "20")
    for number in range(1, 21):
        for service in ("submission/inet", "20596/inet", "submissions/inet", "10465/inet"):
            assert lab.mail.option(service, f"edit_{number}") == str(number), (service, number)
    running.wait_twins({**TWINS, "submission": 20596})


# -- a port that somebody else holds

@pytest.mark.parametrize("listener", ["submission", "imap"])
def test_port_of_somebody_else(lab, postern_built, listener):
    """Said once, tried again, and taken as soon as it is free; the twins stay meanwhile."""
    running, before = postern.begun(lab.mail)
    state = lab.mail.snapshot(*mailhost.CONFIGURATION)
    with lab.mail.listen(lab.mail.address(), 20999):
        lab.mail.configure_postern(postern.conf(postern.twins_at(**{listener: 20999})))
        status = running.wait_for(lambda s: s["outcome"] == "failed", "the failure")
        assert "20999" in status["reason"], status["reason"]
        assert status["ready"] and postern.ports(status) == TWINS
        assert postern.reloads(status) == postern.reloads(before)
        assert status["counts"]["rollbacks"] == 0, "nothing was written yet"
        assert files.differences(state, lab.mail.snapshot(*mailhost.CONFIGURATION),
                                 strict=True) == []
        running.look_at_all()
        assert running.status()["outcome"] == "failed"
        assert len(running.errors()) == 1, running.errors()
        assert running.probe("--ready")[0] == 0
    running.hang_up()
    running.wait_twins({**TWINS, listener: 20999})
    postern.answers(lab.mail, listener, 20999)


def test_port_that_becomes_free_is_taken_without_being_told(lab, postern_built):
    """The first retry comes after some seconds."""
    running, _ = postern.begun(lab.mail)
    with lab.mail.listen("::", 20999):
        lab.mail.configure_postern(postern.conf(postern.twins_at(submission=20999)))
        running.wait_for(lambda s: s["outcome"] == "failed", "the failure")
    running.wait_twins({**TWINS, "submission": 20999}, 2 * wait.LIMIT_S)
    assert len(running.errors()) == 1


def test_other_content_while_a_port_is_held(lab, postern_built):
    """What is tried again later does not stand in the way of what is new."""
    running, _ = postern.begun(lab.mail)
    with lab.mail.listen(lab.mail.address(), 20999):
        lab.mail.configure_postern(postern.conf(postern.twins_at(submission=20999)))
        running.wait_for(lambda s: s["outcome"] == "failed", "the failure")
        lab.mail.configure_postern(postern.conf(postern.twins_at(submission=20998)))
        running.wait_twins({**TWINS, "submission": 20998})
    wait.until(lambda: 20999 not in lab.mail.listening_ports(), "the port to be free")
    assert running.status()["reason"] is None


def test_one_server_is_kept_up_though_the_other_refuses(lab, postern_built):
    """What doveconf says no to came while Dovecot was down, so nobody asked doveconf then."""
    running, _ = postern.begun(lab.mail)
    lab.mail.stop_dovecot()
    running.wait_for(lambda s: not s["servers"]["dovecot"]["running"], "the end of Dovecot")
    running.wait_looks(
        lambda: lab.mail.write(f"{postern.OVERRIDES}/dovecot.cf", "nonsense = {{{\n"))
    lab.mail.start_dovecot()
    running.wait_for(lambda s: s["outcome"] == "refused" and "dovecot" in s["reason"], "a refusal")
    state = lab.mail.snapshot(MASTER)
    lab.mail.postconf("-MX", "10587/inet")
    running.wait_for(lambda s: files.differences(state, lab.mail.snapshot(MASTER)) == []
                     and s["servers"]["postfix"]["verified"], "the twin that was taken out")
    lab.mail.remove(f"{postern.OVERRIDES}/dovecot.cf")
    running.wait_twins(TWINS)
    postern.all_answer(lab.mail)


def test_other_config_directory(lab, postern_built):
    """What is in the old one would be forgotten there: refused while postern runs."""
    running, before = postern.begun(lab.mail)
    state = lab.mail.snapshot(*mailhost.CONFIGURATION)
    lab.mail.configure_postern(postern.conf('postfix { config-directory = "/etc/other" }\n'))
    status = running.wait_for(lambda s: s["outcome"] == "refused", "a refusal")
    assert re.search(r'postfix: config-directory: "/etc/postfix" is in use', status["reason"])
    assert status["ready"] and postern.ports(status) == TWINS
    assert files.differences(state, lab.mail.snapshot(*mailhost.CONFIGURATION)) == []
    lab.mail.configure_postern(postern.conf())
    assert postern.reloads(running.wait_twins(TWINS)) == postern.reloads(before)
