/* SPDX-License-Identifier: MIT */
/* name_list - names of files, ended by NULL. */
#include "name_list.h"

#include <stdlib.h>
#include <string.h>

size_t name_list_count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

bool name_list_has(const char *const *list, const char *name)
{
	if (!list)
		return true;
	while (*list && strcmp(*list, name) != 0)
		list++;
	return *list != NULL;
}

bool name_list_equal(const char *const *a, const char *const *b)
{
	if (!a || !b)
		return !a && !b;
	while (*a && *b && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return !*a && !*b;
}

bool name_list_copy(const char *const *list, char ***out)
{
	size_t n = name_list_count(list);
	char **copy;

	*out = NULL;
	if (!list)
		return true;
	copy = calloc(n + 1, sizeof(*copy));
	if (!copy)
		return false;
	for (size_t i = 0; i < n; i++) {
		copy[i] = strdup(list[i]);
		if (!copy[i]) {
			name_list_release(copy);
			return false;
		}
	}
	*out = copy;
	return true;
}

bool name_list_add(char ***list, const char *name)
{
	size_t n = name_list_count(name_list_view(*list));
	char **longer;

	if (name_list_has(name_list_view(*list), name))
		return true;
	longer = reallocarray(*list, n + 2, sizeof(*longer));
	if (!longer)
		return false;
	*list = longer;
	longer[n] = strdup(name);
	longer[n + 1] = NULL;
	return longer[n] != NULL;
}

void name_list_release(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}
