# SPDX-License-Identifier: MIT
"""A host with a file tree and namespaces of its own, and ways to run things in it."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys

from . import files, maillog, netns, processes, tree, wait

END_LIMIT_S = wait.LIMIT_S
# Of a program with a deadline of its own, such as postern, which gives up before.
RUN_LIMIT_S = 2 * wait.LIMIT_S
PID1 = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pid1.py")
CONFINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "confine.py")
INOTIFY_LIMITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inotify_limits.py")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


# What container engines leave to a container's root, unless told otherwise.
ENGINE_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
                       "SETPCAP", "NET_BIND_SERVICE", "NET_RAW", "SYS_CHROOT", "MKNOD",
                       "AUDIT_WRITE", "SETFCAP")


class Process:
    """A program that runs in a host; pid is its number as seen from outside."""

    def __init__(self, host, popen, argv):
        self.argv = argv
        self._host = host
        self._popen = popen
        self.pid = wait.until(self._find, f"{argv[0]} to start", every=0.002)

    def _find(self):
        # nsenter (or confine.py) forks to enter the process namespace; its only child becomes the
        # program.
        nsenter = self._popen.pid
        if self._popen.poll() is not None:
            return -1
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            children = processes.children(nsenter)
            if children and (os.readlink(f"/proc/{children[0]}/exe")
                             != os.readlink(f"/proc/{nsenter}/exe")):
                return children[0]
        return None

    @property
    def inner_pid(self):
        """Its number as its host sees it."""
        return processes.inner_number(self.pid)

    @property
    def running(self):
        return self._popen.poll() is None

    @property
    def output(self):
        """Standard output and error so far."""
        with open(self._popen.output_path, "rb") as output:
            return output.read().decode(errors="replace")

    def send_signal(self, number):
        if self.running and self.pid > 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, within=END_LIMIT_S):
        """The exit status, as a shell has it."""
        return self._popen.wait(timeout=within)

    def stop(self, number=signal.SIGTERM, within=END_LIMIT_S):
        self.send_signal(number)
        try:
            return self.wait(within)
        except subprocess.TimeoutExpired:
            self.send_signal(signal.SIGKILL)
            self._popen.kill()
            self._popen.wait()
            raise


class Host(netns.NetHost):
    """A NetHost with a root file system over one of the trees."""

    def __init__(self, name, release, addresses, folder):
        super().__init__(name, addresses)
        self.release = release
        self.log = None
        # None: everything.  Else what programs that are started from now on are left with.
        self.capabilities = None
        # None: the machine's.  Else (instances, watches), for each program with what it starts.
        self.inotify_limits = None
        self._point = os.path.join(folder, name)
        self._output_folder = os.path.join(folder, name + "-output")
        self._tree_lock = None
        self._processes = []

    def start(self):
        os.mkdir(self._point)
        os.mkdir(self._output_folder)
        tree_path = self.tree_path()
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child",
             sys.executable, "-I", "-S", PID1, tree_path, self._point, self.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)

    def tree_path(self):
        """The tree's folder, which is held from now on until the host stops."""
        path = tree.path(self.release)
        if self._tree_lock is None:
            self._tree_lock = tree.hold(self.release)
        return path

    def ready(self):
        line = self._holder.stdout.readline().split()
        if len(line) != 2 or line[0] != b"ready":
            raise RuntimeError(f"{self.name} did not start")
        self.pid = int(line[1])
        self.log = maillog.MailLog(self.path("/var/log/mail/mail.log"), self.path("/dev/log"))

    def stop(self):
        try:
            if self._holder is not None:
                self._holder.stdout.close()
            super().stop()
        finally:
            for process in self._processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait()
            self._processes.clear()
            if self._tree_lock is not None:
                self._tree_lock.close()
                self._tree_lock = None

    # -- files

    def path(self, inside):
        """Where this machine sees a file of the host (no absolute link on the way, please)."""
        return f"/proc/{self.pid}/root{inside}"

    def read(self, inside):
        with open(self.path(inside), "rb") as file:
            return file.read().decode(errors="surrogateescape")

    def write(self, inside, text, mode=None):
        """Write a file as an administrator's editor does that saves in place."""
        data = text.encode(errors="surrogateescape") if isinstance(text, str) else text
        os.makedirs(os.path.dirname(self.path(inside)), exist_ok=True)
        with open(self.path(inside), "wb") as file:
            file.write(data)
        if mode is not None:
            os.chmod(self.path(inside), mode)

    def exists(self, inside):
        return os.path.lexists(self.path(inside))

    def remove(self, inside):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(inside))

    def copy_in(self, outside, inside, mode=0o755):
        os.makedirs(os.path.dirname(self.path(inside)), exist_ok=True)
        shutil.copyfile(outside, self.path(inside))
        os.chmod(self.path(inside), mode)

    def snapshot(self, *folders):
        """The state of every file below the folders (or of the files themselves)."""
        return files.snapshot(self.path, folders)

    # -- processes

    def _argv(self, argv):
        if self.capabilities is not None:
            return [sys.executable, "-I", "-S", CONFINE, str(self.pid),
                    ",".join(self.capabilities), *argv]
        if self.inotify_limits is not None:
            return [sys.executable, "-I", "-S", INOTIFY_LIMITS, str(self.pid),
                    *map(str, self.inotify_limits), *argv]
        return ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--uts", "--ipc",
                "--", *argv]

    def run(self, argv, check=True, input=None, env=None, timeout=RUN_LIMIT_S):
        """Run a program to its end; both outputs as text, and the exit status."""
        popen = subprocess.Popen(self._argv(argv), text=True, errors="surrogateescape",
                                 stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env={**ENVIRONMENT, **(env or {})})
        try:
            out, err = popen.communicate(input, timeout=timeout)
        except BaseException:
            _kill_with_child(popen)
            popen.communicate()
            raise
        done = subprocess.CompletedProcess(argv, popen.returncode, out, err)
        if check and done.returncode != 0:
            raise AssertionError(f"{argv} in {self.name} ended with {done.returncode}\n"
                                 f"--- stdout\n{out}\n--- stderr\n{err}")
        return done

    def shell(self, script, check=True, **options):
        return self.run(["sh", "-c", script], check=check, **options)

    def spawn(self, argv, env=None):
        """Start a program and leave it running; it ends with the host at the latest."""
        path = os.path.join(self._output_folder, str(len(self._processes)))
        with open(path, "wb") as output:
            popen = subprocess.Popen(self._argv(argv), stdin=subprocess.DEVNULL, stdout=output,
                                     stderr=subprocess.STDOUT, start_new_session=True,
                                     env={**ENVIRONMENT, **(env or {})})
        popen.output_path = path
        process = Process(self, popen, argv)
        self._processes.append(process)
        return process


def _kill_with_child(popen):
    processes.kill_all(processes.children(popen.pid))
    popen.kill()
