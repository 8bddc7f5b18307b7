# SPDX-License-Identifier: MIT
"""The two sides that are held against each other: a release's own programs, and our reading."""
import errno
import json
import os
import shutil
import subprocess
import typing

from lab import host

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
FOLDER = "/oracle"
# Postfix's programs wait for a main.cf that is younger than two seconds.
OLD_S = 1_000_000_000
RUN_LIMIT_S = 600


class Said(typing.NamedTuple):
    """What a program of the release said; every byte is one character."""
    status: int
    out: str
    err: str


class Read(typing.NamedTuple):
    """What our reading gave: its text, or why it refused."""
    status: int
    text: str

    @property
    def refused(self):
        return self.status != 0


def reading_binary():
    return os.environ.get("POSTERN_READING",
                          os.path.join(REPOSITORY, "build", "dev", "tests", "oracle", "reading"))


class Reading:
    """Our reader, kept running for many requests."""
    def __init__(self):
        self._popen = subprocess.Popen([reading_binary(), "batch"],
                                       stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)

    def ask(self, *request):
        self._popen.stdin.write("\t".join(request).encode("latin-1") + b"\n")
        self._popen.stdin.flush()
        head = self._popen.stdout.readline().split()
        assert len(head) == 2, f"our reader died of {request}"
        text = self._popen.stdout.read(int(head[1])).decode("latin-1")
        return Read(int(head[0]), text)

    def close(self):
        self._popen.stdin.close()
        self._popen.stdout.close()
        assert self._popen.wait(timeout=10) == 0, "our reader ended with an error"


class Judge:
    """A host of one release, without network or servers, and a folder of ours in it."""
    def __init__(self, release, folder):
        self.release = release
        self._host = host.Host(f"oracle-{release}", release, (), folder)
        self._cases = 0

    def __enter__(self):
        self._host.start()
        self._host.ready()
        self._host.add_addresses()
        # Without a name server: postconf and doveconf look the host's own name up.
        self._host.write("/etc/hosts",
                         f"127.0.0.1 localhost oracle-{self.release}\n::1 localhost\n")
        self._host.write(
            "/etc/nsswitch.conf",
            "".join(f"{table}: files\n"
                    for table in ("passwd", "group", "hosts", "services", "protocols")))
        self._host.write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        os.mkdir(self.outside(FOLDER))
        shutil.copyfile(os.path.join(HERE, "runner.py"), self.outside(FOLDER + "/runner.py"))
        return self

    def __exit__(self, *_):
        self._host.stop()

    @property
    def root(self):
        return self._host.path("")

    def outside(self, inside):
        return self._host.path(inside)

    def new_folder(self):
        """An empty folder in the host, as the host names it."""
        self._cases += 1
        inside = f"{FOLDER}/{self._cases}"
        os.mkdir(self.outside(inside))
        return inside

    def write(self, inside, text):
        """Write a file whose time stamp is long past."""
        path = self.outside(inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text.encode("latin-1"))
        os.utime(path, (OLD_S, OLD_S))

    def read(self, inside):
        with open(self.outside(inside), "rb") as file:
            return file.read().decode("latin-1")

    def postfix(self, master_cf, main_cf=""):
        """A configuration folder of Postfix."""
        folder = self.new_folder()
        self.write(folder + "/master.cf", master_cf)
        self.write(folder + "/main.cf", main_cf)
        return folder

    def tree(self, files):
        """A folder with the files given as {relative path: text}."""
        folder = self.new_folder()
        for name, text in files.items():
            self.write(f"{folder}/{name}", text)
        return folder

    def run(self, jobs, at_once=0):
        """Run the commands in the host; a list of Said in the same order."""
        if not jobs:
            return []
        with open(self.outside(FOLDER + "/jobs"), "w", encoding="ascii") as file:
            json.dump(jobs, file)
        self._host.run([
            "python3", "-I", "-S", FOLDER + "/runner.py", FOLDER + "/jobs", FOLDER + "/results",
            str(at_once)
        ],
                       timeout=RUN_LIMIT_S)
        with open(self.outside(FOLDER + "/results"), encoding="ascii") as file:
            return [Said(*result) for result in json.load(file)]

    def forget(self):
        """Remove all cases so far: they live in memory."""
        for name in os.listdir(self.outside(FOLDER)):
            path = self.outside(f"{FOLDER}/{name}")
            if os.path.isdir(path):
                shutil.rmtree(path)


def error_name(read):
    return errno.errorcode.get(-read.status, str(read.status))
