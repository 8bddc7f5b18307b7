# SPDX-License-Identifier: MIT
"""The mail log of a host: marks in it, and waiting for a line."""
import re

from . import wait


class MailLog:
    def __init__(self, path):
        self._path = path

    def mark(self):
        """The place where the log ends now; lines after it are new."""
        with open(self._path, "rb") as log:
            return log.seek(0, 2)

    def since(self, mark=0):
        with open(self._path, "rb") as log:
            log.seek(mark)
            return log.read().decode(errors="replace")

    def find(self, pattern, mark=0):
        return re.search(pattern, self.since(mark), re.MULTILINE)

    def count(self, pattern, mark=0):
        return len(re.findall(pattern, self.since(mark), re.MULTILINE))

    def wait_for(self, pattern, mark=0, within=10.0):
        """The match of a regular expression in the lines after the mark."""
        return wait.until(lambda: self.find(pattern, mark),
                          lambda: f"{pattern!r} in the log; it has:\n{self.since(mark)[-4000:]}",
                          within)
