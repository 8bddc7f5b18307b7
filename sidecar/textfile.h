/* SPDX-License-Identifier: MIT */
/*
 * textfile - read a file whole, with a limit; replace it so that a crash at any
 * instant leaves the old bytes or the new ones.
 *
 * Replacing follows Postfix's own update protocol (edit_file(3) in its util
 * library): an exclusive flock(2) on "<file>.tmp", the new bytes in there,
 * fsync, rename.  So `postconf -e` running at the same moment waits, and sees
 * our result, or we see its.
 */
#ifndef SIDECAR_TEXTFILE_H
#define SIDECAR_TEXTFILE_H

#include "patchers/base/buf.h"

struct error;
struct rootfs;

/* Bytes beyond which a configuration file is refused. */
#define TEXTFILE_LIMIT_BYTES (64UL * 1024 * 1024)

/*
 * Add the file's bytes to out.  -ENOENT, -EISDIR, -EFBIG beyond the limit,
 * -EINVAL for what is neither file nor folder (a FIFO, a device: never waited
 * for), or open(2)'s reason.
 */
int textfile_read(const struct rootfs *root, const char *path, struct buf *out, struct error *err);

/* As textfile_read(), from an open descriptor; `path` is for messages. */
int textfile_read_fd(int fd, struct buf *out, const char *path, struct error *err);

/* A file's content, or that there is none. */
struct textfile_content {
	bool exists;
	struct span text;
	unsigned age_s; /* how far back its time stamp is to be, when it is written */
};

enum textfile_how {
	TEXTFILE_RENAMED,  /* replaced atomically, made, or removed */
	TEXTFILE_IN_PLACE, /* bind-mounted: written over, a saved copy beside it */
};

/*
 * Make `path` hold `wanted` if it holds `expected`.  Mode, owner and extended
 * attributes stay; the target of a symbolic link is what is replaced; a new
 * file gets 0644.  Returns 0; -ESTALE when the content is not the expected one
 * (nothing is written); -ETIMEDOUT when another holds the lock for longer than
 * ten seconds; or the reason (-EROFS, -ENOSPC...), the old bytes in place.
 */
int textfile_swap(const struct rootfs *root, const char *path, struct textfile_content expected,
		  struct textfile_content wanted, enum textfile_how *out_how, struct error *err);

/*
 * Put back the saved copy that an interrupted write in place left behind.
 * 1 when it did, 0 when there is none; -EEXIST when the file was edited long
 * after, and a person has to say which of the two is right.
 */
int textfile_recover(const struct rootfs *root, const char *path, struct error *err);

#endif
