/* SPDX-License-Identifier: MIT */
/*
 * postfix_twins - the laws, over every way in which a master.cf may be written
 * and every way in which postconf(1) may have changed what we wrote.
 */
#include "postfix_cases.h"

#define CRLF_ENTRY "submission " SMTPD_FIELDS "\r\n  -o a=b\r\n"

static const char *const texts[] = {
	"",
	"\n",
	"# only a comment",
	"# only comments\n  # indented\n\n",
	" a line that continues nothing\n",
	"587 " SMTPD_FIELDS "\n",
	"587 " SMTPD_FIELDS,
	"587 " SMTPD_FIELDS "\n# a comment without an end",
	"587 " SMTPD_FIELDS "\n\n\n",
	"587 " SMTPD_FIELDS "\n  ",
	"587\tinet\tn\t-\tn\t-\t-\tsmtpd\n\t-o\ta=b\n",
	CRLF_ENTRY,
	"# x\r\n" CRLF_ENTRY "\r\n# y\r\n465 " SMTPD_FIELDS "\r\n",
	"submission " SMTPD_FIELDS "\r\n  -o a=b",
	"587 " SMTPD_FIELDS "\n# inside\n\n  -o a=b\n  # inside, last\n# after\n  -o c=d\n# end\n",
	"587 " SMTPD_FIELDS " -o { a = b\n# inside braces\n  c } -v\n",
	"587 " SMTPD_FIELDS " -vv -o a=b -vo c=d -D\n",
	"587 " SMTPD_FIELDS " word -o a=b\n",
	"587 " SMTPD_FIELDS "   \n  -o a=b   \n",
	POSTSCREEN_STOCK,
	POSTSCREEN_STOCK "submission " SMTPD_FIELDS "\nsubmissions " SMTPD_FIELDS,
	"192.0.2.1:25 " SMTPD_FIELDS "\n192.0.2.2:25 " SMTPD_FIELDS "\n"
	"[2001:db8::1]:smtp " SMTPD_FIELDS "\n",
	"submission " SMTPD_FIELDS "\n587 " SMTPD_FIELDS "\n",
	"587 " SMTPD_FIELDS "\n10587 " SMTPD_FIELDS "\n",
	"25 inet n - n - 1 postscreen\n",
	"# postern in a comment\n587 " SMTPD_FIELDS " -o a=postern\n",
	"587 inet n - n\n  - -\n  smtpd\n",
};

static void laws_hold_for_every_way_of_writing(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		for (int in_place = 0; in_place < 2; in_place++) {
			struct postfix_case c = { .master_cf = texts[i], .in_place = in_place };

			postfix_expect_laws(&c);
		}
	}
}

static void plan_then_revert_gives_the_bytes_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		for (int in_place = 0; in_place < 2; in_place++) {
			struct postfix_case c = { .master_cf = texts[i], .in_place = in_place };
			cleanup_buf struct buf plan = BUF_INIT;

			if (postfix_plan_body(&c, &plan, NULL) == 0)
				unit_expect_text(postfix_strip_body, buf_text(&plan), texts[i]);
		}
	}
}

static void adopting_and_reverting_gives_the_bytes_back(void **state)
{
	static const struct postfix_listener listeners[] = {
		{ "smtp", 25, 12525, false, true },
		{ "submission", 587, 10587, false, true },
	};
	static const char *const recipes[] = {
		"587 " SMTPD_FIELDS "\n10587 " SMTPD_FIELDS
		"\n# in\n\n  -o smtpd_upstream_proxy_protocol=haproxy",
		"10587 " SMTPD_FIELDS
		" -o smtpd_upstream_proxy_protocol=haproxy\r\n587 " SMTPD_FIELDS
		"\r\n10587 " SMTPD_FIELDS " -o smtpd_upstream_proxy_protocol=haproxy\r\n",
		POSTSCREEN_STOCK "12525 inet n - n - 1 postscreen\n"
				 "    -o postscreen_upstream_proxy_protocol=haproxy\n"
				 "    -o syslog_name=smtp-proxyprotocol\n# end\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(recipes); i++) {
		struct postfix_case c = { recipes[i], NULL, listeners, 2, false };
		cleanup_buf struct buf plan = BUF_INIT;

		postfix_expect_laws(&c);
		assert_int_equal(postfix_plan_body(&c, &plan, NULL), 0);
		unit_expect_text(postfix_strip_body, buf_text(&plan), recipes[i]);
	}
}

/* Replace the first `from` in the plan of `stock` by `to` and plan again. */
static void expect_repair(const char *stock, const char *from, const char *to, const char *owner)
{
	struct postfix_case c = { .master_cf = stock };
	cleanup_buf struct buf plan = BUF_INIT, edited = BUF_INIT, wanted = BUF_INIT;
	const char *at;

	assert_int_equal(postfix_plan_body(&c, &plan, NULL), 0);
	at = strstr(buf_text(&plan), from);
	if (!at)
		fail_msg("\"%s\" is not in\n%s", from, buf_text(&plan));
	buf_add(&edited, span_between(plan.data, at));
	buf_add_text(&edited, to);
	buf_add_text(&edited, at + strlen(from));
	c.master_cf = owner;
	assert_int_equal(postfix_plan_body(&c, &wanted, NULL), 0);
	c.master_cf = buf_text(&edited);
	unit_expect_text(postfix_strip_body, c.master_cf, owner);
	unit_expect_text(postfix_plan_body, &c, buf_text(&wanted));
}

#define STOCK "587 " SMTPD_FIELDS "\n  -o a=b\n"
#define COMMENT_FIRST "# postern(8): twins of the services above that require the PROXY protocol.\n"

static void twins_are_restored_after_others_edited_them(void **state)
{
	(void)state;
	/* postconf -P on the twin: another value, an option more, one less */
	expect_repair(STOCK, "mynetworks=\n", "mynetworks=10.0.0.0/8\n", STOCK);
	expect_repair(STOCK, "    -o mynetworks=\n", "", STOCK);
	expect_repair(STOCK, "    -o mynetworks=\n", "    -o mynetworks=\n    -o x=y\n", STOCK);
	/* postconf -P on the stock: the twin follows */
	expect_repair(STOCK, "  -o a=b\n", "    -o a=c\n    -o d=e\n",
		      "587 " SMTPD_FIELDS "\n    -o a=c\n    -o d=e\n");
	/* postconf -MX on the stock: the twin goes */
	expect_repair("# x\n" STOCK "# y\n", STOCK, "", "# x\n# y\n");
	/* postconf -M of a new service lands behind our entries */
	expect_repair(STOCK, "smtpd_upstream_proxy_protocol=haproxy\n",
		      "smtpd_upstream_proxy_protocol=haproxy\n465 " SMTPD_FIELDS "\n",
		      STOCK "465 " SMTPD_FIELDS "\n");
	/* our comment moved or gone: it means nothing */
	expect_repair("# x\n" STOCK, "# x\n", COMMENT_FIRST "# x\n", "# x\n" STOCK);
	expect_repair(STOCK, COMMENT_FIRST, "", STOCK);
}

static void a_twin_that_lost_its_mark_is_the_owners_and_in_the_way(void **state)
{
	static const struct postfix_case c = {
		.master_cf = STOCK "10587 " SMTPD_FIELDS "\n    -o inet_protocols=all\n"
				   "    -o syslog_name=postfix/${postern_twin_of}_proxied\n"
				   "    -o smtpd_upstream_proxy_protocol=haproxy\n",
	};

	(void)state;
	unit_expect_text(postfix_strip_body, c.master_cf, c.master_cf);
	unit_expect_error(postfix_plan_body, &c, -EADDRINUSE, "3: ", "line 1", "adopt = true");
}

static void a_service_that_took_over_our_options_is_not_removed(void **state)
{
	static const struct postfix_case stock = { .master_cf = STOCK };
	cleanup_buf struct buf plan = BUF_INIT, edited = BUF_INIT;
	struct postfix_case c = { 0 };
	const char *twin;

	(void)state;
	assert_int_equal(postfix_plan_body(&stock, &plan, NULL), 0);
	twin = strstr(buf_text(&plan), "\n10587") + 1;
	buf_add(&edited, span_between(plan.data, twin));
	buf_add_text(&edited, "#");
	buf_add_text(&edited, twin);
	c.master_cf = buf_text(&edited);
	unit_expect_text(postfix_strip_body, c.master_cf, c.master_cf);
	postfix_expect_laws(&c);
}

static void a_comment_of_ours_above_a_stock_entry_removes_nothing(void **state)
{
	(void)state;
	unit_expect_text(postfix_strip_body, COMMENT_FIRST STOCK, STOCK);
}

static void bytes_of_no_entry_of_ours_stay_in_a_large_file(void **state)
{
	cleanup_buf struct buf text = BUF_INIT, plan = BUF_INIT, back = BUF_INIT;
	struct postfix_case c = { 0 };

	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		buf_add_format(&text, "# %u\nsvc%u unix - - n - - pipe\n\n  flags=R argv=/x %u\r\n",
			       i, i, i);
	buf_add_text(&text, "587 " SMTPD_FIELDS " -o x=");
	for (unsigned i = 0; i < 300000; i++)
		buf_add_char(&text, "abc,"[i % 4]);
	c.master_cf = buf_text(&text);
	assert_int_equal(postfix_plan_body(&c, &plan, NULL), 0);
	assert_int_equal(postfix_strip_body(buf_text(&plan), &back, NULL), 0);
	unit_assert_span(buf_span(&back), buf_span(&text));
	postfix_expect_laws(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(laws_hold_for_every_way_of_writing),
		cmocka_unit_test(plan_then_revert_gives_the_bytes_back),
		cmocka_unit_test(adopting_and_reverting_gives_the_bytes_back),
		cmocka_unit_test(twins_are_restored_after_others_edited_them),
		cmocka_unit_test(a_twin_that_lost_its_mark_is_the_owners_and_in_the_way),
		cmocka_unit_test(a_service_that_took_over_our_options_is_not_removed),
		cmocka_unit_test(a_comment_of_ours_above_a_stock_entry_removes_nothing),
		cmocka_unit_test(bytes_of_no_entry_of_ours_stay_in_a_large_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
