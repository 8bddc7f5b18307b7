/* SPDX-License-Identifier: MIT */
/*
 * fuzz_netlink - answers of the kernel's netlink(7): a length and as many bytes, one
 * after the other; the same bytes as attributes; and attributes written and read.
 */
#include "fuzz.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "sidecar/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sanitizer/asan_interface.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the kernel ---- */

enum { KERNEL_FD = 1 << 20, DEPTH_MAX = 9 };

static struct span to_be_heard;

ssize_t __real_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __real_recv(int fd, void *bytes, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t n, int flags);

ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags)
{
	return fd == KERNEL_FD ? (ssize_t)n : __real_send(fd, bytes, n, flags);
}

ssize_t __wrap_recv(int fd, void *bytes, size_t n, int flags)
{
	size_t room = n;

	if (fd != KERNEL_FD)
		return __real_recv(fd, bytes, n, flags);
	ASAN_UNPOISON_MEMORY_REGION(bytes, n);
	if (to_be_heard.len == 0) {
		errno = EAGAIN;
		return -1;
	}
	n = (unsigned char)to_be_heard.data[0];
	to_be_heard = span_make(to_be_heard.data + 1, to_be_heard.len - 1);
	if (n > to_be_heard.len)
		n = to_be_heard.len;
	memcpy(bytes, to_be_heard.data, n);
	/* What was not received is not to be read. */
	ASAN_POISON_MEMORY_REGION((char *)bytes + n, room - n);
	to_be_heard = span_make(to_be_heard.data + n, to_be_heard.len - n);
	return (ssize_t)n;
}

/* ---- the laws ---- */

/* Every byte of every attribute is within what holds it; the sum tells the compiler to look. */
static unsigned walk(struct span attributes, unsigned depth)
{
	struct span whole = attributes, value;
	unsigned sum = 0;
	uint16_t type;

	while (netlink_take(&attributes, &type, &value)) {
		struct span found;

		fuzz_assert(value.data >= whole.data && span_end(value) <= span_end(whole));
		fuzz_assert(netlink_find(whole, type, &found));
		for (size_t i = 0; i < value.len; i++)
			sum += (unsigned char)value.data[i];
		if (depth > 0)
			sum += walk(value, depth - 1);
	}
	return sum;
}

static int hear(void *arg, uint16_t type, struct span attributes, struct error *err)
{
	unsigned *sum = arg;

	(void)err;
	*sum += type + walk(attributes, 1);
	return 0;
}

static void check_talk(struct span answers)
{
	struct netlink netlink = { .fd = KERNEL_FD, .sequence = 2 };
	cleanup_buf struct buf request = BUF_INIT;
	struct error err = { 0 };
	unsigned sum = 0;
	int rc;

	netlink_end(&request, netlink_begin(&request, &(struct netlink_header){ .sequence = 2 }));
	to_be_heard = answers;
	rc = netlink_talk(&netlink, &request, hear, &sum, &err);
	fuzz_assert(rc <= 0 && (rc == 0 || err.code == rc));
	to_be_heard = answers;
	for (int i = 0; to_be_heard.len > 0; i++) {
		rc = netlink_hear(&netlink, hear, &sum);
		fuzz_assert(rc == 0);
	}
}

/* What was written is read as it was, and covers itself and less. */
static void check_written(struct span bytes)
{
	cleanup_buf struct buf seen = BUF_INIT, wanted = BUF_INIT;
	struct span rest, value;
	uint16_t type, n = 0;

	for (size_t at = 0; at < bytes.len && n < 32; n++) {
		size_t len = (unsigned char)bytes.data[at++] % 16;

		len = len < bytes.len - at ? len : bytes.len - at;
		netlink_put(&seen, n, bytes.data + at, len);
		if (len % 2 == 0)
			netlink_put(&wanted, n, bytes.data + at, len);
		at += len;
	}
	if (seen.failed || wanted.failed || n == 0)
		return;
	rest = buf_span(&seen);
	for (uint16_t i = 0; i < n; i++)
		fuzz_assert(netlink_take(&rest, &type, &value) && type == i && value.len < 16);
	fuzz_assert(rest.len == 0);
	fuzz_assert(netlink_covers(buf_span(&seen), buf_span(&seen)));
	fuzz_assert(netlink_covers(buf_span(&seen), buf_span(&wanted)));
	if (wanted.len < seen.len)
		fuzz_assert(!netlink_covers(buf_span(&wanted), buf_span(&seen)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = fuzz_input(data, size);
	size_t half = size / 2;

	check_talk(input);
	(void)walk(input, DEPTH_MAX);
	(void)netlink_covers(span_make(input.data, half),
			     span_make(input.data + half, size - half));
	(void)netlink_covers(input, input);
	check_written(input);
	return 0;
}
