/* SPDX-License-Identifier: MIT */
/* postfix_twins - which services get a twin, and what it looks like. */
#include "postfix_cases.h"

static void expect_ours(const char *master_cf, const char *ours)
{
	struct postfix_case c = { .master_cf = master_cf };

	unit_expect_text(postfix_ours_body, &c, ours);
	postfix_expect_laws(&c);
}

static void a_twin_has_the_stock_fields_and_options_and_then_ours(void **state)
{
	(void)state;
	expect_ours(
		"submission " SMTPD_FIELDS "\n  -o smtpd_tls_security_level=encrypt -v\n"
		"  -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }\n",
		"10587 " SMTPD_FIELDS " -o smtpd_tls_security_level=encrypt -v"
		" -o { smtpd_client_restrictions = permit_sasl_authenticated, reject } " SMTPD_TWIN(
			"submission") "\n");
	expect_ours("submissions inet n y y 5 77 smtpd -D\n",
		    "10465 inet n y y 5 77 smtpd -D " SMTPD_TWIN("submissions") "\n");
}

static void our_options_replace_the_stocks_of_the_same_name(void **state)
{
	(void)state;
	expect_ours("587 " SMTPD_FIELDS " -o mynetworks=10.0.0.0/8 -o a=1\n"
		    "  -o syslog_name=postfix/submission -o { inet_protocols = ipv4 }\n"
		    "  -o smtpd_upstream_proxy_protocol= -o mynetworks=127.0.0.1\n",
		    "10587 " SMTPD_FIELDS " -o a=1 " SMTPD_TWIN("submission") "\n");
}

static void stock_services_are_known_by_port_not_by_spelling(void **state)
{
	static const char *const names[] = { "submissions", "smtps", "465", "0465" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_buf struct buf text = BUF_INIT;

		buf_add_format(&text, "%s " SMTPD_FIELDS "\n", names[i]);
		expect_ours(buf_text(&text),
			    "10465 " SMTPD_FIELDS " " SMTPD_TWIN("submissions") "\n");
	}
}

static void host_part_is_kept_and_each_address_gets_its_twin(void **state)
{
	static const struct postfix_case c = {
		.master_cf = "192.0.2.1:submission " SMTPD_FIELDS "\n"
			     "[2001:db8::1]:587 " SMTPD_FIELDS " -o a=6\n",
	};

	(void)state;
	unit_expect_text(postfix_ours_body, &c,
			 "192.0.2.1:10587 " SMTPD_FIELDS
			 " " SMTPD_TWIN("submission") "\n"
						      "[2001:db8::1]:10587 " SMTPD_FIELDS
						      " -o a=6 " SMTPD_TWIN("submission_2") "\n");
	unit_expect_text(postfix_list_body, &c,
			 "submission: 192.0.2.1:submission (line 1, port 587) -> "
			 "192.0.2.1:10587 [192.0.2.1]:10587 new\n"
			 "submission: [2001:db8::1]:587 (line 2, port 587) -> "
			 "[2001:db8::1]:10587 [2001:db8::1]:10587 new\n");
	postfix_expect_laws(&c);
}

static void what_gets_no_twin_is_said(void **state)
{
	static const struct {
		const char *master_cf;
		const char *note;
	} cases[] = {
		{ "127.0.0.1:587 " SMTPD_FIELDS "\n", "loopback" },
		{ "[::1]:587 " SMTPD_FIELDS "\n", "loopback" },
		{ "localhost:587 " SMTPD_FIELDS "\n", "loopback" },
		{ "587 inet n - n - - qmqpd\n", "neither smtpd nor postscreen" },
		{ "587 " SMTPD_FIELDS " -o a=b word\n", "not options" },
		{ "587 " SMTPD_FIELDS " -v -o\n", "not options" },
		{ "587 " SMTPD_FIELDS " -o a={b\n", "not options" },
		{ "587 " SMTPD_FIELDS " --vD\n", "not options" },
		{ "587 " SMTPD_FIELDS " # x\n", "not options" },
		{ "587 unix n - n - - smtpd\n", "no service on port 587" },
		{ "", "no service on port 587" },
	};
	static const struct postfix_listener listener = { "submission", 587, 10587, false, false };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct postfix_case c = { cases[i].master_cf, NULL, &listener, 1, false };
		cleanup_buf struct buf notes = BUF_INIT;

		unit_expect_text(postfix_plan_body, &c, cases[i].master_cf);
		assert_int_equal(postfix_notes_body(&c, &notes, NULL), 0);
		unit_assert_contains(buf_span(&notes), cases[i].note);
		unit_assert_contains(buf_span(&notes), "notice: ");
	}
}

static void amavis_on_its_loopback_port_is_no_conflict_to_the_smtp_twin(void **state)
{
	(void)state;
	expect_ours("25 " SMTPD_FIELDS "\n127.0.0.1:10025 " SMTPD_FIELDS
		    " -o mynetworks=127.0.0.0/8\n",
		    "12525 " SMTPD_FIELDS " " SMTPD_TWIN("smtp") "\n");
}

static void the_last_of_duplicate_services_is_the_stock(void **state)
{
	static const struct postfix_case c = {
		.master_cf = "submission " SMTPD_FIELDS " -o a=1\n587 " SMTPD_FIELDS " -o a=2\n",
	};
	cleanup_buf struct buf notes = BUF_INIT;

	(void)state;
	unit_expect_text(postfix_ours_body, &c,
			 "10587 " SMTPD_FIELDS " -o a=2 " SMTPD_TWIN("submission") "\n");
	assert_int_equal(postfix_notes_body(&c, &notes, NULL), 0);
	unit_assert_contains(buf_span(&notes), "warning: master.cf:1: ");
	unit_assert_contains(buf_span(&notes), "line 2");
	postfix_expect_laws(&c);
}

static void trust_mynetworks_leaves_mynetworks_to_the_stock_entry(void **state)
{
	static const struct postfix_listener listener = {
		.name = "submission",
		.stock_port = 587,
		.port = 10587,
		.trust_mynetworks = true,
	};
	static const struct postfix_case c = {
		.master_cf = "587 " SMTPD_FIELDS " -o mynetworks=10.0.0.0/8\n",
		.listeners = &listener,
		.n_listeners = 1,
	};

	(void)state;
	unit_expect_text(postfix_ours_body, &c,
			 "10587 " SMTPD_FIELDS " -o mynetworks=10.0.0.0/8"
			 " -o postern_twin_of=submission"
			 " -o syslog_name=postfix/${postern_twin_of}_proxied"
			 " -o inet_protocols=all -o smtpd_authorized_xclient_hosts="
			 " -o smtpd_authorized_xforward_hosts="
			 " -o smtpd_upstream_proxy_protocol=haproxy\n");
	postfix_expect_laws(&c);
}

static void implicit_tls_is_read_from_options_and_main_cf(void **state)
{
	static const char stock[] = "submissions " SMTPD_FIELDS " -o smtpd_tls_wrappermode=yes\n"
				    "submission " SMTPD_FIELDS "\n";
	static const struct postfix_case by_option = { .master_cf = stock };
	static const struct postfix_case by_main = { .master_cf = stock,
						     .main_cf = "smtpd_tls_wrappermode = $tls\n"
								"tls = yes\n" };

	(void)state;
	unit_expect_text(postfix_list_body, &by_option,
			 "submission: submission (line 2, port 587) -> 10587 []:10587 new\n"
			 "submissions: submissions (line 1, port 465) -> 10465 []:10465 tls new\n");
	unit_expect_text(postfix_list_body, &by_main,
			 "submission: submission (line 2, port 587) -> 10587 []:10587 tls new\n"
			 "submissions: submissions (line 1, port 465) -> 10465 []:10465 tls new\n");
}

static void a_taken_port_is_refused_and_both_lines_are_named(void **state)
{
	static const struct {
		const char *text;
		const char *first;
		const char *second;
	} cases[] = {
		{ "587 " SMTPD_FIELDS "\n# x\n10587 " SMTPD_FIELDS "\n", "3: ", "line 1" },
		{ "10587 inet n - n - - qmqpd\n587 " SMTPD_FIELDS "\n", "1: ", "line 2" },
		{ "587 " SMTPD_FIELDS "\n127.0.0.1:10587 " SMTPD_FIELDS "\n", "2: ", "line 1" },
		{ "192.0.2.1:587 " SMTPD_FIELDS "\n0.0.0.0:10587 " SMTPD_FIELDS "\n",
		  "2: ", "line 1" },
		{ "587 " SMTPD_FIELDS "\n010587 " SMTPD_FIELDS "\n", "2: ", "10587" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct postfix_case c = { .master_cf = cases[i].text };

		unit_expect_error(postfix_plan_body, &c, -EADDRINUSE, cases[i].first,
				  cases[i].second, "10587");
		postfix_expect_laws(&c);
	}
}

static const char leftover[] = "587 " SMTPD_FIELDS " -o a=b\n"
			       "10587      inet  n       -       n       -       -       smtpd\r\n"
			       "# inside\n"
			       "    -o syslog_name=postfix/submission-proxyprotocol\n"
			       "\n"
			       "    -o smtpd_upstream_proxy_protocol=haproxy\n"
			       "# after\n";

static void a_recipes_entry_is_recognised_and_adopt_is_named(void **state)
{
	static const struct postfix_case c = { .master_cf = leftover };

	(void)state;
	unit_expect_error(postfix_plan_body, &c, -EADDRINUSE, "2: ", "line 1", "adopt = true");
}

static void adopt_replaces_a_recipes_entry_and_strip_brings_it_back(void **state)
{
	static const struct postfix_listener listener = { "submission", 587, 10587, false, true };
	static const struct postfix_case c = { leftover, NULL, &listener, 1, false };
	static const struct postfix_case other = { "587 " SMTPD_FIELDS "\n10587 " SMTPD_FIELDS "\n",
						   NULL, &listener, 1, false };
	cleanup_buf struct buf plan = BUF_INIT;

	(void)state;
	unit_expect_text(postfix_ours_body, &c,
			 "10587 " SMTPD_FIELDS " -o a=b " SMTPD_TWIN("submission") "\n");
	postfix_expect_laws(&c);
	assert_int_equal(postfix_plan_body(&c, &plan, NULL), 0);
	unit_expect_text(postfix_strip_body, buf_text(&plan), leftover);
	/* an entry that does not require PROXY is not the recipe's */
	unit_expect_error(postfix_plan_body, &other, -EADDRINUSE, "2: ");
}

static void a_stock_port_that_requires_proxy_is_warned_about(void **state)
{
	static const struct postfix_case c = {
		.master_cf = "587 " SMTPD_FIELDS " -o smtpd_upstream_proxy_protocol=haproxy\n",
	};
	cleanup_buf struct buf notes = BUF_INIT;

	(void)state;
	assert_int_equal(postfix_notes_body(&c, &notes, NULL), 0);
	unit_assert_contains(buf_span(&notes), "warning: master.cf:1: ");
	unit_assert_contains(buf_span(&notes), "smtpd_upstream_proxy_protocol = haproxy");
}

static void loopback_only_interfaces_are_warned_about(void **state)
{
	static const struct postfix_case c = { .master_cf = "587 " SMTPD_FIELDS "\n",
					       .main_cf = "inet_interfaces = loopback-only\n" };
	cleanup_buf struct buf notes = BUF_INIT;

	(void)state;
	assert_int_equal(postfix_notes_body(&c, &notes, NULL), 0);
	unit_assert_contains(buf_span(&notes), "warning: main.cf: inet_interfaces");
}

static void a_master_cf_that_postfix_refuses_is_refused(void **state)
{
	static const struct postfix_case c = { .master_cf =
						       "587 " SMTPD_FIELDS "\nbroken entry\n" };

	(void)state;
	unit_expect_error(postfix_plan_body, &c, -EINVAL, "2: ", "broken entry");
	unit_expect_error(postfix_strip_body, c.master_cf, -EINVAL, "2: ", "broken entry");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_twin_has_the_stock_fields_and_options_and_then_ours),
		cmocka_unit_test(our_options_replace_the_stocks_of_the_same_name),
		cmocka_unit_test(stock_services_are_known_by_port_not_by_spelling),
		cmocka_unit_test(host_part_is_kept_and_each_address_gets_its_twin),
		cmocka_unit_test(what_gets_no_twin_is_said),
		cmocka_unit_test(amavis_on_its_loopback_port_is_no_conflict_to_the_smtp_twin),
		cmocka_unit_test(the_last_of_duplicate_services_is_the_stock),
		cmocka_unit_test(trust_mynetworks_leaves_mynetworks_to_the_stock_entry),
		cmocka_unit_test(implicit_tls_is_read_from_options_and_main_cf),
		cmocka_unit_test(a_taken_port_is_refused_and_both_lines_are_named),
		cmocka_unit_test(a_recipes_entry_is_recognised_and_adopt_is_named),
		cmocka_unit_test(adopt_replaces_a_recipes_entry_and_strip_brings_it_back),
		cmocka_unit_test(a_stock_port_that_requires_proxy_is_warned_about),
		cmocka_unit_test(loopback_only_interfaces_are_warned_about),
		cmocka_unit_test(a_master_cf_that_postfix_refuses_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
