# SPDX-License-Identifier: MIT
"""`listen` and the socket: metrics, health and readiness, which follow postern.conf live."""
import contextlib
import json
import os
import signal
import time

import pytest

from lab import mailhost, postern, processes, prometheus, wait

TWINS = mailhost.TWIN_PORTS
MOVED = {**TWINS, "sieve": 24190}
MOVE = postern.twins_at(sieve=24190)
FIRST, SECOND, SIXTH = "127.0.0.1:9477", "127.0.0.1:9478", "[::1]:9479"
# What design.md promises, by the families that carry it.
FAMILIES = {
    "postern_build_info", "postern_ready", "postern_config_info", "postern_config_generation",
    "postern_config_applied_timestamp_seconds", "postern_applies_total",
    "postern_failures_total", "postern_rollbacks_total", "postern_reloads_total",
    "postern_last_apply_duration_seconds", "postern_event_to_verified_seconds",
    "postern_watches", "postern_inotify_overflows_total", "postern_gate_in_force",
    "postern_twins_up", "postern_children_reaped_total", "postern_child_state",
}


def listen(address, more=""):
    return postern.conf(f'listen = "{address}"\n{more}')


def begin(lab, text, command=postern.RUN):
    lab.mail.configure_postern(text)
    running = postern.Postern(lab.mail, command).start()
    running.wait_twins(TWINS)
    return running


def served(running, address, path="/healthz"):
    with contextlib.suppress(ConnectionError):  # refused, or closed before the answer
        return running.get(path, address)
    return None


def await_served(running, address):
    return wait.until(lambda: served(running, address), f"an answer at {address}")


def await_silent(running, address):
    wait.until(lambda: served(running, address) is None, f"no answer at {address}")


@pytest.mark.parametrize("wanted", [f"[{FIRST[:-5]}]:9477", "::1:9479"])
def test_what_check_takes_is_served(lab, postern_built, wanted):
    """The brackets may be missing, or be where none are needed."""
    running = begin(lab, listen(wanted))
    await_served(running, FIRST if FIRST[:-5] in wanted else SIXTH)


def metrics(running, address=None):
    code, text = running.get("/metrics", address)
    assert code == 200
    return prometheus.parse(text)


def test_listen_comes_moves_and_goes(lab, postern_built):
    running = begin(lab, postern.conf())
    before = running.look_at_all()
    assert served(running, FIRST) is None
    lab.mail.configure_postern(listen(FIRST))
    assert await_served(running, FIRST) == (200, "live\n")
    lab.mail.configure_postern(listen(SECOND))
    await_served(running, SECOND)
    await_silent(running, FIRST)
    lab.mail.configure_postern(listen(SIXTH))
    await_served(running, SIXTH)
    await_silent(running, SECOND)
    # A bad text does not take it away.
    lab.mail.configure_postern(listen(SECOND, "nonsense = 1\n"))
    running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    assert served(running, SIXTH) == (200, "live\n")
    lab.mail.configure_postern(postern.conf())
    await_silent(running, SIXTH)
    assert postern.reloads(running.look_at_all()) == postern.reloads(before)
    assert {a for a, port in lab.mail.listeners() if 9470 <= port < 9480} == set()


@pytest.mark.parametrize("command", [postern.RUN, postern.WATCH], ids=["run", "watch"])
def test_metrics_are_what_prometheus_takes(lab, postern_built, command):
    running = begin(lab, listen(FIRST), command)
    status = running.look_at_all()
    families = metrics(running, FIRST)
    promised = FAMILIES if command is postern.RUN else \
        FAMILIES - {"postern_children_reaped_total", "postern_child_state"}
    assert promised <= set(families)
    assert families["postern_ready"].value() == 1
    assert families["postern_twins_up"].value() == families["postern_twins"].value() == len(TWINS)
    assert families["postern_config_generation"].value() == status["generation"]
    for server, count in postern.reloads(status).items():
        assert families["postern_reloads_total"].value(server=server) == count
    for twin in status["twins"]:
        assert families["postern_twin_up"].value(server=twin["server"], listener=twin["listener"],
                                                 port=str(twin["port"])) == 1
    hashes = [dict(labels)["hash"] for _, labels in families["postern_config_info"].samples]
    assert len(hashes) == 1 and status["hash"].startswith(hashes[0])
    assert families["postern_watches"].value() == status["watches"]["inotify"] == running.watches()


def test_metrics_follow_what_happens(lab, postern_built):
    running = begin(lab, listen(FIRST))
    running.look_at_all()
    before = metrics(running, FIRST)
    histogram = "postern_event_to_verified_seconds"
    lab.mail.configure_postern(listen(FIRST, postern.twins_at(imap=20143)))
    running.wait_twins({**TWINS, "imap": 20143})
    after = metrics(running, FIRST)
    for name, more in (("postern_applies_total", 1), ("postern_config_generation", 1),
                       ("postern_failures_total", 0), ("postern_rollbacks_total", 0)):
        assert after[name].value() == before[name].value() + more, name
    assert after["postern_reloads_total"].value(server="dovecot") == \
        before["postern_reloads_total"].value(server="dovecot") + 1
    counts = [f[histogram].samples[(histogram + "_count", ())] for f in (before, after)]
    assert counts[1] == counts[0] + 1
    assert 0 < after["postern_last_apply_duration_seconds"].value() < wait.LIMIT_S
    assert after["postern_config_current"].value() == 1

    lab.mail.configure_postern("nonsense = 1\n")
    running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    bad = metrics(running, FIRST)
    assert bad["postern_config_current"].value() == 0
    assert bad["postern_ready"].value() == 1
    assert bad["postern_failures_total"].value() >= after["postern_failures_total"].value() + 1
    assert bad["postern_twins_up"].value() == len(TWINS)
    assert bad["postern_config_generation"].value() == after["postern_config_generation"].value()


def test_ready_tells_what_is_down(lab, postern_built):
    running = begin(lab, listen(FIRST))
    assert served(running, FIRST, "/readyz") == (200, "ready\n")
    lab.mail.stop_dovecot()
    running.wait_for(lambda s: not s["ready"], "Dovecot to be missed")
    code, words = running.get("/readyz", FIRST)
    assert code == 503 and words.startswith("not ready: dovecot: is not running"), words
    assert running.probe("--ready") == (1, words)
    assert served(running, FIRST) == (200, "live\n"), "alive all the same"
    families = metrics(running, FIRST)
    assert families["postern_ready"].value() == 0
    assert families["postern_server_running"].value(server="dovecot") == 0
    assert families["postern_server_running"].value(server="postfix") == 1
    lab.mail.start_dovecot()
    running.wait_twins(TWINS)
    assert served(running, FIRST, "/readyz") == (200, "ready\n")
    assert metrics(running, FIRST)["postern_ready"].value() == 1


def test_twin_that_does_not_answer(lab, postern_built):
    """The server runs and its port is open, but nobody comes to the door."""
    running = begin(lab, listen(FIRST))
    # Since the start, it is proven; what comes up anew is asked anew.
    lab.mail.stop_dovecot()
    running.wait_for(lambda s: not s["ready"], "Dovecot to be missed")
    login = "/usr/lib/dovecot/pop3-login"
    lab.mail.shell(f"mv {login} {login}.away && cp /bin/false {login}")
    lab.mail.start_dovecot()
    status = running.wait_for(
        lambda s: s["servers"]["dovecot"]["running"] and not s["ready"]
        and any(not t["up"] and t["detail"] not in ("", "not asked yet") for t in s["twins"]),
        "the twin that is down")
    down = {twin["listener"] for twin in status["twins"] if not twin["up"]}
    assert down == {"pop3", "pop3s"}, status["twins"]
    assert status["outcome"] == "failed"
    code, words = running.get("/readyz", FIRST)
    assert code == 503 and "pop3 10110: " in words, words
    families = metrics(running, FIRST)
    assert families["postern_twin_up"].value(server="dovecot", listener="pop3", port="10110") == 0
    assert families["postern_twin_up"].value(server="dovecot", listener="imap", port="10143") == 1
    assert families["postern_twins_up"].value() == len(TWINS) - 2
    lab.mail.shell(f"mv {login}.away {login}")
    lab.mail.restart_dovecot()
    running.wait_twins(TWINS)


def test_status_is_for_root_alone_and_not_on_the_network(lab, postern_built):
    running = begin(lab, listen(FIRST))
    assert running.get("/status", FIRST)[0] == 404
    code, text = running.get("/status")
    assert code == 200 and json.loads(text)["ready"]
    mode = os.stat(lab.mail.path(postern.SOCKET)).st_mode
    assert mode & 0o777 == 0o600
    prometheus.parse(running.get("/metrics")[1])
    assert running.get("/nothing")[0] == 404
    said = lab.mail.run([mailhost.POSTERN, "status"]).stdout
    for port in TWINS.values():
        assert str(port) in said
    assert said.startswith("ready"), said


def test_no_word_of_others_reaches_the_terminal(lab, postern_built):
    """A text may hold what a terminal obeys: ESC [, and U+009B, which means the same."""
    running = begin(lab, listen(FIRST))
    lab.mail.configure_postern(listen(FIRST, 'overrides "/gr\u00fcn\x1b[31m\u009b31m" {}\n'))
    status = running.wait_for(lambda s: s["outcome"] == "refused", "the refusal")
    assert "\x1b" in status["reason"], status
    said = lab.mail.run([mailhost.POSTERN, "status"]).stdout
    assert "gr\u00fcn\\x1b[31m" in said, said
    for text in (said, running.probe("--ready")[1], running.probe("--live")[1], running.output):
        assert not [c for c in text if c != "\n" and not c.isprintable()], text


def test_busy_address_is_said_and_tried_again(lab, postern_built):
    with lab.mail.listen("127.0.0.1", 9477):
        running = begin(lab, listen(FIRST))
        running.wait_line(r"error: listen = \"127\.0\.0\.1:9477\": .*in use")
        running.look_at_all()
        assert len(running.lines("metrics are not served")) == 1
    running.hang_up()
    assert await_served(running, FIRST) == (200, "live\n")


def test_busy_address_is_tried_again_without_a_look(lab, postern_built):
    with lab.mail.listen("127.0.0.1", 9477):
        running = begin(lab, listen(FIRST, "resync = 0\n"))
        running.wait_line("metrics are not served")
        running.look_at_all()
        looks = running.status()["counts"]["looks"]
    assert await_served(running, FIRST) == (200, "live\n")
    assert running.status()["counts"]["looks"] == looks
    assert len(running.lines("metrics are not served")) == 1


def test_stop_leaves_no_socket(lab, postern_built):
    running = begin(lab, listen(FIRST), postern.WATCH)
    assert running.stop(signal.SIGINT) == 0
    assert not lab.mail.exists(postern.SOCKET)
    assert lab.mail.run([mailhost.POSTERN, "status"], check=False).returncode == 1
    assert lab.mail.run([mailhost.POSTERN, "probe", "--live"], check=False).returncode == 1
    # The twins stay open: postern has gone, not the mail server.
    postern.all_answer(lab.mail)


def test_status_tells_what_protects_the_twins(lab, postern_built):
    running = begin(lab, postern.conf())
    assert running.status()["protection"] == {
        "mynetworks": "in force", "gate": "in force",
        "network_policy": "cannot be seen from here"}
    lab.mail.configure_postern(postern.conf(
        'gate = "off"\npostfix {\n  listener smtp { trust-mynetworks = true }\n}\n'))
    running.wait_for(lambda s: postern.is_current(s) and s["protection"]["gate"] == "off"
                     and s["protection"]["mynetworks"] == "given up by trust-mynetworks",
                     "the other words")
    assert "empty mynetworks: given up" in lab.mail.run([mailhost.POSTERN, "status"]).stdout


# -- many who connect, and a successor

def test_idle_connections_do_not_use_up_descriptors(lab, postern_built):
    """They wait; it lives, answers at its own socket, works, and does not turn or talk in vain."""
    lab.mail.configure_postern(listen(FIRST))
    running = postern.Postern(lab.mail, before="ulimit -n 100").start()
    running.wait_twins(TWINS)
    before = running.process.output
    lab.mail.spawn(["python3", "-c", """
import socket, time
held = []
for _ in range(150):
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(("127.0.0.1", 9477))
    held.append(sock)
print("all", flush=True)
time.sleep(600)
"""])
    watcher = running.watcher_pid()
    wait.until(lambda: processes.descriptors(watcher) >= 50, "the connections", 20)
    time.sleep(3)
    assert processes.descriptors(watcher) <= 52
    assert running.probe("--live")[0] == 0
    lab.mail.configure_postern(listen(FIRST, MOVE))
    running.wait_twins(MOVED)
    assert "accept" not in running.process.output[len(before):]


def test_successor_is_not_kept_from_the_socket(lab, postern_built):
    """A look that outlives its watcher does not serve in its place."""
    running, _ = postern.begun(lab.mail, f'listen = "{FIRST}"\n')
    watcher = running.watcher_pid()
    with postern.lock_held(lab.mail):
        lab.mail.configure_postern(listen(FIRST, MOVE))
        running.wait_look_at_lock()
        os.kill(watcher, signal.SIGKILL)
        running.wait_successor(watcher)
        wait.until(lambda: running.status(), lambda: f"its answer\n{running.output}", 10)
    running.wait_twins(MOVED)
    assert running.lines("another postern") == [] and running.lines("listen = ") == []


# -- what is in the way of the socket

def test_a_file_at_the_sockets_path_stays(lab, postern_built):
    lab.mail.configure_postern(postern.conf())
    lab.mail.shell(f"mkdir -p {os.path.dirname(postern.SOCKET)}; echo precious > {postern.SOCKET}")
    running = postern.Postern(lab.mail).start()
    running.wait_line("status cannot be asked for: .*no socket")
    assert lab.mail.read(postern.SOCKET) == "precious\n"


def test_a_second_watch_beside_one_that_hangs(lab, postern_built):
    """It starts all the same, and leaves the socket to the other."""
    running, _ = postern.begun(lab.mail)
    with processes.stopped(running.watcher_pid()):
        others = lab.mail.spawn(["python3", "-c", f"""
import socket, time
held = []
while True:
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)
    try:
        sock.connect("{postern.SOCKET}")
        held.append(sock)
    except BlockingIOError:
        print("full", flush=True)
        time.sleep(600)
"""])
        wait.until(lambda: "full" in others.output, "no room for another")
        second = postern.Postern(lab.mail, postern.WATCH).start()
        second.wait_line("another postern serves there", within=10)
    assert running.wait_current()


def test_socket_that_cannot_be_made_yet(lab, postern_built):
    """What is in its way goes: it is made then, and both are said once."""
    lab.mail.configure_postern(postern.conf())
    folder = os.path.dirname(postern.SOCKET)
    lab.mail.shell(f"mkdir -p {folder}; touch {postern.SOCKET}")
    running = postern.Postern(lab.mail).start()
    running.wait_line("status cannot be asked for: .*no socket")
    running.wait_line("postfix: 3 twins answer")
    lab.mail.shell(f"rm {postern.SOCKET}")
    for _ in range(2):
        running.hang_up()
        running.wait_for(postern.is_current, "its answer", within=20)
    assert len(running.lines(f"notice: status can be asked for at {postern.SOCKET}")) == 1
    assert len(running.lines("cannot be asked for")) == 1


def test_socket_of_another_that_ends(lab, postern_built):
    """The second one serves as soon as the first is gone and there is something to look at."""
    first, _ = postern.begun(lab.mail)
    second = postern.Postern(lab.mail, postern.WATCH).start()
    second.wait_line("another postern serves there")
    second.hang_up()
    first.stop()
    second.hang_up()
    second.wait_line("status can be asked for at")
    assert second.wait_current()["mode"] == "watch"
    assert len(second.lines("another postern serves there")) == 1
    assert second.stop() == 0 and not lab.mail.exists(postern.SOCKET)
