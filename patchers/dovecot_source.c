/* SPDX-License-Identifier: MIT */
/* dovecot_source - the files of a configuration of Dovecot. */
#include "dovecot_source.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>

enum { PATTERNS_MAX = 4096 };

void dovecot_paths_release(struct dovecot_paths *paths)
{
	for (size_t i = 0; i < paths->n_items; i++)
		free(paths->items[i]);
	free(paths->items);
	*paths = (struct dovecot_paths){ 0 };
}

int dovecot_paths_add(struct dovecot_paths *paths, const char *path, struct error *err)
{
	char **items = reallocarray(paths->items, paths->n_items + 1, sizeof(*items));
	char *copy = strdup(path);

	if (items)
		paths->items = items;
	if (!items || !copy) {
		free(copy);
		return error_set(err, -ENOMEM, "out of memory");
	}
	items[paths->n_items++] = copy;
	return 0;
}

static const struct dovecot_overlay *find_overlay(const struct dovecot_overlays *overlays,
						  const char *path)
{
	for (size_t i = 0; i < overlays->n_items; i++)
		if (strcmp(overlays->items[i].path, path) == 0)
			return &overlays->items[i];
	return NULL;
}

int dovecot_source_read(const struct dovecot_source *source,
			const struct dovecot_overlays *overlays, const char *path, struct buf *out,
			struct error *err)
{
	const struct dovecot_overlay *overlay = find_overlay(overlays, path);

	if (!overlay)
		return source->read(source->ctx, path, out, err);
	if (!overlay->text)
		return error_code(err, -ENOENT, "open %s", path);
	buf_add(out, buf_span(overlay->text));
	return buf_check(out, err);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- braces, as glob(3) with GLOB_BRACE has them; fnmatch(3) knows none ---- */

/* The first that no backslash takes its meaning from; NULL for none. */
static const char *find_open_brace(const char *p)
{
	for (; *p && *p != '{'; p++)
		if (*p == '\\' && p[1] != '\0')
			p++;
	return *p ? p : NULL;
}

/* Where an alternative ends: at its ',' or at the '}' of its group; NULL when that lacks. */
static const char *find_end(const char *p)
{
	unsigned level = 0;

	for (; *p; p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '{')
			level++;
		else if ((*p == ',' || *p == '}') && level == 0)
			return p;
		else if (*p == '}')
			level--;
	}
	return NULL;
}

static const char *find_close_brace(const char *p)
{
	const char *end = find_end(p);

	while (end && *end == ',')
		end = find_end(end + 1);
	return end;
}

/*
 * 1, 0, or -ENOMEM.  `budget` bounds how many patterns the braces make: the source
 * has refused more.
 */
static int matches(const char *pattern, const char *path, unsigned *budget, struct error *err)
{
	const char *open = find_open_brace(pattern);
	const char *close = open ? find_close_brace(open + 1) : NULL;
	int rc = 0;

	if (*budget == 0)
		return 0;
	(*budget)--;
	if (!close) /* one that is not closed is a brace */
		return fnmatch(pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0;
	for (const char *from = open + 1, *end; rc == 0 && from <= close; from = end + 1) {
		cleanup_buf struct buf one = BUF_INIT;

		end = find_end(from);
		buf_add(&one, span_between(pattern, open));
		buf_add(&one, span_between(from, end));
		buf_add_text(&one, close + 1);
		rc = buf_check(&one, err);
		if (rc == 0)
			rc = matches(buf_text(&one), path, budget, err);
	}
	return rc;
}

/* Make the list say what it would if the overlays were in place. */
static int apply_overlays(const struct dovecot_overlays *overlays, const char *pattern,
			  struct dovecot_paths *paths, struct error *err)
{
	for (size_t i = 0; i < overlays->n_items; i++) {
		const struct dovecot_overlay *overlay = &overlays->items[i];
		unsigned budget = PATTERNS_MAX;
		size_t at = 0;
		int rc;

		while (at < paths->n_items && strcmp(paths->items[at], overlay->path) != 0)
			at++;
		if (at < paths->n_items && !overlay->text) {
			free(paths->items[at]);
			memmove(&paths->items[at], &paths->items[at + 1],
				(paths->n_items - at - 1) * sizeof(*paths->items));
			paths->n_items--;
		} else if (at == paths->n_items && overlay->text) {
			rc = matches(pattern, overlay->path, &budget, err);
			if (rc > 0)
				rc = dovecot_paths_add(paths, overlay->path, err);
			if (rc < 0)
				return rc;
			if (paths->n_items > 0)
				qsort(paths->items, paths->n_items, sizeof(*paths->items),
				      compare_paths);
		}
	}
	return 0;
}

int dovecot_source_list(const struct dovecot_source *source,
			const struct dovecot_overlays *overlays, const char *pattern,
			struct dovecot_paths *out, struct error *err)
{
	int rc = source->list(source->ctx, pattern, out, err);

	return rc < 0 ? rc : apply_overlays(overlays, pattern, out, err);
}
