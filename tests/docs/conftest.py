# SPDX-License-Identifier: MIT
"""A mail host in a folder, and a postern that keeps running for it."""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from program import POSTERN

MASTER_CF = """\
smtp       inet n - n - 1 postscreen
smtpd      pass - - n - - smtpd
submission inet n - n - - smtpd
submissions inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
"""
DOVECOT_CONF = "protocols = imap pop3 sieve\n!include conf.d/*.conf\n"


class Running:
    """`postern run` beside a command that sleeps, for a root in which no server runs."""

    def __init__(self, root, config):
        # The name of a socket may not be long, and a test's own folder is.
        self._folder = tempfile.mkdtemp(prefix="postern-docs-")
        self.socket = os.path.join(self._folder, "s")
        self._process = subprocess.Popen(
            [POSTERN, "--config", config, "--root", root, "--socket", self.socket,
             "run", "--grace", "1", "--", "sleep", "600"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def get(self, path):
        """The body of an HTTP answer over the socket; None while nobody answers."""
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), \
                socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(self.socket)
            sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
            return answer.partition(b"\r\n\r\n")[2].decode()
        return None

    def status_when(self, condition):
        for _ in range(1000):
            text = self.get("/status")
            if text and condition(json.loads(text)):
                return json.loads(text)
            time.sleep(0.02)
        raise AssertionError(f"waited for a status: {text}")

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=20)
        shutil.rmtree(self._folder)


@pytest.fixture
def root(tmp_path):
    """A root folder with the configuration of a host that has every service; nothing runs."""
    for name, text in (("etc/postfix/master.cf", MASTER_CF), ("etc/postfix/main.cf", ""),
                       ("etc/dovecot/dovecot.conf", DOVECOT_CONF),
                       ("etc/dovecot/conf.d/10-ssl.conf", "ssl = yes\n")):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "root/run").mkdir()
    return tmp_path / "root"


@pytest.fixture
def running(root, tmp_path):
    """A postern that keeps running, and knows a failure and a remark."""
    config = tmp_path / "running.conf"
    config.write_text("trusted-networks = { 192.0.2.1/24 }\n")  # bits beyond its prefix: a remark
    daemon = Running(root, config)
    try:
        daemon.status_when(lambda status: status["outcome"] == "waiting")
        config.write_text(config.read_text() + "no-such-key = 1\n")
        daemon.status_when(lambda status: status["last_failure"])
        config.write_text("trusted-networks = { 192.0.2.1/24 }\n")
        yield daemon
    finally:
        daemon.stop()
