/* SPDX-License-Identifier: MIT */
/* postfix_twins - in-place mode: the stock ports themselves require PROXY. */
#include "postfix_cases.h"

#define IN_PLACE(indent, mark)                                                                     \
	"\n" indent "-o postern_in_place=" mark "\n" indent                                        \
	"-o syslog_name=postfix/${postern_in_place}_proxied"                                       \
	"\n" indent "-o inet_protocols=${postern_in_place?all}"                                    \
	"\n" indent "-o mynetworks=${postern_in_place?}"                                           \
	"\n" indent "-o smtpd_authorized_xclient_hosts=${postern_in_place?}"                       \
	"\n" indent "-o smtpd_authorized_xforward_hosts=${postern_in_place?}"                      \
	"\n" indent "-o smtpd_upstream_proxy_protocol=${postern_in_place?haproxy}"

static void expect_plan(const char *master_cf, const char *wanted)
{
	struct postfix_case c = { .master_cf = master_cf, .in_place = true };

	unit_expect_text(postfix_plan_body, &c, wanted);
	unit_expect_text(postfix_strip_body, wanted, master_cf);
	postfix_expect_laws(&c);
}

static void options_go_right_after_the_entrys_last_word(void **state)
{
	(void)state;
	expect_plan("# top\n587 " SMTPD_FIELDS "\n  # in\n  -o a=b\n# after\nx unix - - n - - x\n",
		    "# top\n587 " SMTPD_FIELDS "\n  # in\n  -o a=b" IN_PLACE(
			    "    ", "submission") "\n# after\nx unix - - n - - x\n");
	expect_plan("587 " SMTPD_FIELDS, "587 " SMTPD_FIELDS IN_PLACE("    ", "submission"));
}

static void no_twin_port_is_needed_and_none_is_looked_at(void **state)
{
	static const struct postfix_case c = {
		.master_cf = "587 " SMTPD_FIELDS "\n10587 " SMTPD_FIELDS "\n",
		.in_place = true,
	};

	(void)state;
	unit_expect_text(postfix_list_body, &c,
			 "submission: 587 (line 1, port 587) -> 587 []:587\n");
}

static void postscreen_gets_its_pass_twin_in_place_too(void **state)
{
	static const struct postfix_case c = { .master_cf = POSTSCREEN_STOCK, .in_place = true };
	cleanup_buf struct buf plan = BUF_INIT;

	(void)state;
	unit_expect_text(postfix_ours_body, &c,
			 "smtpd_proxied pass - - n - - smtpd " PASS_TWIN("smtp") "\n");
	assert_int_equal(postfix_plan_body(&c, &plan, NULL), 0);
	unit_assert_contains(buf_span(&plan),
			     "-o postscreen_upstream_proxy_protocol=${postern_in_place?haproxy}\n");
	unit_assert_contains(buf_span(&plan),
			     "-o smtpd_service_name=smtpd${postern_in_place?_proxied}");
	postfix_expect_laws(&c);
}

/* What postconf(1) may make of an entry; strip must find the owner's part in it. */
static void options_are_taken_out_wherever_postconf_put_them(void **state)
{
	static const struct {
		const char *edited;
		const char *stripped;
	} cases[] = {
		/* -P of a new name: appended after ours, the entry reflowed */
		{ "587 " SMTPD_FIELDS IN_PLACE("    ", "submission") "\n    -o new=1\n",
		  "587 " SMTPD_FIELDS "\n    -o new=1\n" },
		/* the mark alone deleted: the others still mention it */
		{ "587 " SMTPD_FIELDS "\n    -o a=b\n    -o mynetworks=${postern_in_place?}\n",
		  "587 " SMTPD_FIELDS "\n    -o a=b\n" },
		/* all on one line, in the middle and at its end */
		{ "587 " SMTPD_FIELDS
		  " -o postern_in_place=x -o a=b -o mynetworks=${postern_in_place?}\n",
		  "587 " SMTPD_FIELDS " -o a=b\n" },
		/* braces, as postconf(1) writes values with blanks */
		{ "587 " SMTPD_FIELDS "\n    -o {mynetworks = ${postern_in_place?}}\n    -v\n",
		  "587 " SMTPD_FIELDS "\n    -v\n" },
		/* an option over two lines, comments between them */
		{ "587 " SMTPD_FIELDS "\n  -o\n# mine\n  postern_in_place=x\n  -v\n",
		  "587 " SMTPD_FIELDS "\n  -v\n" },
		/* CR LF, and ours the last word of a file without a final newline */
		{ "587 " SMTPD_FIELDS "\r\n  -o postern_in_place=x", "587 " SMTPD_FIELDS "\r" },
		/* the owner's value on a name of ours was overwritten by ours: gone with it */
		{ "587 " SMTPD_FIELDS " -o mynetworks=1.2.3.4 -o postern_in_place=x\n",
		  "587 " SMTPD_FIELDS " -o mynetworks=1.2.3.4\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		unit_expect_text(postfix_strip_body, cases[i].edited, cases[i].stripped);
}

static void changing_modes_takes_the_other_modes_work_away(void **state)
{
	static const char stock[] = POSTSCREEN_STOCK "submission " SMTPD_FIELDS "\n  -o a=b";
	struct postfix_case separate = { .master_cf = stock };
	struct postfix_case in_place = { .master_cf = stock, .in_place = true };
	cleanup_buf struct buf a = BUF_INIT, b = BUF_INIT;

	(void)state;
	assert_int_equal(postfix_plan_body(&separate, &a, NULL), 0);
	assert_int_equal(postfix_plan_body(&in_place, &b, NULL), 0);
	separate.master_cf = buf_text(&b);
	in_place.master_cf = buf_text(&a);
	unit_expect_text(postfix_plan_body, &separate, buf_text(&a));
	unit_expect_text(postfix_plan_body, &in_place, buf_text(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_go_right_after_the_entrys_last_word),
		cmocka_unit_test(no_twin_port_is_needed_and_none_is_looked_at),
		cmocka_unit_test(postscreen_gets_its_pass_twin_in_place_too),
		cmocka_unit_test(options_are_taken_out_wherever_postconf_put_them),
		cmocka_unit_test(changing_modes_takes_the_other_modes_work_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
