/* SPDX-License-Identifier: MIT */
/*
 * notes - remarks that a pure function makes on its way: what it left out and
 * why, what looks wrong and is not fatal.  The caller decides where they go.
 */
#ifndef PATCHERS_BASE_NOTES_H
#define PATCHERS_BASE_NOTES_H

#include <stdbool.h>
#include <stddef.h>

enum note_level { NOTE_NOTICE, NOTE_WARNING };

struct note {
	enum note_level level;
	char *text; /* owned */
};

struct notes {
	struct note *items;
	size_t n_items;
};

#define NOTES_INIT { 0 }

/*
 * Add a remark; one that stands there already is not added again.  When
 * memory has run out the remark is lost: notes never make a caller fail.
 */
void notes_add(struct notes *notes, enum note_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

void notes_release(struct notes *notes);

#endif
