# SPDX-License-Identifier: MIT
"""Revert removes the gate from before what has closed, and from before nothing else."""
import signal

import pytest

from lab import gate, mailhost, postern, processes, proxy_client, wait

OF = {"postfix": set(mailhost.POSTFIX_TWINS.values()), "dovecot": set(mailhost.DOVECOT_TWINS.values())}
STOCK_OF = {"postfix": mailhost.POSTFIX_PORTS, "dovecot": mailhost.DOVECOT_PORTS}
PORTS = OF["postfix"] | OF["dovecot"]
SERVERS = pytest.mark.parametrize("server", OF)


def revert(mail, *options, check=True):
    """Without the lab's wait for a server's own word."""
    return mail.run([mailhost.POSTERN, "--config", mailhost.POSTERN_CONF, "revert", *options],
                    check=check)


def assert_files_are_reverted(mail):
    assert "postern" not in mail.read(mailhost.MASTER_CF)
    assert not mail.exists(mailhost.DROP_IN)


def assert_open_and_guarded(mail, server):
    assert OF[server] <= mail.listening_ports()
    mail.wait_closed(PORTS - OF[server])  # a process that has a client holds its socket, too
    assert gate.ports(mail) >= OF[server]


def revert_to_the_end(mail):
    """By one run; or by more, where a server on a busy machine takes its time."""
    def is_done():
        done = mail.postern("revert")
        assert gate.exists(mail) == ("is still open" in done.stderr), done
        return not gate.exists(mail)

    wait.until(is_done, "the gate to go")


def assert_reverted(mail):
    """When nothing is in the way any more."""
    revert_to_the_end(mail)
    mail.wait_closed(PORTS)
    assert "nothing to do" in mail.postern("revert").stderr


@SERVERS
def test_a_server_of_which_nothing_can_be_told(lab, postern_built, server):
    """Its files are reverted all the same, and that it was not told is no success."""
    mail, path = lab.mail, mailhost.PID_FILES[server]
    mail.patch()
    mail.shell(f"mv {path} {path}.away && mkdir {path}")
    for _ in range(2):
        done = revert(mail, check=False)
        assert done.returncode == 1, done
        assert f"{server} is not reloaded" in done.stderr and path in done.stderr, done
        assert_files_are_reverted(mail)
        assert_open_and_guarded(mail, server)
    mail.shell(f"rmdir {path} && mv {path}.away {path}")
    assert_reverted(mail)


@SERVERS
def test_a_server_whose_pid_file_is_away(lab, postern_built, server):
    """It is open, whatever the file says."""
    mail, path = lab.mail, mailhost.PID_FILES[server]
    mail.patch()
    mail.shell(f"mv {path} {path}.away")
    for _ in range(2):
        done = revert(mail)
        assert f"{server}: not running" in done.stderr, done
        assert "is still open" in done.stderr, done
        assert_files_are_reverted(mail)
        assert_open_and_guarded(mail, server)
    mail.shell(f"mv {path}.away {path}")
    assert_reverted(mail)


def test_a_server_that_is_no_more(lab, postern_built):
    mail = lab.mail
    mail.patch()
    mail.stop_dovecot()
    assert "gate: removed" in mail.postern("revert").stderr
    assert_files_are_reverted(mail)
    assert not gate.exists(mail)


def test_a_patch_that_switches_off_a_server_whose_pid_file_is_away(lab, postern_built):
    """As long as it has not heard of that, which its owner tells it, the ports stay guarded."""
    mail, path = lab.mail, mailhost.DOVECOT_PID
    mail.patch()
    mail.shell(f"mv {path} {path}.away")
    mail.configure_postern(mail.read(mailhost.POSTERN_CONF) + "dovecot {\n    enable = false\n}\n")
    assert "is still open" in mail.patch().stderr
    assert OF["dovecot"] <= mail.listening_ports()
    assert gate.ports(mail) == PORTS
    mail.shell(f"mv {path}.away {path}")
    mail.signal_master(path, signal.SIGHUP)
    mail.wait_closed(OF["dovecot"])
    mail.patch()
    assert gate.ports(mail) == OF["postfix"]


def test_ports_that_no_file_tells_of(lab, postern_built):
    """Our file is there, and nobody can read it: what closes with it is guarded until it has."""
    mail = lab.mail
    mail.patch()
    mail.write(mailhost.DROP_IN, mail.read(mailhost.DROP_IN) + "broken {\n")
    with processes.stopped(mail.dovecot.pid):
        for _ in range(2):
            done = revert(mail)
            assert "is still open" in done.stderr, done
            assert_files_are_reverted(mail)
            assert_open_and_guarded(mail, "dovecot")
    mail.wait_closed(PORTS)
    assert_reverted(mail)


@SERVERS
def test_in_place_a_server_whose_pid_file_is_away(lab, postern_built, server):
    """Its stock ports ask for a header until it is told."""
    mail, path = lab.mail, mailhost.PID_FILES[server]
    stock = set(STOCK_OF[server].values())
    mail.configure_postern(postern.conf('mode = "in-place"\n'))
    mail.patch()
    mail.shell(f"mv {path} {path}.away")
    for _ in range(2):
        done = revert(mail)
        assert f"{server}: not running" in done.stderr, done
        assert "is still open" in done.stderr, done
        assert_files_are_reverted(mail)
        assert gate.ports(mail) >= stock
    mail.shell(f"mv {path}.away {path}")
    revert_to_the_end(mail)
    for port in (25, 143):
        with proxy_client.LineClient(lab.outsider.connect(mail.address(), port)) as client:
            assert postern.is_greeting(client.line()), port


def test_in_place_with_a_file_of_ours_that_nobody_can_read(lab, postern_built):
    """Which ports it named is not known; a stock port that is one again is none to be guarded."""
    mail = lab.mail
    mail.configure_postern(postern.conf('mode = "in-place"\n'))
    mail.patch()
    mail.write(mailhost.DROP_IN, mail.read(mailhost.DROP_IN) + "broken {\n")
    assert "still open" not in mail.postern("revert").stderr
    assert not gate.exists(mail)


@pytest.mark.parametrize("mode", ["separate", "in-place"])
def test_a_server_that_has_stopped_since_its_files_were_reverted(lab, postern_built, mode):
    """The other one's ports are no reason to think that it is there."""
    mail = lab.mail
    mail.configure_postern(postern.conf(f'mode = "{mode}"\n'))
    mail.patch()
    mail.postern("revert", "--no-reload")
    mail.stop_postfix()
    revert_to_the_end(mail)


def test_another_program_on_the_port_of_a_server_that_is_no_more(lab, postern_built):
    """Its successor, say, is not kept from its clients."""
    mail = lab.mail
    mail.patch()
    mail.stop_dovecot()
    mail.wait_closed(OF["dovecot"])
    successor = mail.spawn(["python3", "-c", """
import socket, time
sock = socket.create_server(("", 10143))
time.sleep(600)
"""])
    wait.until(lambda: 10143 in mail.listening_ports(), "the successor", passing=())
    assert successor.running
    assert "gate: removed" in mail.postern("revert").stderr
    assert not gate.exists(mail)
