/* SPDX-License-Identifier: MIT */
/* diff - the unified format that patch(1) reads. */
#include "unit.h"

#include "patchers/diff.h"
#include "tests/support/diff_apply.h"

#include <stdio.h>
#include <sys/wait.h>

struct pair {
	const char *old_text;
	const char *new_text;
	const char *diff;
};

static int diff_body(const void *ctx, struct buf *out, struct error *err)
{
	const struct pair *p = ctx;

	return diff_unified(span_from(p->old_text), span_from(p->new_text), "a", "b", out, err);
}

#define HEAD "--- a\n+++ b\n"
#define NO_NEWLINE "\\ No newline at end of file\n"

static const struct pair pairs[] = {
	{ "", "", "" },
	{ "same\n", "same\n", "" },
	{ "", "x\n", HEAD "@@ -0,0 +1 @@\n+x\n" },
	{ "x\n", "", HEAD "@@ -1 +0,0 @@\n-x\n" },
	{ "a\nb\nc\n", "a\nB\nc\n", HEAD "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n" },
	{ "x", "x\n", HEAD "@@ -1 +1 @@\n-x\n" NO_NEWLINE "+x\n" },
	{ "x\n", "x", HEAD "@@ -1 +1 @@\n-x\n+x\n" NO_NEWLINE },
	{ "x", "x\ny", HEAD "@@ -1 +1,2 @@\n-x\n" NO_NEWLINE "+x\n+y\n" NO_NEWLINE },
	{ "a\nx", "b\nx", HEAD "@@ -1,2 +1,2 @@\n-a\n+b\n x\n" NO_NEWLINE },
	{ "1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
	  HEAD "@@ -6,3 +6,4 @@\n 6\n 7\n 8\n+9\n" },
	/* six common lines between: one hunk; seven: two */
	{ "a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
	  HEAD "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n" },
	{ "a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
	  HEAD "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n" },
	{ "a\r\n", "a\n", HEAD "@@ -1 +1 @@\n-a\r\n+a\n" },
	{ "\n\n", "\n", HEAD "@@ -1,2 +1 @@\n \n-\n" },
};

static void small_differences_come_out_as_diff_u_writes_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		unit_expect_text(diff_body, &pairs[i], pairs[i].diff);
}

/* A linear congruential generator: the same cases in every run. */
static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

/* Lines of few kinds, so that there is much to match wrongly. */
static void random_text(unsigned *seed, unsigned n_lines, struct buf *out)
{
	for (unsigned i = 0; i < n_lines; i++)
		buf_add_format(out, "%c%s\n", "abcde"[next_random(seed) % 5],
			       next_random(seed) % 4 ? "" : "x");
	if (out->len > 0 && next_random(seed) % 4 == 0)
		out->data[--out->len] = '\0';
}

static void random_edit(unsigned *seed, struct span text, struct buf *out)
{
	while (text.len > 0) {
		struct span line = span_take_line(&text);
		unsigned dice = next_random(seed) % 12;

		if (dice == 0)
			continue;
		if (dice == 1)
			random_text(seed, 1 + next_random(seed) % 3, out);
		if (dice == 1 && out->len > 0 && out->data[out->len - 1] != '\n')
			buf_add_char(out, '\n');
		buf_add(out, line);
	}
}

static void random_edits_apply_to_the_new_text(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		cleanup_buf struct buf a = BUF_INIT, b = BUF_INIT, diff = BUF_INIT, got = BUF_INIT;
		const char *wrong;

		random_text(&seed, next_random(&seed) % 40, &a);
		if (i % 3 == 0)
			random_text(&seed, next_random(&seed) % 40, &b);
		else
			random_edit(&seed, buf_span(&a), &b);
		assert_int_equal(diff_unified(buf_span(&a), buf_span(&b), "a", "b", &diff, NULL),
				 0);
		wrong = diff_apply(buf_span(&a), buf_span(&diff), &got);
		if (wrong)
			fail_msg("case %u: %s\n%s", i, wrong, buf_text(&diff));
		unit_assert_span(buf_span(&got), buf_span(&b));
	}
}

static void texts_that_differ_too_much_are_replaced_and_still_right(void **state)
{
	cleanup_buf struct buf a = BUF_INIT, b = BUF_INIT, diff = BUF_INIT, got = BUF_INIT;

	(void)state;
	buf_add_text(&a, "head\n");
	buf_add_text(&b, "head\n");
	for (unsigned i = 0; i < 3000; i++) {
		buf_add_format(&a, "old %u\n", i);
		buf_add_format(&b, "new %u\n", i);
	}
	assert_int_equal(diff_unified(buf_span(&a), buf_span(&b), "a", "b", &diff, NULL), 0);
	assert_null(diff_apply(buf_span(&a), buf_span(&diff), &got));
	unit_assert_span(buf_span(&got), buf_span(&b));
}

static int run_shell(const char *directory, const char *command)
{
	cleanup_buf struct buf line = BUF_INIT;

	buf_add_format(&line, "cd '%s' && %s", directory, command);
	return system(buf_text(&line)); /* NOLINT: fixed commands, our own folder */
}

static void write_file(const char *directory, const char *name, struct span text)
{
	cleanup_buf struct buf path = BUF_INIT;
	FILE *f;

	buf_add_format(&path, "%s/%s", directory, name);
	f = fopen(buf_text(&path), "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(text.data, 1, text.len, f), text.len);
	assert_int_equal(fclose(f), 0);
}

static void patch_itself_accepts_the_output(void **state)
{
	char directory[] = "/tmp/postern-test-diff.XXXXXX";
	unsigned seed = 7;

	(void)state;
	if (run_shell("/", "command -v patch >/dev/null") != 0)
		skip();
	assert_non_null(mkdtemp(directory));
	for (unsigned i = 0; i < 60; i++) {
		cleanup_buf struct buf a = BUF_INIT, b = BUF_INIT, diff = BUF_INIT;

		random_text(&seed, 1 + next_random(&seed) % 60, &a);
		random_edit(&seed, buf_span(&a), &b);
		if (span_equal(buf_span(&a), buf_span(&b)))
			continue;
		assert_int_equal(diff_unified(buf_span(&a), buf_span(&b), "a", "a", &diff, NULL),
				 0);
		write_file(directory, "a", buf_span(&a));
		write_file(directory, "b", buf_span(&b));
		write_file(directory, "diff", buf_span(&diff));
		assert_int_equal(run_shell(directory, "patch -s -F0 a <diff && "
						      "{ [ -e a ] || : >a; } && cmp a b"),
				 0);
	}
	run_shell("/", "true");
	{
		cleanup_buf struct buf remove = BUF_INIT;

		buf_add_format(&remove, "rm -f a b diff a.orig a.rej && rmdir '%s'", directory);
		assert_int_equal(run_shell(directory, buf_text(&remove)), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_differences_come_out_as_diff_u_writes_them),
		cmocka_unit_test(random_edits_apply_to_the_new_text),
		cmocka_unit_test(texts_that_differ_too_much_are_replaced_and_still_right),
		cmocka_unit_test(patch_itself_accepts_the_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
