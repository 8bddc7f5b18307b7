/* SPDX-License-Identifier: MIT */
/* notes - remarks that a pure function makes on its way. */
#include "notes.h"

#include "cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void notes_add(struct notes *notes, enum note_level level, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	struct note *items;
	va_list ap;
	int n;

	if (!notes)
		return;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL; /* undefined after a failed vasprintf(3) */
		return;
	}
	for (size_t i = 0; i < notes->n_items; i++)
		if (strcmp(notes->items[i].text, text) == 0)
			return;
	items = realloc(notes->items, (notes->n_items + 1) * sizeof(*items));
	if (!items)
		return;
	notes->items = items;
	items[notes->n_items++] = (struct note){ .level = level, .text = steal_pointer(&text) };
}

void notes_release(struct notes *notes)
{
	for (size_t i = 0; i < notes->n_items; i++)
		free(notes->items[i].text);
	free(notes->items);
	*notes = (struct notes)NOTES_INIT;
}
