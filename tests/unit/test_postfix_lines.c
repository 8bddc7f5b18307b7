/* SPDX-License-Identifier: MIT */
/* postfix_lines - logical lines of main.cf and master.cf. */
#include "unit.h"

#include "patchers/postfix_lines.h"

/* "FIRST-LAST|UNFOLDED\n" for each logical line. */
static int list_body(const void *ctx, struct buf *out, struct error *err)
{
	struct postfix_lines lines = postfix_lines_start(span_from(ctx));
	struct postfix_line line;

	while (postfix_lines_next(&lines, &line)) {
		buf_add_format(out, "%u-%u|", line.first_line, line.last_line);
		postfix_lines_unfold(out, line.raw);
		buf_add_char(out, '\n');
	}
	return buf_check(out, err);
}

static void logical_lines_fold_as_postfix_reads_them(void **state)
{
	static const struct {
		const char *text;
		const char *lines;
	} cases[] = {
		{ "", "" },
		{ "\n \n# only\n  # comments\n", "" },
		{ "a\nb\n", "1-1|a\n2-2|b\n" },
		{ "a", "1-1|a\n" },
		{ "a\n b\n\tc\nd", "1-3|a b\tc\n4-4|d\n" },
		{ "a\n# in\n\n   # in too\n b\n# after\n\nc\n", "1-5|a b\n8-8|c\n" },
		{ "a\n\n# end\n", "1-1|a\n" },
		{ " lost\na\n", "2-2|a\n" },
		{ "# c\n lost\n\n lost too\na\n b", "5-6|a b\n" },
		{ "a\r\n b\r\n", "1-2|a\r b\r\n" },
		{ "a\n\fb\n\vc\n", "1-3|a\fb\vc\n" },
		{ "a # no comment\n", "1-1|a # no comment\n" },
		{ "a\n \t \r\n b\n", "1-3|a b\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		unit_expect_text(list_body, cases[i].text, cases[i].lines);
}

static void raw_holds_whole_lines_up_to_the_last_word(void **state)
{
	struct postfix_lines lines = postfix_lines_start(span_from("# x\na\n#\n b\n# y\n"));
	struct postfix_line line;

	(void)state;
	assert_true(postfix_lines_next(&lines, &line));
	unit_assert_span(line.raw, span_from("a\n#\n b\n"));
	assert_false(postfix_lines_next(&lines, &line));
}

static void a_nul_byte_is_refused_with_its_line(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(postfix_lines_check(SPAN_LITERAL("a\n\nb\0c\n"), &err), -EINVAL);
	assert_string_equal(err.msg, "3: a NUL byte");
	assert_int_equal(postfix_lines_check(span_from("a\nb"), &err), 0);
	assert_int_equal(postfix_lines_check((struct span){ 0 }, &err), 0);
}

static void ignored_lines_are_blank_or_comments(void **state)
{
	static const char *const ignored[] = {
		"", "\n", "  \t\n", "#\n", "  # x\n", "\r\n", "\f#"
	};
	static const char *const kept[] = { "a\n", " a # x\n", "\\#\n", ".\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		assert_true(postfix_lines_is_ignored(span_from(ignored[i])));
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		assert_false(postfix_lines_is_ignored(span_from(kept[i])));
	unit_assert_span(postfix_lines_skip_ignored(span_from("#a\n\n b\nc")), span_from(" b\nc"));
	assert_int_equal(postfix_lines_skip_ignored(span_from("#a")).len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logical_lines_fold_as_postfix_reads_them),
		cmocka_unit_test(raw_holds_whole_lines_up_to_the_last_word),
		cmocka_unit_test(a_nul_byte_is_refused_with_its_line),
		cmocka_unit_test(ignored_lines_are_blank_or_comments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
