/* SPDX-License-Identifier: MIT */
/* textfile - replace a file crash-safely; textfile_read.c reads one. */
#include "textfile.h"

#include "monotonic.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "rootfs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>

enum {
	LOCK_WAIT_MS = 10000,
	LOCK_STEP_MS = 5,
	LOCK_TRIES_MAX = 10000,
	XATTR_BYTES_MAX = 65536,
	SAVED_AGE_MAX_S = 60,
};

#define LOCK_SUFFIX ".tmp"            /* Postfix's name for it */
#define NEW_SUFFIX ".postern-new"     /* the new bytes, beside a symbolic link's target */
#define SAVED_SUFFIX ".postern-saved" /* the old bytes while we write in place */

/* ---- the lock ---- */

/* What one swap holds. */
struct swap {
	const char *path;
	struct rootfs_place place; /* of the file itself, links followed */
	struct rootfs_place lock;  /* of "<path>.tmp", where Postfix looks */
	int lock_fd;
	char *temp_name; /* in place.dir_fd: the lock file, or beside the target */
	int temp_fd;
	bool renamed;
	struct error *err;
};

static struct swap swap_of(const char *path, struct error *err)
{
	return (struct swap){
		.path = path,
		.place = ROOTFS_PLACE_INIT,
		.lock = ROOTFS_PLACE_INIT,
		.lock_fd = -1,
		.temp_fd = -1,
		.err = err,
	};
}

static void swap_release(struct swap *s)
{
	if (s->temp_fd >= 0 && s->temp_fd != s->lock_fd) {
		if (!s->renamed)
			unlinkat(s->place.dir_fd, s->temp_name, 0);
		close(s->temp_fd);
	}
	if (s->lock_fd >= 0) {
		if (!s->renamed || s->temp_fd != s->lock_fd)
			unlinkat(s->lock.dir_fd, s->lock.name, 0);
		close(s->lock_fd);
	}
	free(s->temp_name);
	rootfs_place_release(&s->place);
	rootfs_place_release(&s->lock);
}

static int wait_for_lock(int fd, const char *path, int64_t deadline_ms, struct error *err)
{
	const struct timespec step = { .tv_nsec = LOCK_STEP_MS * 1000000L };

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_errno(err, "lock %s", path);
		if (monotonic_ms() >= deadline_ms)
			return error_set(err, -ETIMEDOUT, "%s: another program holds the lock",
					 path);
		nanosleep(&step, NULL);
	}
	return 0;
}

/* Take the lock; a holder that renamed the file away leaves us an orphan: again. */
static int take_lock(struct swap *s)
{
	/* From one holder to the next: they may take turns for ever. */
	const int64_t deadline_ms = monotonic_ms() + LOCK_WAIT_MS;

	for (int tries = 0; tries < LOCK_TRIES_MAX; tries++) {
		cleanup_fd int fd = rootfs_open_file_at(
			s->lock.dir_fd, s->lock.name, O_CREAT | O_RDWR, 0600, s->lock.path, s->err);
		struct stat ours, there;
		int rc;

		if (fd < 0)
			return fd;
		rc = wait_for_lock(fd, s->lock.path, deadline_ms, s->err);
		if (rc < 0)
			return rc;
		if (fstat(fd, &ours) < 0)
			return error_errno(s->err, "stat %s", s->lock.path);
		if (fstatat(s->lock.dir_fd, s->lock.name, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
		    ours.st_ino != there.st_ino || ours.st_dev != there.st_dev)
			continue;
		/*
		 * What a crashed writer left: not ours to fill, as Postfix has it
		 * too.  It may be a second name of a saved copy.
		 */
		if (ours.st_size != 0 || ours.st_nlink != 1) {
			unlinkat(s->lock.dir_fd, s->lock.name, 0);
			continue;
		}
		s->lock_fd = steal_fd(&fd);
		return 0;
	}
	return error_set(s->err, -ETIMEDOUT, "%s: others keep taking it away", s->lock.path);
}

static int beside(const struct swap *s, const char *suffix, char **out)
{
	if (asprintf(out, "%s%s", s->place.name, suffix) >= 0)
		return 0;
	*out = NULL;
	return error_set(s->err, -ENOMEM, "out of memory");
}

/*
 * The file to fill: the lock itself, or one beside a symbolic link's target.
 * That has a name of its own: "<target>.tmp" is the lock of those who know the
 * file by its real name.
 */
static int open_temp(struct swap *s)
{
	struct stat a, b;
	int rc = beside(s, LOCK_SUFFIX, &s->temp_name);

	if (rc < 0)
		return rc;
	if (fstat(s->place.dir_fd, &a) == 0 && fstat(s->lock.dir_fd, &b) == 0 &&
	    a.st_ino == b.st_ino && a.st_dev == b.st_dev &&
	    strcmp(s->temp_name, s->lock.name) == 0) {
		s->temp_fd = s->lock_fd;
		return 0;
	}
	free(s->temp_name);
	rc = beside(s, NEW_SUFFIX, &s->temp_name);
	if (rc < 0)
		return rc;
	unlinkat(s->place.dir_fd, s->temp_name, 0); /* a crash's; it may be a saved copy too */
	s->temp_fd = openat(s->place.dir_fd, s->temp_name,
			    O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	return s->temp_fd < 0 ? error_errno(s->err, "open %s", s->temp_name) : 0;
}

static int swap_locate(struct swap *s, const struct rootfs *root, const char *path)
{
	cleanup_free char *lock_path = NULL;
	int rc;

	if (asprintf(&lock_path, "%s" LOCK_SUFFIX, path) < 0) {
		lock_path = NULL;
		return error_set(s->err, -ENOMEM, "out of memory");
	}
	rc = rootfs_locate(root, path, true, &s->place, s->err);
	return rc == 0 ? rootfs_locate(root, lock_path, false, &s->lock, s->err) : rc;
}

/* ---- write ---- */

static int write_all(int fd, struct span text, const char *path, struct error *err)
{
	while (text.len > 0) {
		ssize_t n = write(fd, text.data, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, "write %s", path);
		text.data += n;
		text.len -= (size_t)n;
	}
	return 0;
}

/* Some file systems cannot sync a folder; then there is nothing to wait for. */
static int sync_directory(const struct swap *s)
{
	if (fsync(s->place.dir_fd) == 0 || errno == EINVAL || errno == ENOSYS)
		return 0;
	return error_errno(s->err, "sync the folder of %s", s->path);
}

/*
 * What is done cannot be said to have failed any more: should the machine
 * crash before the folder is on disk, the old file is what it finds.
 */
static void sync_directory_of_done(const struct swap *s)
{
	(void)fsync(s->place.dir_fd);
}

/* A file system without extended attributes has none to lose. */
static int copy_xattrs(int from, int to, const char *path, struct error *err)
{
	cleanup_free char *names = NULL, *value = NULL;
	ssize_t n = flistxattr(from, NULL, 0);

	if (n <= 0)
		return n == 0 || errno == ENOTSUP || errno == ENOSYS
			       ? 0
			       : error_errno(err, "list attributes of %s", path);
	names = malloc((size_t)n);
	value = malloc(XATTR_BYTES_MAX);
	if (!names || !value)
		return error_set(err, -ENOMEM, "out of memory");
	n = flistxattr(from, names, (size_t)n);
	if (n < 0)
		return error_errno(err, "list attributes of %s", path);
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		ssize_t size = fgetxattr(from, name, value, XATTR_BYTES_MAX);

		if (size < 0)
			return error_errno(err, "read attribute %s of %s", name, path);
		/* security.* is the kernel's and set anew: not ours to insist on */
		if (fsetxattr(to, name, value, (size_t)size, 0) < 0 &&
		    strncmp(name, "security.", 9) != 0)
			return error_errno(err, "keep attribute %s of %s", name, path);
	}
	return 0;
}

/* Mode, owner and attributes of the old file, or 0644 for a new one. */
static int copy_attributes(int old_fd, int new_fd, const char *path, struct error *err)
{
	struct stat st;

	if (old_fd < 0)
		return fchmod(new_fd, 0644) < 0 ? error_errno(err, "set mode of %s", path) : 0;
	if (fstat(old_fd, &st) < 0)
		return error_errno(err, "stat %s", path);
	if (fchown(new_fd, st.st_uid, st.st_gid) < 0)
		return error_errno(err, "keep owner of %s", path);
	if (fchmod(new_fd, st.st_mode & 07777) < 0)
		return error_errno(err, "keep mode of %s", path);
	return copy_xattrs(old_fd, new_fd, path, err);
}

static int fill_temp(struct swap *s, struct span text)
{
	if (ftruncate(s->temp_fd, 0) < 0 || lseek(s->temp_fd, 0, SEEK_SET) < 0)
		return error_errno(s->err, "empty %s", s->temp_name);
	return write_all(s->temp_fd, text, s->path, s->err);
}

/*
 * Postfix's programs wait for a main.cf younger than two seconds to age, for
 * fear of reading half of it.  One that is put in place by rename is whole.
 */
static int back_date(struct swap *s, unsigned age_s)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };

	if (age_s == 0)
		return 0;
	clock_gettime(CLOCK_REALTIME, &times[1]);
	times[1].tv_sec -= (time_t)age_s;
	return futimens(s->temp_fd, times) < 0
		       ? error_errno(s->err, "set the time of %s", s->temp_name)
		       : 0;
}

static int sync_temp(struct swap *s)
{
	return fsync(s->temp_fd) < 0 ? error_errno(s->err, "sync %s", s->path) : 0;
}

static int overwrite(int fd, struct span text, const char *path, struct error *err)
{
	int rc;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(err, "seek in %s", path);
	rc = write_all(fd, text, path, err);
	if (rc == 0 && ftruncate(fd, (off_t)text.len) < 0)
		rc = error_errno(err, "cut %s", path);
	if (rc == 0 && fsync(fd) < 0)
		rc = error_errno(err, "sync %s", path);
	return rc;
}

/* Put the old bytes on disk under the name `saved`, instead of what is there. */
static int save(struct swap *s, struct span old, const char *saved)
{
	int dir_fd = s->place.dir_fd;
	int rc = fill_temp(s, old);

	if (rc == 0)
		rc = sync_temp(s);
	if (rc < 0)
		return rc;
	if (unlinkat(dir_fd, saved, 0) < 0 && errno != ENOENT)
		return error_errno(s->err, "remove an older saved copy of %s", s->path);
	if (linkat(dir_fd, s->temp_name, dir_fd, saved, 0) < 0)
		return error_errno(s->err, "save a copy of %s", s->path);
	rc = sync_directory(s);
	if (rc < 0)
		unlinkat(dir_fd, saved, 0);
	return rc;
}

/*
 * The file is a mount of its own: it cannot be renamed over.  Save the old
 * bytes whole beside it, write over it, drop the copy; textfile_recover()
 * finishes what a crash in between interrupted.
 */
static int write_in_place(struct swap *s, struct span old, struct span new)
{
	cleanup_fd int fd =
		rootfs_open_file_at(s->place.dir_fd, s->place.name, O_WRONLY, 0, s->path, s->err);
	cleanup_free char *saved = NULL;
	int rc;

	if (fd < 0)
		return fd;
	rc = beside(s, SAVED_SUFFIX, &saved);
	if (rc == 0)
		rc = save(s, old, saved);
	if (rc < 0)
		return rc;
	rc = overwrite(fd, new, s->path, s->err);
	if (rc < 0 && overwrite(fd, old, s->path, NULL) < 0)
		return error_wrap(s->err, rc,
				  "%s%s holds the old text; writing over the file failed",
				  s->place.path, SAVED_SUFFIX);
	/* A copy that stays would undo this at the next recovery. */
	if (unlinkat(s->place.dir_fd, saved, 0) < 0 && rc == 0) {
		rc = error_errno(s->err, "remove the saved copy of %s", s->path);
		if (overwrite(fd, old, s->path, NULL) < 0)
			return error_wrap(s->err, rc, "%s holds the new text", s->path);
	}
	sync_directory_of_done(s);
	return rc;
}

static int put(struct swap *s, int old_fd, struct span old, struct textfile_content wanted,
	       enum textfile_how *out_how)
{
	int rc = open_temp(s);

	if (rc == 0)
		rc = fill_temp(s, wanted.text);
	if (rc == 0)
		rc = copy_attributes(old_fd, s->temp_fd, s->path, s->err);
	if (rc == 0)
		rc = back_date(s, wanted.age_s);
	if (rc == 0)
		rc = sync_temp(s);
	if (rc < 0)
		return rc;
	if (renameat(s->place.dir_fd, s->temp_name, s->place.dir_fd, s->place.name) == 0) {
		s->renamed = true;
		*out_how = TEXTFILE_RENAMED;
		sync_directory_of_done(s);
		return 0;
	}
	if (errno != EBUSY || old_fd < 0)
		return error_errno(s->err, "put %s in place", s->path);
	*out_how = TEXTFILE_IN_PLACE;
	return write_in_place(s, old, wanted.text);
}

static int take_away(struct swap *s, enum textfile_how *out_how)
{
	if (unlinkat(s->place.dir_fd, s->place.name, 0) < 0)
		return error_errno(s->err, "remove %s", s->path);
	*out_how = TEXTFILE_RENAMED;
	sync_directory_of_done(s);
	return 0;
}

int textfile_swap(const struct rootfs *root, const char *path, struct textfile_content expected,
		  struct textfile_content wanted, enum textfile_how *out_how, struct error *err)
{
	CLEANUP(swap_release) struct swap s = swap_of(path, err);
	cleanup_buf struct buf now = BUF_INIT;
	cleanup_fd int old_fd = -1;
	int rc = swap_locate(&s, root, path);

	if (rc == 0)
		rc = take_lock(&s);
	if (rc < 0)
		return rc;
	old_fd = rootfs_open_file_at(s.place.dir_fd, s.place.name, O_RDONLY, 0, path, err);
	if (old_fd < 0 && old_fd != -ENOENT)
		return old_fd;
	if (old_fd >= 0)
		rc = textfile_read_fd(old_fd, &now, path, err);
	if (rc < 0)
		return rc;
	if (expected.exists != (old_fd >= 0) || !span_equal(expected.text, buf_span(&now)))
		return error_set(err, -ESTALE, "%s was changed by another program", path);
	if (wanted.exists)
		return put(&s, old_fd, buf_span(&now), wanted, out_how);
	return old_fd >= 0 ? take_away(&s, out_how) : 0;
}

/* Open the saved copy beside the file; -ENOENT when there is none. */
static int open_saved(const struct swap *s, const char *saved)
{
	struct error why;
	int fd = rootfs_open_file_at(s->place.dir_fd, saved, O_RDONLY, 0, saved, &why);

	return fd >= 0 || fd == -ENOENT ? fd
					: error_set(s->err, fd, "beside %s: %s", s->path, why.msg);
}

/*
 * The write that a crash interrupts follows its saved copy at once.  A file
 * that was written much later was so by somebody else.
 */
static bool is_much_newer(int fd, int saved_fd)
{
	struct stat st, saved;

	return fstat(fd, &st) == 0 && fstat(saved_fd, &saved) == 0 &&
	       st.st_mtime > saved.st_mtime + SAVED_AGE_MAX_S;
}

static int put_back(const struct swap *s, const char *saved)
{
	cleanup_buf struct buf old = BUF_INIT;
	cleanup_fd int saved_fd = open_saved(s, saved);
	cleanup_fd int fd = -1;
	int rc;

	/* Whoever wrote in place a moment ago has taken its copy away by now. */
	if (saved_fd < 0)
		return saved_fd == -ENOENT ? 0 : saved_fd;
	rc = textfile_read_fd(saved_fd, &old, s->path, s->err);
	if (rc < 0)
		return rc;
	fd = rootfs_open_file_at(s->place.dir_fd, s->place.name, O_WRONLY, 0, s->path, s->err);
	if (fd < 0)
		return fd;
	if (is_much_newer(fd, saved_fd))
		return error_set(
			s->err, -EEXIST,
			"%s was edited long after an interrupted write left %s%s: see which "
			"of the two is right, and remove the latter",
			s->path, s->place.path, SAVED_SUFFIX);
	rc = overwrite(fd, buf_span(&old), s->path, s->err);
	if (rc < 0)
		return rc;
	if (unlinkat(s->place.dir_fd, saved, 0) < 0)
		return error_errno(s->err, "remove the saved copy of %s", s->path);
	return 1;
}

int textfile_recover(const struct rootfs *root, const char *path, struct error *err)
{
	CLEANUP(swap_release) struct swap s = swap_of(path, err);
	cleanup_free char *saved = NULL;
	cleanup_fd int fd = -1;
	int rc = swap_locate(&s, root, path);

	if (rc == 0)
		rc = beside(&s, SAVED_SUFFIX, &saved);
	if (rc < 0)
		return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
	assert(saved);
	fd = open_saved(&s, saved);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	rc = take_lock(&s);
	return rc < 0 ? rc : put_back(&s, saved);
}
