/* SPDX-License-Identifier: MIT */
/* dovecot_source - the files of a configuration of Dovecot, as they are or as they shall be. */
#ifndef PATCHERS_DOVECOT_SOURCE_H
#define PATCHERS_DOVECOT_SOURCE_H

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

struct dovecot_overlays {
	const struct dovecot_overlay *items;
	size_t n_items;
};

/* As the source's own, with the overlays in place. */
int dovecot_source_read(const struct dovecot_source *source,
			const struct dovecot_overlays *overlays, const char *path, struct buf *out,
			struct error *err);
int dovecot_source_list(const struct dovecot_source *source,
			const struct dovecot_overlays *overlays, const char *pattern,
			struct dovecot_paths *out, struct error *err);

/* Add a copy; -ENOMEM. */
int dovecot_paths_add(struct dovecot_paths *paths, const char *path, struct error *err);
void dovecot_paths_release(struct dovecot_paths *paths);

#endif
