/* SPDX-License-Identifier: MIT */
/* diff_apply - what a strict patch(1) would make of a unified diff. */
#include "diff_apply.h"

#include <stdio.h>

struct applier {
	struct span old; /* not yet passed */
	size_t old_line; /* lines passed */
	size_t new_line;
	struct buf *out;
};

/* "-first[,count]" of a hunk's head, turned into the number of lines before it. */
static bool take_range(struct span *head, char sign, size_t *before, size_t *count)
{
	unsigned long number = 0;
	size_t n = 0;

	if (head->len < 2 || head->data[0] != ' ' || head->data[1] != sign)
		return false;
	*head = span_between(head->data + 2, span_end(*head));
	while (n < head->len && head->data[n] != ' ' && head->data[n] != ',')
		n++;
	if (!span_to_number(span_make(head->data, n), 1UL << 40, &number))
		return false;
	*before = number;
	*count = 1;
	*head = span_between(head->data + n, span_end(*head));
	if (head->len > 0 && head->data[0] == ',') {
		for (n = 1; n < head->len && head->data[n] != ' ';)
			n++;
		if (!span_to_number(span_make(head->data + 1, n - 1), 1UL << 40, &number))
			return false;
		*count = number;
		*head = span_between(head->data + n, span_end(*head));
	}
	if (*count > 0 && *before == 0)
		return false;
	*before -= *count > 0;
	return true;
}

static void pass_line(struct applier *a)
{
	buf_add(a->out, span_take_line(&a->old));
	a->old_line++;
	a->new_line++;
}

/* One line of a hunk, the "\ No newline" line after it taken into account. */
static const char *apply_line(struct applier *a, struct span *diff, size_t *n_old, size_t *n_new)
{
	struct span line = span_take_line(diff);
	struct span body = span_make(line.data + 1, line.len - 1);

	if (diff->len > 0 && diff->data[0] == '\\') {
		if (!span_is(span_take_line(diff), "\\ No newline at end of file\n"))
			return "a strange line that begins with a backslash";
		body.len--;
	}
	if (!strchr(" +-", line.data[0]))
		return "a hunk with a strange line";
	if (line.data[0] != '+') {
		if (!span_equal(span_take_line(&a->old), body))
			return "a line that is not in the old text";
		a->old_line++;
		++*n_old;
	}
	if (line.data[0] != '-') {
		buf_add(a->out, body);
		a->new_line++;
		++*n_new;
	}
	return NULL;
}

static const char *apply_hunk(struct applier *a, struct span *diff)
{
	size_t old_before = 0, old_count = 0, new_before = 0, new_count = 0, n_old = 0, n_new = 0;
	struct span head = span_take_line(diff);

	if (!span_starts(head, "@@"))
		return "no hunk where one should begin";
	head = span_between(head.data + 2, span_end(head));
	if (!take_range(&head, '-', &old_before, &old_count) ||
	    !take_range(&head, '+', &new_before, &new_count) || !span_is(head, " @@\n"))
		return "a hunk head that cannot be read";
	while (a->old_line < old_before && a->old.len > 0)
		pass_line(a);
	if (a->old_line != old_before || a->new_line != new_before)
		return "a hunk with wrong line numbers";
	while (n_old < old_count || n_new < new_count) {
		const char *wrong = diff->len > 0 ? apply_line(a, diff, &n_old, &n_new)
						  : "a hunk that ends too early";

		if (wrong)
			return wrong;
	}
	return n_old == old_count && n_new == new_count ? NULL : "a hunk with wrong counts";
}

const char *diff_apply(struct span old_text, struct span diff, struct buf *out)
{
	struct applier a = { .old = old_text, .out = out };

	if (diff.len == 0) {
		buf_add(out, old_text);
		return NULL;
	}
	if (!span_starts(span_take_line(&diff), "--- ") ||
	    !span_starts(span_take_line(&diff), "+++ "))
		return "no head";
	while (diff.len > 0) {
		const char *wrong = apply_hunk(&a, &diff);

		if (wrong)
			return wrong;
	}
	buf_add(out, a.old);
	return NULL;
}
