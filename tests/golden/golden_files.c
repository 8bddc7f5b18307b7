/* SPDX-License-Identifier: MIT */
/* golden_files - the files of a golden case. */
#include "golden_files.h"

#include "patchers/base/cleanup.h"
#include "patchers/diff.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static void make_path(char path[PATH_MAX], const char *directory, const char *name,
		      const char *suffix)
{
	snprintf(path, PATH_MAX, "%s/%s.%s", directory, name, suffix);
}

bool golden_read(const char *directory, const char *name, const char *suffix, struct buf *out)
{
	char path[PATH_MAX], piece[4096];
	size_t n;
	FILE *f;

	make_path(path, directory, name, suffix);
	f = fopen(path, "rb");
	if (!f)
		return false;
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_add(out, span_make(piece, n));
	fclose(f);
	return true;
}

static bool update(const char *path, struct span text)
{
	FILE *f;
	bool good;

	if (text.len == 0)
		return remove(path) == 0 || true;
	f = fopen(path, "wb");
	good = f && fwrite(text.data, 1, text.len, f) == text.len;
	if (f)
		good = fclose(f) == 0 && good;
	if (!good)
		perror(path);
	return good;
}

bool golden_compare(const char *directory, const char *name, const char *suffix, struct span got)
{
	cleanup_buf struct buf wanted = BUF_INIT;
	cleanup_buf struct buf diff = BUF_INIT;
	char path[PATH_MAX];

	make_path(path, directory, name, suffix);
	if (getenv("POSTERN_GOLDEN_UPDATE"))
		return update(path, got);
	golden_read(directory, name, suffix, &wanted);
	if (span_equal(buf_span(&wanted), got))
		return true;
	diff_unified(buf_span(&wanted), got, path, "got", &diff, NULL);
	fputs(buf_text(&diff), stderr);
	return false;
}

unsigned golden_each(const char *directory, golden_run *run, unsigned *out_n)
{
	struct dirent **entries;
	int n = scandir(directory, &entries, NULL, alphasort);
	unsigned failed = 0;

	if (n < 0)
		perror(directory);
	for (int i = 0; i < n; i++) {
		char *dot = strrchr(entries[i]->d_name, '.');

		if (dot && strcmp(dot, ".in") == 0) {
			*dot = '\0';
			++*out_n;
			if (!run(directory, entries[i]->d_name)) {
				fprintf(stderr, "golden case %s/%s failed\n", directory,
					entries[i]->d_name);
				failed++;
			}
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return failed;
}
