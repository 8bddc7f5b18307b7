/* SPDX-License-Identifier: MIT */
/* postfix_overrides - postfix-master.cf over master.cf. */
#include "override_cases.h"

#define SMTP "smtp inet n - n - - smtpd"

struct row {
	const char *text;
	const char *override;
	const char *wanted;
};

static void expect_text(const struct override_life *life, const char *text)
{
	const struct override_case master_cf = { OVERRIDE_MASTER_CF, *life };

	unit_expect_text(override_text_body, &master_cf, text);
}

/* Also that taking the override out restores the file. */
static void expect(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct override_life applied = { rows[i].text, { APPLY(rows[i].override) } };
		const struct override_life undone = { rows[i].text,
						      { APPLY(rows[i].override), APPLY("") } };

		expect_text(&applied, rows[i].wanted);
		expect_text(&undone, rows[i].text);
	}
}

static void the_last_option_of_the_name_is_replaced(void **state)
{
	static const struct row rows[] = {
		{ SMTP " -o a=1\n", "smtp/inet/a=2\n", SMTP " -o a=2\n" },
		{ SMTP "\n  -o a=1\n# c\n  -o a=2 -v\n", "smtp/inet/a=3\n",
		  SMTP "\n  -o a=1\n# c\n  -o a=3 -v\n" },
		{ SMTP " -o { a = 1\n  2 } -o b=1\n", "smtp/inet/a=3\n", SMTP " -o a=3 -o b=1\n" },
		{ SMTP " -vo a=1\n", "smtp/inet/a=3\n", SMTP " -vo a=3\n" },
		{ SMTP " -o a=1\n", "smtp/inet/a=\n", SMTP " -o a=\n" },
		{ SMTP " -o a=1\r\n", "smtp/inet/a = 2\r\n", SMTP " -o a=2\r\n" },
		{ SMTP " -o a=1\n", "smtp/inet/a=2\nsmtp/inet/a=3", SMTP " -o a=3\n" },
		{ SMTP " -o a=1\n", "smtp/inet/a=2\nsmtp/*/a=3", SMTP " -o a=3\n" },
		{ SMTP " -o a=1\n", "smtp/inet/a=1\n", SMTP " -o a=1\n" },
		/* the last of several entries is the one that Postfix uses */
		{ SMTP " -o a=1\n" SMTP " -o a=2\n", "smtp/inet/a=3\n",
		  SMTP " -o a=1\n" SMTP " -o a=3\n" },
	};

	(void)state;
	expect(rows, ARRAY_SIZE(rows));
}

static void an_option_is_added_after_the_last_one(void **state)
{
	static const struct row rows[] = {
		{ SMTP "\n", "smtp/inet/a=2\n", SMTP "\n    -o a=2\n" },
		{ SMTP, "  smtp/inet/a=2", SMTP "\n    -o a=2" },
		{ SMTP "  \n  -o b=1 \n# c\n\n10 inet n - n - - smtpd\n", "smtp/inet/a=2\n",
		  SMTP "  \n  -o b=1\n    -o a=2 \n# c\n\n10 inet n - n - - smtpd\n" },
		{ "m unix - n n - - pipe flags=D user=x -o a=1\n", "m/unix/a=2\n",
		  "m unix - n n - - pipe\n    -o a=2 flags=D user=x -o a=1\n" },
		{ "m unix - n n - - pipe -v\n  flags=D\n", "m/unix/a=2\nm/unix/b=3\n",
		  "m unix - n n - - pipe -v\n    -o a=2\n    -o b=3\n  flags=D\n" },
		{ SMTP " -- x\n", "smtp/inet/a=2\n", SMTP "\n    -o a=2 -- x\n" },
		{ SMTP " # x\n", "smtp/inet/a=2\n", SMTP "\n    -o a=2 # x\n" },
		/* one that shares its word is left and overruled */
		{ SMTP " -oa=1\n", "smtp/inet/a=2\n", SMTP " -oa=1\n    -o a=2\n" },
		{ SMTP "\n" SMTP "\n", "smtp/inet/a=2\n", SMTP "\n" SMTP "\n    -o a=2\n" },
		{ SMTP "\nsmtp unix - - n - - smtp\n", "smtp/*/a=2\n",
		  SMTP "\n    -o a=2\nsmtp unix - - n - - smtp\n    -o a=2\n" },
		{ SMTP "\n", "smtp/inet/a=${x?{b}:{c}}\nsmtp/inet/b=#,=-v\\\n",
		  SMTP "\n    -o a=${x?{b}:{c}}\n    -o b=#,=-v\\\n" },
	};

	(void)state;
	expect(rows, ARRAY_SIZE(rows));
}

static void lines_of_no_service_are_passed_over(void **state)
{
	static const struct row rows[] = {
		{ SMTP "\n", "# c\n\n  # d\nSMTP/inet/a=1\n[::1]:25/inet/a=1\n_x\n", SMTP "\n" },
		{ SMTP "\n", "25/inet/a=1\nsmtp/unix/a=1\nsmtp/INET/a=1\n", SMTP "\n" },
		{ "10025 inet n - n - - smtpd -o postern_twin_of=smtp\n", "10025/inet/a=1\n",
		  "10025 inet n - n - - smtpd -o postern_twin_of=smtp\n" },
	};
	struct override_case notes = {
		OVERRIDE_MASTER_CF,
		{ SMTP "\n1 inet n - n - - smtpd -o postern_twin_of=smtp\n",
		  { APPLY("\n25/inet/a=1\nSMTP/inet/a=1\n1/inet/a=1\n") } },
	};

	(void)state;
	expect(rows, ARRAY_SIZE(rows));
	unit_expect_once(
		override_notes_body, &notes,
		"notice: postfix-master.cf:3: passed over, as docker-mailserver does: it "
		"begins with neither a digit nor a lower-case letter: \"SMTP/inet/a=1\"\n"
		"warning: postfix-master.cf:2: master.cf has no service \"25/inet\" of its "
		"owner's: passed over\n"
		"warning: postfix-master.cf:4: master.cf has no service \"1/inet\" of its "
		"owner's: passed over\n");
}

static void what_postconf_refuses_is_passed_over(void **state)
{
	static const struct {
		const char *override;
		const char *message;
	} cases[] = {
		{ "\nsmtp/inet/a\n", "2: not SERVICE/TYPE/NAME=VALUE: \"smtp/inet/a\"" },
		{ "a=1\n", "1: not SERVICE/TYPE/NAME=VALUE" },
		{ "smtp/a=1\n", "1: not SERVICE/TYPE/NAME=VALUE" },
		{ "smtp//a=1\n", "1: not SERVICE/TYPE/NAME=VALUE" },
		{ "smtp inet n - n - - smtpd\n", "1: not SERVICE/TYPE/NAME=VALUE" },
		{ "smtp /inet/a=1\n", "1: not SERVICE/TYPE/NAME=VALUE" },
		{ "smtp/inet/=1\n", "1: not SERVICE/TYPE/NAME=VALUE" },
		{ "smtp/inet/a/b=1\n", "1: not a parameter's name" },
		{ "smtp/inet/a b=1\n", "1: not a parameter's name" },
		{ "smtp/inet/*=1\n", "1: not a parameter's name" },
		{ "smtp/inet/a=1 2\n", "1: blanks in the value" },
		{ "smtp/inet/a={1 2}\n", "1: blanks in the value" },
		{ "smtp/inet/a=1 # no\n", "1: blanks in the value" },
		{ "smtp/inet/a={b\n", "1: braces that do not match" },
		{ "smtp/inet/a=}b{\n", "1: braces that do not match" },
		{ "smtp/inet/postern_twin_of=1\n", "1: the names that begin with postern_" },
		{ "smtp/inet/syslog_name=${postern_in_place?x}\n",
		  "1: the names that begin with postern_" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct override_case life = { OVERRIDE_MASTER_CF,
					      { SMTP "\n", { APPLY(cases[i].override) } } };

		cleanup_buf struct buf said = BUF_INIT;

		assert_int_equal(override_notes_body(&life, &said, NULL), 0);
		unit_assert_contains(buf_span(&said), "warning: postfix-master.cf:");
		unit_assert_contains(buf_span(&said), cases[i].message);
		unit_expect_text(override_text_body, &life, SMTP "\n");
	}
}

static void control_characters_are_refused(void **state)
{
	static const char *const overrides[] = { "smtp/inet/a=1\r2\n", "smtp/inet/a=1\v\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(overrides); i++) {
		struct override_case life = { OVERRIDE_MASTER_CF,
					      { SMTP "\n", { APPLY(overrides[i]) } } };

		unit_expect_error(override_text_body, &life, -EINVAL, "1: a control character");
	}
}

static void an_entry_that_takes_no_option_is_refused(void **state)
{
	static const char *const entries[] = {
		SMTP " -o\n",
		SMTP " -o b={ c\n",
		SMTP " -o a={ c\n",
		SMTP " -o b=c\n\v\n   -o\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		struct override_case life = { OVERRIDE_MASTER_CF,
					      { entries[i], { APPLY("smtp/inet/a=2\n") } } };

		unit_expect_error(override_text_body, &life, -EINVAL,
				  "1: smtp/inet: the option a cannot be set in this entry");
	}
}

static void others_may_edit_the_entry_in_between(void **state)
{
	static const struct {
		struct override_life life;
		const char *wanted;
	} rows[] = {
		/* as postconf(1) lays it out */
		{ { SMTP " -o a={1}\n  -o { b = 2 } -v\n",
		    { APPLY("smtp/inet/b=3\nsmtp/inet/c=4\n"),
		      EDIT(SMTP " -o a={1}\n  -o b=3 -v\n    -o c=4\n",
			   "smtp       inet  n       -       n       -       -       smtpd\n"
			   "    -o a={1}\n    -o b=3 -v\n    -o c=4\n    -o d=5\n"),
		      APPLY("") } },
		  "smtp       inet  n       -       n       -       -       smtpd\n"
		  "    -o a={1}\n    -o { b = 2 } -v\n    -o d=5\n" },
		/* a comment in between */
		{ { SMTP "\n",
		    { APPLY("smtp/inet/c=4\n"), EDIT("\n    -o c=4", "\n# x\n    -o c=4 -v"),
		      APPLY("") } },
		  SMTP "\n# x\n     -v\n" },
		/* theirs now */
		{ { SMTP "\n", { APPLY("smtp/inet/c=4\n"), EDIT("c=4", "c=5"), APPLY("") } },
		  SMTP "\n    -o c=5\n" },
		{ { SMTP "\n",
		    { APPLY("smtp/inet/c=4\n"), EDIT("c=4", "c=5"), APPLY("smtp/inet/c=4\n"),
		      APPLY("") } },
		  SMTP "\n    -o c=5\n" },
		/* the service is gone, and comes back */
		{ { SMTP " -o c=1\n",
		    { APPLY("smtp/inet/c=4\n"), EDIT(SMTP " -o c=4\n", "# gone\n"),
		      APPLY("smtp/inet/c=4\n"), EDIT("# gone\n", SMTP " -o c=6\n"),
		      APPLY("smtp/inet/c=4\n"), APPLY("") } },
		  SMTP " -o c=6\n" },
		/* two of the same type go at once, in any order */
		{ { SMTP "\n",
		    { APPLY("smtp/inet/a=1\nsmtp/inet/b=2\nsmtp/inet/c=3\n"),
		      APPLY("smtp/inet/b=2\nsmtp/inet/d=5\n"), APPLY("smtp/inet/d=5\n"),
		      APPLY("") } },
		  SMTP "\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_text(&rows[i].life, rows[i].wanted);
}

static void a_crash_between_record_and_file_loses_nothing(void **state)
{
	static const struct override_life lives[] = {
		{ SMTP "\n", { CRASH("smtp/inet/a=1\n"), APPLY("smtp/inet/a=1\n"), APPLY("") } },
		{ SMTP " -o a=0\n", { CRASH("smtp/inet/a=1\n"), APPLY("") } },
		{ SMTP " -o a=0\n",
		  { APPLY("smtp/inet/a=1\n"), CRASH("smtp/inet/a=2\n"), APPLY("") } },
		{ SMTP "\n",
		  { APPLY("smtp/inet/a=1\n"), CRASH(""), APPLY("smtp/inet/a=3\n"), APPLY("") } },
		{ SMTP "\n", { APPLY("smtp/inet/a=1\n"), CRASH(""), APPLY("") } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lives); i++)
		expect_text(&lives[i], lives[i].text);
}

static int with_record_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(override_record_release) struct override_record record = OVERRIDE_RECORD_INIT;
	int rc = override_record_parse(span_from(ctx), &record, err);

	if (rc == 0)
		rc = override_laws_apply(
			OVERRIDE_MASTER_CF,
			span_from(SMTP " -o a=2 -o b=3\n" SMTP "\n" SMTP " -o a=2 -v -o b=3\n"),
			span_from(""), &record, out, NULL, err);
	return rc < 0 ? rc : buf_check(out, err);
}

#define RECORD_OF(before) "postern-overrides 1\nwritten =smtp/inet =a =" before " =a=2 -\nend 1\n"

static void a_record_cannot_smuggle_anything_in(void **state)
{
	static const char *const befores[] = {
		RECORD_OF("a=1%20-v"), RECORD_OF("a=1%0Ax%20y"), RECORD_OF("b=1"),    RECORD_OF(""),
		RECORD_OF("a={1"),     RECORD_OF("#"),           RECORD_OF("a=1%00"),
	};

	(void)state;
	unit_expect_text(with_record_body, RECORD_OF("{%20a%20=%201%20}"),
			 SMTP " -o a=2 -o b=3\n" SMTP "\n" SMTP " -o { a = 1 } -v -o b=3\n");
	for (size_t i = 0; i < ARRAY_SIZE(befores); i++)
		unit_expect_error(with_record_body, befores[i], -EINVAL,
				  "3: smtp/inet: the option a cannot be put back in this entry");
}

static void a_master_cf_that_is_broken_is_refused(void **state)
{
	struct override_case life = { OVERRIDE_MASTER_CF,
				      { "smtp inet n\n", { APPLY("smtp/inet/a=1\n") } } };

	(void)state;
	unit_expect_error(override_text_body, &life, -EINVAL, "1: bad field count");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_option_of_the_name_is_replaced),
		cmocka_unit_test(an_option_is_added_after_the_last_one),
		cmocka_unit_test(lines_of_no_service_are_passed_over),
		cmocka_unit_test(what_postconf_refuses_is_passed_over),
		cmocka_unit_test(control_characters_are_refused),
		cmocka_unit_test(an_entry_that_takes_no_option_is_refused),
		cmocka_unit_test(others_may_edit_the_entry_in_between),
		cmocka_unit_test(a_crash_between_record_and_file_loses_nothing),
		cmocka_unit_test(a_record_cannot_smuggle_anything_in),
		cmocka_unit_test(a_master_cf_that_is_broken_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
