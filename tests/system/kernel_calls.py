# SPDX-License-Identifier: MIT
"""Calls of the kernel that Python has no function for: masks, ptrace, seccomp, prctl, sigqueue."""
import contextlib
import ctypes
import errno
import os
import platform
import signal
import struct

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long

_NUMBERS = {
    "x86_64": {"rt_sigprocmask": 14, "prctl": 157, "clone": 56, "vfork": 58, "clone3": 435,
               "seccomp": 317},
    "aarch64": {"rt_sigprocmask": 135, "prctl": 167, "clone": 220, "vfork": -1, "clone3": 435,
                "seccomp": 277},
}
SYSCALL = _NUMBERS[platform.machine()]

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 22, 36, 38
SECCOMP_MODE_FILTER = 2
CLONE_VFORK = 0x4000

TRACEME, CONT, DETACH = 0, 7, 17
SETOPTIONS, GETEVENTMSG, SEIZE, INTERRUPT = 0x4200, 0x4201, 0x4206, 0x4207
O_TRACEVFORK, EVENT_VFORK = 4, 2
WALL = 0x40000000


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def block_signals(numbers):
    """Exactly these are blocked; the C library's own (32, 33), too, if they are among them."""
    mask = ctypes.c_uint64(sum(1 << number - 1 for number in numbers))
    check(libc.syscall(SYSCALL["rt_sigprocmask"], signal.SIG_SETMASK, ctypes.byref(mask), None, 8),
          "rt_sigprocmask")


def prctl(*arguments):
    check(libc.prctl(*(ctypes.c_ulong(value) for value in arguments)), "prctl")


def sigqueue(pid, number, value):
    check(libc.sigqueue(pid, number, ctypes.c_void_p(value)), "sigqueue")


# -- ptrace: all calls of one thread

def ptrace(request, pid, data=0):
    return check(libc.ptrace(request, pid, None, data), "ptrace")


@contextlib.contextmanager
def stopped_by_a_tracer(pid):
    """The process is in a ptrace stop: signals are taken note of and nothing else happens."""
    ptrace(SEIZE, pid)
    ptrace(INTERRUPT, pid)
    os.waitpid(pid, WALL)
    try:
        yield
    finally:
        ptrace(DETACH, pid)


def wait_until_it_starts_a_child(pid):
    """
    Let a process that has called PTRACE_TRACEME and SIGSTOP go on to its vfork(2).  Returns the
    child's number; both are stopped then, the child before its first instruction.
    """
    os.waitpid(pid, WALL)
    ptrace(SETOPTIONS, pid, O_TRACEVFORK)
    while True:
        ptrace(CONT, pid)
        _, status = os.waitpid(pid, WALL)
        assert os.WIFSTOPPED(status), status
        if status >> 16 == EVENT_VFORK:
            break
    child = ctypes.c_ulong()
    check(libc.ptrace(GETEVENTMSG, pid, None, ctypes.addressof(child)), "ptrace")
    os.waitpid(child.value, WALL)
    return child.value


# -- seccomp

_LOAD, _EQUAL, _HAS_BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER_AT, _FIRST_ARGUMENT_AT = 0, 16


def _instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


def _install(instructions):
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

    text = b"".join(instructions)
    program = Program(len(instructions), text)
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)), "seccomp")


def refuse_prctl(option, errno):
    """From now on prctl(option) fails, here and in all children."""
    _install([
        _instruction(_LOAD, _NUMBER_AT),
        _instruction(_EQUAL, SYSCALL["prctl"], 0, 3),
        _instruction(_LOAD, _FIRST_ARGUMENT_AT),
        _instruction(_EQUAL, option, 0, 1),
        _instruction(_RETURN, _ERRNO | errno),
        _instruction(_RETURN, _ALLOW),
    ])


def refuse_seccomp():
    """From now on seccomp(2) is unknown, as to an old kernel, here and in all children."""
    _install([
        _instruction(_LOAD, _NUMBER_AT),
        _instruction(_EQUAL, SYSCALL["seccomp"], 0, 1),
        _instruction(_RETURN, _ERRNO | errno.ENOSYS),
        _instruction(_RETURN, _ALLOW),
    ])


def refuse_fork(errno, vfork_too=False):
    """From now on fork(2) fails, here and in all children; vfork(2) if so wished."""
    refuse = _instruction(_RETURN, _ERRNO | errno)
    rules = [_instruction(_LOAD, _NUMBER_AT)]
    for name in ("clone3", "vfork") if vfork_too else ("clone3",):
        if SYSCALL[name] >= 0:
            rules += [_instruction(_EQUAL, SYSCALL[name], 0, 1), refuse]
    rules += [_instruction(_EQUAL, SYSCALL["clone"], 0, 3 if not vfork_too else 1)]
    if not vfork_too:
        rules += [_instruction(_LOAD, _FIRST_ARGUMENT_AT),
                  _instruction(_HAS_BITS, CLONE_VFORK, 1, 0)]
    _install([*rules, refuse, _instruction(_RETURN, _ALLOW)])
