/* SPDX-License-Identifier: MIT */
/* postfix_twins - postscreen, its cache map and the smtpd behind it. */
#include "postfix_cases.h"

#define POSTSCREEN_FIELDS "inet n - n - 1 postscreen"
#define POSTSCREEN_TWIN_HEAD                                                                       \
	"-o postern_twin_of=smtp -o inet_protocols=all -o mynetworks="                             \
	" -o postscreen_upstream_proxy_protocol=haproxy"

static void the_twin_has_a_cache_of_its_own_and_its_own_smtpd(void **state)
{
	static const struct postfix_case c = {
		.master_cf = "smtp " POSTSCREEN_FIELDS "\n"
			     "smtpd pass - - n - - smtpd -o a=b -o mynetworks=10.0.0.0/8\n",
	};

	(void)state;
	unit_expect_text(postfix_ours_body, &c,
			 "12525 " POSTSCREEN_FIELDS " " POSTSCREEN_TWIN_HEAD
			 " -o postscreen_cache_map=btree:/var/lib/postfix/postscreen_cache_"
			 "${postern_twin_of}_proxied -o smtpd_service_name=smtpd_proxied\n"
			 "smtpd_proxied pass - - n - - smtpd -o a=b " PASS_TWIN("smtp") "\n");
	unit_expect_text(postfix_list_body, &c,
			 "smtp: smtp (line 1, port 25) -> 12525 []:12525 postscreen new\n");
	postfix_expect_laws(&c);
}

/* The value of the twin's own map, taken out of the planned entries. */
static int map_body(const void *ctx, struct buf *out, struct error *err)
{
	static const char option[] = "-o postscreen_cache_map=";
	cleanup_buf struct buf ours = BUF_INIT;
	int rc = postfix_ours_body(ctx, &ours, err);
	const char *last = NULL;

	if (rc < 0)
		return rc;
	for (const char *at = buf_text(&ours); (at = strstr(at, option)); at++)
		last = at + sizeof(option) - 1;
	if (last)
		buf_add(out, span_make(last, strcspn(last, " \n")));
	return buf_check(out, err);
}

static void the_cache_map_has_the_effective_stock_maps_type(void **state)
{
	static const struct {
		const char *main_cf;
		const char *options;
		const char *map;
	} cases[] = {
		{ "", "", "btree:/var/lib/postfix/postscreen_cache_" },
		{ "data_directory = /d\n", "", "btree:/d/postscreen_cache_" },
		{ "postscreen_cache_map = lmdb:$data_directory/ps\n", "",
		  "lmdb:/var/lib/postfix/ps_" },
		{ "postscreen_cache_map = proxy:btree:$data_directory/ps\n", "",
		  "btree:/var/lib/postfix/ps_" },
		{ "postscreen_cache_map = $t:/x/ps\nt = ${u?{lmdb}:{hash}}\n", "", "hash:/x/ps_" },
		{ "postscreen_cache_map = ${default_cache_db_type}:/x/ps\n", "", "btree:/x/ps_" },
		{ "postscreen_cache_map = btree:/main\n", " -o postscreen_cache_map=lmdb:/opt",
		  "lmdb:/opt_" },
		{ "", " -o { postscreen_cache_map = lmdb:$x } -o x=/opt", "lmdb:/opt_" },
		/* nobody's own file: shared as it is, or none */
		{ "postscreen_cache_map = memcache:/etc/postfix/ps_cache\n", "", "" },
		{ "postscreen_cache_map = proxy:memcache:/etc/postfix/ps_cache\n", "", "" },
		{ "postscreen_cache_map =\n", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct buf text = BUF_INIT, wanted = BUF_INIT;
		struct postfix_case c = { .main_cf = cases[i].main_cf };

		buf_add_format(&text, "25 " POSTSCREEN_FIELDS "%s\nsmtpd pass - - n - - smtpd\n",
			       cases[i].options);
		if (cases[i].map[0])
			buf_add_format(&wanted, "%s${postern_twin_of}_proxied", cases[i].map);
		c.master_cf = buf_text(&text);
		unit_expect_text(map_body, &c, buf_text(&wanted));
		postfix_expect_laws(&c);
	}
}

static void what_the_map_says_must_be_readable(void **state)
{
	static const struct {
		const char *main_cf;
		int code;
		const char *part;
	} cases[] = {
		{ "postscreen_cache_map = $postscreen_cache_map\n", -ELOOP,
		  "postscreen_cache_map" },
		{ "postscreen_cache_map = $a\na = $b\nb = $a\n", -ELOOP, "postscreen_cache_map" },
		{ "postscreen_cache_map = btree:${a\n", -EINVAL, "{a" },
		{ "postscreen_cache_map = /no/type\n", -EINVAL, "/no/type" },
		{ "postscreen_cache_map = btree:/a b\n", -EINVAL, "/a b" },
		{ "postscreen_cache_map = btree:/a$$b\n", -EINVAL, "/a$b" },
		{ "postscreen_cache_map = btree:/a{b\n", -EINVAL, "/a{b" },
		{ "smtpd_service_name = $smtpd_service_name\n", -ELOOP, "smtpd_service_name" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct postfix_case c = { .master_cf = POSTSCREEN_STOCK,
					  .main_cf = cases[i].main_cf };

		unit_expect_error(postfix_plan_body, &c, cases[i].code, "1: ", cases[i].part);
	}
}

static void the_smtpd_behind_is_the_one_that_smtpd_service_name_names(void **state)
{
	static const struct postfix_case by_main = {
		.master_cf = "25 " POSTSCREEN_FIELDS "\nother pass - - n - 9 smtpd\n",
		.main_cf = "smtpd_service_name = other\n",
	};
	static const struct postfix_case by_option = {
		.master_cf = "25 " POSTSCREEN_FIELDS " -o smtpd_service_name=other\n"
			     "smtpd pass - - n - - smtpd\nother pass - - n - 9 smtpd\n",
	};
	cleanup_buf struct buf ours = BUF_INIT;

	(void)state;
	assert_int_equal(postfix_ours_body(&by_main, &ours, NULL), 0);
	unit_assert_contains(buf_span(&ours), "smtpd_proxied pass - - n - 9 smtpd ");
	buf_clear(&ours);
	assert_int_equal(postfix_ours_body(&by_option, &ours, NULL), 0);
	unit_assert_contains(buf_span(&ours), "smtpd_proxied pass - - n - 9 smtpd ");
	postfix_expect_laws(&by_main);
	postfix_expect_laws(&by_option);
}

static void a_missing_or_broken_smtpd_behind_postscreen_is_refused(void **state)
{
	static const struct postfix_case none = { .master_cf = "# x\n25 " POSTSCREEN_FIELDS "\n" };
	static const struct postfix_case other_type = {
		.master_cf = "25 " POSTSCREEN_FIELDS "\nsmtpd unix - - n - - smtpd\n",
	};
	static const struct postfix_case broken = {
		.master_cf = "25 " POSTSCREEN_FIELDS "\nsmtpd pass - - n - - smtpd -o\n",
	};

	(void)state;
	unit_expect_error(postfix_plan_body, &broken, -EINVAL, "2: ", "line 1", "arguments");
	unit_expect_error(postfix_plan_body, &none, -ENOENT, "2: ", "smtpd pass");
	unit_expect_error(postfix_plan_body, &other_type, -ENOENT, "1: ", "smtpd pass");
}

static void a_taken_name_of_the_pass_twin_is_refused(void **state)
{
	static const struct postfix_case c = {
		.master_cf = POSTSCREEN_STOCK "smtpd_proxied pass - - n - - smtpd\n",
	};
	static const struct postfix_case in_place = {
		.master_cf = POSTSCREEN_STOCK "smtpd_proxied pass - - n - - smtpd\n",
		.in_place = true,
	};

	(void)state;
	unit_expect_error(postfix_plan_body, &c, -EEXIST, "3: ", "smtpd_proxied", "line 1");
	unit_expect_error(postfix_plan_body, &in_place, -EEXIST, "3: ", "smtpd_proxied", "line 1");
}

static void postscreens_on_two_addresses_share_neither_cache_nor_smtpd(void **state)
{
	static const struct postfix_case c = {
		.master_cf = "192.0.2.1:25 " POSTSCREEN_FIELDS "\n"
			     "192.0.2.2:25 " POSTSCREEN_FIELDS "\n"
			     "smtpd pass - - n - - smtpd\n",
	};
	cleanup_buf struct buf ours = BUF_INIT;

	(void)state;
	assert_int_equal(postfix_ours_body(&c, &ours, NULL), 0);
	unit_assert_contains(buf_span(&ours), "192.0.2.1:12525 ");
	unit_assert_contains(buf_span(&ours), "192.0.2.2:12525 ");
	unit_assert_contains(buf_span(&ours), "postern_twin_of=smtp_2");
	unit_assert_contains(buf_span(&ours), "smtpd_service_name=smtpd_proxied\n");
	unit_assert_contains(buf_span(&ours), "smtpd_service_name=smtpd_2_proxied\n");
	unit_assert_contains(buf_span(&ours), "smtpd_2_proxied pass ");
	postfix_expect_laws(&c);
}

static void postscreen_keeps_the_stocks_log_name(void **state)
{
	static const struct postfix_case c = {
		.master_cf = "25 " POSTSCREEN_FIELDS " -o syslog_name=mine\n"
			     "smtpd pass - - n - - smtpd\n",
	};
	cleanup_buf struct buf ours = BUF_INIT;

	(void)state;
	assert_int_equal(postfix_ours_body(&c, &ours, NULL), 0);
	unit_assert_contains(buf_span(&ours), "postscreen -o syslog_name=mine -o postern_twin_of");
	unit_assert_contains(buf_span(&ours), "syslog_name=postfix/${postern_twin_of}_proxied");
}

static void trust_mynetworks_reaches_the_smtpd_behind_too(void **state)
{
	static const struct postfix_listener listener = {
		.name = "smtp",
		.stock_port = 25,
		.port = 12525,
		.trust_mynetworks = true,
	};
	static const struct postfix_case c = { POSTSCREEN_STOCK, NULL, &listener, 1, false };
	cleanup_buf struct buf plan = BUF_INIT;

	(void)state;
	assert_int_equal(postfix_plan_body(&c, &plan, NULL), 0);
	assert_false(span_contains(buf_span(&plan), "mynetworks"));
	postfix_expect_laws(&c);
}

static void a_very_long_map_is_refused_not_cut(void **state)
{
	cleanup_buf struct buf main_cf = BUF_INIT;
	struct postfix_case c = { .master_cf = POSTSCREEN_STOCK };

	(void)state;
	buf_add_text(&main_cf, "postscreen_cache_map = btree:/");
	for (unsigned i = 0; i < 600; i++)
		buf_add_char(&main_cf, 'x');
	c.main_cf = buf_text(&main_cf);
	unit_expect_error(postfix_plan_body, &c, -ENAMETOOLONG, "1: ", "postscreen_cache_map");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_twin_has_a_cache_of_its_own_and_its_own_smtpd),
		cmocka_unit_test(the_cache_map_has_the_effective_stock_maps_type),
		cmocka_unit_test(what_the_map_says_must_be_readable),
		cmocka_unit_test(the_smtpd_behind_is_the_one_that_smtpd_service_name_names),
		cmocka_unit_test(a_missing_or_broken_smtpd_behind_postscreen_is_refused),
		cmocka_unit_test(a_taken_name_of_the_pass_twin_is_refused),
		cmocka_unit_test(postscreens_on_two_addresses_share_neither_cache_nor_smtpd),
		cmocka_unit_test(postscreen_keeps_the_stocks_log_name),
		cmocka_unit_test(trust_mynetworks_reaches_the_smtpd_behind_too),
		cmocka_unit_test(a_very_long_map_is_refused_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
