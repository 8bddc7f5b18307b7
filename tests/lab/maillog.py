# SPDX-License-Identifier: MIT
"""The mail log of a host: marks in it, and waiting for a line.

A program's line is in the file only when the host's process 1 has come round to it.  To know that a
line is *not* there, or to mark the place after it, we first send a line of our own the same way and
wait until it is in the file: datagrams keep their order.  (Dovecot's programs log through a process
of Dovecot's, so theirs may still be on their way.)
"""
import itertools
import re
import socket
import time

from . import wait


class MailLog:
    def __init__(self, path, socket_path):
        self._path = path
        self._socket_path = socket_path
        self._numbers = itertools.count(1)

    def mark(self):
        """The place after all that has been logged by now; lines after it are new."""
        with open(self._path, "rb") as log:
            start = log.seek(0, 2)
        line = f"lab: mark {next(self._numbers)}\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(wait.LIMIT_S)
            sock.sendto(f"<22>{time.strftime('%b %e %H:%M:%S')} {line}".encode(),
                        self._socket_path)
        ours = wait.until(lambda: re.search(rf"^.* {line}".encode(), self._read(start), re.M),
                          "our mark in the log")
        return start + ours.end()

    def since(self, mark=0):
        """All that has been logged between the mark and now."""
        end = self.mark()
        return self._read(mark, end).decode(errors="replace")

    def _read(self, start, end=None):
        with open(self._path, "rb") as log:
            log.seek(start)
            return log.read(None if end is None else end - start)

    def find(self, pattern, mark=0):
        return re.search(pattern, self.since(mark), re.MULTILINE)

    def count(self, pattern, mark=0):
        return len(re.findall(pattern, self.since(mark), re.MULTILINE))

    def wait_for(self, pattern, mark=0, within=wait.LIMIT_S):
        """The match of a regular expression in the lines after the mark."""
        def found():
            return re.search(pattern, self._read(mark).decode(errors="replace"), re.MULTILINE)

        return wait.until(found,
                          lambda: f"{pattern!r} in the log; it has:\n{self.since(mark)[-4000:]}",
                          within)
