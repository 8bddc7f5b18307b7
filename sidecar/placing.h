/* SPDX-License-Identifier: MIT */
/*
 * placing - a program or script put under a name of a folder, whole or not at all.
 *
 * It is made beside its name first, which takes all the room that it needs, and
 * renamed then.  So several can be made ready, and none is put in place when
 * there is no room for one of them.  Unlike textfile, which edits what others
 * own, a link under the name is replaced itself, and what is put is executable.
 */
#ifndef SIDECAR_PLACING_H
#define SIDECAR_PLACING_H

#include "patchers/base/span.h"

#include <stdbool.h>

struct buf;
struct error;
struct rootfs;

/* A folder that nobody else puts anything into by these functions meanwhile. */
struct placing_folder {
	int fd; /* its lock is held by this */
	const char *path;
};

#define PLACING_FOLDER_INIT                                                                        \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * Open it, lock it, take away what a killed process left half made.  `path` must
 * outlive it.  -ENOENT, -ENOTDIR; -ETIMEDOUT when another holds the lock for
 * longer than ten seconds.
 */
int placing_folder_open(const struct rootfs *root, const char *path, struct placing_folder *out,
			struct error *err);

/* What was put in place is on disk from then on, should the machine crash. */
void placing_folder_sync(const struct placing_folder *folder);
void placing_folder_release(struct placing_folder *folder);

enum { PLACING_TEMP_BYTES = 40 };

/* One file that is made ready. */
struct placing {
	const struct placing_folder *folder;
	const char *name;
	char temp[PLACING_TEMP_BYTES]; /* "": nothing is to be put in place */
};

#define PLACING_INIT                                                                               \
	{                                                                                          \
		0                                                                                  \
	}

/*
 * Make ready that `name` holds these bytes with mode 0755.  1, or 0 when it does
 * so already; -EISDIR when a folder has the name; or the reason, and nothing is
 * left.  `folder` and `name` must outlive *out.
 */
int placing_prepare(const struct placing_folder *folder, const char *name, struct span bytes,
		    struct placing *out, struct error *err);

/* Put in place what is ready: 1, or 0 when nothing is. */
int placing_commit(struct placing *p, struct error *err);

/* What is ready and not in place goes. */
void placing_release(struct placing *p);

/*
 * Add the bytes of a file to out.  1, or 0 when there is no regular file of that
 * name, but a link, or nothing.
 */
int placing_read(const struct placing_folder *folder, const char *name, struct buf *out,
		 struct error *err);

/* err for what failed with `name`, by errno, which it returns. */
int placing_error(const struct placing_folder *folder, const char *what, const char *name,
		  struct error *err);

#endif
