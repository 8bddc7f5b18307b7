# SPDX-License-Identifier: MIT
"""With the capabilities that containers have, and none beyond what a way of running needs."""
import pytest

from lab import files, host, mailhost

# What `postern watch` keeps in a container of its own.
WATCH = ("KILL", "SYS_PTRACE", "DAC_OVERRIDE", "CHOWN", "FOWNER", "SYS_CHROOT", "NET_BIND_SERVICE")
ANOTHER = 1234


@pytest.fixture
def contained(idle_pod):
    """Servers with an engine's usual capabilities, as in a container, and a sidecar beside them."""
    idle_pod.mail.capabilities = host.ENGINE_CAPABILITIES
    idle_pod.mail.start_servers()
    return idle_pod


def is_applied(done):
    return done.stderr.count("reloaded (process") == 2 and done.stderr.count("answer") == 2


def give_files_away(mail):
    mail.shell(f"""
        cd /etc
        chown {ANOTHER}:{ANOTHER} postfix/master.cf postfix/main.cf dovecot/conf.d
        chmod 600 postfix/master.cf
        chmod 700 dovecot/conf.d
    """)


def test_patch_with_an_engines_usual_capabilities(contained):
    """Without CAP_SYS_PTRACE not even root is told what Postfix's master is and holds."""
    mail = contained.mail
    pid = mail.master_pid(mailhost.POSTFIX_PID)
    assert mail.shell(f"readlink /proc/{pid}/exe", check=False).returncode != 0
    done = mail.patch()
    assert is_applied(done), done.stderr
    mail.wait_listening(mailhost.TWIN_PORTS.values())
    assert "nothing to do" in mail.patch().stderr
    mail.postern("revert")
    mail.wait_closed(mailhost.TWIN_PORTS.values())


def test_foreign_socket_is_seen_with_an_engines_usual_capabilities(contained):
    mail = contained.mail
    with mail.listen("0.0.0.0", 10143):
        done = mail.postern("patch", check=False)
        assert done.returncode == 1
        assert "port 10143" in done.stderr and "is taken" in done.stderr
    assert is_applied(mail.patch())


def patch_from_the_sidecar(lab, capabilities):
    lab.sidecar.capabilities = capabilities
    return lab.sidecar.run([mailhost.POSTERN, "--root", lab.mail_root(), "patch"], check=False)


def test_sidecar_needs_no_more_than_its_own_privileges(contained):
    give_files_away(contained.mail)
    done = patch_from_the_sidecar(contained, WATCH)
    assert done.returncode == 0 and is_applied(done), done.stderr
    owner = contained.mail.shell(f"stat -c %u:%a {mailhost.MASTER_CF}").stdout.strip()
    assert owner == f"{ANOTHER}:600"


@pytest.mark.parametrize("lacking", ["SYS_PTRACE", "DAC_OVERRIDE", "CHOWN", "FOWNER", "SYS_CHROOT"])
def test_sidecar_needs_each_of_its_privileges(contained, lacking):
    """When files are another's; KILL and NET_BIND_SERVICE are for servers that are not root's,
    and for such as do not run."""
    give_files_away(contained.mail)
    before = contained.mail.snapshot(*mailhost.CONFIGURATION)
    done = patch_from_the_sidecar(contained, [name for name in WATCH if name != lacking])
    assert done.returncode == 1
    assert files.differences(before, contained.mail.snapshot(*mailhost.CONFIGURATION)) == []
