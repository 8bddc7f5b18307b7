# SPDX-License-Identifier: MIT
"""Run a program in a lab host with some capabilities only; run by host.py.

    confine.py PID CAPABILITY,... PROGRAM [ARGUMENT]...

It enters the namespaces of the process and takes everything else out of the bounding set, as a
container engine does: so root in there is root with these capabilities.  nsenter cannot do that,
and the program that could, setpriv, is not in every root.
"""
import ctypes
import os
import sys
import warnings  # noqa: F401  (os.execvp wants it, and cannot find it in another root)

# linux/capability.h, in its order.
CAPABILITIES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
    LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
    SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
    SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
    WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE""".split()
PR_CAPBSET_DROP = 24
NAMESPACES = ("ipc", "uts", "net", "pid", "mnt")

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def main():
    pid, kept, *argv = sys.argv[1:]
    unknown = set(filter(None, kept.split(","))) - set(CAPABILITIES)
    if unknown:
        sys.exit(f"confine: no such capability: {unknown}")
    # All are opened first: after the last one, this /proc is out of reach.
    opened = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in NAMESPACES]
    for name, fd in zip(NAMESPACES, opened):
        check(libc.setns(fd, 0), f"enter {name}")
    child = os.fork()  # the process namespace is its children's
    if child == 0:
        for number, name in enumerate(CAPABILITIES):
            if name not in kept.split(","):
                check(libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0), f"drop {name}")
        os.execvp(argv[0], argv)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
