/* SPDX-License-Identifier: MIT */
/* postfix_marks - what postfix_twins writes and postfix_strip knows again. */
#ifndef PATCHERS_POSTFIX_MARKS_H
#define PATCHERS_POSTFIX_MARKS_H

#include <stdbool.h>

struct master_cf_entry;

/* Options that only we set: on a twin, and on a stock entry in in-place mode. */
#define POSTFIX_TWIN_MARK "postern_twin_of"
#define POSTFIX_IN_PLACE_MARK "postern_in_place"

/*
 * The comment above our entries.  Only for human readers: whatever becomes of
 * these lines, no entry is kept or removed because of them.
 */
#define POSTFIX_COMMENT_FIRST                                                                      \
	"# postern(8): twins of the services above that require the PROXY protocol."
#define POSTFIX_COMMENT_SECOND                                                                     \
	"# Change the services themselves; \"postern revert\" takes these away."
/* As the third line: the text before the comment had no newline at its end. */
#define POSTFIX_COMMENT_UNENDED "# (No newline stood at the end of the file before this comment.)"

/* Before each line of an entry that `adopt` replaced. */
#define POSTFIX_ADOPTED_PREFIX "#postern-adopted#"

/*
 * Whether an option of the entry sets POSTFIX_TWIN_MARK.  One that only uses
 * it is the owner's, and so is one with a commented-out service inside, whose
 * options it took over: better a twin too many than a service too few.
 */
bool postfix_marks_entry_is_ours(const struct master_cf_entry *entry);

#endif
