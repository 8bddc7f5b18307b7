/* SPDX-License-Identifier: MIT */
/*
 * fuzz_process - what /proc says of a process that chose its name, and mounted what it
 * wanted where it wanted.  The first byte says which file the rest stands in, and
 * whether as the whole of it or as the part that is up to the process.
 */
#include "fuzz.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "sidecar/process.h"
#include "sidecar/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the kernel: every file of process 7 has this text ---- */

enum { PROC_FD = 1 << 20, PID = 7, PARENT = 3, OWN_MOUNT = 29 };

static struct span file_text;
static bool is_read;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
ssize_t __real_read(int fd, void *bytes, size_t n);
ssize_t __wrap_read(int fd, void *bytes, size_t n);
int __real_close(int fd);
int __wrap_close(int fd);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __real_stat(const char *path, struct stat *out);
int __wrap_stat(const char *path, struct stat *out);
int __real_statx(int fd, const char *path, int flags, unsigned mask, struct statx *out);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *out);

static bool is_ours(const char *path)
{
	return strncmp(path, "/proc/7/", 8) == 0;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	is_read = false;
	return is_ours(path) ? PROC_FD : __real_open(path, flags, mode);
}

ssize_t __wrap_read(int fd, void *bytes, size_t n)
{
	if (fd != PROC_FD)
		return __real_read(fd, bytes, n);
	n = is_read ? 0 : n < file_text.len ? n : file_text.len;
	is_read = true;
	memcpy(bytes, file_text.data, n);
	return (ssize_t)n;
}

int __wrap_close(int fd)
{
	return fd == PROC_FD ? 0 : __real_close(fd);
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
	if (!is_ours(path))
		return __real_fopen(path, mode);
	if (file_text.len > 0)
		return fmemopen((void *)(uintptr_t)file_text.data, file_text.len, "r");
	errno = ENOENT;
	return NULL;
}

/* We may not look at its root folder. */
int __wrap_stat(const char *path, struct stat *out)
{
	if (!is_ours(path))
		return __real_stat(path, out);
	errno = EACCES;
	return -1;
}

/* Of the root that it is compared with: the top of a mount. */
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *out)
{
	if (fd != PROC_FD)
		return __real_statx(fd, path, flags, mask, out);
	*out = (struct statx){ .stx_mask = STATX_MNT_ID,
			       .stx_attributes = STATX_ATTR_MOUNT_ROOT,
			       .stx_mnt_id = OWN_MOUNT };
	return 0;
}

static bool lives_in_ours(void)
{
	const struct rootfs root = { .fd = PROC_FD };

	return process_lives_in(PID, &root) > 0;
}

/* ---- the laws ---- */

/* Whatever is there is read without harm. */
static void check_any(struct span text)
{
	char name[PROCESS_NAME_BYTES];
	struct process_stat stat;
	uid_t user;
	int rc;

	file_text = text;
	rc = process_read_stat(PID, &stat);
	fuzz_assert(rc == 0 || rc == -ESRCH);
	if (process_name(PID, name))
		fuzz_assert(strlen(name) < sizeof(name) && !strchr(name, '\n'));
	(void)process_users(PID, &user, NULL);
	(void)process_catches(PID, 1);
	fuzz_assert(process_inner_number(PID) >= 0);
	(void)lives_in_ours();
}

/* A process's name, of any bytes but NUL, is not taken for a field. */
static void check_name_in_stat(struct span name)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct process_stat stat;

	buf_add_text(&text, "7 (");
	buf_add(&text, span_make(name.data, name.len < 15 ? name.len : 15)); /* TASK_COMM_LEN */
	buf_add_text(&text, ") S 3 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9999 1 2\n");
	file_text = buf_span(&text);
	fuzz_assert(process_read_stat(PID, &stat) == 0);
	fuzz_assert(stat.state == 'S' && stat.parent == PARENT && stat.start == 9999);
	fuzz_assert(!stat.kernel_thread);
}

/* As the kernel writes it in `status` and in `mountinfo` (seq_file.c, mangle). */
static void add_mangled(struct buf *out, struct span text, const char *bytes)
{
	for (size_t i = 0; i < text.len; i++)
		if (strchr(bytes, text.data[i]))
			buf_add_format(out, "\\%03o", (unsigned char)text.data[i]);
		else
			buf_add_char(out, text.data[i]);
}

static void check_name_in_status(struct span name)
{
	cleanup_buf struct buf text = BUF_INIT;
	uid_t user = 0;

	buf_add_text(&text, "Name:\t");
	add_mangled(&text, span_make(name.data, name.len < 15 ? name.len : 15), "\n\\");
	buf_add_text(&text, "\nUid:\t1\t5\t1\t1\nNSpid:\t7\t4\nSigCgt:\t0000000000000001\n");
	file_text = buf_span(&text);
	fuzz_assert(process_users(PID, &user, NULL) && user == 5);
	fuzz_assert(process_inner_number(PID) == 4);
	fuzz_assert(process_catches(PID, 1) && !process_catches(PID, 2));
}

/* A mount of another number is not ours, wherever it is and whatever it is called. */
static void check_mount(struct span where)
{
	cleanup_buf struct buf text = BUF_INIT;

	buf_add_text(&text, "28 1 8:1 / ");
	add_mangled(&text, where, " \t\n\\#");
	buf_add_text(&text, " rw - ext4 ");
	add_mangled(&text, where, " \t\n\\#");
	buf_add_text(&text, " rw\n");
	file_text = buf_span(&text);
	fuzz_assert(!lives_in_ours());
	buf_add_text(&text, "29 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
	file_text = buf_span(&text);
	fuzz_assert(lives_in_ours());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text;

	if (size == 0)
		return 0;
	text = fuzz_input(data + 1, size - 1);
	if (data[0] % 2 == 0) {
		check_any(text);
	} else if (!memchr(text.data, '\0', text.len)) {
		check_name_in_stat(text);
		check_name_in_status(text);
		check_mount(text);
	}
	return 0;
}
