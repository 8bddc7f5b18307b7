/* SPDX-License-Identifier: MIT */
/* syscall_fault - let the n-th system call fail, or be the last. */
#include "syscall_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>
#include <unistd.h>

static struct {
	unsigned countdown; /* 0: not armed, or over */
	enum syscall_fault_kind kind;
	int code;
	const char *hit;
} fault;

void syscall_fault_arm(unsigned n, enum syscall_fault_kind kind, int code)
{
	fault.countdown = n;
	fault.kind = kind;
	fault.code = code;
	fault.hit = NULL;
}

const char *syscall_fault_disarm(void)
{
	fault.countdown = 0;
	return fault.hit;
}

enum step { STEP_CALL, STEP_FAIL, STEP_HALF, STEP_CALL_AND_END };

static enum step next_step(const char *name)
{
	if (fault.countdown == 0 || --fault.countdown > 0)
		return STEP_CALL;
	fault.hit = name;
	switch (fault.kind) {
	case SYSCALL_FAULT_ERROR:
		errno = fault.code;
		return STEP_FAIL;
	case SYSCALL_FAULT_END_AMID:
		return STEP_HALF;
	case SYSCALL_FAULT_END_AFTER:
		return STEP_CALL_AND_END;
	case SYSCALL_FAULT_END_BEFORE:
		break;
	}
	_exit(SYSCALL_FAULT_STATUS);
}

/* __wrap_NAME: the call, with its fault if it is its turn. */
#define WRAP(type, name, parameters, arguments)                                                    \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		enum step step = next_step(#name);                                                 \
		type result = -1;                                                                  \
                                                                                                   \
		if (step != STEP_FAIL)                                                             \
			result = __real_##name arguments;                                          \
		if (step == STEP_HALF || step == STEP_CALL_AND_END)                                \
			_exit(SYSCALL_FAULT_STATUS);                                               \
		return result;                                                                     \
	}

WRAP(ssize_t, read, (int fd, void *bytes, size_t n), (fd, bytes, n))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, ftruncate, (int fd, off_t n), (fd, n))
WRAP(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(int, linkat, (int a, const char *from, int b, const char *to, int flags),
     (a, from, b, to, flags))
WRAP(int, unlinkat, (int dir, const char *name, int flags), (dir, name, flags))
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group))

ssize_t __real_write(int fd, const void *bytes, size_t n);
ssize_t __wrap_write(int fd, const void *bytes, size_t n);

ssize_t __wrap_write(int fd, const void *bytes, size_t n)
{
	enum step step = next_step("write");
	ssize_t result = -1;

	if (step != STEP_FAIL)
		result = __real_write(fd, bytes, step == STEP_HALF ? n / 2 : n);
	if (step == STEP_HALF || step == STEP_CALL_AND_END)
		_exit(SYSCALL_FAULT_STATUS);
	return result;
}

int __real_openat(int dir, const char *name, int flags, ...);
int __wrap_openat(int dir, const char *name, int flags, ...);

int __wrap_openat(int dir, const char *name, int flags, ...)
{
	enum step step = next_step("openat");
	int result = -1;
	mode_t mode = 0;
	va_list ap;

	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if (step != STEP_FAIL)
		result = __real_openat(dir, name, flags, mode);
	if (step == STEP_HALF || step == STEP_CALL_AND_END)
		_exit(SYSCALL_FAULT_STATUS);
	return result;
}
