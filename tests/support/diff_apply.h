/* SPDX-License-Identifier: MIT */
/* diff_apply - what a strict patch(1) would make of a unified diff. */
#ifndef TESTS_SUPPORT_DIFF_APPLY_H
#define TESTS_SUPPORT_DIFF_APPLY_H

#include "patchers/base/buf.h"

/*
 * Add old_text with diff applied to out.  NULL, or what is wrong with the
 * diff: a head or hunk that cannot be read, line numbers or counts that are
 * off, context that is not there.
 */
const char *diff_apply(struct span old_text, struct span diff, struct buf *out);

#endif
