/* SPDX-License-Identifier: MIT */
/*
 * rootfs - files of the mail host: this one, or the one under --root.
 *
 * Every path is resolved as if the root were "/" (openat2(2) with
 * RESOLVE_IN_ROOT): no symbolic link in there leads out.
 */
#ifndef SIDECAR_ROOTFS_H
#define SIDECAR_ROOTFS_H

#include <stdbool.h>
#include <sys/types.h>

struct error;

struct rootfs {
	int fd;
	char *path; /* "/" for this host */
};

#define ROOTFS_INIT { .fd = -1 }

/* -ENOENT and so on when `path` is no directory; release with rootfs_release(). */
int rootfs_init(struct rootfs *root, const char *path, struct error *err);
void rootfs_release(struct rootfs *root);

/* Whether this is the root that the process itself has. */
bool rootfs_is_own(const struct rootfs *root);

/* open(2) inside the root, always close-on-exec.  A descriptor or a negative errno. */
int rootfs_open(const struct rootfs *root, const char *path, int flags, mode_t mode,
		struct error *err);

/*
 * The same for a regular file.  Anything else is told from its folder and never
 * opened: a FIFO waits, and a device may act.  -EISDIR; -ELOOP for a link, with
 * O_NOFOLLOW; -EINVAL for what is neither file nor folder, and for what the
 * kernel makes up as it is read (in /proc, /sys): it may be of another process.
 */
int rootfs_open_file(const struct rootfs *root, const char *path, int flags, mode_t mode,
		     struct error *err);

/* The same in a folder, never through a link; `path` is for messages. */
int rootfs_open_file_at(int dir_fd, const char *name, int flags, mode_t mode, const char *path,
			struct error *err);

/*
 * Whether a path exists (any kind): 1, 0, or what kept us from finding out.  A
 * link that leads nowhere or in a circle, or a folder that is none or shut, is 0.
 */
int rootfs_exists(const struct rootfs *root, const char *path, struct error *err);

/* Whether a negative errno says that nothing is there, for whoever has to take it so. */
bool rootfs_is_absent(int rc);

/* A directory entry, symbolic links of the last component followed. */
struct rootfs_place {
	int dir_fd;
	char *path;       /* full path inside the root */
	const char *name; /* last component, points into path */
};

#define ROOTFS_PLACE_INIT { .dir_fd = -1 }

/*
 * Where a file is or would be made: the folder must exist.  With `follow`, a
 * symbolic link leads to its target, 40 of them at most (-ELOOP).
 */
int rootfs_locate(const struct rootfs *root, const char *path, bool follow,
		  struct rootfs_place *out, struct error *err);
void rootfs_place_release(struct rootfs_place *place);

/* Make a folder unless it is there.  1 made, 0 was there, or an error. */
int rootfs_make_directory(const struct rootfs *root, const char *path, mode_t mode,
			  struct error *err);

/* Remove an empty folder.  1 removed, 0 when it is not empty or not there. */
int rootfs_remove_directory(const struct rootfs *root, const char *path, struct error *err);

#endif
