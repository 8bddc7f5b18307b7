/* SPDX-License-Identifier: MIT */
/*
 * fuzz_listening - what the kernel says of listening sockets: messages of sock_diag(7)
 * when the first byte is even, a text of /proc/net/tcp else.
 */
#include "fuzz.h"

#include "sidecar/listening.h"

#include <errno.h>
#include <sanitizer/asan_interface.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the kernel ---- */

enum { KERNEL_FD = 1 << 20, MESSAGE_MAX = 256 };

static struct span to_be_heard;

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
ssize_t __real_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __real_recv(int fd, void *bytes, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t n, int flags);
int __real_close(int fd);
int __wrap_close(int fd);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);

int __wrap_socket(int domain, int type, int protocol)
{
	return domain == AF_NETLINK ? KERNEL_FD : __real_socket(domain, type, protocol);
}

ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags)
{
	return fd == KERNEL_FD ? (ssize_t)n : __real_send(fd, bytes, n, flags);
}

/* One message of the netlink socket a call, of a size that the input says. */
ssize_t __wrap_recv(int fd, void *bytes, size_t n, int flags)
{
	size_t room;

	if (fd != KERNEL_FD)
		return __real_recv(fd, bytes, n, flags);
	ASAN_UNPOISON_MEMORY_REGION(bytes, n);
	if (to_be_heard.len < 2) {
		errno = EAGAIN;
		return -1;
	}
	room = n;
	n = (unsigned char)to_be_heard.data[0] * 2U % MESSAGE_MAX;
	to_be_heard = span_make(to_be_heard.data + 1, to_be_heard.len - 1);
	if (n > to_be_heard.len)
		n = to_be_heard.len;
	memcpy(bytes, to_be_heard.data, n);
	/* What was not received is not to be read. */
	ASAN_POISON_MEMORY_REGION((char *)bytes + n, room - n);
	to_be_heard = span_make(to_be_heard.data + n, to_be_heard.len - n);
	return (ssize_t)n;
}

int __wrap_close(int fd)
{
	return fd == KERNEL_FD ? 0 : __real_close(fd);
}

/* The table of IPv4; there is none of IPv6. */
FILE *__wrap_fopen(const char *path, const char *mode)
{
	if (strncmp(path, "/proc/net/", 10) != 0)
		return __real_fopen(path, mode);
	if (strcmp(path, "/proc/net/tcp") == 0 && to_be_heard.len > 0)
		return fmemopen((void *)(uintptr_t)to_be_heard.data, to_be_heard.len, "r");
	errno = ENOENT;
	return NULL;
}

/* ---- the laws ---- */

static void check(const struct listening *found, struct listening_ports ports)
{
	fuzz_assert(found->n <= LISTENING_MAX);
	for (size_t i = 0; i < found->n; i++) {
		bool asked = false;

		for (size_t k = 0; k < ports.n; k++)
			asked = asked || found->items[i].port == ports.items[k];
		fuzz_assert(asked);
		fuzz_assert(found->items[i].family == AF_INET ||
			    found->items[i].family == AF_INET6);
		fuzz_assert(!found->items[i].is_owners);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t wanted[] = { 25, 993, 12525 };
	const struct listening_ports ports = { wanted, sizeof(wanted) / sizeof(wanted[0]) };
	static struct listening found;
	bool told;

	if (size < 2)
		return 0;
	to_be_heard = fuzz_input(data + 1, size - 1);
	told = data[0] % 2 == 0 ? listening_find_by_diag(ports, &found)
				: listening_find_by_proc(ports, &found);
	check(&found, ports);
	fuzz_assert(told || data[0] % 2 == 0);
	return 0;
}
