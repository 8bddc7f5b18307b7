/* SPDX-License-Identifier: MIT */
/* main_cf - read the parameters of a Postfix main.cf. */
#include "unit.h"

#include "patchers/main_cf.h"

/* "LINE name=value\n" for each parameter. */
static int list_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(main_cf_release) struct main_cf cf = { 0 };
	const struct span *text = ctx;
	int rc = main_cf_parse(*text, &cf, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < cf.n_parameters; i++) {
		buf_add_format(out, "%u ", cf.parameters[i].line);
		buf_add(out, cf.parameters[i].name);
		buf_add_char(out, '=');
		buf_add(out, cf.parameters[i].value);
		buf_add_char(out, '\n');
	}
	return buf_check(out, err);
}

static void parameters_are_read_as_postconf_reads_them(void **state)
{
	static const struct {
		const char *text;
		const char *parameters;
	} cases[] = {
		{ "", "" },
		{ "# nothing\n\n", "" },
		{ "a = b\n", "1 a=b\n" },
		{ "a=b", "1 a=b\n" },
		{ "a =\nb=  \n", "1 a=\n2 b=\n" },
		{ "a = b\n c\n# x\n\n  d\n", "1 a=b c  d\n" },
		{ "a\n = b\n", "1 a=b\n" },
		{ "a = b = c\n", "1 a=b = c\n" },
		{ "a = b # c\n", "1 a=b # c\n" },
		{ "a = \"b\"\r\nc = {d}\r\n", "1 a=\"b\"\n2 c={d}\n" },
		{ "a = 1\na = 2\n", "1 a=1\n2 a=2\n" },
		{ "no equals sign\na = 1\n", "2 a=1\n" },
		{ "  lost = 1\na = 1\n", "2 a=1\n" },
		{ "A = 1\na = 2\n", "1 A=1\n2 a=2\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span text = span_from(cases[i].text);

		unit_expect_text(list_body, &text, cases[i].parameters);
	}
}

static void a_nul_byte_is_refused_with_its_line(void **state)
{
	struct span text = SPAN_LITERAL("a = 1\nb = \0 2\n");

	(void)state;
	unit_expect_error(list_body, &text, -EINVAL, "2: ", "NUL");
}

static void the_last_of_several_assignments_wins(void **state)
{
	CLEANUP(main_cf_release) struct main_cf cf = { 0 };
	struct span value = SPAN_LITERAL("before");

	(void)state;
	assert_int_equal(main_cf_parse(span_from("a = 1\nb =\na = 2\n"), &cf, NULL), 0);
	assert_true(main_cf_lookup(&cf, span_from("a"), &value));
	unit_assert_span(value, span_from("2"));
	assert_true(main_cf_lookup(&cf, span_from("b"), &value));
	unit_assert_span(value, span_from(""));
	assert_false(main_cf_lookup(&cf, span_from("A"), &value));
}

static void the_text_may_go_once_it_is_parsed(void **state)
{
	CLEANUP(main_cf_release) struct main_cf cf = { 0 };
	char *text = strdup("a = kept\n b\n");
	struct span value = { 0 };

	(void)state;
	assert_int_equal(main_cf_parse(span_from(text), &cf, NULL), 0);
	free(text);
	assert_true(main_cf_lookup(&cf, span_from("a"), &value));
	unit_assert_span(value, span_from("kept b"));
}

static void many_and_long_parameters_are_read(void **state)
{
	CLEANUP(main_cf_release) struct main_cf cf = { 0 };
	cleanup_buf struct buf text = BUF_INIT;
	struct span value = { 0 };

	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		buf_add_format(&text, "p%u = v%u\n", i, i);
	buf_add_text(&text, "long = ");
	for (unsigned i = 0; i < 100000; i++)
		buf_add_text(&text, "word\n ");
	assert_int_equal(main_cf_parse(buf_span(&text), &cf, NULL), 0);
	assert_int_equal(cf.n_parameters, 2001);
	assert_true(main_cf_lookup(&cf, span_from("p1999"), &value));
	unit_assert_span(value, span_from("v1999"));
	assert_true(main_cf_lookup(&cf, span_from("long"), &value));
	assert_int_equal(value.len, 100000 * 5 - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_are_read_as_postconf_reads_them),
		cmocka_unit_test(a_nul_byte_is_refused_with_its_line),
		cmocka_unit_test(the_last_of_several_assignments_wins),
		cmocka_unit_test(the_text_may_go_once_it_is_parsed),
		cmocka_unit_test(many_and_long_parameters_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
