/* SPDX-License-Identifier: MIT */
/* postfix_overrides - postfix-main.cf over main.cf, and the law of undoing. */
#include "override_cases.h"

#define STAYS                                                                                      \
	"warning: main.cf: a: the override is gone, but docker-mailserver had read it at its "     \
	"start: the value stays until the pod restarts\n"
#define BACK                                                                                       \
	"warning: main.cf: a: the override is gone, but docker-mailserver had read it at its "     \
	"start: the value from then is back, and stays until the pod restarts\n"
#define FOREIGN "notice: main.cf: a: somebody else has changed it: "

struct row {
	struct override_life life;
	const char *text;
};

static void expect(void (*expect_one)(unit_body *body, const void *ctx, const char *text),
		   unit_body *body, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct override_case main_cf = { OVERRIDE_MAIN_CF, rows[i].life };

		expect_one(body, &main_cf, rows[i].text);
	}
}

static void expect_texts(const struct row *rows, size_t n)
{
	expect(unit_expect_text, override_text_body, rows, n);
}

static void expect_notes(const struct row *rows, size_t n)
{
	expect(unit_expect_once, override_notes_body, rows, n);
}

static void the_last_assignment_is_replaced_where_it_stands(void **state)
{
	static const struct row rows[] = {
		{ { "a = 1\nb = 2\n", { APPLY("a = 3\n") } }, "a = 3\nb = 2\n" },
		{ { "a=1\nb = 2", { APPLY("b=  x   y \n") } }, "a=1\nb = x y" },
		{ { "a = 1\na = 2\n", { APPLY("a = 3\n") } }, "a = 1\na = 3\n" },
		{ { "a = 1\n# in\n  2\n# out\nb = 1\n", { APPLY("a = 3\n") } },
		  "a = 3\n# out\nb = 1\n" },
		{ { "a\n = 1 \r\nb = 1\n", { APPLY("a = 3\n") } }, "a = 3 \r\nb = 1\n" },
		{ { "a = 1\n", { APPLY("a =\n") } }, "a =\n" },
		{ { "a = 1\n", { APPLY("a = 2\na = 3\n") } }, "a = 3\n" },
		{ { "a = 1\n", { APPLY("a = 2,\r\n  3\r\n# c\n\t4\r\n") } }, "a = 2, 3 4\n" },
		{ { "a = 1\n", { APPLY("a = # 2\n") } }, "a = # 2\n" },
		{ { "a = 1\nb = 2\n", { APPLY("a = x\\\n") } }, "a = x\\\nb = 2\n" },
		{ { "#a = 0\n a = 1\n", { APPLY("a = 2\n") } }, "#a = 0\n a = 1\na = 2\n" },
	};

	(void)state;
	expect_texts(rows, ARRAY_SIZE(rows));
}

static void a_parameter_that_is_not_set_is_added_at_the_end(void **state)
{
	static const struct row rows[] = {
		{ { "a = 1\n", { APPLY("b = 2\nc = 3\n") } }, "a = 1\nb = 2\nc = 3\n" },
		{ { "a = 1", { APPLY("b = 2\nc = 3\n") } }, "a = 1\nb = 2\nc = 3" },
		{ { "", { APPLY("b = 2\nc = 3") } }, "b = 2\nc = 3\n" },
		{ { "a = 1\n  ", { APPLY("A = 2\n") } }, "a = 1\n  \nA = 2" },
	};

	(void)state;
	expect_texts(rows, ARRAY_SIZE(rows));
}

static void nothing_is_written_when_it_stands_as_wanted(void **state)
{
	static const struct row rows[] = {
		{ { "a=1\n", { APPLY("a = 1\n") } }, "a=1\n" },
		{ { "a = x,\n  y\n", { APPLY("a = x, y\n") } }, "a = x,\n  y\n" },
		{ { "a = x, y\n", { APPLY("a = x,\n   y\n") } }, "a = x, y\n" },
		{ { "a =\n", { APPLY("a =\n") } }, "a =\n" },
		{ { "a = 1\n", { APPLY("a = 2\n"), APPLY("a=2") } }, "a = 2\n" },
		{ { "a = 1\n", { APPLY("") } }, "a = 1\n" },
	};

	(void)state;
	expect_texts(rows, ARRAY_SIZE(rows));
}

static void what_stood_there_before_comes_back(void **state)
{
	static const struct row rows[] = {
		{ { "a=1\n# c\n 2 \nb = 2\n", { APPLY("a = 3\n"), APPLY("") } },
		  "a=1\n# c\n 2 \nb = 2\n" },
		{ { "a = 1\n", { APPLY("a = 2\n"), APPLY("a = 3\n"), APPLY("") } }, "a = 1\n" },
		{ { "a = 1", { APPLY("b = 2\nc = 3\n"), APPLY("c = 3\n"), APPLY("") } }, "a = 1" },
		{ { "", { APPLY("b = 2\nc = 3\n"), APPLY("c = 3\n"), APPLY("") } }, "" },
		{ { "a = 1\n", { APPLY("b = 2\n"), APPLY("b = 3\n"), APPLY("") } }, "a = 1\n" },
		{ { "a = 1\n", { APPLY("a = 2\n"), APPLY("a = 1\n"), APPLY("") } }, "a = 1\n" },
	};

	(void)state;
	expect_texts(rows, ARRAY_SIZE(rows));
}

static void edits_by_others_elsewhere_stay(void **state)
{
	static const struct row rows[] = {
		{ { "a = 1\nb = 2\n",
		    { APPLY("a = 3\nc = 4\n"), EDIT("b = 2\n", "b = 5\n# x\n"),
		      EDIT("c = 4\n", "c = 4\nd = 6\n"), APPLY("") } },
		  "a = 1\nb = 5\n# x\nd = 6\n" },
		/* Whoever adds a line ends the one before. */
		{ { "a = 1", { APPLY("c = 4\n"), EDIT("c = 4", "c = 4\nd = 6\n"), APPLY("") } },
		  "a = 1\nd = 6\n" },
		/* As postconf(1) writes it. */
		{ { "a=1\nb=2\n", { APPLY("a=x   y"), EDIT("b=2", "b = 2"), APPLY("") } },
		  "a=1\nb = 2\n" },
	};

	(void)state;
	expect_texts(rows, ARRAY_SIZE(rows));
}

/* 1 stands there, 2 is applied, somebody makes it 9. */
#define CHANGED(...)                                                                               \
	{                                                                                          \
		"a = 1\n",                                                                         \
		{                                                                                  \
			APPLY("a = 2\n"), EDIT("a = 2", "a = 9"), __VA_ARGS__                      \
		}                                                                                  \
	}

static void what_somebody_else_changed_is_theirs(void **state)
{
	static const struct row rows[] = {
		{ CHANGED(APPLY("")), "a = 9\n" },
		{ CHANGED(APPLY("a = 2\n")), "a = 2\n" },
		{ CHANGED(APPLY("a = 2\n"), APPLY("")), "a = 9\n" },
		{ CHANGED(APPLY("a = 9\n")), "a = 9\n" },
		{ CHANGED(APPLY("a = 9\n"), APPLY("")), "a = 9\n" },
		/* a later duplicate is what Postfix uses */
		{ { "a = 1\n", { APPLY("a = 2\n"), EDIT("a = 2\n", "a = 2\na = 9\n"), APPLY("") } },
		  "a = 2\na = 9\n" },
		{ { "b = 1\n", { APPLY("a = 2\n"), EDIT("a = 2\n", ""), APPLY("") } }, "b = 1\n" },
	};
	static const struct row notes[] = {
		{ CHANGED(APPLY("")), FOREIGN "what stands there now is left alone\n" },
		{ CHANGED(APPLY("a = 9\n")), FOREIGN "what stands there now is left alone\n" },
		{ CHANGED(APPLY("a = 2\n")),
		  FOREIGN "the override is applied to what stands there now\n" },
		{ CHANGED(APPLY(""), APPLY("")), "" },
		{ CHANGED(APPLY("a = 9\n"), APPLY("")), STAYS },
	};

	(void)state;
	expect_texts(rows, ARRAY_SIZE(rows));
	expect_notes(notes, ARRAY_SIZE(notes));
}

static void what_was_found_stays_and_is_said_to(void **state)
{
	static const struct row rows[] = {
		{ { "a = 1\n", { APPLY("a = 1\n"), APPLY("") } }, "a = 1\n" },
		{ { "a = 1\n", { APPLY("a = 1\n"), APPLY("a = 2\n") } }, "a = 2\n" },
		{ { "a = 1\n", { APPLY("a = 1\n"), APPLY("a = 2\n"), APPLY("") } }, "a = 1\n" },
		{ { "a = 1\n",
		    { APPLY("a = 1\n"), APPLY("a = 2\n"), APPLY("a = 3\n"), APPLY("") } },
		  "a = 1\n" },
	};
	static const struct row notes[] = {
		{ { "a = 1\n", { APPLY("a = 1\n") } }, "" },
		{ { "a = 1\n", { APPLY("a = 1\n"), APPLY("") } }, STAYS },
		{ { "a = 1\n", { APPLY("a = 1\n"), APPLY(""), APPLY("") } }, "" },
		{ { "a = 1\n", { APPLY("a = 1\n"), APPLY("a = 2\n") } }, "" },
		{ { "a = 1\n", { APPLY("a = 1\n"), APPLY("a = 2\n"), APPLY("") } }, BACK },
		{ { "a = 1\n", { APPLY("a = 1\n"), CRASH("a = 2\n"), APPLY("") } }, STAYS },
		{ { "a = 1\n", { APPLY("a = 2\n"), APPLY("") } }, "" },
	};

	(void)state;
	expect_texts(rows, ARRAY_SIZE(rows));
	expect_notes(notes, ARRAY_SIZE(notes));
}

static void a_crash_between_record_and_file_loses_nothing(void **state)
{
	static const struct row rows[] = {
		{ { "a = 1\n", { CRASH("a = 2\n"), APPLY("a = 2\n") } }, "a = 2\n" },
		{ { "a = 1\n", { CRASH("a = 2\n"), APPLY("a = 2\n"), APPLY("") } }, "a = 1\n" },
		{ { "a = 1\n", { CRASH("a = 2\n"), APPLY("") } }, "a = 1\n" },
		{ { "a = 1\n",
		    { APPLY("a = 2\n"), CRASH("a = 3\n"), APPLY("a = 3\n"), APPLY("") } },
		  "a = 1\n" },
		{ { "a = 1\n",
		    { APPLY("a = 2\n"), CRASH("a = 3\n"), APPLY("a = 4\n"), APPLY("") } },
		  "a = 1\n" },
		{ { "a = 1\n",
		    { APPLY("a = 2\n"), CRASH("a = 3\n"), APPLY("a = 2\n"), APPLY("") } },
		  "a = 1\n" },
		{ { "a = 1\n", { APPLY("a = 2\n"), CRASH(""), APPLY("") } }, "a = 1\n" },
		{ { "a = 1\n", { APPLY("a = 2\n"), CRASH(""), APPLY("a = 3\n"), APPLY("") } },
		  "a = 1\n" },
		{ { "b = 1\n", { APPLY("a = 2\n"), CRASH(""), APPLY("") } }, "b = 1\n" },
		{ { "b = 1\n", { CRASH("a = 2\n"), APPLY("") } }, "b = 1\n" },
	};

	(void)state;
	expect_texts(rows, ARRAY_SIZE(rows));
}

static void the_record_tells_what_was_there(void **state)
{
	static const struct row rows[] = {
		{ { "a = 1\nb = x\n", { APPLY("a = 2\nb = x\nc = 3\n") } },
		  "postern-overrides 1\n"
		  "written =main.cf =a =a%20=%201 =a%20=%202 -\n"
		  "found =main.cf =b - =b%20=%20x -\n"
		  "written =main.cf =c - =c%20=%203 -\n"
		  "end 3\n" },
		{ { "a = 1\n", { APPLY("a = 1\n"), APPLY("a = 2\n"), APPLY("a = 3\n") } },
		  "postern-overrides 1\n"
		  "changed =main.cf =a =a%20=%201 =a%20=%203 =a%20=%202\n"
		  "end 1\n" },
		{ { "a = 1\n", { APPLY("a = 2\n"), APPLY("") } },
		  "postern-overrides 1\n"
		  "undone =main.cf =a - =a%20=%201 =a%20=%202\n"
		  "end 1\n" },
		{ { "a = 1\n", { APPLY("a = 2\n"), APPLY(""), APPLY("") } },
		  "postern-overrides 1\nend 0\n" },
	};

	(void)state;
	expect(unit_expect_text, override_record_body, rows, ARRAY_SIZE(rows));
}

static void a_line_that_is_no_setting_is_refused(void **state)
{
	static const struct {
		const char *override;
		const char *message;
	} cases[] = {
		{ "a = 1\n\nb\n", "3: no '=': \"b\"" },
		{ "= 1\n", "1: no name before '='" },
		{ "a b = 1\n", "1: not a parameter's name" },
		{ "{ a = 1 }\n", "1: not a parameter's name" },
		{ "$a = 1\n", "1: not a parameter's name" },
		{ "-a = 1\n", "1: not a parameter's name" },
		{ "caf\xc3\xa9 = 1\n", "1: not a parameter's name" },
		{ "# c\n  # d\n  a = 1\n", "3: begins with a blank and continues nothing" },
		{ "a = 1\rb = 2\n", "1: a control character (0x0d)" },
		{ "x = 1\na = 1\fb = 2\n", "2: a control character (0x0c)" },
		{ "a = 1\n\vb = 2\n", "2: a control character (0x0b)" },
		{ "a = 1\x7f\n", "1: a control character (0x7f)" },
		{ "postern_in_place = 1\n", "1: the names that begin with postern_" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct override_case life = { OVERRIDE_MAIN_CF,
					      { "z = 1\n", { APPLY(cases[i].override) } } };

		unit_expect_error(override_text_body, &life, -EINVAL, cases[i].message);
	}
}

static int read_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(postfix_overrides_release) struct postfix_overrides overrides = { 0 };
	const struct span *text = ctx;
	int rc = postfix_overrides_read_main(*text, &overrides, err);

	buf_add_format(out, "%zu", overrides.n_items);
	return rc < 0 ? rc : buf_check(out, err);
}

static void limits_are_kept(void **state)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct span nul = SPAN_LITERAL("a = 1\nb = \0\n");
	struct span whole;

	(void)state;
	unit_expect_error(read_body, &nul, -EINVAL, "2: a control character (0x00)");
	for (unsigned i = 0; i < POSTFIX_OVERRIDES_MAX; i++)
		buf_add_text(&text, "a = 1\n");
	whole = buf_span(&text);
	unit_expect_text(read_body, &whole, "1000");
	buf_add_text(&text, "a = 1\n");
	whole = buf_span(&text);
	unit_expect_error(read_body, &whole, -EINVAL, "1001: more than 1000 settings");
	buf_clear(&text);
	buf_add_text(&text, "\na =");
	for (unsigned i = 0; i < POSTFIX_OVERRIDE_BYTES_MAX; i++)
		buf_add_char(&text, 'x');
	whole = buf_span(&text);
	unit_expect_error(read_body, &whole, -EINVAL, "2: longer than 65536 bytes");
}

static int with_record_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(override_record_release) struct override_record record = OVERRIDE_RECORD_INIT;
	int rc = override_record_parse(span_from(ctx), &record, err);

	if (rc == 0)
		rc = override_laws_apply(OVERRIDE_MAIN_CF, span_from("a = 2\n"), span_from(""),
					 &record, out, NULL, err);
	return rc < 0 ? rc : buf_check(out, err);
}

#define RECORD_OF(before)                                                                          \
	"postern-overrides 1\nwritten =main.cf =a =" before " =a%20=%202 -\nend 1\n"

static void a_record_cannot_smuggle_a_setting_in(void **state)
{
	static const char *const befores[] = {
		RECORD_OF("a%20=%201%0Ab%20=%202"),
		RECORD_OF("b%20=%201"),
		RECORD_OF("#"),
		RECORD_OF("a%20=%201%0A"),
		RECORD_OF("%20a=1"),
		RECORD_OF(""),
		RECORD_OF("a=1%00"),
	};

	(void)state;
	unit_expect_text(with_record_body, RECORD_OF("a=1%0A%20b"), "a=1\n b\n");
	for (size_t i = 0; i < ARRAY_SIZE(befores); i++)
		unit_expect_error(with_record_body, befores[i], -EINVAL, "the record is damaged");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_assignment_is_replaced_where_it_stands),
		cmocka_unit_test(a_parameter_that_is_not_set_is_added_at_the_end),
		cmocka_unit_test(nothing_is_written_when_it_stands_as_wanted),
		cmocka_unit_test(what_stood_there_before_comes_back),
		cmocka_unit_test(edits_by_others_elsewhere_stay),
		cmocka_unit_test(what_somebody_else_changed_is_theirs),
		cmocka_unit_test(what_was_found_stays_and_is_said_to),
		cmocka_unit_test(a_crash_between_record_and_file_loses_nothing),
		cmocka_unit_test(the_record_tells_what_was_there),
		cmocka_unit_test(a_line_that_is_no_setting_is_refused),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(a_record_cannot_smuggle_a_setting_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
