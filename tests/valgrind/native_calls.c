/* SPDX-License-Identifier: MIT */
/*
 * native_calls - system calls that Debian 12's valgrind does not know, for a program under valgrind.
 *
 * Preloaded, it stands before syscall(2): openat2, pidfd_open and pidfd_send_signal are made by the program
 * native_call, which valgrind leaves alone, in the same namespaces and with the same descriptors.  Its end
 * tells nobody (no SIGCHLD), and it is started by its descriptor, because the caller may have another root.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PROGRAM_FD = 900, /* out of the way of those who count descriptors from below */
	ARGUMENTS_MAX = 6,
	NUMBER_MAX = 24,
};

static long (*real_syscall)(long number, ...);

/* At the start: later there may be another root. */
static void open_program(void)
{
	const char *path = getenv("POSTERN_NATIVE_CALL");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || dup3(fd, PROGRAM_FD, O_CLOEXEC) < 0) {
		fprintf(stderr, "native_calls: POSTERN_NATIVE_CALL names no program\n");
		abort();
	}
	close(fd);
}

__attribute__((constructor)) static void find_real(void)
{
	*(void **)&real_syscall = dlsym(RTLD_NEXT, "syscall");
	open_program();
}

static int receive(int socket_fd, int *out_fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	int error = EIO;
	struct iovec said = { .iov_base = &error, .iov_len = sizeof(error) };
	struct msghdr message = {
		.msg_iov = &said,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};

	*out_fd = -1;
	if (recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(error))
		return EIO;
	if (error == 0 && message.msg_controllen >= CMSG_LEN(sizeof(int)))
		memcpy(out_fd, CMSG_DATA(&control.head), sizeof(*out_fd));
	return error;
}

/* The descriptor that the call makes, 0 when it makes none; or -1 with errno. */
static long make_natively(int used_fd, char *const words[])
{
	static char *const environment[] = { NULL };
	int pair[2], status, error, fd;
	char where[NUMBER_MAX];
	long pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	snprintf(where, sizeof(where), "%d", pair[1]);
	((char **)words)[1] = where;
	pid = real_syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (pid == 0) {
		fcntl(pair[1], F_SETFD, 0);
		if (used_fd >= 0)
			fcntl(used_fd, F_SETFD, 0);
		real_syscall(SYS_execveat, PROGRAM_FD, "", words, environment, AT_EMPTY_PATH);
		_exit(127);
	}
	close(pair[1]);
	error = pid < 0 ? errno : receive(pair[0], &fd);
	close(pair[0]);
	while (pid > 0 && waitpid((pid_t)pid, &status, __WALL) < 0 && errno == EINTR)
		;
	if (error == 0)
		return fd >= 0 ? fd : 0;
	errno = error;
	return -1;
}

static long call_openat2(int folder_fd, const char *path, const struct open_how *how)
{
	char folder[NUMBER_MAX], flags[NUMBER_MAX], mode[NUMBER_MAX], resolve[NUMBER_MAX];
	char *words[] = { "native_call", NULL, "openat2", folder, (char *)(uintptr_t)path,
			  flags,	 mode, resolve,	 NULL };

	snprintf(folder, sizeof(folder), "%d", folder_fd);
	snprintf(flags, sizeof(flags), "%llu", (unsigned long long)how->flags);
	snprintf(mode, sizeof(mode), "%llu", (unsigned long long)how->mode);
	snprintf(resolve, sizeof(resolve), "%llu", (unsigned long long)how->resolve);
	return make_natively(folder_fd, words);
}

static long call_on_number(const char *name, int used_fd, long first, long second)
{
	char a[NUMBER_MAX], b[NUMBER_MAX];
	char *words[] = { "native_call", NULL, (char *)(uintptr_t)name, a, b, NULL };

	snprintf(a, sizeof(a), "%ld", first);
	snprintf(b, sizeof(b), "%ld", second);
	return make_natively(used_fd, words);
}

long syscall(long number, ...)
{
	long a[ARGUMENTS_MAX];
	va_list ap;

	va_start(ap, number);
	for (size_t i = 0; i < ARGUMENTS_MAX; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_openat2)
		return call_openat2((int)a[0], (const char *)a[1], (const struct open_how *)a[2]);
	if (number == SYS_pidfd_open)
		return call_on_number("pidfd_open", -1, (int)a[0], (int)a[1]);
	if (number == SYS_pidfd_send_signal)
		return call_on_number("pidfd_send_signal", (int)a[0], (int)a[0], (int)a[1]);
	return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
