/* SPDX-License-Identifier: MIT */
/* watching - a folder_watch over a sandbox, for the tests of folder_watch. */
#include "watching.h"

#include <stdio.h>

enum { REQUESTS_MAX = 16 };

int watching_set_up(void **state)
{
	struct watching *w = calloc(1, sizeof(*w));
	void *s = NULL;
	struct error err;

	assert_non_null(w);
	assert_int_equal(sandbox_set_up(&s), 0);
	w->s = s;
	if (folder_watch_init(&w->watch, &err) < 0)
		fail_msg("%s", err.msg);
	*state = w;
	return 0;
}

int watching_tear_down(void **state)
{
	struct watching *w = *state;
	void *s = w->s;

	folder_watch_release(&w->watch);
	sandbox_tear_down(&s);
	free(w);
	return 0;
}

void watching_set_requests(struct watching *w, size_t n, const struct folder_request requests[])
{
	struct error err;

	w->n = n;
	if (folder_watch_set(&w->watch, requests, n, &err) < 0)
		fail_msg("%s", err.msg);
}

void watching_set(struct watching *w, size_t n, const char *const paths[])
{
	struct folder_request requests[REQUESTS_MAX];

	assert_true(n <= REQUESTS_MAX);
	for (size_t i = 0; i < n; i++)
		requests[i] = (struct folder_request){ .root = &w->s->root, .path = paths[i] };
	watching_set_requests(w, n, requests);
}

static void assert_taken(struct watching *w, int result, const char *requests)
{
	cleanup_buf struct buf touched = BUF_INIT;

	for (size_t i = 0; i < w->n; i++) {
		if (folder_watch_take(&w->watch, i))
			buf_add_format(&touched, "%s%zu", touched.len > 0 ? " " : "", i);
		assert_false(folder_watch_take(&w->watch, i));
	}
	unit_assert_span(buf_span(&touched), span_from(requests));
	assert_int_equal(result, touched.len > 0);
}

void watching_assert_touched(struct watching *w, const char *requests)
{
	struct error err = { 0 };
	int rc = folder_watch_read(&w->watch, &err);

	if (rc < 0)
		fail_msg("%s", err.msg);
	assert_taken(w, rc, requests);
}

void watching_assert_renewed(struct watching *w, const char *requests)
{
	assert_taken(w, folder_watch_renew(&w->watch), requests);
}

void watching_assert_counts(const struct watching *w, size_t watches, size_t deaf)
{
	struct folder_watch_counts counts;
	char path[64], line[256];
	size_t in_kernel = 0;
	FILE *info;

	folder_watch_count(&w->watch, &counts);
	assert_int_equal(counts.watches, watches);
	assert_int_equal(counts.deaf, deaf);
	/* What the kernel says of the descriptor: a line for each watch. */
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", folder_watch_fd(&w->watch));
	info = fopen(path, "re");
	assert_non_null(info);
	while (fgets(line, sizeof(line), info))
		in_kernel += strncmp(line, "inotify wd:", 11) == 0;
	fclose(info);
	assert_int_equal(in_kernel, watches);
}
