/* SPDX-License-Identifier: MIT */
/* name_list - names of files, ended by NULL; no list at all stands for every name. */
#ifndef SIDECAR_NAME_LIST_H
#define SIDECAR_NAME_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A list that is owned, to be read. */
static inline const char *const *name_list_view(char *const *owned)
{
	union {
		char *const *in;
		const char *const *out;
	} alias = { .in = owned };

	return alias.out;
}

/* 0 for no list. */
size_t name_list_count(const char *const *list);

/* Whether it is one of them; every name is one of no list. */
bool name_list_has(const char *const *list, const char *name);

/* The same names in the same order, or both no list. */
bool name_list_equal(const char *const *a, const char *const *b);

/* False when memory has run out; then *out is NULL.  Release with name_list_release(). */
bool name_list_copy(const char *const *list, char ***out);

/* Add a copy, unless it is there; false when memory has run out. */
bool name_list_add(char ***list, const char *name);

void name_list_release(char **list);

#endif
