/* SPDX-License-Identifier: MIT */
/*
 * diff - the unified format that patch(1) reads (POSIX diff -u).
 *
 * E. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986): the
 * furthest reaching path on each diagonal for a growing number of edits, kept
 * for every round so that the path can be walked back.
 */
#include "diff.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <errno.h>

/* Edits beyond which the middle is shown as replaced: bounds time and memory. */
enum { EDITS_MAX = 1000, CONTEXT_LINES = 3 };

struct lines {
	struct span *items;
	size_t n;
};

/* One line of the result: ' ' both, '-' old only, '+' new only. */
struct step {
	char kind;
	struct span line;
};

struct script {
	struct step *items;
	size_t n;
	size_t cap;
};

static int split(struct span text, struct lines *out)
{
	struct span rest = text;
	size_t n = 1;

	for (size_t i = 0; i < text.len; i++)
		n += text.data[i] == '\n';
	out->items = calloc(n, sizeof(*out->items));
	if (!out->items)
		return -ENOMEM;
	while (rest.len > 0)
		out->items[out->n++] = span_take_line(&rest);
	return 0;
}

static void lines_release(struct lines *lines)
{
	free(lines->items);
}

static void script_release(struct script *script)
{
	free(script->items);
}

static void add_step(struct script *script, char kind, struct span line)
{
	script->items[script->n++] = (struct step){ .kind = kind, .line = line };
}

/* The rounds of the search: round d has 2d + 1 diagonals. */
struct search {
	const struct span *a, *b;
	long n, m;
	long *rounds[EDITS_MAX + 1];
	long n_rounds;
};

static void search_release(struct search *s)
{
	for (long d = 0; d < s->n_rounds; d++)
		free(s->rounds[d]);
}

static long x_at(const struct search *s, long d, long k)
{
	if (d < 0 || k < -d || k > d)
		return -1;
	return s->rounds[d][k + d];
}

/* 1 when the end was reached, 0 when it is too far away, -ENOMEM. */
static int run_search(struct search *s)
{
	for (long d = 0; d <= EDITS_MAX; d++) {
		s->rounds[d] = calloc((size_t)(2 * d + 1), sizeof(long));
		if (!s->rounds[d])
			return -ENOMEM;
		s->n_rounds = d + 1;
		for (long k = -d; k <= d; k += 2) {
			long down = x_at(s, d - 1, k + 1), right = x_at(s, d - 1, k - 1) + 1;
			long x = d == 0 ? 0 : (k == -d || (k != d && right <= down)) ? down : right;

			if (x > s->n)
				x = s->n;
			while (x < s->n && x - k < s->m && x - k >= 0 &&
			       span_equal(s->a[x], s->b[x - k]))
				x++;
			s->rounds[d][k + d] = x;
			if (x >= s->n && x - k >= s->m)
				return 1;
		}
	}
	return 0;
}

/* Walk back from the end; steps come out in reverse. */
static void walk_back(const struct search *s, struct script *reversed)
{
	long x = s->n, y = s->m;

	for (long d = s->n_rounds - 1; d >= 0; d--) {
		long k = x - y;
		long down = x_at(s, d - 1, k + 1), right = x_at(s, d - 1, k - 1) + 1;
		bool insert = d > 0 && (k == -d || (k != d && right <= down));
		long start_x = d == 0 ? 0 : insert ? down : right;

		while (x > start_x && y > start_x - k)
			add_step(reversed, ' ', s->a[--x]), y--;
		if (d == 0)
			break;
		if (insert)
			add_step(reversed, '+', s->b[--y]);
		else
			add_step(reversed, '-', s->a[--x]);
	}
}

static int diff_middle(const struct span *a, size_t n, const struct span *b, size_t m,
		       struct script *out)
{
	CLEANUP(search_release) struct search s = { .a = a, .b = b, .n = (long)n, .m = (long)m };
	CLEANUP(script_release) struct script reversed = { 0 };
	int rc = run_search(&s);

	if (rc < 0)
		return rc;
	if (rc == 0) {
		for (size_t i = 0; i < n; i++)
			add_step(out, '-', a[i]);
		for (size_t i = 0; i < m; i++)
			add_step(out, '+', b[i]);
		return 0;
	}
	reversed.items = calloc(n + m + 1, sizeof(*reversed.items));
	if (!reversed.items)
		return -ENOMEM;
	walk_back(&s, &reversed);
	while (reversed.n > 0)
		out->items[out->n++] = reversed.items[--reversed.n];
	return 0;
}

static int make_script(const struct lines *a, const struct lines *b, struct script *out)
{
	size_t head = 0, tail = 0;
	int rc;

	out->items = calloc(a->n + b->n + 1, sizeof(*out->items));
	if (!out->items)
		return -ENOMEM;
	while (head < a->n && head < b->n && span_equal(a->items[head], b->items[head]))
		add_step(out, ' ', a->items[head++]);
	while (tail < a->n - head && tail < b->n - head &&
	       span_equal(a->items[a->n - 1 - tail], b->items[b->n - 1 - tail]))
		tail++;
	rc = diff_middle(a->items + head, a->n - head - tail, b->items + head, b->n - head - tail,
			 out);
	for (size_t i = a->n - tail; rc == 0 && i < a->n; i++)
		add_step(out, ' ', a->items[i]);
	return rc;
}

static void add_line(struct buf *out, const struct step *step)
{
	buf_add_char(out, step->kind);
	buf_add(out, step->line);
	if (step->line.len == 0 || step->line.data[step->line.len - 1] != '\n')
		buf_add_text(out, "\n\\ No newline at end of file\n");
}

static void add_range(struct buf *out, char sign, size_t first, size_t count)
{
	/* A range of no lines names the line before it; one of one has no count. */
	buf_add_format(out, " %c%zu", sign, count == 0 ? first : first + 1);
	if (count != 1)
		buf_add_format(out, ",%zu", count);
}

static void add_hunk(struct buf *out, const struct script *s, size_t from, size_t to, size_t old_at,
		     size_t new_at)
{
	size_t n_old = 0, n_new = 0;

	for (size_t i = from; i < to; i++) {
		n_old += s->items[i].kind != '+';
		n_new += s->items[i].kind != '-';
	}
	buf_add_text(out, "@@");
	add_range(out, '-', old_at, n_old);
	add_range(out, '+', new_at, n_new);
	buf_add_text(out, " @@\n");
	for (size_t i = from; i < to; i++)
		add_line(out, &s->items[i]);
}

/* The end of the hunk that begins at `from`: changes less than two contexts apart. */
static size_t hunk_end(const struct script *s, size_t from)
{
	size_t end = from, same = 0;

	for (size_t i = from; i < s->n && same <= (size_t)2 * CONTEXT_LINES; i++) {
		same = s->items[i].kind == ' ' ? same + 1 : 0;
		if (same == 0)
			end = i + 1;
	}
	return end;
}

static void add_hunks(struct buf *out, const struct script *s)
{
	size_t old_at = 0, new_at = 0, i = 0;

	while (i < s->n) {
		size_t from, to;

		if (s->items[i].kind == ' ') {
			old_at++;
			new_at++;
			i++;
			continue;
		}
		from = i < CONTEXT_LINES ? 0 : i - CONTEXT_LINES;
		while (from < i && s->items[from].kind != ' ')
			from++;
		to = hunk_end(s, i);
		for (size_t k = 0; k < CONTEXT_LINES && to < s->n; k++)
			to++;
		add_hunk(out, s, from, to, old_at - (i - from), new_at - (i - from));
		for (; i < to; i++) {
			old_at += s->items[i].kind != '+';
			new_at += s->items[i].kind != '-';
		}
	}
}

int diff_unified(struct span old_text, struct span new_text, const char *old_name,
		 const char *new_name, struct buf *out, struct error *err)
{
	CLEANUP(lines_release) struct lines a = { 0 };
	CLEANUP(lines_release) struct lines b = { 0 };
	CLEANUP(script_release) struct script script = { 0 };
	int rc;

	if (span_equal(old_text, new_text))
		return 0;
	rc = split(old_text, &a);
	if (rc == 0)
		rc = split(new_text, &b);
	if (rc == 0)
		rc = make_script(&a, &b, &script);
	if (rc < 0)
		return error_set(err, rc, "out of memory");
	buf_add_format(out, "--- %s\n+++ %s\n", old_name, new_name);
	add_hunks(out, &script);
	return buf_check(out, err);
}
