/* SPDX-License-Identifier: MIT */
/* diff - the unified format that patch(1) reads (POSIX diff -u). */
#ifndef PATCHERS_DIFF_H
#define PATCHERS_DIFF_H

#include "base/buf.h"

struct error;

/*
 * Add the difference between two texts to out, nothing when they are equal.
 * `old_name` and `new_name` stand in its head; "/dev/null" for a file that is
 * made or removed.  Common lines at both ends are found first, and lines in
 * between by Myers' greedy algorithm; a middle that differs too much is shown
 * as replaced, which is still right.  -ENOMEM.
 */
int diff_unified(struct span old_text, struct span new_text, const char *old_name,
		 const char *new_name, struct buf *out, struct error *err);

#endif
