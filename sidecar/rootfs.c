/* SPDX-License-Identifier: MIT */
/* rootfs - files of the mail host: this one, or the one under --root. */
#include "rootfs.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

enum { LINKS_MAX = 40, LINK_BYTES_MAX = 4096, RACES_MAX = 1000 };

int rootfs_init(struct rootfs *root, const char *path, struct error *err)
{
	cleanup_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *copy;

	if (fd < 0)
		return error_errno(err, "open root %s", path);
	copy = strdup(path);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	*root = (struct rootfs){ .fd = steal_fd(&fd), .path = copy };
	return 0;
}

void rootfs_release(struct rootfs *root)
{
	if (root->fd >= 0)
		close(root->fd);
	free(root->path);
	*root = (struct rootfs)ROOTFS_INIT;
}

bool rootfs_is_own(const struct rootfs *root)
{
	struct stat ours, theirs;

	return stat("/", &ours) == 0 && fstat(root->fd, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static const char *relative(const char *path)
{
	while (*path == '/')
		path++;
	return *path ? path : ".";
}

/*
 * A seccomp profile of an old container engine may not know openat2(2).  On
 * our own root plain resolution means the same; elsewhere there is no way.
 */
static int open_in_root(const struct rootfs *root, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_IN_ROOT,
	};
	long fd;
	int races = 0;

	/* EAGAIN: some rename on this machine fell into the resolution of a "..". */
	do {
		fd = syscall(SYS_openat2, root->fd, relative(path), &how, sizeof(how));
	} while (fd < 0 && errno == EAGAIN && ++races < RACES_MAX);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM) && rootfs_is_own(root))
		return openat(root->fd, relative(path), flags | O_CLOEXEC, mode);
	return (int)fd;
}

int rootfs_open(const struct rootfs *root, const char *path, int flags, mode_t mode,
		struct error *err)
{
	int fd = open_in_root(root, path, flags, mode);

	return fd < 0 ? error_errno(err, "open %s", path) : fd;
}

/* ---- regular files ---- */

/* What the kernel makes up as it is read, and to us of whom it would not tell to others. */
static bool is_of_the_kernel(int fd)
{
	static const unsigned long kinds[] = {
		PROC_SUPER_MAGIC, SYSFS_MAGIC,        DEBUGFS_MAGIC,       TRACEFS_MAGIC,
		BPF_FS_MAGIC,     CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, SECURITYFS_MAGIC,
	};
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if ((uint32_t)st.f_type == (uint32_t)kinds[i]) /* signed, and 32 bits count */
			return true;
	return false;
}

/* 0 when what is named, but not opened, may be. */
static int check_file(int named_fd, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(named_fd, &st) < 0)
		return error_errno(err, "stat %s", path);
	if (S_ISDIR(st.st_mode))
		return error_code(err, -EISDIR, "%s", path);
	if (S_ISLNK(st.st_mode)) /* only with O_NOFOLLOW */
		return error_code(err, -ELOOP, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "%s: not a regular file", path);
	if (is_of_the_kernel(named_fd))
		return error_set(err, -EINVAL,
				 "%s: the kernel's own, not a file of the mail host's", path);
	return 0;
}

/*
 * Open what a descriptor of O_PATH names: that very file, whatever has its name
 * by now.  -ENOENT without a /proc of ours.
 */
static int open_named(int named_fd, int flags)
{
	char path[sizeof("/proc/self/fd/-2147483648")];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", named_fd);
	return openat(AT_FDCWD, path, flags | O_CLOEXEC);
}

typedef int open_function(const void *where, const char *path, int flags, mode_t mode);

static int open_below(const void *where, const char *path, int flags, mode_t mode)
{
	return open_in_root(where, path, flags, mode);
}

static int open_at(const void *where, const char *path, int flags, mode_t mode)
{
	const int *dir_fd = where;

	return openat(*dir_fd, path, flags | O_NOFOLLOW | O_CLOEXEC, mode);
}

/* Open a file that is there, or as -ENOENT has it. */
static int open_existing(open_function *open_it, const void *where, const char *name, int flags,
			 const char *path, struct error *err)
{
	cleanup_fd int named_fd = open_it(where, name, O_PATH | (flags & O_NOFOLLOW), 0);
	int fd, rc;

	if (named_fd < 0)
		return error_errno(err, "open %s", path);
	rc = check_file(named_fd, path, err);
	if (rc < 0)
		return rc;
	/* Non-blocking, for one that somebody has a lease on. */
	flags = (flags & ~O_CREAT) | O_NONBLOCK | O_NOCTTY;
	fd = open_named(named_fd, flags & ~O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		fd = open_it(where, name, flags, 0);
	return fd < 0 ? error_errno(err, "open %s", path) : fd;
}

static int open_file(open_function *open_it, const void *where, const char *name, int flags,
		     mode_t mode, const char *path, struct error *err)
{
	int fd;

	if (!(flags & O_CREAT))
		return open_existing(open_it, where, name, flags, path, err);
	for (int races = 0; races < RACES_MAX; races++) {
		fd = open_it(where, name, flags | O_EXCL, mode);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return error_errno(err, "open %s", path);
		if (flags & O_EXCL)
			return error_code(err, -EEXIST, "open %s", path);
		fd = open_existing(open_it, where, name, flags, path, err);
		if (fd != -ENOENT) /* it has gone meanwhile */
			return fd;
	}
	return error_set(err, -EAGAIN, "%s: others keep taking it away", path);
}

int rootfs_open_file(const struct rootfs *root, const char *path, int flags, mode_t mode,
		     struct error *err)
{
	return open_file(open_below, root, path, flags, mode, path, err);
}

int rootfs_open_file_at(int dir_fd, const char *name, int flags, mode_t mode, const char *path,
			struct error *err)
{
	return open_file(open_at, &dir_fd, name, flags | O_NOFOLLOW, mode, path, err);
}

bool rootfs_is_absent(int rc)
{
	static const int absent[] = { ENOENT, ENOTDIR, ELOOP, EXDEV, EACCES, ENAMETOOLONG };

	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		if (rc == -absent[i])
			return true;
	return false;
}

int rootfs_exists(const struct rootfs *root, const char *path, struct error *err)
{
	cleanup_fd int fd = rootfs_open(root, path, O_PATH, 0, err);

	if (fd >= 0)
		return 1;
	return rootfs_is_absent(fd) ? 0 : fd;
}

void rootfs_place_release(struct rootfs_place *place)
{
	if (place->dir_fd >= 0)
		close(place->dir_fd);
	free(place->path);
	*place = (struct rootfs_place)ROOTFS_PLACE_INIT;
}

/* Open the folder of `path`, which is owned by the place from now on. */
static int place_at(const struct rootfs *root, char *path, struct rootfs_place *out,
		    struct error *err)
{
	char *slash = path ? strrchr(path, '/') : NULL;
	int fd;

	if (!path)
		return error_set(err, -ENOMEM, "out of memory");
	/* ".." of the root is the root only to openat2(2), not to what follows a place. */
	if (!slash || slash[1] == '\0' || strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0) {
		error_set(err, -EINVAL, "\"%s\" is not an absolute path of a file", path);
		free(path);
		return -EINVAL;
	}
	*slash = '\0';
	fd = rootfs_open(root, path, O_RDONLY | O_DIRECTORY, 0, err);
	*slash = '/';
	if (fd < 0) {
		free(path);
		return fd;
	}
	*out = (struct rootfs_place){ .dir_fd = fd, .path = path, .name = slash + 1 };
	return 0;
}

/* The path that a link in the place's folder stands for. */
static char *link_target(const struct rootfs_place *place, const char *link)
{
	char *out = NULL;
	int n;

	if (link[0] == '/')
		return strdup(link);
	n = asprintf(&out, "%.*s%s", (int)(place->name - place->path), place->path, link);
	return n < 0 ? NULL : out;
}

int rootfs_locate(const struct rootfs *root, const char *path, bool follow,
		  struct rootfs_place *out, struct error *err)
{
	struct rootfs_place place = ROOTFS_PLACE_INIT;
	int rc = place_at(root, strdup(path), &place, err);

	for (int links = 0; rc == 0 && follow; links++) {
		char link[LINK_BYTES_MAX];
		ssize_t n = readlinkat(place.dir_fd, place.name, link, sizeof(link) - 1);
		char *target;

		if (n < 0 && errno != EINVAL && errno != ENOENT) {
			rc = error_errno(err, "read the link %s", place.path);
			break;
		}
		if (n < 0) /* no link, or nothing: we are there */
			break;
		if (links == LINKS_MAX) {
			rc = error_code(err, -ELOOP, "%s", path);
			break;
		}
		link[n] = '\0';
		target = link_target(&place, link);
		rootfs_place_release(&place);
		rc = place_at(root, target, &place, err);
	}
	if (rc < 0) {
		rootfs_place_release(&place);
		return rc;
	}
	*out = place;
	return 0;
}

int rootfs_make_directory(const struct rootfs *root, const char *path, mode_t mode,
			  struct error *err)
{
	CLEANUP(rootfs_place_release) struct rootfs_place place = ROOTFS_PLACE_INIT;
	int rc = rootfs_locate(root, path, true, &place, err);

	if (rc < 0)
		return rc;
	if (mkdirat(place.dir_fd, place.name, mode) == 0)
		return 1;
	return errno == EEXIST ? 0 : error_errno(err, "make folder %s", path);
}

int rootfs_remove_directory(const struct rootfs *root, const char *path, struct error *err)
{
	CLEANUP(rootfs_place_release) struct rootfs_place place = ROOTFS_PLACE_INIT;
	int rc = rootfs_locate(root, path, false, &place, err);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	if (unlinkat(place.dir_fd, place.name, AT_REMOVEDIR) == 0)
		return 1;
	if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT)
		return 0;
	return error_errno(err, "remove folder %s", path);
}
