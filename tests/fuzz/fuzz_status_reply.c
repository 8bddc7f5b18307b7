/* SPDX-License-Identifier: MIT */
/*
 * fuzz_status_reply - what `postern status` hears from whoever serves its socket: any
 * bytes.  Nothing that a terminal obeys is shown of them.
 */
#include "fuzz.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "sidecar/printable.h"
#include "sidecar/status_client.h"
#include "sidecar/view_status.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the kernel: a peer that sends the input, in pieces ---- */

enum { PEER_FD = 1 << 20, PIECE = 700 };

static struct span to_be_read;

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __real_connect(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
ssize_t __real_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __real_read(int fd, void *bytes, size_t n);
ssize_t __wrap_read(int fd, void *bytes, size_t n);
int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_socket(int domain, int type, int protocol)
{
	return domain == AF_UNIX ? PEER_FD : __real_socket(domain, type, protocol);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	return fd == PEER_FD ? 0 : __real_connect(fd, address, length);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	return fd == PEER_FD ? 0 : __real_setsockopt(fd, level, name, value, length);
}

ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags)
{
	return fd == PEER_FD ? (ssize_t)n : __real_send(fd, bytes, n, flags);
}

ssize_t __wrap_read(int fd, void *bytes, size_t n)
{
	if (fd != PEER_FD)
		return __real_read(fd, bytes, n);
	if (n > PIECE)
		n = PIECE;
	if (n > to_be_read.len)
		n = to_be_read.len;
	memcpy(bytes, to_be_read.data, n);
	to_be_read = span_make(to_be_read.data + n, to_be_read.len - n);
	return (ssize_t)n;
}

int __wrap_close(int fd)
{
	return fd == PEER_FD ? 0 : __real_close(fd);
}

/* ---- the laws ---- */

/* Printable UTF-8 and line ends: a terminal obeys U+0080 to U+009F, too. */
static void check_shown(struct span shown)
{
	for (size_t i = 0; i < shown.len; i++) {
		unsigned char c = (unsigned char)shown.data[i];

		fuzz_assert(c == '\n' || (c >= 0x20 && c != 0x7f));
		if (c == 0xc2 && i + 1 < shown.len)
			fuzz_assert((unsigned char)shown.data[i + 1] >= 0xa0);
	}
}

static void check_view(struct span json)
{
	cleanup_free char *text = NULL;
	size_t size = 0;
	FILE *saved = stdout, *shown = open_memstream(&text, &size);
	struct error err = { 0 };
	int rc;

	if (!shown)
		return;
	stdout = shown;
	rc = view_status_for_people(json, &err);
	stdout = saved;
	fclose(shown);
	fuzz_assert(rc == 0 || (rc == -EINVAL && size == 0 && err.code == rc));
	check_shown(span_make(text, size));
}

static void check_printable(const char *text)
{
	cleanup_buf struct buf shown = BUF_INIT;

	printable_add(&shown, text);
	fuzz_assert(!shown.failed && !span_contains(buf_span(&shown), "\n"));
	check_shown(buf_span(&shown));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_buf struct buf body = BUF_INIT;
	cleanup_free char *text = fuzz_text(fuzz_input(data, size));
	struct error err = { 0 };
	int status;

	to_be_read = fuzz_input(data, size);
	status = status_client_get("/run/s", "/status", &body, &err);
	fuzz_assert(status == -EPROTO || status >= 100);
	fuzz_assert(status >= 0 || (body.len == 0 && err.code == status));
	fuzz_assert(to_be_read.len == 0 && body.len <= size);
	if (status >= 0)
		check_view(buf_span(&body));
	else if (size > 0 && data[0] == '{') /* as if its head were right */
		check_view(fuzz_input(data, size));
	if (text)
		check_printable(text);
	return 0;
}
