# SPDX-License-Identifier: MIT
"""The lab itself: fast to boot, closed to the outside, and gone without a trace."""
import os
import signal
import subprocess
import sys
import time

import pytest

from lab import Lab, evidence, mail_clients, mail_config, mailhost, wait

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BOOT_LIMIT_S = 5.0
PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from lab import started
with started({release!r}, haproxy=True, nginx=True) as lab:
    print(lab._folder, lab.wire.pid, *(host.pid for host in lab.hosts), flush=True)
    sys.stdin.read()
"""


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_killed_program_leaves_no_process(release, how):
    program = subprocess.Popen([sys.executable, "-c", PROGRAM.format(tests=TESTS, release=release)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.DEVNULL)
    with program.stdin, program.stdout:
        folder, *pids = program.stdout.readline().split()
        assert all(alive(int(pid)) for pid in pids)
        program.send_signal(how)
        program.wait(timeout=20)
        wait.until(lambda: not any(alive(int(pid)) for pid in pids), "the lab's processes to end")
    # Nobody can tidy up after SIGKILL; what is left is an empty folder, not a mount.
    if how != signal.SIGKILL:
        assert not os.path.exists(folder)
    else:
        subprocess.run(["rm", "-rf", "--one-file-system", folder], check=True)


def test_boots_fast_and_leaves_nothing(release):
    mounts = open("/proc/self/mounts", encoding="ascii").read()
    start = time.monotonic()
    with Lab(release) as lab:
        lab.mail.start_servers()
        assert time.monotonic() - start < BOOT_LIMIT_S
        folder, pid = lab._folder, lab.mail.pid
        assert os.listdir(lab.mail.path("/root")) is not None
        assert open("/proc/self/mounts", encoding="ascii").read() == mounts
    assert not os.path.exists(folder)
    assert not alive(pid)


def test_nothing_listens_on_the_machine_itself(release):
    def own():
        with open("/proc/self/net/tcp", encoding="ascii") as lines:
            return sorted(line.split()[1] for line in lines if line.split()[3] == "0A")

    before = own()
    with Lab(release) as lab:
        lab.mail.start_servers()
        lab.balancer.start_haproxy(lab.mail.address())
        assert own() == before


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
