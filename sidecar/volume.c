/* SPDX-License-Identifier: MIT */
/* volume - read a folder of configuration as one state. */
#include "volume.h"

#include "digest.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "rootfs.h"
#include "textfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* kubelet's link to the generation in force. */
#define DATA "..data"

enum {
	LOOKS_MAX = 200,                         /* at a volume that is replaced while it is read */
	NAMES_MAX = 2 * VOLUME_DIGEST_FILES_MAX, /* of the generation, and of the folder */
	LINK_BYTES_MAX = 4096,
	FOLDER_FLAGS = O_RDONLY | O_DIRECTORY,
};

void volume_file_release(struct volume_file *file)
{
	buf_release(&file->text);
	*file = (struct volume_file)VOLUME_FILE_INIT;
}

static char *path_in(const char *dir, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static bool is_reserved(const char *name)
{
	return strncmp(name, "..", 2) == 0;
}

/* ---- one look at the folder, with the generation in force pinned ---- */

struct look {
	const struct rootfs *root;
	const char *dir;
	char *data_path;
	int dir_fd;
	int data_fd; /* -1: no volume of kubelet's */
};

#define LOOK_INIT                                                                                  \
	{                                                                                          \
		.dir_fd = -1, .data_fd = -1                                                        \
	}

static void look_release(struct look *look)
{
	if (look->dir_fd >= 0)
		close(look->dir_fd);
	if (look->data_fd >= 0)
		close(look->data_fd);
	free(look->data_path);
	*look = (struct look)LOOK_INIT;
}

/* 0; -ENOENT when there is no folder; -EAGAIN when it is just being replaced; or an error. */
static int look_open(struct look *look, const struct rootfs *root, const char *dir,
		     struct error *err)
{
	struct error why;
	struct stat st;

	*look = (struct look){ .root = root,
			       .dir = dir,
			       .data_path = path_in(dir, DATA),
			       .dir_fd = -1,
			       .data_fd = -1 };
	if (!look->data_path)
		return error_set(err, -ENOMEM, "out of memory");
	look->dir_fd = rootfs_open(root, dir, FOLDER_FLAGS, 0, &why);
	if (look->dir_fd < 0)
		return look->dir_fd == -ENOENT ? -ENOENT : error_set(err, why.code, "%s", why.msg);
	look->data_fd = rootfs_open(root, look->data_path, FOLDER_FLAGS, 0, &why);
	if (look->data_fd >= 0)
		return 0;
	if (look->data_fd != -ENOENT)
		return error_set(err, why.code, "%s", why.msg);
	/* The generation went between link and folder; or there never was a link. */
	return fstatat(look->dir_fd, DATA, &st, AT_SYMLINK_NOFOLLOW) == 0 ? -EAGAIN : 0;
}

/* Whether a path is the open folder still; -1 stands for a path that leads nowhere. */
static bool still_is(const struct look *look, const char *path, int fd)
{
	cleanup_fd int now_fd = rootfs_open(look->root, path, O_PATH | O_DIRECTORY, 0, NULL);
	struct stat then, now;

	if (fd < 0 || now_fd < 0)
		return fd < 0 && now_fd < 0;
	/* Both are open, so no number was given to a new inode. */
	return fstat(fd, &then) == 0 && fstat(now_fd, &now) == 0 && then.st_dev == now.st_dev &&
	       then.st_ino == now.st_ino;
}

/*
 * kubelet removes a generation only after another has taken its place.  So
 * when it stands now, no file had gone from it when it was read.
 */
static bool look_stands(const struct look *look)
{
	return still_is(look, look->dir, look->dir_fd) &&
	       still_is(look, look->data_path, look->data_fd);
}

/* The generation is a root of its own: no link in there leads out of it. */
static int open_in_generation(const struct look *look, const char *key, struct error *err)
{
	struct rootfs generation = { .fd = look->data_fd };
	int fd = rootfs_open_file(&generation, key, O_RDONLY, 0, err);

	/* No openat2(2) under an old seccomp profile: then no links at all. */
	if (fd == -ENOSYS || fd == -EPERM)
		fd = rootfs_open_file_at(look->data_fd, key, O_RDONLY, 0, key, err);
	return fd;
}

/* The name for a key that the generation in force has not, or not any more. */
static bool is_link_to_data(const struct look *look, const char *key)
{
	char target[LINK_BYTES_MAX];
	ssize_t n = readlinkat(look->dir_fd, key, target, sizeof(target));

	return n > 0 && span_starts(span_make(target, (size_t)n), DATA "/");
}

/* A descriptor; -ENOENT, without a message, when there is no such file; or an error. */
static int open_key(const struct look *look, const char *key, const char *path, struct error *err)
{
	struct error why;
	struct stat st;
	int fd;

	if (look->data_fd >= 0 && fstatat(look->data_fd, key, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		fd = open_in_generation(look, key, &why);
		if (fd == -ENOENT && !look_stands(look))
			return -ENOENT; /* is read anew */
		if (fd == -ENOENT)
			return error_set(err, -EXDEV, "%s: a link to nothing in its own volume",
					 path);
	} else if (look->data_fd >= 0 && is_link_to_data(look, key)) {
		return -ENOENT;
	} else {
		fd = rootfs_open_file(look->root, path, O_RDONLY, 0, &why);
		return fd >= 0 || fd == -ENOENT ? fd : error_set(err, fd, "%s", why.msg);
	}
	return fd >= 0 || fd == -ENOENT ? fd : error_set(err, fd, "%s: %s", look->dir, why.msg);
}

/* ---- reading until one state was seen from beginning to end ---- */

typedef int look_function(const struct look *look, void *ctx, struct error *err);

/* Let `take` look at the folder until the folder stood still for it.  -ENOENT: no folder. */
static int look_until_it_stands(const struct rootfs *root, const char *dir, look_function *take,
				void *ctx, struct error *err)
{
	for (int i = 0; i < LOOKS_MAX; i++) {
		CLEANUP(look_release) struct look look = LOOK_INIT;
		int rc = look_open(&look, root, dir, err);

		if (rc == 0)
			rc = take(&look, ctx, err);
		else if (rc != -EAGAIN)
			return rc;
		/* An error of a generation that is gone is none. */
		if (rc != -EAGAIN && look_stands(&look))
			return rc;
	}
	return error_set(err, -EAGAIN,
			 "%s: replaced each of the %d times it was read, or " DATA " leads nowhere",
			 dir, LOOKS_MAX);
}

/* ---- snapshot ---- */

struct snapshot {
	const char *const *keys;
	struct volume_file *files;
	size_t n;
};

static void snapshot_release(struct snapshot *snapshot)
{
	for (size_t i = 0; snapshot->files && i < snapshot->n; i++)
		volume_file_release(&snapshot->files[i]);
	free(snapshot->files);
}

static int read_file(const struct look *look, const char *key, struct volume_file *file,
		     struct error *err)
{
	cleanup_free char *path = path_in(look->dir, key);
	cleanup_fd int fd = -1;

	buf_clear(&file->text);
	file->exists = false;
	if (!path)
		return error_set(err, -ENOMEM, "out of memory");
	fd = open_key(look, key, path, err);
	if (fd == -ENOENT)
		return 0;
	file->exists = true;
	return fd < 0 ? fd : textfile_read_fd(fd, &file->text, path, err);
}

static int read_files(const struct look *look, void *ctx, struct error *err)
{
	struct snapshot *snapshot = ctx;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < snapshot->n; i++)
		rc = read_file(look, snapshot->keys[i], &snapshot->files[i], err);
	return rc;
}

static bool is_key(const char *key)
{
	return key[0] != '\0' && strcmp(key, ".") != 0 && !is_reserved(key) && !strchr(key, '/');
}

int volume_snapshot(const struct rootfs *root, const char *dir, const char *const keys[], size_t n,
		    struct volume_file files[], struct error *err)
{
	CLEANUP(snapshot_release) struct snapshot snapshot = { .keys = keys, .n = n };
	struct error why;
	int rc;

	for (size_t i = 0; i < n; i++) {
		if (!is_key(keys[i]))
			return error_set(err, -EINVAL, "\"%s\" is not the name of a file in %s",
					 keys[i], dir);
	}
	snapshot.files = calloc(n + 1, sizeof(*snapshot.files));
	if (!snapshot.files)
		return error_set(err, -ENOMEM, "out of memory");
	rc = look_until_it_stands(root, dir, read_files, &snapshot, &why);
	if (rc < 0 && rc != -ENOENT)
		return error_set(err, rc, "%s", why.msg);
	for (size_t i = 0; i < n; i++) {
		struct volume_file before = files[i];

		files[i] = snapshot.files[i];
		snapshot.files[i] = before;
	}
	return 0;
}

/* ---- digest ---- */

struct names {
	char **list;
	size_t n;
};

static void names_release(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->list[i]);
	free(names->list);
}

static void close_listing(DIR **listing)
{
	if (*listing)
		closedir(*listing);
}

/* What may turn out to be a regular file; nothing else is ever opened. */
static bool may_be_a_file(const struct dirent *entry)
{
	return !is_reserved(entry->d_name) && strcmp(entry->d_name, ".") != 0 &&
	       (entry->d_type == DT_REG || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN);
}

static int add_name(struct names *names, const char *name, const char *dir, struct error *err)
{
	char *copy;

	if (names->n == NAMES_MAX)
		return error_set(err, -E2BIG, "%s: more than %d files", dir,
				 VOLUME_DIGEST_FILES_MAX);
	copy = strdup(name);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	names->list[names->n++] = copy;
	return 0;
}

static int list_names(int folder_fd, struct names *names, const char *dir, struct error *err)
{
	CLEANUP(close_listing) DIR *listing = NULL;
	cleanup_fd int fd = openat(folder_fd, ".", FOLDER_FLAGS | O_CLOEXEC);
	const struct dirent *entry;
	int rc = 0;

	if (fd >= 0)
		listing = fdopendir(fd);
	if (!listing)
		return error_errno(err, "list %s", dir);
	(void)steal_fd(&fd);
	while (rc == 0 && (errno = 0, entry = readdir(listing)) != NULL) {
		if (may_be_a_file(entry))
			rc = add_name(names, entry->d_name, dir, err);
	}
	return rc == 0 && errno != 0 ? error_errno(err, "list %s", dir) : rc;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct sum {
	struct digest_maker maker;
	struct buf text; /* of the file in hand */
	size_t n_files, n_bytes;
};

static void sum_release(struct sum *sum)
{
	buf_release(&sum->text);
}

static int add_file(const struct look *look, const char *name, struct sum *sum, struct error *err)
{
	cleanup_free char *path = path_in(look->dir, name);
	cleanup_fd int fd = -1;
	struct stat st;
	int rc;

	if (!path)
		return error_set(err, -ENOMEM, "out of memory");
	fd = open_key(look, name, path, err);
	/* EINVAL, EISDIR: a link to what is no file */
	if (fd == -ENOENT || fd == -EINVAL || fd == -EISDIR)
		return 0;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(err, "stat %s", path);
	if (sum->n_files++ == VOLUME_DIGEST_FILES_MAX)
		return error_set(err, -E2BIG, "%s: more than %d files", look->dir,
				 VOLUME_DIGEST_FILES_MAX);
	buf_clear(&sum->text);
	if (st.st_size <= VOLUME_DIGEST_BYTES_MAX) {
		rc = textfile_read_fd(fd, &sum->text, path, err);
		if (rc < 0)
			return rc;
	}
	sum->n_bytes += st.st_size <= VOLUME_DIGEST_BYTES_MAX ? sum->text.len : (size_t)st.st_size;
	if (sum->n_bytes > VOLUME_DIGEST_BYTES_MAX)
		return error_set(err, -EFBIG, "%s: with %s more than %d MiB", look->dir, name,
				 VOLUME_DIGEST_BYTES_MAX >> 20);
	digest_add_text(&sum->maker, name);
	digest_add(&sum->maker, buf_span(&sum->text));
	return 0;
}

static int digest_files(const struct look *look, void *ctx, struct error *err)
{
	CLEANUP(names_release) struct names names = { 0 };
	CLEANUP(sum_release) struct sum sum = { .text = BUF_INIT };
	struct digest *out = ctx;
	int rc = 0;

	names.list = calloc(NAMES_MAX, sizeof(*names.list));
	if (!names.list)
		return error_set(err, -ENOMEM, "out of memory");
	if (look->data_fd >= 0)
		rc = list_names(look->data_fd, &names, look->dir, err);
	if (rc == 0)
		rc = list_names(look->dir_fd, &names, look->dir, err);
	qsort(names.list, names.n, sizeof(*names.list), compare_names);
	digest_start(&sum.maker);
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		if (i == 0 || strcmp(names.list[i - 1], names.list[i]) != 0)
			rc = add_file(look, names.list[i], &sum, err);
	}
	if (rc == 0)
		digest_finish(&sum.maker, out);
	return rc;
}

int volume_digest(const struct rootfs *root, const char *dir, struct digest *out, struct error *err)
{
	struct digest sum = DIGEST_NONE;
	struct error why;
	int rc = look_until_it_stands(root, dir, digest_files, &sum, &why);

	if (rc < 0 && rc != -ENOENT)
		return error_set(err, rc, "%s", why.msg);
	*out = rc == 0 ? sum : (struct digest)DIGEST_NONE;
	return 0;
}

/* ---- what cannot change ---- */

static bool is_mount_of_its_own(int fd)
{
	struct statx stx;

	return statx(fd, "", AT_EMPTY_PATH, 0, &stx) == 0 &&
	       (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/*
 * What the path names now, with its state.  A file whose last name is gone is
 * asked for twice: it may have been kubelet's removing an old generation.
 */
static int open_named(const struct rootfs *root, const char *path, struct stat *out,
		      struct error *err)
{
	ino_t unnamed = 0;

	for (int i = 0; i < LOOKS_MAX; i++) {
		cleanup_fd int fd = rootfs_open(root, path, O_PATH, 0, err);

		if (fd < 0)
			return fd;
		if (fstat(fd, out) < 0)
			return error_errno(err, "stat %s", path);
		if (out->st_nlink > 0 || out->st_ino == unnamed)
			return steal_fd(&fd);
		unnamed = out->st_ino;
	}
	return error_set(err, -EAGAIN, "%s: replaced each of the %d times it was looked at", path,
			 LOOKS_MAX);
}

int volume_stale(const struct rootfs *root, const char *dir, const char *key, struct buf *reason,
		 struct error *err)
{
	cleanup_free char *path = path_in(dir, key);
	cleanup_fd int fd = -1;
	struct error why;
	struct stat st;

	if (!path)
		return error_set(err, -ENOMEM, "out of memory");
	fd = open_named(root, path, &st, &why);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return error_set(err, fd, "%s", why.msg);
	if (st.st_nlink == 0)
		buf_add_format(reason,
			       "%s is mounted as a single file (subPath, or one file bound into "
			       "the container), and what it was mounted from has been replaced: "
			       "it keeps its old text until the container restarts; mount the "
			       "ConfigMap, or the file's folder, as a folder instead",
			       path);
	else if (is_mount_of_its_own(fd))
		buf_add_format(reason,
			       "%s is mounted as a single file (subPath, or one file bound into "
			       "the container): a new version of it never arrives here; mount "
			       "the ConfigMap, or the file's folder, as a folder instead",
			       path);
	else
		return 0;
	return buf_check(reason, err) < 0 ? -ENOMEM : 1;
}

void volume_note_stale(const struct rootfs *root, const char *dir, const char *key,
		       struct notes *notes)
{
	cleanup_buf struct buf reason = BUF_INIT;

	if (volume_stale(root, dir, key, &reason, NULL) == 1)
		notes_add(notes, NOTE_WARNING, "%s", buf_text(&reason));
}
