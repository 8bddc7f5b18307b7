/* SPDX-License-Identifier: MIT */
/*
 * volume - read a folder of configuration as one state: a mounted ConfigMap or
 * Secret, or a plain folder.
 *
 * kubelet (pkg/volume/util/atomic_writer.go) writes the files of a volume into
 * a new folder "..<time>", renames a link "..data" to it into place, and
 * removes the folder before.  The names that people see are links
 * "key -> ..data/key"; two of them read one after the other can come from two
 * generations.  Here "..data" is opened once and every key is read through
 * that descriptor; when "..data" names another folder afterwards, or the
 * folder was replaced as a whole, everything is read anew.
 *
 * A plain file that is written in place has no such protection: whoever
 * watches it is told when the writer has closed it (folder_watch).
 *
 * Paths are those of the mail host; no link leads out of its root, nor a link
 * in a generation out of that generation.
 */
#ifndef SIDECAR_VOLUME_H
#define SIDECAR_VOLUME_H

#include "patchers/base/buf.h"

#include <stdbool.h>

struct digest;
struct error;
struct notes;
struct rootfs;

/* In one digest: files, and bytes of all together. */
enum { VOLUME_DIGEST_FILES_MAX = 1024, VOLUME_DIGEST_BYTES_MAX = 16 * 1024 * 1024 };

struct volume_file {
	bool exists;
	struct buf text;
};

#define VOLUME_FILE_INIT { .exists = false, .text = BUF_INIT }

void volume_file_release(struct volume_file *file);

/*
 * Read the files `keys` of the folder `dir`, all of one generation, into
 * files[], which are initialised and whose content before is released.  A key
 * is one name, without "/", and does not begin with "..".  A key that the
 * generation lacks is looked for beside it: a file mounted on its own, or one
 * that another program made.  A folder that is not there holds no file.
 *
 * -EAGAIN when the volume was replaced each time it was read (a change that is
 * still to be told of); -EISDIR, -EFBIG (TEXTFILE_LIMIT_BYTES), -EINVAL for a
 * FIFO or a device, as textfile_read(), and -EXDEV for a link out of the
 * generation: the message names the file.
 */
int volume_snapshot(const struct rootfs *root, const char *dir, const char *const keys[], size_t n,
		    struct volume_file files[], struct error *err);

/*
 * The digest of the names and contents of all regular files that stand in the
 * folder, of one generation as above; not of what is in its sub-folders, nor
 * of names that begin with "..".  DIGEST_NONE when there is no such folder.
 * -E2BIG and -EFBIG beyond the limits, or as volume_snapshot().
 */
int volume_digest(const struct rootfs *root, const char *dir, struct digest *out,
		  struct error *err);

/*
 * Whether the file can never change by being replaced, as kubelet and most
 * programs do it: it is a mount of its own (a subPath, a file that was bound
 * into the container), whose source may be gone already (no name is left for
 * its inode).  1, and a sentence with the cure added to reason; or 0, also
 * when there is no such file.
 */
int volume_stale(const struct rootfs *root, const char *dir, const char *key, struct buf *reason,
		 struct error *err);

/* The same, as a warning in notes. */
void volume_note_stale(const struct rootfs *root, const char *dir, const char *key,
		       struct notes *notes);

#endif
