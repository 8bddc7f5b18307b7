/* SPDX-License-Identifier: MIT */
/* dovecot_listeners - merged networks, whether a plan holds, the include line. */
#include "dovecot_cases.h"

#include "patchers/dovecot_reader.h"
#include "tests/support/bundle.h"
#include "tests/support/dovecot_laws.h"

#define IMAP MAIN "protocols = imap\n"

static void networks_are_ours_the_owners_and_loopback(void **state)
{
	static const struct {
		const char *ours;
		const char *owners;
		const char *merged;
	} cases[] = {
		{ "10.0.0.0/8", "", "10.0.0.0/8 127.0.0.1/32 ::1/128" },
		{ "10.0.0.0/8 fd00::/8", "haproxy_trusted_networks = 192.0.2.0/24, 2001:db8::/32\n",
		  "10.0.0.0/8 fd00::/8 192.0.2.0/24 2001:db8::/32 127.0.0.1/32 ::1/128" },
		{ "10.0.0.0/8", "haproxy_trusted_networks = \"10.1.0.0/16 192.0.2.7\"\n",
		  "10.0.0.0/8 192.0.2.7/32 127.0.0.1/32 ::1/128" },
		{ "10.1.0.0/16", "haproxy_trusted_networks = 10.0.0.0/8\n",
		  "10.0.0.0/8 127.0.0.1/32 ::1/128" },
		{ "10.0.0.0/8", "haproxy_trusted_networks = 127.0.0.0/8 ::1\n",
		  "10.0.0.0/8 127.0.0.0/8 ::1/128" },
		{ "10.0.0.0/8", "haproxy_trusted_networks = 192.0.2.7 bad 0.0.0.0/0\n",
		  "10.0.0.0/8 192.0.2.7/32 127.0.0.1/32 ::1/128" },
		{ "10.0.0.0/8",
		  "haproxy_trusted_networks = 192.0.2.7\n"
		  "haproxy_trusted_networks = $haproxy_trusted_networks 192.0.2.8\n",
		  "10.0.0.0/8 192.0.2.7/32 192.0.2.8/32 127.0.0.1/32 ::1/128" },
		{ "10.0.0.0/8",
		  "haproxy_trusted_networks = 192.0.2.7\n"
		  "haproxy_trusted_networks = $SET:haproxy_trusted_networks, 192.0.2.8\n",
		  "10.0.0.0/8 192.0.2.7/32 192.0.2.8/32 127.0.0.1/32 ::1/128" },
		{ "10.0.0.0/8",
		  "haproxy_trusted_networks = 192.0.2.7\nhaproxy_trusted_networks = 192.0.2.8\n",
		  "10.0.0.0/8 192.0.2.8/32 127.0.0.1/32 ::1/128" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct buf tree = BUF_INIT;
		struct dovecot_case c = { .networks = cases[i].ours };

		buf_add_format(&tree, IMAP "%s", cases[i].owners);
		c.tree = buf_text(&tree);
		unit_expect_text(dovecot_networks_body, &c, cases[i].merged);
		dovecot_expect_laws(&c);
	}
}

static void words_that_end_the_owners_list_are_warned_about(void **state)
{
	static const struct dovecot_case bad = {
		.tree = IMAP "haproxy_trusted_networks = 192.0.2.7 10.0.0.0/99\n",
		.listeners = "imap",
	};
	static const struct dovecot_case open = {
		.tree = IMAP "haproxy_trusted_networks = 0.0.0.0/0\n",
		.listeners = "imap",
	};
	cleanup_buf struct buf notes = BUF_INIT;

	(void)state;
	assert_int_equal(dovecot_notes_body(&bad, &notes, NULL), 0);
	unit_assert_contains(buf_span(&notes), "warning: /etc/dovecot/dovecot.conf:2: ");
	unit_assert_contains(buf_span(&notes), "10.0.0.0/99");
	buf_clear(&notes);
	assert_int_equal(dovecot_notes_body(&open, &notes, NULL), 0);
	unit_assert_contains(buf_span(&notes), "trusts every address");
}

/* Plan for the tree, put the drop-in in place as an overlay, ask whether it holds. */
static bool holds(const char *tree_text, bool in_place, struct buf *out_undoing)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf before = { 0 }, after = { 0 };
	CLEANUP(dovecot_plan_release) struct dovecot_plan plan = { 0 };
	static struct bundle tree;
	struct dovecot_source source = bundle_source(&tree);
	struct dovecot_listener listener = { .stock = &dovecot_stocks[0], .port = 10143 };
	struct cidr_list networks = { 0 };
	struct dovecot_request request = { .conf = &before,
					   .current = &before,
					   .listeners = &listener,
					   .n_listeners = 1,
					   .networks = &networks,
					   .in_place = in_place };
	struct dovecot_overlay overlay = { DOVECOT_DROP_IN, &plan.drop_in };
	const struct dovecot_setting *undoing;
	bool held;

	bundle_parse(span_from(tree_text), &tree);
	assert_int_equal(dovecot_conf_read(&source, DOVECOT_MAIN, NULL, 0, &before, NULL), 0);
	assert_int_equal(dovecot_listeners_plan(&request, &plan, NULL, NULL), 0);
	assert_int_equal(dovecot_conf_read(&source, DOVECOT_MAIN, &overlay, 1, &after, NULL), 0);
	held = dovecot_listeners_hold(&after, &plan, in_place, &undoing);
	if (undoing)
		buf_add_format(out_undoing, "%s:%u %s", after.files[undoing->file].path,
			       undoing->line, undoing->path);
	return held;
}

#define FILE_IN_CONF_D "==> /etc/dovecot/conf.d/10.conf <==\n"
#define CONF_D IMAP "!include conf.d/*.conf\n"
#define LATER FILE_IN_CONF_D "==> /etc/dovecot/conf.d/99.conf <==\n"

static void a_plan_holds_when_nothing_after_it_undoes_a_value(void **state)
{
	static const struct {
		const char *tree;
		bool in_place;
		bool holds;
		const char *undoing;
	} cases[] = {
		{ CONF_D FILE_IN_CONF_D, false, true, "" },
		{ CONF_D FILE_IN_CONF_D, true, true, "" },
		{ IMAP, false, false, "" },
		{ CONF_D LATER "haproxy_trusted_networks = 192.0.2.1\n", false, false,
		  "/etc/dovecot/conf.d/99.conf:1 haproxy_trusted_networks" },
		{ CONF_D "service imap-login {\n inet_listener imap_proxied {\n  port = 0\n "
			 "}\n}\n" FILE_IN_CONF_D,
		  false, false,
		  "/etc/dovecot/dovecot.conf:5 "
		  "service/imap-login/inet_listener/imap_proxied/port" },
		{ CONF_D LATER
		  "service imap-login {\n inet_listener imap {\n  haproxy = no\n }\n}\n",
		  true, false,
		  "/etc/dovecot/conf.d/99.conf:3 service/imap-login/inet_listener/imap/haproxy" },
		{ CONF_D LATER
		  "service imap-login {\n inet_listener imap {\n  haproxy = no\n }\n}\n",
		  false, true, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct buf undoing = BUF_INIT;

		if (holds(cases[i].tree, cases[i].in_place, &undoing) != cases[i].holds)
			fail_msg("case %zu", i);
		assert_string_equal(buf_text(&undoing), cases[i].undoing);
	}
}

static int add_include_body(const void *ctx, struct buf *out, struct error *err)
{
	dovecot_listeners_add_include(span_from(ctx), DOVECOT_DROP_IN, out);
	return buf_check(out, err);
}

static int strip_include_body(const void *ctx, struct buf *out, struct error *err)
{
	dovecot_listeners_strip_include(span_from(ctx), out);
	return buf_check(out, err);
}

static const char *const main_files[] = {
	"",
	"\n",
	"a = b\n",
	"a = b",
	"a = b\n\n\n",
	"a = b\r\n",
	"# comment",
	"}\n",
	"!include_try x.conf\n",
	"!include conf.d/*.conf\n!include_try local.conf\n",
};

static void the_include_line_comes_last_and_goes_without_a_trace(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(main_files); i++) {
		cleanup_buf struct buf with = BUF_INIT;

		assert_int_equal(add_include_body(main_files[i], &with, NULL), 0);
		assert_memory_equal(with.data, main_files[i], strlen(main_files[i]));
		unit_assert_contains(buf_span(&with),
				     "!include_try " DOVECOT_DROP_IN " # postern(8)");
		unit_expect_text(strip_include_body, buf_text(&with), main_files[i]);
		unit_expect_text(strip_include_body, main_files[i], main_files[i]);
		unit_expect_text(add_include_body, main_files[i], buf_text(&with));
	}
}

static void the_include_line_is_found_when_others_wrote_after_it(void **state)
{
	cleanup_buf struct buf with = BUF_INIT;

	(void)state;
	assert_int_equal(add_include_body("a = b\n", &with, NULL), 0);
	buf_add_text(&with, "c = d\n");
	unit_expect_text(strip_include_body, buf_text(&with), "a = b\nc = d\n");
}

static void an_include_of_the_owners_is_left_alone(void **state)
{
	static const char own[] = "!include_try /etc/dovecot/conf.d/95-postern.conf\n"
				  "# !include_try x # postern(8)\n"
				  "!include x # postern(8)\n";

	(void)state;
	unit_expect_text(strip_include_body, own, own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_are_ours_the_owners_and_loopback),
		cmocka_unit_test(words_that_end_the_owners_list_are_warned_about),
		cmocka_unit_test(a_plan_holds_when_nothing_after_it_undoes_a_value),
		cmocka_unit_test(the_include_line_comes_last_and_goes_without_a_trace),
		cmocka_unit_test(the_include_line_is_found_when_others_wrote_after_it),
		cmocka_unit_test(an_include_of_the_owners_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
