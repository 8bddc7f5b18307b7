/* SPDX-License-Identifier: MIT */
/* override_laws - what holds for every server file and any two override files. */
#ifndef TESTS_SUPPORT_OVERRIDE_LAWS_H
#define TESTS_SUPPORT_OVERRIDE_LAWS_H

#include "patchers/override_record.h"
#include "patchers/postfix_overrides.h"

struct notes;

/* One of the two files that overrides are applied to. */
enum override_kind { OVERRIDE_MAIN_CF, OVERRIDE_MASTER_CF };

/*
 * Read `override` and apply it to `text`, as a caller does: out is the file's
 * new text, and `record`, which went through print and parse, the new record.
 */
int override_laws_apply(enum override_kind kind, struct span text, struct span override,
			struct override_record *record, struct buf *out, struct notes *notes,
			struct error *err);

/*
 * The first law that applying `first`, then `second`, then nothing breaks, as
 * a sentence; NULL when all hold.
 */
const char *override_laws_broken(enum override_kind kind, struct span text, struct span first,
				 struct span second);

#endif
