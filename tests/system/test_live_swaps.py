# SPDX-License-Identifier: MIT
"""Many swaps and many folders: nothing is lost, and nothing grows."""
import collections

from lab import kubelet, mailhost, postern, sanitizers, wait

TWINS = mailhost.TWIN_PORTS
SWAPS = 10_000
FOLDERS = 1000
# A process's heap comes and goes by a few pages; a leak of ten bytes a swap is 100 kB.
# AddressSanitizer takes 4 MB by and by: as many after 60,000 swaps as after 20,000.
SLACK_KB = 6 << 10 if sanitizers.PRESENT else 48


def with_port(port):
    return {"postern.conf": postern.conf(postern.twins_at(submission=port)).encode()}


def test_ten_thousand_swaps(lab, postern_built):
    volume = postern.conf_volume(lab.mail)
    volume.write(with_port(10587))
    running = postern.Postern(lab.mail, env=sanitizers.WITHOUT_QUARANTINE).start()
    running.wait_twins(TWINS)
    for port in (20587, 20588):  # what one apply leaves behind is there before
        volume.write(with_port(port))
        running.wait_twins({**TWINS, "submission": port})
    running.look_at_all()
    memory, descriptors = running.memory_kb(), collections.Counter(running.descriptors())
    pid = running.watcher_pid()
    for turn in range(SWAPS - 1):
        volume.write(with_port(20587 + turn % 3))
    volume.write(with_port(20777))
    status = running.wait_twins({**TWINS, "submission": 20777})
    running.look_at_all()
    assert postern.ports(running.status()) == {**TWINS, "submission": 20777}
    assert running.errors() == []
    assert status["counts"]["failures"] == 0
    assert running.watcher_pid() == pid
    assert abs(running.memory_kb() - memory) <= SLACK_KB
    # What answered us, or has looked a last time, may not have closed its end yet.
    wait.until(lambda: not collections.Counter(running.descriptors()) - descriptors,
               lambda: f"no more descriptors than {descriptors}, not {running.descriptors()}")
    assert len(running.process.output) < 100_000, "a line for each swap"
    postern.all_answer(lab.mail, {**TWINS, "submission": 20777})


def test_noise_beside_is_not_looked_at_for_ever(lab, postern_built):
    """A log that grows in a watched folder, and files of others' names."""
    running = postern.Postern(lab.mail).start()
    running.wait_twins(TWINS)
    before = running.look_at_all()
    for turn in range(2000):
        lab.mail.write(f"/etc/postern/other-{turn % 7}", str(turn))
        lab.mail.write("/etc/postfix/other.cf", str(turn))
    status = running.look_at_all()
    assert status["counts"]["looks"] - before["counts"]["looks"] <= 3, "only those asked for"
    assert postern.reloads(status) == postern.reloads(before)


def test_a_thousand_folders_and_one_changes(lab, postern_built):
    names = [f"/srv/secrets/{number}" for number in range(FOLDERS)]
    volumes = [kubelet.Volume(lab.mail.path(name)) for name in names]
    for volume in volumes:
        volume.write({"tls.crt": b"1", "tls.key": b"1"})
    watches = "".join(
        f'watch "{name}" {{ reload = {{ "{"postfix" if number % 2 else "dovecot"}" }} }}\n'
        for number, name in enumerate(names))
    lab.mail.configure_postern(postern.conf(watches))
    running = postern.Postern(lab.mail).start()
    running.wait_twins(TWINS)
    before = running.look_at_all()
    assert FOLDERS <= before["watches"]["inotify"] == running.watches() <= FOLDERS + 20
    assert before["watches"]["deaf"] == 0
    assert before["counts"]["inotify_overflows"] == 0
    told = postern.reloads(before)
    for number, server in ((FOLDERS - 1, "postfix"), (0, "dovecot"), (FOLDERS // 2, "dovecot")):
        looks = running.status()["counts"]["looks"]
        volumes[number].write({"tls.crt": b"%d" % (number + 2)})
        told[server] += 1
        status = running.wait_for(
            lambda s: postern.is_current(s) and postern.reloads(s) == told, f"reloads {told}")
        # Removing the old generation may be another burst, no more than one.
        assert 1 <= status["counts"]["looks"] - looks <= 2
        assert len(running.lines(f"notice: {names[number]}: changed")) == 1
    # All of them at once are one reload of each.
    for number, volume in enumerate(volumes):
        volume.write({"tls.key": b"%d" % (number + 3)})
    running.wait_for(lambda s: len(running.lines("/srv/secrets/.*: changed")) >= FOLDERS + 3
                     and postern.is_current(s), "all of them")
    status = running.look_at_all()
    for server, count in postern.reloads(status).items():
        assert 1 <= count - told[server] <= FOLDERS // 100
    assert status["watches"]["inotify"] == before["watches"]["inotify"] == running.watches()
