# SPDX-License-Identifier: MIT
"""`watch "DIR" { reload = … }`: a certificate that is renewed reaches the running servers."""
import os
import re
import signal
import ssl

import pytest

from lab import files, kubelet, mail_config, mailhost, postern, proxy_client, wait

TWINS = mailhost.TWIN_PORTS
FOLDER = os.path.dirname(mail_config.CERTIFICATE)
CERT, KEY = (os.path.basename(path) for path in (mail_config.CERTIFICATE, mail_config.KEY))
# Where TLS comes first: (port, whether it is a twin).
PORTS = {"postfix": ((10465, True), (465, False)),
         "dovecot": ((10993, True), (993, False), (10995, True), (995, False))}


def both(servers=("postfix", "dovecot"), folder=FOLDER):
    listed = ", ".join(f'"{server}"' for server in servers)
    return postern.conf(f'watch "{folder}" {{ reload = {{ {listed} }} }}\n')


def new_pair(mail):
    """A certificate and its key, of the same host."""
    mail.shell(f"""openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \\
        -days 30 -subj /CN={mail_config.HOST_NAME} -keyout /tmp/new.key -out /tmp/new.cert \\
        2>/dev/null""")
    return {CERT: mail.read("/tmp/new.cert").encode(), KEY: mail.read("/tmp/new.key").encode()}


def as_secret(mail):
    """The lab's pair as a mounted Secret, in the same place."""
    pair = {name: mail.read(f"{FOLDER}/{name}").encode() for name in (CERT, KEY)}
    volume = kubelet.Volume(postern.mount_volume(mail, FOLDER))
    volume.write(pair)
    return volume


def served(mail, port, header):
    """The certificate, in DER."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    first = proxy_client.v2(postern.CLIENT_ADDRESS) if header else b""
    sock = mail.connect(mail.address(), port, None, first)
    with context.wrap_socket(sock) as tls:
        return tls.getpeercert(binary_form=True)


def serves(mail, server, pair):
    wanted = ssl.PEM_cert_to_DER_cert(pair[CERT].decode())
    for port, header in PORTS[server]:
        wait.until(lambda: served(mail, port, header) == wanted, f"the certificate on port {port}",
                   passing=(OSError,))


def begin(lab, text):
    volume = as_secret(lab.mail)
    lab.mail.configure_postern(text)
    running = postern.Postern(lab.mail).start()
    running.wait_twins(TWINS)
    return volume, running, running.look_at_all()


def await_reloads(running, wanted):
    return running.wait_for(lambda s: postern.is_current(s) and postern.reloads(s) == wanted,
                            f"these reloads: {wanted}")


@pytest.mark.parametrize("order", ["new", "old"])
def test_renewed_certificate(lab, postern_built, order):
    volume, running, before = begin(lab, both())
    counts = postern.reloads(before)
    configuration = lab.mail.snapshot(*mailhost.CONFIGURATION)
    for turn in (1, 2):
        pair = new_pair(lab.mail)
        volume.write(pair, order)
        after = await_reloads(running, {name: count + turn for name, count in counts.items()})
        for server in PORTS:
            serves(lab.mail, server, pair)
        assert after["generation"] == before["generation"] + turn
        assert len(running.lines(rf"notice: {FOLDER}: changed")) == turn
    postern.all_answer(lab.mail)
    assert files.differences(configuration, lab.mail.snapshot(*mailhost.CONFIGURATION),
                             strict=True) == []
    assert postern.reloads(running.look_at_all()) == postern.reloads(after)
    assert running.errors() == []


@pytest.mark.parametrize("server", ["postfix", "dovecot"])
def test_only_the_named_server_is_told(lab, postern_built, server):
    volume, running, before = begin(lab, both([server]))
    pair = new_pair(lab.mail)
    volume.write(pair)
    wanted = postern.reloads(before)
    wanted[server] += 1
    await_reloads(running, wanted)
    serves(lab.mail, server, pair)
    assert postern.reloads(running.look_at_all()) == wanted


def test_swap_without_a_change(lab, postern_built):
    """New time stamps and a new generation, the same bytes: nobody is told."""
    volume, running, before = begin(lab, both())
    pair = volume.read()

    def swap():
        # kubelet itself would write nothing; a Secret that is mounted anew looks like this.
        volume.write({"beside": b""})
        volume.write({"beside": None})

    running.wait_looks(swap)
    # The file beside may have been seen: each of its states counts, the pair's do not.
    running.look_at_all()
    told = postern.reloads(running.status())
    assert volume.read() == pair
    running.wait_looks(lambda: lab.mail.shell(
        f"cd {FOLDER} && new=$(mktemp -d ..XXXXXX) && chmod 755 $new && "
        "cp $(readlink ..data)/* $new && ln -s $new ..data_tmp && mv -T ..data_tmp ..data"))
    status = running.look_at_all()
    assert postern.reloads(status) == told
    assert postern.is_current(status)


def test_plain_files_saved_one_by_one(lab, postern_built):
    """certbot and scripts write the key, then the certificate."""
    lab.mail.configure_postern(both())
    running = postern.Postern(lab.mail).start()
    running.wait_twins(TWINS)
    pair = new_pair(lab.mail)
    for name in (KEY, CERT):
        lab.mail.write(f"{FOLDER}/{name}.tmp", pair[name])
        os.rename(lab.mail.path(f"{FOLDER}/{name}.tmp"), lab.mail.path(f"{FOLDER}/{name}"))
    for server in PORTS:
        serves(lab.mail, server, pair)
    running.wait_current()


def refused(running, before, reason):
    """The reason is told once, and remembered; no server was told, and all twins are up."""
    status = running.wait_for(lambda s: s["outcome"] == "refused", "a refusal")
    assert re.search(reason, status["reason"]), status["reason"]
    assert postern.reloads(status) == postern.reloads(before)
    assert postern.ports(status) == TWINS
    running.wait_looks(lambda: running.mail.configure_postern(both()))
    status = running.look_at_all()
    assert status["outcome"] == "refused" and re.search(reason, status["reason"])
    assert len(running.errors()) == 1, running.errors()
    assert len(running.lines("changed$")) == len(set(running.lines("changed$")))
    assert status["counts"]["rollbacks"] == before["counts"]["rollbacks"]


def renewed(mail, volume, running):
    pair = new_pair(mail)
    volume.write(pair)
    running.wait_current()
    for server in PORTS:
        serves(mail, server, pair)


@pytest.mark.parametrize("name", [KEY, CERT])
def test_file_that_goes_away(lab, postern_built, name):
    """Dovecot goes on with what it has read; Postfix's smtpd reads the files as it starts."""
    volume, running, before = begin(lab, both())
    good = volume.read()
    volume.write({name: None})
    refused(running, before, f"{FOLDER}/{name}")
    serves(lab.mail, "dovecot", good)
    renewed(lab.mail, volume, running)


BAD = 'dovecot {\n  config-directory = "/etc/elsewhere"\n}\n'


def await_word(running, text):
    return running.wait_for(lambda s: any(text in note["text"] for note in s["notes"]),
                            f"a word of {text}")


@pytest.mark.parametrize("servers", [["dovecot"], ["postfix", "dovecot"]], ids="+".join)
@pytest.mark.parametrize("name", [KEY, CERT])
def test_file_that_goes_away_beside_a_bad_configuration(lab, postern_built, name, servers):
    """The last good configuration is tried again when what is watched changes."""
    volume, running, before = begin(lab, both(servers))
    lab.mail.configure_postern(both(servers) + BAD)
    running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    good = volume.read()
    volume.write({name: None})
    status = await_word(running, f"{FOLDER}/{name}")
    assert postern.reloads(status)["dovecot"] == postern.reloads(before)["dovecot"]
    serves(lab.mail, "dovecot", good)
    pair = new_pair(lab.mail)
    volume.write(pair)
    for server in servers:
        serves(lab.mail, server, pair)
    status = running.wait_for(lambda s: s["ready"] and s["uses_last_good"], "the pair in force")
    assert postern.reloads(running.look_at_all()) == postern.reloads(status)


def test_word_of_the_last_good_configuration_stays(lab, postern_built):
    """It is not tried again while nothing changes; why it is not in force can still be seen."""
    volume, running, _ = begin(lab, both(["dovecot"]))
    text = both(["dovecot"]) + BAD
    lab.mail.configure_postern(text)
    volume.write({KEY: None})
    await_word(running, f"{FOLDER}/{KEY}")
    running.wait_looks(lambda: lab.mail.configure_postern(text))
    assert f"{FOLDER}/{KEY}" in str(running.status()["notes"])
    assert len(running.lines(f"the last good configuration: .*{FOLDER}/{KEY}")) == 1


def test_renewed_while_a_server_is_left_out(lab, postern_built):
    """Each server is told once: the one that can be told now, the other one when it can."""
    volume, running, before = begin(lab, both())
    lab.mail.configure_postern(both() + BAD)
    lab.mail.write("/etc/dovecot/conf.d/99-broken.conf", "protocol imap {\n")
    await_word(running, "/etc/dovecot/conf.d/99-broken.conf")
    pair = new_pair(lab.mail)
    volume.write(pair)
    wanted = postern.reloads(before)
    wanted["postfix"] += 1
    running.wait_for(lambda s: postern.reloads(s) == wanted, "Postfix to be told")
    serves(lab.mail, "postfix", pair)
    assert postern.reloads(running.look_at_all()) == wanted
    lab.mail.remove("/etc/dovecot/conf.d/99-broken.conf")
    serves(lab.mail, "dovecot", pair)
    wanted["dovecot"] += 1
    assert postern.reloads(running.look_at_all()) == wanted


BROKEN = {"nonsense": b"nonsense\n", "empty": b"", "of another pair": "other"}


@pytest.mark.parametrize("name", [KEY, CERT])
@pytest.mark.parametrize("broken", list(BROKEN))
def test_broken_pair(lab, postern_built, name, broken):
    """No tool judges what a certificate holds: its twins are down, that is said, and a good pair heals."""
    volume, running, before = begin(lab, both())
    data = new_pair(lab.mail)[name] if BROKEN[broken] == "other" else BROKEN[broken]
    volume.write({name: data})
    status = running.wait_for(lambda s: s["outcome"] == "failed", "a failure")
    assert re.search(r"dovecot: verify: port 10993 \(imaps\)", status["reason"]), status["reason"]
    assert not status["ready"]
    assert sorted(twin["listener"] for twin in status["twins"]) == sorted(TWINS)
    told = postern.reloads(before)
    assert postern.reloads(status)["postfix"] == told["postfix"], "told though Dovecot had failed"
    # The one that was wanted, and one more when that had changed nothing for the better.
    assert postern.reloads(status)["dovecot"] - told["dovecot"] in (1, 2)
    renewed(lab.mail, volume, running)
    assert running.status()["ready"]


@pytest.mark.parametrize("name", [KEY, CERT])
def test_pair_of_before_after_a_broken_one(lab, postern_built, name):
    """Dovecot has read the broken one, so the one that it knew before is new to it."""
    volume, running, _ = begin(lab, both())
    good = volume.read()
    volume.write({name: b"nonsense\n"})
    running.wait_for(lambda s: s["outcome"] == "failed", "a failure")
    volume.write({name: good[name]})
    running.wait_current()
    for server in PORTS:
        serves(lab.mail, server, good)
    postern.all_answer(lab.mail)


def test_watch_that_is_added_live(lab, postern_built):
    """From the moment it is in the file; what it holds then is known."""
    volume, running, before = begin(lab, postern.conf())
    lab.mail.configure_postern(both())
    status = running.wait_for(lambda s: s["hash"] != before["hash"], "the new text")
    assert postern.reloads(status) == postern.reloads(before)
    pair = new_pair(lab.mail)
    volume.write(pair)
    await_reloads(running, {name: count + 1 for name, count in postern.reloads(before).items()})
    for server in PORTS:
        serves(lab.mail, server, pair)
    lab.mail.configure_postern(postern.conf())
    running.wait_for(lambda s: s["hash"] == before["hash"], "the old text")
    told = postern.reloads(running.look_at_all())
    volume.write(new_pair(lab.mail))
    assert postern.reloads(running.look_at_all()) == told


def replaced_meanwhile(lab, running, volume):
    """The watching process dies, and before there is another one the certificate is renewed."""
    pair = new_pair(lab.mail)
    watcher = running.watcher_pid()
    os.kill(watcher, signal.SIGKILL)
    volume.write(pair)
    return watcher, pair


def test_renewed_while_nobody_watched(lab, postern_built):
    """The successor cannot know what the servers were told: it tells them, once."""
    volume, running, _ = begin(lab, both())
    watcher, pair = replaced_meanwhile(lab, running, volume)
    running.wait_successor(watcher)
    for server in PORTS:
        serves(lab.mail, server, pair)
    status = await_reloads(running, {"postfix": 1, "dovecot": 1})
    assert len(running.lines("while nobody watched")) == 1
    assert postern.reloads(running.look_at_all()) == postern.reloads(status)
    # A folder that is watched from now on is known as it is.
    lab.mail.shell("mkdir -m 755 /srv/more")
    lab.mail.configure_postern(both() + 'watch "/srv/more" { reload = { "dovecot" } }\n')
    after = running.wait_for(lambda s: s["hash"] != status["hash"], "the new text")
    assert postern.reloads(running.look_at_all()) == postern.reloads(status)
    assert postern.is_current(after) and len(running.lines("while nobody watched")) == 1


def test_renewed_while_nobody_watched_and_refused_then(lab, postern_built):
    """The successor's first look may not be a whole one: the folders are not known by that."""
    volume, running, _ = begin(lab, both())
    watcher, pair = replaced_meanwhile(lab, running, volume)
    lab.mail.configure_postern(both() + 'mode = "none"\n')
    running.wait_successor(watcher)
    running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    running.look_at_all()
    lab.mail.configure_postern(both())
    for server in PORTS:
        serves(lab.mail, server, pair)
    await_reloads(running, {"postfix": 1, "dovecot": 1})
    assert len(running.lines("while nobody watched")) == 1


def test_folder_that_comes_later(lab, postern_built):
    """An optional Secret: the folder is there, the keys come with the first swap."""
    lab.mail.configure_postern(both(folder="/secrets/late"))
    running = postern.Postern(lab.mail).start()
    before = running.wait_twins(TWINS)
    volume = kubelet.Volume(postern.mount_volume(lab.mail, "/secrets/late"))
    # That there is a folder now is a change, too.
    counts = postern.reloads(running.look_at_all())
    assert counts["postfix"] - postern.reloads(before)["postfix"] in (0, 1)
    volume.write({"any": b"1"})
    await_reloads(running, {name: count + 1 for name, count in counts.items()})
