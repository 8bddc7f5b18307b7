/* SPDX-License-Identifier: MIT */
/* bundle - a small tree of text files in one text. */
#include "bundle.h"

#include "patchers/base/error.h"
#include "patchers/dovecot_reader.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

bool bundle_add(struct bundle *bundle, const char *path, struct span text)
{
	struct bundle_file *file = &bundle->files[bundle->n_files];

	if (bundle->n_files == BUNDLE_FILES_MAX || strlen(path) >= sizeof(file->path))
		return false;
	snprintf(file->path, sizeof(file->path), "%s", path);
	file->text = text;
	bundle->n_files++;
	return true;
}

/* The path of a line "==> PATH <=="; false for any other. */
static bool read_head(struct span line, char path[BUNDLE_PATH_MAX])
{
	static const char open[] = "==> ", close[] = " <==";
	struct span body = span_trim(line, "\n");
	size_t frame = sizeof(open) + sizeof(close) - 2;

	if (!span_starts(body, open) || body.len < frame || body.len - frame >= BUNDLE_PATH_MAX ||
	    memcmp(span_end(body) - 4, close, 4) != 0)
		return false;
	snprintf(path, BUNDLE_PATH_MAX, "%.*s", (int)(body.len - frame), body.data + 4);
	return true;
}

void bundle_parse(struct span text, struct bundle *out)
{
	char path[BUNDLE_PATH_MAX] = "", next[BUNDLE_PATH_MAX];
	const char *start = NULL;
	struct span rest = text;

	out->n_files = 0;
	while (rest.len > 0) {
		struct span line = span_take_line(&rest);

		if (!read_head(line, next))
			continue;
		if (start)
			bundle_add(out, path, span_between(start, line.data));
		memcpy(path, next, sizeof(path));
		start = span_end(line);
	}
	if (start)
		bundle_add(out, path, span_between(start, span_end(text)));
}

const struct bundle_file *bundle_find(const struct bundle *bundle, const char *path)
{
	for (size_t i = 0; i < bundle->n_files; i++)
		if (strcmp(bundle->files[i].path, path) == 0)
			return &bundle->files[i];
	return NULL;
}

static int read_file(void *ctx, const char *path, struct buf *out, struct error *err)
{
	const struct bundle_file *file = bundle_find(ctx, path);

	if (!file)
		return error_code(err, -ENOENT, "open %s", path);
	buf_add(out, file->text);
	return buf_check(out, err);
}

static int compare_files(const void *a, const void *b)
{
	const struct bundle_file *const *x = a, *const *y = b;

	return strcmp((*x)->path, (*y)->path);
}

/* What matches a pattern without braces. */
static int list_plain(const struct bundle *bundle, const char *pattern, struct dovecot_paths *out,
		      struct error *err)
{
	const struct bundle_file *found[BUNDLE_FILES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < bundle->n_files; i++)
		if (fnmatch(pattern, bundle->files[i].path, FNM_PATHNAME | FNM_PERIOD) == 0)
			found[n++] = &bundle->files[i];
	qsort(found, n, sizeof(found[0]), compare_files);
	for (size_t i = 0; i < n; i++) {
		int rc = dovecot_paths_add(out, found[i]->path, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* GLOB_BRACE for the first brace of a pattern, as far as tests need it. */
static int list(void *ctx, const char *pattern, struct dovecot_paths *out, struct error *err)
{
	const char *open = strchr(pattern, '{');
	const char *close = open ? strchr(open, '}') : NULL;

	if (!close)
		return list_plain(ctx, pattern, out, err);
	for (const char *at = open + 1; at <= close;) {
		size_t n = strcspn(at, ",}");
		char one[BUNDLE_PATH_MAX * 2];
		int rc;

		snprintf(one, sizeof(one), "%.*s%.*s%s", (int)(open - pattern), pattern, (int)n, at,
			 close + 1);
		rc = list_plain(ctx, one, out, err);
		if (rc < 0)
			return rc;
		at += n + 1;
	}
	return 0;
}

struct dovecot_source bundle_source(struct bundle *bundle)
{
	return (struct dovecot_source){ .ctx = bundle, .read = read_file, .list = list };
}
