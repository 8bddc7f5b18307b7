# SPDX-License-Identifier: MIT
"""The mail container of a pod, as the lab's helpers know a mail host."""
import os

from lab import host, mailhost, maillog, processes

# More are a loop.
MAX_LINKS = 20


class MailView(mailhost.MailHost):
    """Of the container that runs now: after a restart, make another."""

    def __init__(self, release, pod, container="mailserver"):
        host.netns.NetHost.__init__(self, pod.name, pod.addresses)
        self.release = release
        self.capabilities = self.inotify_limits = None
        self.pod = pod
        self.container = pod.containers[container]
        self.pid = self.container.pid
        assert self.pid, f"{self.container.name} does not run:\n{pod.logs()}"
        self.log = maillog.MailLog(self.path("/var/log/mail/mail.log"), self.path("/dev/log"))

    def path(self, inside):
        """Links are followed as the container has them: a spool may lie in a volume."""
        root, done, left, links = f"/proc/{self.pid}/root", "", inside.split("/"), 0
        while left:
            name, *left = left
            if name in ("", "."):
                continue
            here = f"{done}/{name}"
            if not os.path.islink(root + here):
                done = here
                continue
            links += 1
            assert links <= MAX_LINKS, f"{inside}: too many links"
            target = os.readlink(root + here)
            left = target.split("/") + left
            done = "" if target.startswith("/") else done
        return root + (done or "/")

    def first_processes(self):
        """{name: number} of what a restart of the container would replace."""
        masters = self.master_pids()
        return {"container": self.pid, **masters}

    def processes(self):
        return processes.with_mounts_of(self.pid)
