# SPDX-License-Identifier: MIT
"""Real mail servers of two Debian releases in private namespaces, for tests and the demo."""
from .lab import BALANCER_BY_HAND, CLIENT, MAIL, OUTSIDER, TRUSTED, Lab, started
from .tree import RELEASES

__all__ = ["BALANCER_BY_HAND", "CLIENT", "MAIL", "OUTSIDER", "RELEASES", "TRUSTED", "Lab", "started"]
