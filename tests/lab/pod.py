# SPDX-License-Identifier: MIT
"""A pod: containers that share processes and network, each with a root and mounts of its own.

A "pause" process holds the namespaces, as Kubernetes has it with shareProcessNamespace, so that
the mail container can end and be replaced while everybody else stays.
"""
import os
import shutil
import signal
import subprocess
import sys

from . import host, mailhost, netns, processes, wait

SHARED = ("--pid", "--net", "--uts", "--ipc")


class Pause(netns.NetHost):
    """What holds the namespaces; its end is the end of every process of the pod."""

    def start(self):
        self._holder = subprocess.Popen(
            ["unshare", *SHARED, "--fork", "--kill-child",
             sys.executable, "-I", "-S", host.PID1, "--pause"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)

    def ready(self):
        line = self._holder.stdout.readline().split()
        if len(line) != 2 or line[0] != b"ready":
            raise RuntimeError("the pod did not start")
        self._holder.stdout.close()
        self.pid = int(line[1])


class Container:
    """For a Host in a pod: its first process is not number 1, and its end leaves the pod running."""

    def _join(self, pause):
        self._pause = pause
        self._generation = 0
        self._first_point = self._point

    def command(self):
        """What lays the root, and stays: the container's first process."""
        return [host.PID1, self.tree_path(), self._point, self.name]

    def start(self):
        # A container that is replaced gets a root of its own beside the old one's.
        self._point = f"{self._first_point}-{self._generation}"
        self._generation += 1
        os.mkdir(self._point)
        os.makedirs(self._output_folder, exist_ok=True)
        self._holder = subprocess.Popen(
            ["nsenter", f"--target={self._pause.pid}", *SHARED, "--",
             "unshare", "--mount", sys.executable, "-I", "-S", *self.command()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)

    def processes(self):
        return processes.with_mounts_of(self.pid)

    def kill(self):
        """End all of its processes at once, as a container engine does; the pod lives on."""
        def one_more_round():
            # The first process last: it is the one by which the others are known.
            others = [pid for pid in self.processes() if pid != self.pid]
            processes.kill_all(others)
            return not others

        wait.until(one_more_round, f"the processes of {self.name} to end")
        os.kill(self.pid, signal.SIGKILL)
        self._holder.wait(timeout=wait.LIMIT_S)

    def stop(self):
        if self._holder is not None and self._holder.poll() is None and self.pid is not None:
            self.kill()
        super().stop()


class PodMailHost(Container, mailhost.MailHost):
    """The mail host as one container of a pod."""

    def __init__(self, pause, release, folder):
        super().__init__(release, pause.addresses, folder)
        self._join(pause)

    def replace(self, **configuration):
        """All of its processes end; another container of the same image takes its place."""
        self.stop()
        self.postfix = self.dovecot = None
        self.start()
        self.ready()
        self.configure(**configuration)
        self.install_postern()


class Sidecar(Container, host.Host):
    """A container whose root holds nothing but postern, /proc, /dev, /run and /tmp."""

    # What the sidecar is given: the engine's usual ones, and what `postern watch` needs more.
    CAPABILITIES = (*host.ENGINE_CAPABILITIES, "SYS_PTRACE")

    def __init__(self, pause, folder):
        super().__init__("sidecar", None, pause.addresses, folder)
        self._join(pause)
        self._image = os.path.join(folder, "sidecar-image")
        self.capabilities = self.CAPABILITIES

    def tree_path(self):
        return self._image

    def command(self):
        first, *rest = super().command()
        return [first, "--quiet", *rest]

    def start(self):
        for name in ("dev", "proc", "run", "tmp", "etc"):
            os.makedirs(os.path.join(self._image, name), exist_ok=True)
        os.chmod(os.path.join(self._image, "tmp"), 0o1777)
        if os.path.exists(mailhost.postern_binary()):
            target = self._image + mailhost.POSTERN
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(mailhost.postern_binary(), target)
        super().start()
