/* SPDX-License-Identifier: MIT */
/* textfile_read - read a file whole, with a limit; see textfile.h. */
#include "textfile.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { READ_STEP_BYTES = 4096 };

static int too_large(const char *path, struct error *err)
{
	return error_set(err, -EFBIG, "%s: larger than %lu MiB", path, TEXTFILE_LIMIT_BYTES >> 20);
}

static int read_all(int fd, struct buf *out, const char *path, struct error *err)
{
	size_t before = out->len, step = READ_STEP_BYTES;
	struct stat st;

	/* As much as the file says it has, and one byte to see its end. */
	if (fstat(fd, &st) < 0)
		return error_errno(err, "stat %s", path);
	if (st.st_size > (off_t)TEXTFILE_LIMIT_BYTES)
		return too_large(path, err);
	if (st.st_size > 0)
		step = (size_t)st.st_size + 1;
	for (;;) {
		ssize_t n;

		if (!buf_reserve(out, step))
			return buf_check(out, err);
		n = read(fd, out->data + out->len, step);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "read %s", path);
		if (n == 0)
			break;
		out->len += (size_t)n;
		step = READ_STEP_BYTES;
		if (out->len - before > TEXTFILE_LIMIT_BYTES)
			return too_large(path, err);
	}
	if (out->data)
		out->data[out->len] = '\0';
	return 0;
}

int textfile_read_fd(int fd, struct buf *out, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(err, "stat %s", path);
	if (S_ISDIR(st.st_mode))
		return error_code(err, -EISDIR, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "%s: not a regular file", path);
	return read_all(fd, out, path, err);
}

int textfile_read(const struct rootfs *root, const char *path, struct buf *out, struct error *err)
{
	cleanup_fd int fd = rootfs_open_file(root, path, O_RDONLY, 0, err);

	return fd < 0 ? fd : textfile_read_fd(fd, out, path, err);
}
