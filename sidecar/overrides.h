/* SPDX-License-Identifier: MIT */
/*
 * overrides - docker-mailserver's override files, and what postern remembers of
 * having applied them.
 *
 * The files are postfix-main.cf, postfix-master.cf and dovecot.cf in the
 * folders that settings name.  The record is a file a server in
 * HOST_WORK_DIRECTORY: what stood in a place before postern changed it.
 */
#ifndef SIDECAR_OVERRIDES_H
#define SIDECAR_OVERRIDES_H

#include "digest.h"
#include "patchers/base/buf.h"

struct error;
struct notes;
struct override_record;
struct rootfs;
struct settings;

/* The records; in the mail host's root. */
#define OVERRIDES_POSTFIX_RECORD "/run/postern/overrides-postfix"
#define OVERRIDES_DOVECOT_RECORD "/run/postern/overrides-dovecot"

enum override_name { OVERRIDE_MAIN_CF, OVERRIDE_MASTER_CF, OVERRIDE_DOVECOT_CF, OVERRIDE_COUNT };

/* Their names, ended by NULL: what counts in a folder of theirs. */
extern const char *const override_names[OVERRIDE_COUNT + 1];

struct override_source {
	bool exists;
	struct buf text;
	char *path; /* the last folder's, for messages; NULL when it does not exist */
};

struct overrides {
	struct override_source files[OVERRIDE_COUNT];
};

#define OVERRIDES_INIT                                                                             \
	{                                                                                          \
		0                                                                                  \
	}

/* A record as bytes: on disk, during the change and after it. */
struct override_record_texts {
	struct buf now, wanted, settled; /* "" for no record */
	bool exists;
};

/* Read one; none is there for a missing file. */
int override_record_texts_read(const struct rootfs *root, const char *path,
			       struct override_record_texts *texts, struct error *err);

/* What it says; -EINVAL with "FILE:LINE: reason", the file being `path`. */
int override_record_texts_parse(const struct override_record_texts *texts, const char *path,
				struct override_record *out, struct error *err);

/* `after` is to be remembered; with `stands` nothing is to be written before that is so. */
int override_record_texts_plan(struct override_record_texts *texts, struct override_record *after,
			       bool stands, struct error *err);
void override_record_texts_release(struct override_record_texts *texts);

/*
 * Read the files of all folders, each folder in one generation.  Several
 * postfix-*.cf are read one after the other, of several dovecot.cf the last one
 * counts.  A folder that others may write, and a file that can never be updated
 * (subPath), are said in notes; the first is not read.  What is missing is not
 * an error.
 */
int overrides_read(const struct rootfs *root, const struct settings *settings,
		   struct overrides *out, struct notes *notes, struct error *err);
void overrides_release(struct overrides *overrides);

/* Add what they say to a digest. */
void overrides_digest(const struct overrides *overrides, struct digest_maker *maker);

#endif
