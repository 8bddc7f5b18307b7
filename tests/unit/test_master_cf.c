/* SPDX-License-Identifier: MIT */
/* master_cf - read a Postfix master.cf without losing a byte of it. */
#include "unit.h"

#include "patchers/master_cf.h"

#define FIELDS " inet n - n - - smtpd"

/* "FIRST-LAST|word|word|...\n" for each entry. */
static int words_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	const struct span *text = ctx;
	int rc = master_cf_parse(*text, &cf, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < cf.n_entries; i++) {
		const struct master_cf_entry *entry = &cf.entries[i];

		buf_add_format(out, "%u-%u", entry->first_line, entry->last_line);
		for (size_t k = 0; k < entry->n_words; k++) {
			buf_add_char(out, '|');
			buf_add(out, entry->words[k].text);
		}
		buf_add_char(out, '\n');
	}
	return buf_check(out, err);
}

static void expect_words(const char *text, const char *words)
{
	struct span span = span_from(text);

	unit_expect_text(words_body, &span, words);
}

#define W "|inet|n|-|n|-|-|smtpd"

static void entries_come_apart_into_words(void **state)
{
	static const struct {
		const char *text;
		const char *words;
	} cases[] = {
		{ "", "" },
		{ "# only\n\n  # comments\n", "" },
		{ "25" FIELDS, "1-1|25" W "\n" },
		{ "25" FIELDS "\n", "1-1|25" W "\n" },
		{ "25\tinet\tn\t-\tn\t-\t-\tsmtpd\t-v\n", "1-1|25" W "|-v\n" },
		{ "25" FIELDS "\n  -o a=b\n\t-o\n c=d\n", "1-4|25" W "|-o|a=b|-o|c=d\n" },
		{ "25" FIELDS "\n# in\n\n  # in\n  -o a=b\n# after\n26" FIELDS "\n",
		  "1-5|25" W "|-o|a=b\n7-7|26" W "\n" },
		{ "25" FIELDS "\r\n  -o a=b\r\n", "1-2|25" W "|-o|a=b\n" },
		{ "25" FIELDS " # x\n", "1-1|25" W "|#|x\n" },
		{ "25" FIELDS "\n -o { a = b c }\n", "1-2|25" W "|-o|{ a = b c }\n" },
		{ "25" FIELDS " -o a=${b?{x y}}z w\n", "1-1|25" W "|-o|a=${b?{x y}}z|w\n" },
		{ "25" FIELDS " -o { a = b\n# in\n\n   c }\n d\n",
		  "1-5|25" W "|-o|{ a = b   c }|d\n" },
		{ "25" FIELDS " }\n", "1-1|25" W "|}\n" },
		{ "25" FIELDS " a}b c\n", "1-1|25" W "|a}b|c\n" },
		{ "25 inet n\n  - n\n  - - smtpd\n", "1-3|25" W "\n" },
		{ " ignored\n25" FIELDS "\n", "2-2|25" W "\n" },
		{ "25 inet n - n 1.5 1x smtpd\n", "1-1|25|inet|n|-|n|1.5|1x|smtpd\n" },
		{ "a unix-dgram n - n - 1 postlogd\nb fifo n n y 60? 0 x\nc pass - y - 1000? - y\n",
		  "1-1|a|unix-dgram|n|-|n|-|1|postlogd\n2-2|b|fifo|n|n|y|60?|0|x\n"
		  "3-3|c|pass|-|y|-|1000?|-|y\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_words(cases[i].text, cases[i].words);
}

static void what_master_refuses_is_refused_with_line_and_text(void **state)
{
	static const struct {
		const char *line;
		const char *part;
	} cases[] = {
		{ "25", "\"25\"" },
		{ "smtp inet n - n -", "\"smtp inet n - n -\"" },
		{ "smtp inet n - n - -\n# smtpd", "\"smtp inet n - n - -\"" },
		{ "25 tcp n - n - - smtpd", "\"tcp\"" },
		{ "25 INET n - n - - smtpd", "\"INET\"" },
		{ "25 - n - n - - smtpd", "\"-\"" },
		{ "25 inet y - n - - smtpd", "private" },
		{ "25 inet - - n - - smtpd", "private" },
		{ "a unix yes - n - - smtpd", "\"yes\"" },
		{ "25 inet n Y n - - smtpd", "\"Y\"" },
		{ "25 inet n - 1 - - smtpd", "\"1\"" },
		{ "25 inet n - n x - smtpd", "\"x\"" },
		{ "25 inet n - n -1 - smtpd", "\"-1\"" },
		{ "25 inet n - n ? - smtpd", "\"?\"" },
		{ "25 inet n - n - x smtpd", "\"x\"" },
		{ "25 inet n - n - -1 smtpd", "\"-1\"" },
		{ "25 inet n - n - +1 smtpd", "\"+1\"" },
		{ "25 inet n - n - - -", "no command" },
		{ "25" FIELDS " -o { a = b", "{ a = b" },
		{ "25" FIELDS " -o { a = {b }", "{ a = {b }" },
		{ "25" FIELDS " -o {a=b}c", "{a=b}c" },
		{ "25" FIELDS "\n -o { a =\n b", "{ a =" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct buf text = BUF_INIT;
		struct span span;

		buf_add_format(&text, "# first\n24" FIELDS "\n\n%s\n26" FIELDS "\n", cases[i].line);
		span = buf_span(&text);
		unit_expect_error(words_body, &span, -EINVAL, "4: ", cases[i].part);
	}
}

static void a_nul_byte_is_refused_with_its_line(void **state)
{
	struct span text = SPAN_LITERAL("25" FIELDS "\n -o a=\0b\n");

	(void)state;
	unit_expect_error(words_body, &text, -EINVAL, "2: ", "NUL");
}

static void failure_leaves_the_result_as_it_was(void **state)
{
	struct master_cf cf = { .n_entries = 77 };

	(void)state;
	assert_int_equal(master_cf_parse(span_from("broken\n"), &cf, NULL), -EINVAL);
	assert_int_equal(cf.n_entries, 77);
}

static void raw_spans_hold_the_files_own_bytes(void **state)
{
	static const char text[] = "# top\n25" FIELDS "\n  # in\n  -o a=b \n# after\n";
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };

	(void)state;
	assert_int_equal(master_cf_parse(span_from(text), &cf, NULL), 0);
	unit_assert_span(cf.entries[0].raw, span_from("25" FIELDS "\n  # in\n  -o a=b \n"));
	assert_ptr_equal(cf.entries[0].words[0].raw.data, text + 6);
	assert_ptr_equal(cf.entries[0].words[0].text.data, text + 6);
}

/* "flag:value[name=setting]@first+n\n" for each argument of the first entry. */
static int args_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	struct master_cf_args at = { 0 };
	struct master_cf_arg arg;
	int rc = master_cf_parse(span_from(ctx), &cf, err);

	if (rc < 0)
		return rc;
	while (master_cf_next_arg(&cf.entries[0], &at, &arg)) {
		buf_add_format(out, "%c", arg.flag ? arg.flag : '.');
		if (arg.has_value)
			buf_add_format(out, ":%.*s", SPAN_ARG(arg.value));
		if (arg.flag == 'o')
			buf_add_format(out, "[%.*s=%.*s]", SPAN_ARG(arg.name),
				       SPAN_ARG(arg.setting));
		buf_add_format(out, "@%zu+%zu\n", arg.first_word, arg.n_words);
	}
	return buf_check(out, err);
}

static void arguments_are_read_as_getopt_reads_them(void **state)
{
	static const struct {
		const char *args;
		const char *expected;
	} cases[] = {
		{ "", "" },
		{ " -o a=b", "o:a=b[a=b]@8+2\n" },
		{ " -oa=b", "o:a=b[a=b]@8+1\n" },
		{ " -o a = b", "o:a[a=]@8+2\n.:=@10+1\n.:b@11+1\n" },
		{ " -o { a = b c }", "o:{ a = b c }[a=b c]@8+2\n" },
		{ " -o {a=b=c}", "o:{a=b=c}[a=b=c]@8+2\n" },
		{ " -o a=", "o:a=[a=]@8+2\n" },
		{ " -o {}", "o:{}[=]@8+2\n" },
		{ " -v -v", "v@8+1\nv@9+1\n" },
		{ " -vvD", "v@8+0\nv@8+0\nD@8+0\n" },
		{ " -vo a=b", "v@8+0\no:a=b[a=b]@8+0\n" },
		{ " -o", "o[=]@8+1\n" },
		{ " -v x -o a=b", "v@8+1\n.:x@9+1\n.:-o@10+1\n.:a=b@11+1\n" },
		{ " - -o a=b", ".:-@8+1\n.:-o@9+1\n.:a=b@10+1\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct buf text = BUF_INIT;

		buf_add_format(&text, "25" FIELDS "%s\n", cases[i].args);
		unit_expect_text(args_body, buf_text(&text), cases[i].expected);
	}
}

static void the_last_option_of_a_name_counts(void **state)
{
	static const char text[] = "25" FIELDS " -o a=1 -o { a = 2 3 } -v -o b= x -o c=1\n";
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	struct span value = { 0 };

	(void)state;
	assert_int_equal(master_cf_parse(span_from(text), &cf, NULL), 0);
	assert_true(master_cf_option(&cf.entries[0], "a", &value));
	unit_assert_span(value, span_from("2 3"));
	assert_true(master_cf_option(&cf.entries[0], "b", &value));
	unit_assert_span(value, span_from(""));
	assert_false(master_cf_option(&cf.entries[0], "c", &value));
}

static void entries_are_found_by_name_and_type(void **state)
{
	static const char text[] = "smtp unix - - n - - smtp\nsmtp" FIELDS "\nsmtp" FIELDS " -v\n";
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };

	(void)state;
	assert_int_equal(master_cf_parse(span_from(text), &cf, NULL), 0);
	assert_int_equal(master_cf_find(&cf, "smtp", "inet")->first_line, 2);
	assert_int_equal(master_cf_find(&cf, "smtp", "unix")->first_line, 1);
	assert_null(master_cf_find(&cf, "smtp", "pass"));
	assert_null(master_cf_find(&cf, "smt", "inet"));
}

static void thousands_of_entries_and_very_long_lines_are_read(void **state)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	cleanup_buf struct buf text = BUF_INIT;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		buf_add_format(&text, "%u" FIELDS "\n  -o a=%u\n", i, i);
	buf_add_text(&text, "long" FIELDS " -o { a =");
	for (unsigned i = 0; i < 50000; i++)
		buf_add_text(&text, " word\n  ");
	buf_add_text(&text, " }");
	assert_int_equal(master_cf_parse(buf_span(&text), &cf, NULL), 0);
	assert_int_equal(cf.n_entries, 10001);
	assert_int_equal(cf.entries[10000].n_words, 10);
	unit_assert_span(cf.entries[9999].words[9].text, span_from("a=9999"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_apart_into_words),
		cmocka_unit_test(what_master_refuses_is_refused_with_line_and_text),
		cmocka_unit_test(a_nul_byte_is_refused_with_its_line),
		cmocka_unit_test(failure_leaves_the_result_as_it_was),
		cmocka_unit_test(raw_spans_hold_the_files_own_bytes),
		cmocka_unit_test(arguments_are_read_as_getopt_reads_them),
		cmocka_unit_test(the_last_option_of_a_name_counts),
		cmocka_unit_test(entries_are_found_by_name_and_type),
		cmocka_unit_test(thousands_of_entries_and_very_long_lines_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
