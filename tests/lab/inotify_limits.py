# SPDX-License-Identifier: MIT
"""Run a program in a lab host with few inotify instances and watches; never imported.

    inotify_limits.py PID INSTANCES WATCHES PROGRAM [ARGUMENT]...

fs.inotify.* holds for the whole machine, but the same is counted for each user namespace, too: the
program gets one of its own, in which every user is who they are outside, and its limits.
"""
import ctypes
import os
import sys
import warnings  # noqa: F401  (os.execvp wants it, and cannot find it in another root)

CLONE_NEWUSER = 0x10000000
NAMESPACES = ("ipc", "uts", "net", "pid", "mnt")
EVERYBODY = b"0 0 4294967295\n"

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def write(path, data, folder=None):
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    os.write(fd, data)
    os.close(fd)


def limited(limits, argv, ready, go):
    check(libc.unshare(CLONE_NEWUSER), "a user namespace")
    os.close(ready)
    os.read(go, 1)
    for name, limit in limits.items():
        write(f"/proc/sys/user/max_inotify_{name}", limit.encode())
    os.execvp(argv[0], argv)


def main():
    pid, instances, watches, *argv = sys.argv[1:]
    limits = {"instances": instances, "watches": watches}
    # Children are in the host's process namespace, but we go on seeing the machine's numbers.
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    opened = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in NAMESPACES]
    for name, fd in zip(NAMESPACES, opened):
        check(libc.setns(fd, 0), f"enter {name}")
    is_ready, ready = os.pipe()
    go, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(tell)
        limited(limits, argv, ready, go)
    os.close(ready)
    os.read(is_ready, 1)
    for name in ("uid_map", "gid_map"):
        write(f"{child}/{name}", EVERYBODY, proc)
    os.close(tell)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(status if status >= 0 else 128 - status)


main()
