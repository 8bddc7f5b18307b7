/* SPDX-License-Identifier: MIT */
/*
 * dovecot_conf - read Dovecot's configuration as doveconf(1) does, 2.3 and 2.4.
 *
 * Every file that is included, in order, becomes one flat list of settings
 * under their full path ("service/imap-login/inet_listener/imap/port").  Later
 * settings of a path replace earlier ones, sections of one name are merged.
 * Files come through a struct dovecot_source, so that a candidate can be read
 * as if it were in place.
 */
#ifndef PATCHERS_DOVECOT_CONF_H
#define PATCHERS_DOVECOT_CONF_H

#include "base/buf.h"

struct error;

struct dovecot_paths {
	char **items; /* owned */
	size_t n_items;
};

/* Where files come from: the disk, or a table in a test. */
struct dovecot_source {
	void *ctx;
	/* Add the file's bytes to out.  A directory reads as nothing. */
	int (*read)(void *ctx, const char *path, struct buf *out, struct error *err);
	/* The existing paths that match a glob(7) pattern with braces, sorted. */
	int (*list)(void *ctx, const char *pattern, struct dovecot_paths *out, struct error *err);
};

/* A file as it shall be, whatever the source says of it. */
struct dovecot_overlay {
	const char *path;
	const struct buf *text; /* NULL: it shall not exist */
};

struct dovecot_setting {
	char *path;  /* owned; components joined by '/' */
	char *value; /* owned; quotes removed, not expanded */
	size_t file; /* index into files */
	unsigned line;
};

/* A line that means something else when the file is read from elsewhere. */
struct dovecot_place {
	struct span line; /* physical lines in the file's text, without the newline */
	bool is_include;
	size_t first_child; /* include: indices into children */
	size_t n_children;
	char *replacement; /* else: the same line with an absolute path; owned */
};

struct dovecot_file {
	char *path;
	struct buf text;
	struct dovecot_place *places;
	size_t n_places;
};

struct dovecot_conf {
	struct dovecot_file *files; /* one for each time a file is read */
	size_t n_files;
	size_t *children; /* file indices, see struct dovecot_place */
	size_t n_children;
	struct dovecot_setting *settings;
	size_t n_settings;
};

void dovecot_paths_release(struct dovecot_paths *paths);
int dovecot_paths_add(struct dovecot_paths *paths, const char *path, struct error *err);

/*
 * Read `main_path` and all it includes.  -EINVAL with file, line and text for
 * what doveconf(1) refuses as syntax; -ENOENT for an include that matches
 * nothing; -ELOOP; -ENOMEM; or what the source returned.  *out is untouched on
 * failure; release with dovecot_conf_release().
 */
int dovecot_conf_read(const struct dovecot_source *source, const char *main_path,
		      const struct dovecot_overlay *overlays, size_t n_overlays,
		      struct dovecot_conf *out, struct error *err);
void dovecot_conf_release(struct dovecot_conf *conf);

/* The setting in force for a path, or NULL when nothing sets it.  Borrowed. */
const struct dovecot_setting *dovecot_conf_find(const struct dovecot_conf *conf, const char *path);

/* Its value, or `otherwise`. */
const char *dovecot_conf_get(const struct dovecot_conf *conf, const char *path,
			     const char *otherwise);

/* Whether a value means yes: "yes", "y", "1" in any case (2.3 and 2.4). */
bool dovecot_conf_is_yes(const char *value);

/*
 * Add the text of file `index` to out with its includes pointing at
 * "<directory>/<file index>.conf" and relative file values made absolute, so
 * that copies of all files in `directory` mean what the originals do.
 */
void dovecot_conf_relocate(const struct dovecot_conf *conf, size_t index, const char *directory,
			   struct buf *out);

#endif
