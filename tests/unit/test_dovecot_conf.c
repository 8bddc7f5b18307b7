/* SPDX-License-Identifier: MIT */
/* dovecot_conf - a single file, line by line, as doveconf(1) reads it. */
#include "unit.h"

#include "patchers/dovecot_reader.h"
#include "tests/support/bundle.h"

/* Reads ctx as the only file; "LINE path=value\n" for each setting. */
static int settings_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	const struct span *text = ctx;
	static struct bundle tree;
	struct dovecot_source source = bundle_source(&tree);
	int rc;

	tree.n_files = 0;
	bundle_add(&tree, "/d.conf", *text);
	rc = dovecot_conf_read(&source, "/d.conf", NULL, 0, &conf, err);
	for (size_t i = 0; i < conf.n_settings; i++)
		buf_add_format(out, "%u %s=%s\n", conf.settings[i].line, conf.settings[i].path,
			       conf.settings[i].value);
	return rc < 0 ? rc : buf_check(out, err);
}

struct reading {
	const char *text;
	const char *settings;
};

static void expect_readings(const struct reading *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct span text = span_from(cases[i].text);

		unit_expect_text(settings_body, &text, cases[i].settings);
	}
}

static void keys_and_values_stand_on_lines(void **state)
{
	static const struct reading cases[] = {
		{ "", "" },
		{ "\n  \n\t\n", "" },
		{ "a = b\n", "1 a=b\n" },
		{ "a=b", "1 a=b\n" },
		{ "  a\t=  b c  \n", "1 a=b c\n" },
		{ "a =\n", "1 a=\n" },
		{ "a = = x\n", "1 a== x\n" },
		{ "a = b\r\nc = d\r\n", "1 a=b\n2 c=d\n" },
		{ "a = b\rc\n", "1 a=b\rc\n" },
		{ "a = 1\na = 2\n", "1 a=1\n2 a=2\n" },
		{ "A = 1\n", "1 A=1\n" },
		{ "a = 3 }\n", "1 a=3 }\n" },
		{ "protocols = $protocols imap\n", "1 protocols=$protocols imap\n" },
		{ "a = </etc/x\n", "1 a=</etc/x\n" },
		{ "a = b { c }\n", "1 a=b { c }\n" },
		{ "\"a\" = b\n", "1 a=b\n" },
		{ "!includes = x\n", "1 !includes=x\n" },
	};

	(void)state;
	expect_readings(cases, ARRAY_SIZE(cases));
}

static void comments_end_at_quotes_only(void **state)
{
	static const struct reading cases[] = {
		{ "# a = b\n  # c = d\n", "" },
		{ "a = b # c\n", "1 a=b\n" },
		{ "a = b#c\n", "1 a=b\n" },
		{ "a = \"b # c\" # d\n", "1 a=b # c\n" },
		{ "a = 'b # c' # d\n", "1 a=b # c\n" },
		{ "a = it's a #x\n", "1 a=it's a #x\n" },
		{ "a = it's a 'b' #x\n", "1 a=it's a 'b' #x\n" },
		{ "a = \"b \\\" # c\" # d\n", "1 a=b \" # c\n" },
		{ "a = b \\# c\n", "" },
		{ "# a \\\nb = c\n", "2 b=c\n" },
	};

	(void)state;
	expect_readings(cases, ARRAY_SIZE(cases));
}

static void quotes_are_removed_only_around_the_whole_value(void **state)
{
	static const struct reading cases[] = {
		{ "a = \"b c\"\n", "1 a=b c\n" },
		{ "a = 'b c'\n", "1 a=b c\n" },
		{ "a = \"b\\\"c\\\\d\\n\"\n", "1 a=b\"c\\dn\n" },
		{ "a = \"b\" \"c\"\n", "1 a=b\" \"c\n" },
		{ "a = \"b\" c\n", "1 a=\"b\" c\n" },
		{ "a = \"b\n", "1 a=\"b\n" },
		{ "a = \"b'\n", "1 a=\"b'\n" },
		{ "a = \"\"\n", "1 a=\n" },
		{ "a = \"\n", "1 a=\n" },
		{ "a = '\n", "1 a=\n" },
		{ "a = \"$b\"\n", "1 a=$b\n" },
	};

	(void)state;
	expect_readings(cases, ARRAY_SIZE(cases));
}

static void a_backslash_continues_a_line(void **state)
{
	static const struct reading cases[] = {
		{ "a = b \\\n  c\n", "2 a=b c\n" },
		{ "a = b\\\nc\\\nd\n", "3 a=b c d\n" },
		{ "a \\\n= b\n", "2 a=b\n" },
		{ "a = b \\ # x\n c\n", "2 a=b c\n" },
		{ "a = b \\\\\n c\n", "2 a=b \\ c\n" },
		{ "a = b \\\r\n c\r\n", "2 a=b c\n" },
		{ "a = b \\\n# x\nc = d\n", "3 c=d\n" },
		{ "a = b \\\n\nc = d\n", "3 c=d\n" },
		{ "a = b \\\n", "" },
		{ "a = b \\", "" },
		{ "a = \"b \\\n c #d\"\n", "2 a=\"b c\n" },
		{ "service x \\\n{\n a = b\n}\n", "3 service/x/a=b\n" },
	};

	(void)state;
	expect_readings(cases, ARRAY_SIZE(cases));
}

static void sections_give_their_settings_a_path(void **state)
{
	static const struct reading cases[] = {
		{ "service imap-login {\n  inet_listener imap {\n    port = 143\n  }\n}\nx = y\n",
		  "3 service/imap-login/inet_listener/imap/port=143\n6 x=y\n" },
		{ "service \"imap-login\"{\na = b\n}\n", "2 service/imap-login/a=b\n" },
		{ "service \"imap-login\" {\na = b\n}\n", "2 service/imap-login/a=b\n" },
		{ "service 'imap-login' {\na = b\n}\n", "2 service/'imap-login'/a=b\n" },
		{ "service imap-login { # x\na = b\n} # y\n", "2 service/imap-login/a=b\n" },
		{ "protocols {\n imap = yes\n}\n", "2 protocols/imap=yes\n" },
		{ "service x {\n}\nservice x {\n a = 1\n}\n", "4 service/x/a=1\n" },
		{ "service/x/a = 1\n", "1 service/x/a=1\n" },
		{ "group @g x {\n a = 1\n}\n", "2 group/@g x/a=1\n" },
	};

	(void)state;
	expect_readings(cases, ARRAY_SIZE(cases));
}

static void a_nul_ends_its_line(void **state)
{
	struct span text = SPAN_LITERAL("a = b\0c\n\0x\nd = e\n");

	(void)state;
	unit_expect_text(settings_body, &text, "1 a=b\n3 d=e\n");
}

static void what_doveconf_refuses_is_refused_with_file_line_and_text(void **state)
{
	static const struct {
		const char *text;
		const char *place;
		const char *part;
	} cases[] = {
		{ "a = b\nfoo\n", "/d.conf:2: ", "foo" },
		{ "foo bar\n", "/d.conf:1: ", "foo bar" },
		{ "service{\n", "/d.conf:1: ", "service{" },
		{ "service x{\n}\n", "/d.conf:1: ", "service x{" },
		{ "service x { a = b }\n", "/d.conf:1: ", "service x {" },
		{ "service x { }\n", "/d.conf:1: ", "service x { }" },
		{ "service x\n{\n}\n", "/d.conf:1: ", "service x" },
		{ "service x y {\n}\n", "/d.conf:1: ", "service x y {" },
		{ "service \"x {\n}\n", "/d.conf:1: ", "service \"x {" },
		{ "}\n", "/d.conf:1: ", "}" },
		{ "service x {\n}\n}\n", "/d.conf:3: ", "}" },
		{ "service x {\n} x\n", "/d.conf:2: ", "} x" },
		{ "service x {\n}}\n", "/d.conf:2: ", "}}" },
		{ "\n\nservice x {\n a = b\n", "/d.conf:3: ", "service/x" },
		{ "service x {\n inet_listener y {\n}\n", "/d.conf:1: ", "'}'" },
		{ "= x\n", "/d.conf:1: ", "= x" },
		{ "!include=x\n", "/d.conf:1: ", "!include=x" },
		{ "a \\\nb\n", "/d.conf:2: ", "a b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span text = span_from(cases[i].text);

		unit_expect_error(settings_body, &text, -EINVAL, cases[i].place, cases[i].part);
	}
}

static void sections_that_nest_without_end_are_refused(void **state)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct span span;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		buf_add_text(&text, "a b {\n");
	span = buf_span(&text);
	unit_expect_error(settings_body, &span, -EINVAL, "/d.conf:", "deep");
}

static void questions_are_answered_by_the_last_setting(void **state)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	static struct bundle tree;
	struct dovecot_source source = bundle_source(&tree);

	(void)state;
	tree.n_files = 0;
	bundle_add(&tree, "/d.conf", span_from("a = 1\nb =\na = 2\n"));
	assert_int_equal(dovecot_conf_read(&source, "/d.conf", NULL, 0, &conf, NULL), 0);
	assert_string_equal(dovecot_conf_get(&conf, "a", "x"), "2");
	assert_string_equal(dovecot_conf_get(&conf, "b", "x"), "");
	assert_string_equal(dovecot_conf_get(&conf, "c", "x"), "x");
	assert_int_equal(dovecot_conf_find(&conf, "a")->line, 3);
	assert_null(dovecot_conf_find(&conf, "A"));
}

static void yes_is_spelled_in_three_ways(void **state)
{
	static const char *const yes[] = { "yes", "YES", "Yes", "y", "Y", "1" };
	static const char *const no[] = { "no", "n", "0", "true", "on", "", "yess", "11" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(dovecot_conf_is_yes(yes[i]));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(dovecot_conf_is_yes(no[i]));
}

static void many_settings_and_long_lines_are_read(void **state)
{
	cleanup_buf struct buf text = BUF_INIT, out = BUF_INIT;
	struct span span;

	(void)state;
	for (unsigned i = 0; i < 3000; i++)
		buf_add_format(&text, "k%u = v \\\n", i);
	buf_add_text(&text, "end\nlast = ");
	for (unsigned i = 0; i < 200000; i++)
		buf_add_text(&text, "x ");
	span = buf_span(&text);
	assert_int_equal(settings_body(&span, &out, NULL), 0);
	unit_assert_contains(buf_span(&out), "3001 k0=v k1 = v");
	unit_assert_contains(buf_span(&out), "3002 last=x x x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_and_values_stand_on_lines),
		cmocka_unit_test(comments_end_at_quotes_only),
		cmocka_unit_test(quotes_are_removed_only_around_the_whole_value),
		cmocka_unit_test(a_backslash_continues_a_line),
		cmocka_unit_test(sections_give_their_settings_a_path),
		cmocka_unit_test(a_nul_ends_its_line),
		cmocka_unit_test(what_doveconf_refuses_is_refused_with_file_line_and_text),
		cmocka_unit_test(sections_that_nest_without_end_are_refused),
		cmocka_unit_test(questions_are_answered_by_the_last_setting),
		cmocka_unit_test(yes_is_spelled_in_three_ways),
		cmocka_unit_test(many_settings_and_long_lines_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
