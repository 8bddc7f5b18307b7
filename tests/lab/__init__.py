# SPDX-License-Identifier: MIT
"""Real mail servers of two Debian releases in private namespaces, for tests and the demo."""
from .lab import CLIENT, MAIL, OUTSIDER, TRUSTED, Lab, started
from .tree import RELEASES

__all__ = ["CLIENT", "MAIL", "OUTSIDER", "RELEASES", "TRUSTED", "Lab", "started"]
