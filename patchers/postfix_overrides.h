/* SPDX-License-Identifier: MIT */
/*
 * postfix_overrides - docker-mailserver's postfix-main.cf and postfix-master.cf
 * over a main.cf and a master.cf.
 *
 * docker-mailserver applies them once, at its start: it appends postfix-main.cf
 * to main.cf and puts what "postconf -n" makes of it into its place; it gives
 * each line of postfix-master.cf that begins with a digit or a lower-case
 * letter to "postconf -P".  Here they are applied to the text, with the same
 * effect, and a line that is taken out is undone (override_law.h).
 *
 * Two steps, so that messages name the right file: the override file is read
 * and judged by itself, then the server's file is edited.
 */
#ifndef PATCHERS_POSTFIX_OVERRIDES_H
#define PATCHERS_POSTFIX_OVERRIDES_H

#include "base/buf.h"

struct error;
struct notes;
struct override_record;

/* One line of an override file. */
struct postfix_override {
	struct span service; /* empty in postfix-main.cf */
	struct span type;    /* "*" for every type */
	struct span name;
	struct span value; /* trimmed, on one line, with one blank for any white space */
	unsigned line;
};

struct postfix_overrides {
	struct postfix_override *items; /* in the file's order: a later one wins */
	size_t n_items;
	struct buf storage; /* of all texts */
};

#define POSTFIX_OVERRIDES_INIT                                                                     \
	{                                                                                          \
		0                                                                                  \
	}

/* More settings in a file, or more bytes in a setting, are refused. */
enum { POSTFIX_OVERRIDES_MAX = 1000, POSTFIX_OVERRIDE_BYTES_MAX = 65536 };

/*
 * Read postfix-main.cf; an empty text is no overrides.  -EINVAL with
 * "LINE: reason" for a line without '=' or with a name that is none, for a
 * control character, for a continuation of nothing, and for what is beyond the
 * limits; -ENOMEM.  *out is untouched on failure; release it with
 * postfix_overrides_release().
 */
int postfix_overrides_read_main(struct span text, struct postfix_overrides *out, struct error *err);

/*
 * Read postfix-master.cf in the same way.  What docker-mailserver passes over
 * goes to notes: a line that begins with neither a digit nor a lower-case
 * letter, and with a warning what "postconf -P" refuses (a line that is not
 * SERVICE/TYPE/NAME=VALUE, or blanks in its value) and braces that do not match,
 * which postconf takes and master(8) does not.
 */
int postfix_overrides_read_master(struct span text, struct postfix_overrides *out,
				  struct notes *notes, struct error *err);

void postfix_overrides_release(struct postfix_overrides *overrides);

struct postfix_overrides_request {
	struct span text;                          /* of main.cf or of master.cf */
	const struct postfix_overrides *overrides; /* none: there is no such file */
	const struct override_record *before;
};

/*
 * Add main.cf with the overrides in force to out.  A parameter's last
 * assignment is replaced where it stands; one that is not set is added at the
 * end.  The record's items for "main.cf" are taken over into `after`, which is
 * another record than `before`; others are not looked at.  -EINVAL with
 * "LINE: reason" for a main.cf with a NUL byte, and for a record whose texts
 * are no settings; -E2BIG; -ENOMEM.  out and `after` are untouched on failure.
 */
int postfix_overrides_main(const struct postfix_overrides_request *request, struct buf *out,
			   struct override_record *after, struct notes *notes, struct error *err);

/*
 * Add master.cf with the overrides in force to out, in the same way: an
 * entry's last -o for the name is replaced, or one is added after its last
 * option; of several entries for a service the last, which Postfix uses, is
 * edited.  Items of the record belong here when their place has a '/'.
 *
 * The text has nothing of postern's in it: give what postfix_twins_strip()
 * makes, and plan the twins on the result, so that they follow and options
 * that in-place mode adds stay last.  A service that is not there, or that is
 * a twin, is a warning.  -EINVAL, with the line of master.cf, also for one that
 * master(8) would refuse, and for an entry that has no place for an option.
 */
int postfix_overrides_master(const struct postfix_overrides_request *request, struct buf *out,
			     struct override_record *after, struct notes *notes, struct error *err);

#endif
