/* SPDX-License-Identifier: MIT */
/* placing - a file made beside its name, and renamed. */
#include "placing.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "rootfs.h"
#include "textfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

enum { LOCK_WAIT_MS = 10000, LOCK_STEP_MS = 5, MODE = 0755 };

/* A number makes it one process's own, where the folder cannot be locked. */
#define TEMP_PREFIX ".postern-new."

int placing_error(const struct placing_folder *folder, const char *what, const char *name,
		  struct error *err)
{
	if (errno == EBUSY)
		return error_set(err, -EBUSY,
				 "%s %s/%s: it is a mount of its own, which cannot be replaced",
				 what, folder->path, name);
	return error_errno(err, "%s %s/%s", what, folder->path, name);
}

/* ---- the folder ---- */

/* Whether we have it now: 1; 0 where a file system has no locks; or an error. */
static int lock(const struct placing_folder *folder, struct error *err)
{
	const struct timespec step = { .tv_nsec = LOCK_STEP_MS * 1000000L };

	for (int waited = 0; waited < LOCK_WAIT_MS; waited += LOCK_STEP_MS) {
		if (flock(folder->fd, LOCK_EX | LOCK_NB) == 0)
			return 1;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return 0;
		nanosleep(&step, NULL);
	}
	return error_set(err, -ETIMEDOUT, "%s: another process holds the lock", folder->path);
}

static void close_listing(DIR **listing)
{
	if (*listing)
		closedir(*listing);
}

/* What cannot be taken away is no obstacle. */
static void take_leftovers_away(const struct placing_folder *folder)
{
	CLEANUP(close_listing) DIR *listing = NULL;
	cleanup_fd int fd =
		openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const struct dirent *entry;

	listing = fd < 0 ? NULL : fdopendir(fd);
	if (!listing)
		return;
	(void)steal_fd(&fd);
	while ((entry = readdir(listing)))
		if (span_starts(span_from(entry->d_name), TEMP_PREFIX))
			unlinkat(folder->fd, entry->d_name, 0);
}

int placing_folder_open(const struct rootfs *root, const char *path, struct placing_folder *out,
			struct error *err)
{
	CLEANUP(placing_folder_release) struct placing_folder folder = PLACING_FOLDER_INIT;
	int rc;

	folder.path = path;
	folder.fd = rootfs_open(root, path, O_RDONLY | O_DIRECTORY, 0, err);
	if (folder.fd < 0)
		return folder.fd;
	rc = lock(&folder, err);
	if (rc < 0)
		return rc;
	if (rc > 0)
		take_leftovers_away(&folder);
	out->path = path;
	out->fd = steal_fd(&folder.fd);
	return 0;
}

/*
 * What is done cannot be said to have failed any more: should the machine crash
 * before the folder is on disk, the old file is what it finds.
 */
void placing_folder_sync(const struct placing_folder *folder)
{
	(void)fsync(folder->fd);
}

void placing_folder_release(struct placing_folder *folder)
{
	if (folder->fd >= 0)
		close(folder->fd);
	folder->fd = -1;
}

/* ---- a file ---- */

int placing_read(const struct placing_folder *folder, const char *name, struct buf *out,
		 struct error *err)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int rc;

	if (fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : placing_error(folder, "stat", name, err);
	if (!S_ISREG(st.st_mode))
		return 0;
	fd = rootfs_open_file_at(folder->fd, name, O_RDONLY, 0, name, err);
	if (fd < 0)
		return error_wrap(err, fd, "%s", folder->path);
	rc = textfile_read_fd(fd, out, name, err);
	return rc < 0 ? error_wrap(err, rc, "%s", folder->path) : 1;
}

/* Whether the name holds these bytes with our mode: 1 or 0. */
static int holds(const struct placing_folder *folder, const char *name, struct span bytes,
		 struct error *err)
{
	cleanup_buf struct buf now = BUF_INIT;
	struct stat st;
	int rc;

	if (fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : placing_error(folder, "stat", name, err);
	if (S_ISDIR(st.st_mode))
		return error_set(err, -EISDIR, "%s/%s is a folder: a file has to be put there",
				 folder->path, name);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 07777) != MODE || st.st_size != (off_t)bytes.len)
		return 0;
	rc = placing_read(folder, name, &now, err);
	return rc > 0 ? span_equal(buf_span(&now), bytes) : rc;
}

static int fill(int fd, struct span bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.data, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes.data += n;
		bytes.len -= (size_t)n;
	}
	return fchmod(fd, MODE) < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int make_temp(struct placing *p, struct span bytes)
{
	cleanup_fd int fd = -1;
	uint64_t number = 0;

	/* Cut short it is still a number. */
	(void)!getrandom(&number, sizeof(number), GRND_NONBLOCK);
	snprintf(p->temp, sizeof(p->temp), TEMP_PREFIX "%016llx", (unsigned long long)number);
	fd = openat(p->folder->fd, p->temp, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0) {
		p->temp[0] = '\0'; /* whosever that is */
		return -errno;
	}
	return fill(fd, bytes);
}

int placing_prepare(const struct placing_folder *folder, const char *name, struct span bytes,
		    struct placing *out, struct error *err)
{
	CLEANUP(placing_release) struct placing p = { .folder = folder, .name = name };
	int rc = holds(folder, name, bytes, err);

	if (rc < 0)
		return rc;
	if (rc > 0) {
		*out = p;
		return 0;
	}
	rc = make_temp(&p, bytes);
	if (rc < 0)
		return error_code(err, rc, "write %s/%s", folder->path, name);
	*out = p;
	p.temp[0] = '\0'; /* it is theirs now */
	return 1;
}

int placing_commit(struct placing *p, struct error *err)
{
	if (!p->temp[0])
		return 0;
	if (renameat(p->folder->fd, p->temp, p->folder->fd, p->name) < 0)
		return placing_error(p->folder, "put in place", p->name, err);
	p->temp[0] = '\0';
	return 1;
}

void placing_release(struct placing *p)
{
	if (p->temp[0])
		unlinkat(p->folder->fd, p->temp, 0);
	p->temp[0] = '\0';
}
