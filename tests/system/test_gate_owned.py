# SPDX-License-Identifier: MIT
"""A table of the gate's name that another program has made its own: nobody else can change it."""
import contextlib
import subprocess

from lab import gate, mailhost, postern, processes, wait

OWNED = "another program owns the table inet postern"
TWINS = mailhost.TWIN_PORTS


@contextlib.contextmanager
def owned_table(mail):
    """As long as the block lasts; with its owner the table goes, too (nft(8): owner)."""
    nft = subprocess.Popen(["nsenter", f"--net=/proc/{mail.pid}/ns/net", "nft", "-i"],
                           stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        nft.stdin.write(f"add table {gate.TABLE} {{ flags owner; }}\n")
        nft.stdin.flush()
        wait.until(lambda: gate.exists(mail), "the table")
        yield
    finally:
        nft.stdin.close()
        nft.wait(wait.LIMIT_S)


def test_auto_warns_and_goes_on(lab, postern_built):
    mail = lab.mail
    with owned_table(mail):
        done = mail.patch()
        assert f"warning: gate: not in force: {OWNED}" in done.stderr
        mail.wait_listening(TWINS.values())
    mail.patch()
    assert gate.ports(mail) == set(TWINS.values())


def test_require_opens_no_port(lab, postern_built):
    mail = lab.mail
    mail.configure_postern(postern.conf('gate = "require"\n'))
    with owned_table(mail):
        done = mail.postern("patch", check=False)
        assert done.returncode == 1
        assert f'gate = "require": the ports are not opened: {OWNED}' in done.stderr
        assert not set(TWINS.values()) & mail.listening_ports()


def test_a_running_postern_says_it_once(lab, postern_built):
    with owned_table(lab.mail):
        running, _ = postern.begun(lab.mail, "resync = 1\n")
        running.look_at_all()
        assert len(running.lines(OWNED)) == 1, running.output
    running.wait_for(lambda s: s["protection"]["gate"] == "in force", "the gate")
    assert gate.ports(lab.mail) == set(TWINS.values())


def test_the_right_to_remove_it_is_kept(lab, postern_built):
    """With `gate = "off"` it is given up, but not before there is nothing left to remove."""
    mail = lab.mail
    with owned_table(mail):
        running, status = postern.begun(mail, 'gate = "off"\n')
        assert status["protection"]["gate"] == "off, but what was put up before stands"
        assert len(running.lines(f"gate: it stays as it was: {OWNED}")) == 1, running.output
        assert "NET_ADMIN" in processes.capabilities(running.watcher_pid(), "CapPrm")
    running.hang_up()
    running.wait_line('gate = "off": CAP_NET_ADMIN is given up')
    assert running.wait_current()["protection"]["gate"] == "off"
