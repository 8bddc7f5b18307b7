/* SPDX-License-Identifier: MIT */
/*
 * bundle - a small tree of text files in one text, as a source for
 * dovecot_conf.  Each file begins after a line "==> PATH <=="; what stands
 * before the first such line is no file.
 */
#ifndef TESTS_SUPPORT_BUNDLE_H
#define TESTS_SUPPORT_BUNDLE_H

#include "patchers/base/span.h"

struct dovecot_source;

enum { BUNDLE_FILES_MAX = 48, BUNDLE_PATH_MAX = 256 };

struct bundle_file {
	char path[BUNDLE_PATH_MAX];
	struct span text; /* borrowed */
};

struct bundle {
	struct bundle_file files[BUNDLE_FILES_MAX];
	size_t n_files;
};

/* Borrows text.  Files beyond BUNDLE_FILES_MAX and over-long paths are left out. */
void bundle_parse(struct span text, struct bundle *out);

/* Add one file; false when there is no room. */
bool bundle_add(struct bundle *bundle, const char *path, struct span text);

/* NULL when there is none. */
const struct bundle_file *bundle_find(const struct bundle *bundle, const char *path);

/* Reads and lists as the disk would; never writes to the bundle. */
struct dovecot_source bundle_source(struct bundle *bundle);

#endif
