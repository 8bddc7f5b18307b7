# SPDX-License-Identifier: MIT
"""The first process of a lab host; run by host.py in fresh namespaces, never imported.

    pid1.py TREE MOUNT_POINT HOST_NAME      a host
    pid1.py --quiet TREE MOUNT_POINT NAME   without a log: a container with one program
    pid1.py --pause                         what holds a pod's namespaces

A host lays a writable layer in memory over the tree, makes that the root, says "ready PID" (its
number as seen from outside), and then keeps the host's system log until its standard input ends.
The end of the first process of a process namespace is the end of every process in there, and
everything that they mounted goes with them: so a test run that is killed leaves nothing behind.
"""
import ctypes
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import time

MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LOG_FILE = "/var/log/mail/mail.log"
RECEIVE_BUFFER_BYTES = 4 << 20

libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source, target, kind=None, flags=0, data=None):
    encoded = [None if part is None else part.encode() for part in (source, target, kind)]
    _check(libc.mount(*encoded, ctypes.c_ulong(flags), None if data is None else data.encode()),
           f"mount {source} on {target}")


def lay_root(tree, point):
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", point, "tmpfs", 0, "mode=0755")
    root = os.path.join(point, "root")
    for name in ("root", "upper", "work"):
        os.mkdir(os.path.join(point, name), 0o755)
    try:
        mount("overlay", root, "overlay", 0,
              f"lowerdir={tree},upperdir={point}/upper,workdir={point}/work")
    except OSError:
        # No overlay in this kernel, or not here: the slow way.
        subprocess.run(["cp", "-a", tree + "/.", root], check=True)
        mount(root, root, None, MS_BIND)
    return root


def lay_devices(root):
    dev = os.path.join(root, "dev")
    mount("tmpfs", dev, "tmpfs", MS_NOSUID, "mode=0755")
    for name in DEVICES:
        node = os.path.join(dev, name)
        os.close(os.open(node, os.O_CREAT | os.O_WRONLY, 0o666))
        mount("/dev/" + name, node, None, MS_BIND)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink("/proc/self/fd" + target, os.path.join(dev, name))
    os.mkdir(os.path.join(dev, "shm"))
    os.chmod(os.path.join(dev, "shm"), 0o1777)


def lay_libraries(root):
    """For a program that is not static: its libraries' folder, at the same path (tests/sanitized)."""
    folder = os.environ.get("POSTERN_LIBRARIES")
    if folder:
        os.makedirs(root + folder, exist_ok=True)
        mount(folder, root + folder, None, MS_BIND)


def enter_root(root):
    os.chdir(root)
    mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV)
    mount("tmpfs", "run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    os.mkdir("run/lock")
    os.chmod("run/lock", 0o1777)
    _check(libc.syscall(PIVOT_ROOT[platform.machine()], b".", b"."), "pivot_root")
    _check(libc.umount2(b".", MNT_DETACH), "umount of the old root")
    os.chdir("/")


def open_log():
    os.makedirs(os.path.dirname(LOG_FILE), exist_ok=True)
    log = os.open(LOG_FILE, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o640)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    sock.bind("/dev/log")
    os.chmod("/dev/log", 0o666)
    return log, sock


def log_line(host, datagram):
    """`<22>Nov 20 11:46:01 program[7]: text` as a log daemon with ISO time stamps writes it."""
    text = datagram.rstrip(b"\n\0").replace(b"\n", b"#012")
    if text.startswith(b"<"):
        text = text.partition(b">")[2]
    text = text[16:] if text[15:16] == b" " else text
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    return f"{stamp}.{time.time_ns() // 1000 % 1000000:06d}+00:00 {host} ".encode() + text + b"\n"


def keep_log(host, log, sock):
    poll = select.poll()
    poll.register(0, select.POLLIN | select.POLLHUP)
    poll.register(sock, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == 0 and not os.read(0, 4096):
                return
            if fd == sock.fileno():
                os.write(log, log_line(host, sock.recv(65536)))


def wait_for_the_end():
    while os.read(0, 4096):
        pass


def say_ready(outer_pid):
    # From now on ignored, so that the kernel reaps what is handed down to process 1.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.write(1, f"ready {outer_pid}\n".encode())
    os.close(1)


def main():
    arguments = sys.argv[1:]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    outer_pid = os.readlink("/proc/self")
    if arguments == ["--pause"]:
        say_ready(outer_pid)
        wait_for_the_end()
        return
    keeps_log = arguments[0] != "--quiet"
    tree, point, host = arguments[-3:]
    root = lay_root(tree, point)
    lay_devices(root)
    lay_libraries(root)
    enter_root(root)
    socket.sethostname(host)
    if not keeps_log:
        say_ready(outer_pid)
        wait_for_the_end()
        return
    log, sock = open_log()
    say_ready(outer_pid)
    keep_log(host, log, sock)


main()
