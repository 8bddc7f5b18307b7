/* SPDX-License-Identifier: MIT */
/*
 * native_call - makes one system call for a process under valgrind (native_calls.c), and hands the result back.
 *
 *   native_call SOCKET openat2 FOLDER_FD PATH FLAGS MODE RESOLVE
 *   native_call SOCKET pidfd_open PID FLAGS
 *   native_call SOCKET pidfd_send_signal PIDFD SIGNAL
 *
 * Through SOCKET goes the errno, or 0 with the new descriptor if there is one.
 */
#include <errno.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static long call(char **words, int n)
{
	if (strcmp(words[0], "openat2") == 0 && n == 6) {
		struct open_how how = {
			.flags = strtoull(words[3], NULL, 10),
			.mode = strtoull(words[4], NULL, 10),
			.resolve = strtoull(words[5], NULL, 10),
		};

		return syscall(SYS_openat2, atoi(words[1]), words[2], &how, sizeof(how));
	}
	if (strcmp(words[0], "pidfd_open") == 0 && n == 3)
		return syscall(SYS_pidfd_open, atoi(words[1]), atoi(words[2]));
	if (strcmp(words[0], "pidfd_send_signal") == 0 && n == 3)
		return syscall(SYS_pidfd_send_signal, atoi(words[1]), atoi(words[2]), NULL, 0);
	errno = EINVAL;
	return -1;
}

static int answer(int socket_fd, int error, int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec said = { .iov_base = &error, .iov_len = sizeof(error) };
	struct msghdr message = { .msg_iov = &said, .msg_iovlen = 1 };

	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	return sendmsg(socket_fd, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(error) ? 0 : 1;
}

int main(int argc, char **argv)
{
	long result;

	if (argc < 4)
		return 2;
	result = call(argv + 2, argc - 2);
	return answer(atoi(argv[1]), result < 0 ? errno : 0,
		      strcmp(argv[2], "pidfd_send_signal") == 0 ? -1 : (int)result);
}
