# SPDX-License-Identifier: MIT
"""docker-mailserver's override files are applied to the running servers, and undone again."""
import os
import re

import pytest

from lab import files, kubelet, mail_clients, mailhost, postern, proxy_client, wait

MAIN, MASTER, DOVECOT = "postfix-main.cf", "postfix-master.cf", "dovecot.cf"
TWINS = mailhost.TWIN_PORTS
LOCAL_CONF = "/etc/dovecot/local.conf"


class Volume:
    """The override files of a ConfigMap."""

    def __init__(self, mail):
        self.volume = kubelet.Volume(postern.mount_volume(mail, postern.OVERRIDES))

    def write(self, **files_by_name):
        """Named main, master and dovecot; None takes the file away."""
        self.put({name: None if text is None else text.encode()
                  for name, text in by_file(files_by_name).items()})

    def put(self, changes):
        self.volume.write(changes)


class Folder(Volume):
    """The same in a plain folder of root's."""

    def __init__(self, mail):
        self.mail = mail
        mail.shell(f"mkdir -m 755 {postern.OVERRIDES}")

    def put(self, changes):
        for name, data in changes.items():
            path = f"{postern.OVERRIDES}/{name}"
            if data is None:
                self.mail.remove(path)
            else:
                self.mail.write(path, data)


def by_file(named):
    names = {"main": MAIN, "master": MASTER, "dovecot": DOVECOT}
    return {names[name]: text for name, text in named.items()}


@pytest.fixture(params=[Volume, Folder], ids=["volume", "folder"])
def kind(request):
    return request.param


def begin(lab, kind=Volume, **first):
    source = kind(lab.mail)
    if first:
        source.write(**first)
    running = postern.Postern(lab.mail).start()
    running.wait_twins(TWINS)
    return source, running, running.look_at_all()


def configuration(mail):
    return mail.snapshot(*mailhost.CONFIGURATION)


def await_change(running, before, wanted=TWINS):
    return running.wait_for(
        lambda s: postern.is_current(s) and s["hash"] != before["hash"]
        and postern.ports(s) == wanted, "the overrides to be in force")


def put_and_wait(source, running, wanted=TWINS, **named):
    before = running.status()
    source.write(**named)
    return await_change(running, before, wanted)


def await_true(probe, what):
    """What a client sees may come from a process of the old generation for a moment."""
    wait.until(probe, what, passing=(OSError,))


def ehlo(mail, port):
    """The words of the answer to EHLO on a stock port."""
    with mail_clients.Smtp(mail.connect(mail.address(), port)) as smtp:
        smtp.ehlo()
        return set(smtp.esmtp_features)


# -- each file

def test_main_cf(lab, postern_built, kind):
    before_all = configuration(lab.mail)
    source, running, before = begin(lab, kind)
    patched = configuration(lab.mail)
    text = ("# The owner's\nmessage_size_limit = 1234567\n"
            "smtpd_banner = $myhostname ESMTP\n  of the override\n"
            "mail_name = lab\nmail_name = lab again\n")
    after = put_and_wait(source, running, main=text)
    assert lab.mail.parameter("message_size_limit") == "1234567"
    assert lab.mail.parameter("mail_name") == "lab again"
    for service, port, header in (("submission", 587, False), ("submission", 10587, True)):
        await_true(lambda: postern.greeting(lab.mail, service, port, header)
                   == "220 mail.example.test ESMTP of the override", f"the banner on {port}")
    assert after["servers"]["postfix"]["reloads"] == before["servers"]["postfix"]["reloads"] + 1
    assert after["servers"]["dovecot"]["reloads"] == before["servers"]["dovecot"]["reloads"]

    # One line less: that one is undone, the other stays.
    put_and_wait(source, running, main="message_size_limit = 1234567\n")
    assert lab.mail.parameter("message_size_limit") == "1234567"
    assert lab.mail.parameter("smtpd_banner") == "$myhostname ESMTP"
    await_true(lambda: postern.greeting(lab.mail, "submission", 587, False)
               == "220 mail.example.test ESMTP", "the old banner")
    put_and_wait(source, running, main=None)
    assert files.differences(patched, configuration(lab.mail)) == []
    running.stop()
    lab.mail.postern("revert")
    assert files.differences(before_all, configuration(lab.mail)) == []


def test_master_cf_reaches_the_twin(lab, postern_built, kind):
    source, running, before = begin(lab, kind)
    patched = configuration(lab.mail)
    text = ("# Only lines that begin with a digit or a small letter count\n"
            "submission/inet/smtpd_discard_ehlo_keywords=dsn,pipelining\n"
            "  submissions/inet/smtpd_tls_wrappermode=yes\n"
            "Submission/inet/no=effect\n")
    after = put_and_wait(source, running, master=text)
    assert lab.mail.option("submission/inet", "smtpd_discard_ehlo_keywords") == "dsn,pipelining"
    assert lab.mail.option("10587/inet", "smtpd_discard_ehlo_keywords") == "dsn,pipelining"
    await_true(lambda: not {"dsn", "pipelining"} & ehlo(lab.mail, 587), "the EHLO of port 587")
    await_true(lambda: not {b"DSN", b"PIPELINING"} & twin_ehlo(lab.mail), "the EHLO of the twin")
    assert after["servers"]["dovecot"]["reloads"] == before["servers"]["dovecot"]["reloads"]
    put_and_wait(source, running, master="submission/inet/smtpd_discard_ehlo_keywords=dsn\n")
    await_true(lambda: b"PIPELINING" in twin_ehlo(lab.mail), "the second EHLO of the twin")
    put_and_wait(source, running, master="# nothing\n")
    assert files.differences(patched, configuration(lab.mail)) == []
    await_true(lambda: {"dsn", "pipelining"} <= ehlo(lab.mail, 587), "the old EHLO")


def twin_ehlo(mail):
    header = proxy_client.v2(postern.CLIENT_ADDRESS)
    sock = mail.connect(mail.address(), 10587, None, header)
    with proxy_client.LineClient(sock) as client:
        client.reply()
        client.smtp("EHLO client.example.org")
        return set(re.findall(rb"250[- ](\S+)", client.heard))


def test_dovecot_cf(lab, postern_built, kind):
    source, running, before = begin(lab, kind)
    patched = configuration(lab.mail)
    after = put_and_wait(source, running, dovecot="login_greeting = Good day\n")
    assert "login_greeting = Good day" in lab.mail.doveconf()
    assert lab.mail.read(LOCAL_CONF) == "login_greeting = Good day\n"
    for port, header in ((143, False), (10143, True)):
        await_true(lambda: "Good day" in postern.greeting(lab.mail, "imap", port, header),
                   f"the greeting of port {port}")
    assert after["servers"]["dovecot"]["reloads"] == before["servers"]["dovecot"]["reloads"] + 1
    assert after["servers"]["postfix"]["reloads"] == before["servers"]["postfix"]["reloads"]
    put_and_wait(source, running, dovecot=None)
    assert not lab.mail.exists(LOCAL_CONF)
    assert files.differences(patched, configuration(lab.mail)) == []
    await_true(lambda: "Good day" not in postern.greeting(lab.mail, "imap", 143, False),
               "the old greeting")


def test_dovecot_cf_moves_a_stock_port(lab, postern_built):
    """The twin is the one of what the override says."""
    source, running, _ = begin(lab)
    text = "service pop3-login {\n  inet_listener pop3 {\n    port = 0\n  }\n}\n"
    left = {name: port for name, port in TWINS.items() if name != "pop3"}
    put_and_wait(source, running, left, dovecot=text)
    lab.mail.wait_closed({110, 10110})
    put_and_wait(source, running, dovecot=None)
    postern.all_answer(lab.mail)


def test_all_three_and_a_port_at_once(lab, postern_built):
    """One upgrade changes two ConfigMaps: both servers are told, and everything holds."""
    conf = postern.conf_volume(lab.mail)
    conf.write({"postern.conf": postern.conf().encode()})
    source, running, before = begin(lab)
    source.write(main="mail_name = all\n", dovecot="login_greeting = all\n",
                 master="submission/inet/smtpd_client_connection_count_limit=3\n")
    conf.write({"postern.conf": postern.conf(postern.twins_at(submission=20587)).encode()})
    await_change(running, before, {**TWINS, "submission": 20587})
    assert lab.mail.option("20587/inet", "smtpd_client_connection_count_limit") == "3"
    postern.all_answer(lab.mail, {**TWINS, "submission": 20587})
    postern.mail_flows(lab.mail, {**TWINS, "submission": 20587})


# -- what docker-mailserver has merged itself

def test_value_merged_at_start_stays_with_a_warning(lab, postern_built):
    lab.mail.shell(f"postconf -e 'message_size_limit = 7654321'; "
                   f"cp /dev/null {LOCAL_CONF}; echo 'login_greeting = merged' > {LOCAL_CONF}")
    lab.mail.restart_dovecot()
    lab.mail.age_main_cf()
    source, running, before = begin(lab, main="message_size_limit = 7654321\n",
                                    dovecot="login_greeting = merged\n")
    assert lab.mail.parameter("message_size_limit") == "7654321"
    source.write(main=None, dovecot=None)
    running.wait_line(r"warning: main\.cf: message_size_limit: .*until the pod restarts")
    running.wait_line(r"warning: local\.conf: .*until the pod restarts")
    status = running.look_at_all()
    assert postern.is_current(status)
    assert lab.mail.parameter("message_size_limit") == "7654321"
    assert lab.mail.read(LOCAL_CONF) == "login_greeting = merged\n"
    assert postern.reloads(status) == postern.reloads(before)
    assert len(running.lines("until the pod restarts")) == 2
    assert running.errors() == []


# -- bad ones

BAD = {
    "inet_protocols": ({"main": "inet_protocols = nonsense\n"}, "nonsense"),
    "a number that is none": ({"main": "message_size_limit = much\n"}, "message_size_limit"),
    "no assignment": ({"main": "mail_name lab\n"}, rf"{MAIN}:1: "),
    "dovecot.cf": ({"dovecot": "protocol imap {\n"}, r"local\.conf|dovecot\.cf"),
    "dovecot.cf with an unknown setting": ({"dovecot": "login_greting = x\n"}, "login_greting"),
    "garbage": ({"main": "\x01\x02\x03\n"}, rf"{MAIN}:1: "),
    "another queue": ({"main": "queue_directory = /nowhere\n"}, "needs a restart"),
    "another pid file": ({"main": "process_id_directory = other\n"}, "needs a restart"),
}


def test_bad_overrides(lab, postern_built):
    """Everything stays as it was, twins and all; the reason is told once."""
    good = {"main": "mail_name = good\n", "master": None, "dovecot": "login_greeting = good\n"}
    source, running, _ = begin(lab)
    before = put_and_wait(source, running, **good)
    running.look_at_all()
    state = configuration(lab.mail)
    for name, (named, reason) in BAD.items():
        said = len(running.errors())
        source.write(**named)
        status = running.wait_for(
            lambda s: s["outcome"] == "refused" and re.search(reason, s["reason"]), name)
        assert status["ready"] and postern.ports(status) == TWINS, name
        assert postern.reloads(status) == postern.reloads(before), name
        running.wait_looks(lambda: source.put({"beside": os.urandom(8)}))
        assert len(running.errors()) == said + 1, (name, running.errors()[said:])
        assert re.search(reason, running.errors()[-1]), name
        assert files.differences(state, configuration(lab.mail), strict=True) == [], name
        postern.all_answer(lab.mail)
        source.write(**good)
        assert running.wait_current()["hash"] == before["hash"], name
    running.look_at_all()
    after = put_and_wait(source, running, main="mail_name = better\n")
    assert lab.mail.parameter("mail_name") == "better"
    assert after["counts"]["rollbacks"] == 0, "nothing was written that had to be taken back"


def test_sloppy_lines_are_passed_over(lab, postern_built):
    """As docker-mailserver does; the rest of the file is in force, and a warning names the line."""
    source, running, _ = begin(lab)
    put_and_wait(source, running,
                 master="submission mail_name=x\nsubmission/inet/mail_version=sloppy\n")
    assert lab.mail.option("10587/inet", "mail_version") == "sloppy"
    running.wait_line(rf"warning: {os.path.basename(MASTER)}:1: .*passed over")
    assert running.errors() == []


# -- beside others

def test_revert_undoes_all(lab, postern_built):
    before = configuration(lab.mail)
    source, running, _ = begin(lab)
    put_and_wait(source, running, main="mail_name = x\nmyhostname = y.example.test\n",
                 master="submission/inet/mail_version=x\n", dovecot="login_greeting = x\n")
    assert running.stop() == 143
    lab.mail.postern("revert")
    assert files.differences(before, configuration(lab.mail)) == []
    lab.mail.wait_closed(TWINS.values())
    await_true(lambda: postern.greeting(lab.mail, "submission", 587, False)
               == "220 mail.example.test ESMTP", "the old banner")


def test_edits_of_the_owner_meanwhile_stay(lab, postern_built):
    source, running, _ = begin(lab)
    put_and_wait(source, running, main="mail_name = override\nmessage_size_limit = 1234567\n")
    lab.mail.postconf("-e", "smtpd_error_sleep_time = 0")
    lab.mail.postconf("-P", "submission/inet/smtpd_hard_error_limit=7")
    status = running.wait_for(
        lambda s: postern.is_current(s)
        and lab.mail.option("10587/inet", "smtpd_hard_error_limit") == "7", "the twin to follow")
    put_and_wait(source, running, main=None)
    assert lab.mail.parameter("smtpd_error_sleep_time") == "0"
    assert lab.mail.option("submission/inet", "smtpd_hard_error_limit") == "7"
    assert lab.mail.parameter("mail_name") == "Postfix"
    assert not re.search(r"^(mail_name|message_size_limit)", lab.mail.read(mailhost.MAIN_CF), re.M)
    assert postern.ports(status) == TWINS


def test_value_that_the_owner_changes_is_theirs(lab, postern_built):
    """The override still asks for its own: it wins; when it goes, the owner's is back."""
    source, running, _ = begin(lab)
    put_and_wait(source, running, main="mail_name = override\n")
    before = running.look_at_all()
    lab.mail.postconf("-e", "mail_name = owner")
    running.wait_for(lambda s: s["generation"] > before["generation"], "the override again")
    assert lab.mail.parameter("mail_name") == "override"
    put_and_wait(source, running, main=None)
    assert lab.mail.parameter("mail_name") == "owner"


def test_edits_at_full_speed_lose_nothing(lab, postern_built):
    """`postconf -e` in a loop while overrides come and go."""
    source, running, _ = begin(lab)
    lab.mail.age_main_cf()
    editor = lab.mail.spawn(["sh", "-c", """
        for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
            touch -d '5 seconds ago' /etc/postfix/main.cf
            postconf -e edit_$i=$i || exit 1
            postconf -P submission/inet/edit_$i=$i || exit 1
        done"""])
    for turn in range(12):
        source.write(main=f"mail_name = turn {turn}\n")
    assert editor.wait() == 0, editor.output
    running.wait_for(lambda s: postern.is_current(s)
                     and lab.mail.parameter("mail_name") == "turn 11"
                     and lab.mail.option("10587/inet", "edit_12") == "12", "the last of both")
    text = lab.mail.read(mailhost.MAIN_CF)
    for number in range(1, 13):
        assert re.search(rf"^edit_{number} ?= ?{number}$", text, re.M), number
        for service in ("submission/inet", "10587/inet"):
            assert lab.mail.option(service, f"edit_{number}") == str(number)


# -- what only the server itself finds wrong

def found_dead_by_new_processes_alone(lab, service, old_ones, **broken):
    """Some processes of the twin have served and wait; those that come after the override die."""
    source, running, _ = begin(lab)
    before = configuration(lab.mail)
    for _ in range(old_ones):
        assert postern.is_greeting(postern.greeting(lab.mail, service, TWINS[service]))
    source.write(**broken)
    status = running.wait_for(lambda s: s["outcome"] == "failed", "the twin to be found dead")
    assert str(TWINS[service]) in status["reason"], status["reason"]
    assert files.differences(before, configuration(lab.mail)) == []


def test_processes_of_the_old_generation_prove_nothing(lab, postern_built):
    """An smtpd that waits for a client since before the reload greets as if all were well."""
    found_dead_by_new_processes_alone(lab, "submission", 3,
                                      master="submission/inet/smtpd_sasl_type=none-such\n")


def test_logins_of_the_old_generation_prove_nothing(release, lab, postern_built):
    """The same for Dovecot's, where they serve more than one client."""
    lasting = {"bookworm": "service_count = 0"}.get(release, "restart_request_count = unlimited")
    lab.mail.write("/etc/dovecot/conf.d/80-owner.conf",
                   f"service imap-login {{\n  {lasting}\n  process_min_avail = 2\n}}\n")
    found_dead_by_new_processes_alone(
        lab, "imap", 4, dovecot="service imap-login {\n  executable = /bin/false\n}\n")


def test_edit_before_a_rollback(lab, postern_built):
    """The edit stays; the override does not, although its file is not put back whole."""
    source, running, _ = begin(lab)
    before = lab.mail.read(mailhost.MAIN_CF)
    source.write(main="message_size_limit = 1234567\n",
                 dovecot="service imap-login {\n  executable = /bin/sleep 100\n}\n")
    wait.until(lambda: len(running.lines("dovecot: reloaded")) == 2, "the reload")
    lab.mail.postconf("-e", "maximal_queue_lifetime = 3d")
    running.wait_for(lambda s: s["outcome"] == "failed", "the failure")
    # It is tried again by itself, with what is left of the files.
    source.write(main=None, dovecot=None)
    running.wait_current()
    assert lab.mail.parameter("maximal_queue_lifetime") == "3d"
    assert lab.mail.read(mailhost.MAIN_CF) == before + "maximal_queue_lifetime = 3d\n"


# -- what is not read

def test_names_and_links_that_are_not_overrides(lab, postern_built):
    """A link out of the generation is refused with its name; other files are nobody's."""
    source, running, before = begin(lab)
    state = configuration(lab.mail)
    lab.mail.write("/etc/secret", "mail_name = secret\n")
    folder = lab.mail.path(postern.OVERRIDES)
    running.wait_looks(lambda: source.put(
        {"..postfix-main.cf": None, "postfix-main.cf.lock": os.urandom(4),
         "postfix-main.cf~": b"mail_name = backup\n", "user-patches.sh": b"exit 1\n"}))
    os.symlink("../../../../etc/secret", os.path.join(folder, "..data", MAIN))
    os.symlink(f"..data/{MAIN}", os.path.join(folder, MAIN))
    status = running.look_at_all()
    assert status["outcome"] == "refused" and MAIN in status["reason"], status["reason"]
    assert status["ready"]
    assert files.differences(state, configuration(lab.mail), strict=True) == []
    os.unlink(os.path.join(folder, MAIN))
    os.unlink(os.path.join(folder, "..data", MAIN))
    status = running.look_at_all()
    assert postern.is_current(status)
    assert postern.reloads(status) == postern.reloads(before)


def test_link_in_a_plain_folder(lab, postern_built):
    """The folder is root's own, and so is a link in it: it means what it means in the root."""
    lab.mail.write("/srv/main.cf", "mail_name = linked\n")
    _, running, before = begin(lab, Folder)
    os.symlink("/srv/main.cf", lab.mail.path(f"{postern.OVERRIDES}/{MAIN}"))
    await_change(running, before)
    assert lab.mail.parameter("mail_name") == "linked"


WHAT_IS_NO_FILE = {"a folder": "mkdir", "a pipe": "mkfifo", "a device": "ln -s /dev/zero",
                   "a link in a circle": f"ln -s {MAIN}", "another process": "ln -s /proc/1/root"}


def test_what_is_no_file(lab, postern_built):
    """Nothing is read from it, nothing waits for it; its name is told."""
    _, running, _ = begin(lab, Folder)
    state = configuration(lab.mail)
    path = f"{postern.OVERRIDES}/{MAIN}"
    for what, command in WHAT_IS_NO_FILE.items():
        lab.mail.shell(f"{command} {path}")
        status = running.look_at_all()
        assert status["outcome"] == "refused" and path in status["reason"], (what, status)
        assert status["ready"], what
        assert files.differences(state, configuration(lab.mail), strict=True) == [], what
        lab.mail.shell(f"rm -rf {path}")
        assert postern.is_current(running.look_at_all()), what


def test_folder_that_anybody_may_have_made(lab, postern_built):
    lab.mail.shell(f"mkdir {postern.OVERRIDES}; chown 1000:1000 {postern.OVERRIDES}; "
                   f"echo 'mail_name = stranger' > {postern.OVERRIDES}/{MAIN}")
    running = postern.Postern(lab.mail).start()
    status = running.wait_twins(TWINS)
    running.look_at_all()
    assert lab.mail.parameter("mail_name") == "Postfix"
    assert len(running.lines(rf"warning: .*{postern.OVERRIDES}.* is not read")) == 1
    # Writable by everybody is no better.
    lab.mail.shell(f"chown 0:0 {postern.OVERRIDES}; chmod 1777 {postern.OVERRIDES}")
    running.look_at_all()
    assert lab.mail.parameter("mail_name") == "Postfix"
    lab.mail.shell(f"chmod 755 {postern.OVERRIDES}")
    running.hang_up()
    await_change(running, status)
    assert lab.mail.parameter("mail_name") == "stranger"


def test_folder_that_comes_later(lab, postern_built):
    running = postern.Postern(lab.mail).start()
    before = running.wait_twins(TWINS)
    lab.mail.shell(f"mkdir -m 755 {postern.OVERRIDES}; "
                   f"echo 'mail_name = late' > {postern.OVERRIDES}/{MAIN}")
    await_change(running, before)
    assert lab.mail.parameter("mail_name") == "late"
    before = running.look_at_all()
    lab.mail.shell(f"rm -r {postern.OVERRIDES}")
    await_change(running, before)
    assert lab.mail.parameter("mail_name") == "Postfix"


def test_two_folders(lab, postern_built):
    """The last folder wins."""
    lab.mail.configure_postern(postern.conf('overrides "/srv/a" { }\noverrides "/srv/b" { }\n'))
    lab.mail.write(f"/srv/a/{MAIN}", "mail_name = a\nmail_version = a\n")
    lab.mail.write(f"/srv/a/{DOVECOT}", "login_greeting = a\n")
    lab.mail.write(f"/srv/b/{MAIN}", "mail_name = b\n")
    running = postern.Postern(lab.mail).start()
    running.wait_twins(TWINS)
    assert (lab.mail.parameter("mail_name"), lab.mail.parameter("mail_version")) == ("b", "a")
    assert "login_greeting = a" in lab.mail.doveconf()
    before = running.look_at_all()
    lab.mail.write(f"/srv/b/{DOVECOT}", "login_greeting = b\n")
    await_change(running, before)
    assert "login_greeting = b" in lab.mail.doveconf()
    lab.mail.shell("rm /srv/b/*")
    running.wait_for(lambda s: postern.is_current(s)
                     and "login_greeting = a" in lab.mail.doveconf()
                     and lab.mail.parameter("mail_name") == "a", "the first folder's")
