/* SPDX-License-Identifier: MIT */
/* postfix_value - the value of a parameter as a service sees it. */
#include "unit.h"

#include "patchers/main_cf.h"
#include "patchers/master_cf.h"
#include "patchers/postfix_value.h"

struct question {
	const char *main_cf;
	const char *master_cf; /* NULL: no entry */
	const char *name;
};

static int value_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(main_cf_release) struct main_cf main_cf = { 0 };
	CLEANUP(master_cf_release) struct master_cf master_cf = { 0 };
	const struct question *q = ctx;
	int rc = main_cf_parse(span_from(q->main_cf), &main_cf, err);

	if (rc == 0 && q->master_cf)
		rc = master_cf_parse(span_from(q->master_cf), &master_cf, err);
	if (rc == 0)
		rc = postfix_value_get(&main_cf, q->master_cf ? master_cf.entries : NULL,
				       span_from(q->name), out, err);
	if (rc == 0)
		buf_add_text(out, "(nothing sets it)");
	return rc < 0 ? rc : buf_check(out, err);
}

static void expect_x(const char *main_cf, const char *value)
{
	unit_expect_text(value_body, &(struct question){ main_cf, NULL, "x" }, value);
}

static void references_expand_in_every_notation(void **state)
{
	static const struct {
		const char *main_cf;
		const char *value;
	} cases[] = {
		{ "", "(nothing sets it)" },
		{ "x =", "" },
		{ "x = plain", "plain" },
		{ "x = a$y.c\ny = b", "ab.c" },
		{ "x = $y$y\ny = b", "bb" },
		{ "x = ${y}c\ny = b", "bc" },
		{ "x = $(y)c\ny = b", "bc" },
		{ "x = ${ y }\ny = b", "b" },
		{ "x = a$nosuch", "a" },
		{ "x = $$y\ny = b", "$y" },
		{ "x = $y\ny = $z\nz = deep", "deep" },
		{ "x = ${y?yes}\ny = b", "yes" },
		{ "x = ${y?yes}\ny =", "" },
		{ "x = ${y?yes}", "" },
		{ "x = ${y:no}", "no" },
		{ "x = ${y:no}\ny = b", "" },
		{ "x = ${y?{yes}:{no}}\ny = b", "yes" },
		{ "x = ${y?{yes}:{no}}", "no" },
		{ "x = ${y?{yes}}\ny = b", "yes" },
		{ "x = ${y:{no}}", "no" },
		{ "x = ${y?yes:no}\ny = b", "yes:no" },
		{ "x = ${ y ? { yes } : { no } }\ny = b", " yes " },
		{ "x = ${x?{set}:{unset}}", "set" },
		{ "x = ${y?{${y}_proxied}}\ny = b", "b_proxied" },
		{ "x = ${y?$y$y}\ny = b", "bb" },
		{ "x = ${{$y}=={b}?{same}:{other}}\ny = b", "same" },
		{ "x = ${{$y}!={b}?{other}:{same}}\ny = b", "same" },
		{ "x = ${{2}<{10}?{number}:{text}}", "number" },
		{ "x = ${{b}>{10}?{text}:{number}}", "text" },
		{ "x = ${{3}>={3}?{yes}}${{3}<={2}?{no}}", "yes" },
		{ "x = a } { b", "a } { b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_x(cases[i].main_cf, cases[i].value);
}

static void an_option_of_the_entry_wins_over_main_cf_and_the_default(void **state)
{
	static const char entry[] = "25 inet n - n - - smtpd\n"
				    "  -o x=first -o { x = from $y } -o z=$x -v\n";
	static const struct {
		const char *name;
		const char *with;
		const char *without;
	} cases[] = {
		{ "x", "from main", "main's own" },
		{ "y", "main", "main" },
		{ "z", "from main", "(nothing sets it)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static const char main_cf[] = "x = main's own\ny = main\n";

		unit_expect_text(value_body, &(struct question){ main_cf, entry, cases[i].name },
				 cases[i].with);
		unit_expect_text(value_body, &(struct question){ main_cf, NULL, cases[i].name },
				 cases[i].without);
	}
}

static void defaults_answer_where_nothing_is_set(void **state)
{
	static const struct question map = { "", NULL, "postscreen_cache_map" };
	static const struct question moved = { "data_directory = /d", NULL,
					       "postscreen_cache_map" };
	static const struct question emptied = { "postscreen_cache_map =", NULL,
						 "postscreen_cache_map" };
	static const struct question protocols = { "", NULL, "inet_protocols" };
	static const struct question service = { "", NULL, "smtpd_service_name" };

	(void)state;
	unit_expect_text(value_body, &map, "btree:/var/lib/postfix/postscreen_cache");
	unit_expect_text(value_body, &moved, "btree:/d/postscreen_cache");
	unit_expect_text(value_body, &emptied, "");
	unit_expect_text(value_body, &protocols, "all");
	unit_expect_text(value_body, &service, "smtpd");
}

static void a_value_that_refers_to_itself_is_refused_by_name(void **state)
{
	static const char *const loops[] = {
		"x = $x",
		"x = a${x}b",
		"x = $y\ny = $z\nz = $x",
		"x = ${x?{$x}:{z}}",
		"x = ${y?{$x}}\ny = b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(loops); i++) {
		struct question q = { loops[i], NULL, "x" };

		unit_expect_error(value_body, &q, -ELOOP, "refers to itself");
	}
}

static void a_value_that_grows_without_end_is_refused(void **state)
{
	cleanup_buf struct buf text = BUF_INIT;
	CLEANUP(main_cf_release) struct main_cf cf = { 0 };
	cleanup_buf struct buf out = BUF_INIT;
	int rc;

	(void)state;
	buf_add_text(&text, "x0 = boom\n");
	for (unsigned i = 1; i < 20; i++)
		buf_add_format(&text, "x%u = $x%u$x%u$x%u$x%u$x%u$x%u$x%u$x%u\n", i, i - 1, i - 1,
			       i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	assert_int_equal(main_cf_parse(buf_span(&text), &cf, NULL), 0);
	rc = postfix_value_get(&cf, NULL, span_from("x19"), &out, NULL);
	assert_int_equal(rc, -ELOOP);
}

static void a_broken_reference_is_refused_with_its_text(void **state)
{
	static const struct {
		const char *main_cf;
		const char *part;
	} cases[] = {
		{ "x = a${y", "{y" },
		{ "x = $(y", "(y" },
		{ "x = ${y?{a}", "{y?{a}" },
		{ "x = ${y-z}", "y-z" },
		{ "x = ${y?{a}b}\ny = 1", "{a}b" },
		{ "x = ${}", "" },
		{ "x = a$", "" },
		{ "x = $-", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct question q = { cases[i].main_cf, NULL, "x" };

		unit_expect_error(value_body, &q, -EINVAL, cases[i].part);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_expand_in_every_notation),
		cmocka_unit_test(an_option_of_the_entry_wins_over_main_cf_and_the_default),
		cmocka_unit_test(defaults_answer_where_nothing_is_set),
		cmocka_unit_test(a_value_that_refers_to_itself_is_refused_by_name),
		cmocka_unit_test(a_value_that_grows_without_end_is_refused),
		cmocka_unit_test(a_broken_reference_is_refused_with_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
