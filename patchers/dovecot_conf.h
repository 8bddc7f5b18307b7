/* SPDX-License-Identifier: MIT */
/*
 * dovecot_conf - Dovecot's configuration, as dovecot_reader.h reads it.
 *
 * Every file that is included, in order, becomes one flat list of settings
 * under their full path ("service/imap-login/inet_listener/imap/port").  Later
 * settings of a path replace earlier ones, sections of one name are merged.
 */
#ifndef PATCHERS_DOVECOT_CONF_H
#define PATCHERS_DOVECOT_CONF_H

#include "base/buf.h"

struct error;

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

/*
 * For the reader, which adds in the order of reading: copies of the texts, the
 * replacement of a place as its own, also on failure.  -ENOMEM; -E2BIG for too
 * many files.
 */
int dovecot_conf_add_file(struct dovecot_conf *conf, const char *path, size_t *out,
			  struct error *err);
int dovecot_conf_add_setting(struct dovecot_conf *conf, const char *prefix, struct span key,
			     struct span value, size_t file, unsigned line, struct error *err);
int dovecot_conf_add_place(struct dovecot_conf *conf, size_t index, struct dovecot_place place,
			   struct error *err);
int dovecot_conf_add_child(struct dovecot_conf *conf, size_t file, struct error *err);
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
