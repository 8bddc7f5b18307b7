/* SPDX-License-Identifier: MIT */
/*
 * override_law - what becomes of one setting that an override file names, or
 * named: it is left, written, or put back.
 *
 * - A setting is in force by our doing while the text that stands there is the
 *   one that we wrote.  When it is another one, somebody else has changed it:
 *   it is theirs, our claim is dropped, and a line that still asks for another
 *   value is applied anew, with what stands there as its predecessor.
 * - What stands there as wanted when first looked at is left and remembered as
 *   found: docker-mailserver merges the override files once, at its start, and
 *   what stood there before that is not known.  When its line goes, the value
 *   stays until the pod restarts; when postern changed it in the meantime, the
 *   value that was found comes back.
 * - Every other setting gets its predecessor back, byte for byte, when its line
 *   goes, however often the line has changed before.
 * - A text that is the predecessor of what we meant to write has not been
 *   written: we were interrupted.
 */
#ifndef PATCHERS_OVERRIDE_LAW_H
#define PATCHERS_OVERRIDE_LAW_H

#include "override_record.h"

struct notes;

/* One setting as it stands and as it is wanted. */
struct override_sight {
	struct span place;
	struct span name;
	struct override_view now;    /* what stands there */
	struct override_view wanted; /* what would be written; absent: no line asks for it */
	bool as_wanted;              /* what is in force there is what the line asks for */
};

enum override_step {
	OVERRIDE_LEAVE,
	OVERRIDE_PUT,    /* in the place of what stands there, or where nothing stands */
	OVERRIDE_REMOVE, /* what stands there */
};

struct override_decision {
	enum override_step step;
	struct span text; /* to put; borrowed from the sight or from `before` */
};

/*
 * Decide, and add what is to be remembered to `after`, another record than
 * `before`; on failure it is untouched.  Notices go to notes
 * when somebody else has changed a setting of ours, warnings when a value
 * stays.  0 or -ENOMEM, -E2BIG.
 */
int override_decide(const struct override_sight *sight, const struct override_record *before,
		    struct override_decision *out, struct override_record *after,
		    struct notes *notes, struct error *err);

struct override_file_request {
	const char *place; /* the file's name for the record and for notes; without '/', and not
			      "main.cf" */
	struct override_view now;
	struct override_view wanted;
	const struct override_record *before;
};

/*
 * The same law for a whole file (dovecot.cf, which becomes
 * /etc/dovecot/local.conf): *out is what it shall hold, borrowed from the
 * request; its record is added to `after`.  0, -EINVAL with "LINE: reason" for a
 * wanted text with a NUL byte, or -ENOMEM, -E2BIG.
 */
int override_file(const struct override_file_request *request, struct override_view *out,
		  struct override_record *after, struct notes *notes, struct error *err);

#endif
