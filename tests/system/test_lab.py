# SPDX-License-Identifier: MIT
"""The lab itself: closed to the outside, and gone without a trace."""
import os
import signal
import subprocess
import sys

import pytest

from lab import Lab, evidence, mail_clients, mail_config, mailhost, netns, processes, wait

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Whoever runs the tests may have told his own programs to ignore some signals (nohup does).
PROGRAM = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
sys.path.insert(0, {tests!r})
from lab import started
with started({release!r}, haproxy=True, nginx=True) as lab:
    print(lab._folder, lab.wire.pid, *(host.pid for host in lab.hosts), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_killed_program_leaves_no_process(release, how):
    program = subprocess.Popen([sys.executable, "-c", PROGRAM.format(tests=TESTS, release=release)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL)
    with program.stdin, program.stdout:
        try:
            folder, *pids = program.stdout.readline().split()
            assert not any(processes.is_gone(pid) for pid in pids)
            program.send_signal(how)
            program.wait(timeout=wait.LIMIT_S)
        finally:
            program.kill()
            program.wait()
        wait.until(lambda: all(processes.is_gone(pid) for pid in pids),
                   "the lab's processes to end")
    # Nobody can tidy up after SIGKILL; what is left is an empty folder, not a mount.
    if how != signal.SIGKILL:
        assert not os.path.exists(folder)
    else:
        subprocess.run(["rm", "-rf", "--one-file-system", folder], check=True)


def test_mounts_nothing_on_the_machine_and_leaves_nothing(release):
    with Lab(release) as lab:
        lab.mail.start_servers()
        folder, pid = lab._folder, lab.mail.pid
        assert os.listdir(lab.mail.path("/root")) is not None
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            assert folder not in mounts.read()
    assert not os.path.exists(folder)
    assert processes.is_gone(pid)


def test_nothing_listens_on_the_machine_itself(release):
    """On the machine's own network others come and go: the lab starts from an empty one."""
    machine = netns.NetHost("machine")
    machine.start()
    try:
        machine.ready()
        with machine.entered(), Lab(release) as lab:
            lab.mail.start_servers()
            lab.balancer.start_haproxy(lab.mail.address())
            assert machine.listeners() == set()
    finally:
        machine.stop()


def test_unpatched_balancer_hides_the_client(release):
    """Why postern exists: through a plain balancer, every client has the balancer's address."""
    with Lab(release) as lab:
        lab.mail.start_servers()
        ports = {name: (port, port) for name, port in mailhost.STOCK_PORTS.items()}
        lab.balancer.start_haproxy(lab.mail.address(), ports, options="")
        for service, port in ports.items():
            mark = lab.mail.log.mark()
            mail_clients.use(service, lab.client.connect(lab.balancer.haproxy_address(), port[0]),
                             mail_config.USER, mail_config.PASSWORD, lab.mail.tls_context())
            lab.mail.log.wait_for(
                evidence.seen_on_stock(service, lab.balancer.haproxy_address()), mark)
        assert "198.51.100.1" not in lab.mail.log.since()


def test_pod_shares_processes_and_network_and_nothing_else(release):
    with Lab(release, with_balancer=False, pod=True) as lab:
        lab.mail.start_servers()
        for kind in ("pid", "net"):
            assert os.readlink(f"/proc/{lab.mail.pid}/ns/{kind}") == \
                os.readlink(f"/proc/{lab.sidecar.pid}/ns/{kind}")
        assert os.readlink(f"/proc/{lab.mail.pid}/ns/mnt") != \
            os.readlink(f"/proc/{lab.sidecar.pid}/ns/mnt")
        assert set(mailhost.STOCK_PORTS.values()) <= lab.sidecar.listening_ports()
        # The mail host is not process 1: that is the pod's own.
        assert processes.inner_number(lab.mail.pid) > 1
        assert not os.path.exists(lab.sidecar.path("/etc/postfix"))
        files = {os.path.join(folder, name)[len(lab.sidecar.path("/")):]
                 for top in ("etc", "usr", "run", "tmp")
                 for folder, _, names in os.walk(lab.sidecar.path("/") + top) for name in names}
        assert files <= {mailhost.POSTERN[1:]}
        folder, pids = lab._folder, [lab.mail.pid, lab.sidecar.pid, lab.pause.pid]
    assert not os.path.exists(folder)
    assert all(processes.is_gone(pid) for pid in pids)


def test_mail_container_of_a_pod_is_replaced(release):
    with Lab(release, with_balancer=False, pod=True) as lab:
        lab.mail.start_servers()
        lab.mail.write("/etc/postfix/written-by-the-old-one", "")
        before = lab.mail.processes()
        names = {kind: os.readlink(f"/proc/{lab.mail.pid}/ns/{kind}") for kind in ("pid", "net")}
        sidecar = lab.sidecar.pid
        lab.replace_mail()
        assert all(processes.is_gone(pid) for pid in before)
        assert not processes.is_gone(sidecar)
        assert not lab.mail.exists("/etc/postfix/written-by-the-old-one")
        assert not set(mailhost.STOCK_PORTS.values()) & lab.mail.listening_ports()
        for kind, name in names.items():
            assert os.readlink(f"/proc/{lab.mail.pid}/ns/{kind}") == name
        lab.mail.start_servers()
        service = "imap"
        mail_clients.use(service, lab.client.connect(lab.mail.address(), 143), mail_config.USER,
                         mail_config.PASSWORD, lab.mail.tls_context())


def test_capabilities_are_what_a_host_was_given(release):
    with Lab(release, with_balancer=False) as lab:
        lab.mail.capabilities = ("KILL", "CHOWN")
        status = lab.mail.shell("cat /proc/self/status; exit 3", check=False)
        assert status.returncode == 3
        for name in ("CapEff", "CapPrm", "CapBnd"):
            assert f"{name}:\t{1 << 5 | 1 << 0:016x}" in status.stdout
