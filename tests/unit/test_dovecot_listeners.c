/* SPDX-License-Identifier: MIT */
/* dovecot_listeners - which listeners are in force, and the twins they get. */
#include "dovecot_cases.h"

#define ALL_ON MAIN "protocols = imap pop3 sieve\n"

static void expect_list(const char *tree, const char *list)
{
	struct dovecot_case c = { .tree = tree };

	unit_expect_text(dovecot_list_body, &c, list);
	dovecot_expect_laws(&c);
	c.in_place = true;
	dovecot_expect_laws(&c);
}

static void every_stock_listener_gets_its_twin(void **state)
{
	static const struct dovecot_case c = { .tree = ALL_ON };

	(void)state;
	expect_list(ALL_ON, "imap 143 -> 10143 [] new\nimaps 993 -> 10993 [] ssl new\n"
			    "pop3 110 -> 10110 [] new\npop3s 995 -> 10995 [] ssl new\n"
			    "sieve 4190 -> 14190 [] new\n");
	unit_expect_text(
		dovecot_drop_in_body, &c,
		"# postern(8): twins of the login listeners that require the PROXY protocol.\n"
		"# Written anew when a listener changes; \"postern revert\" takes it away.\n"
		"haproxy_trusted_networks = 10.0.0.0/8 127.0.0.1/32 ::1/128\n"
		"\nservice imap-login {\n"
		"  inet_listener imap_proxied {\n    port = 10143\n    haproxy = yes\n  }\n"
		"  inet_listener imaps_proxied {\n    port = 10993\n    haproxy = yes\n"
		"    ssl = yes\n  }\n}\n"
		"\nservice pop3-login {\n"
		"  inet_listener pop3_proxied {\n    port = 10110\n    haproxy = yes\n  }\n"
		"  inet_listener pop3s_proxied {\n    port = 10995\n    haproxy = yes\n"
		"    ssl = yes\n  }\n}\n"
		"\nservice managesieve-login {\n"
		"  inet_listener sieve_proxied {\n    port = 14190\n    haproxy = yes\n  }\n"
		"}\n");
}

#define IMAP_TWINS "imap 143 -> 10143 [] new\nimaps 993 -> 10993 [] ssl new\n"

static void listeners_follow_the_protocols_that_are_on(void **state)
{
	static const struct {
		const char *tree;
		const char *list;
	} cases[] = {
		{ MAIN, "" },
		{ MAIN "protocols =\n", "" },
		{ MAIN "protocols = none\n", "" },
		{ MAIN "protocols = lmtp\n", "" },
		{ MAIN "protocols = imap\n", IMAP_TWINS },
		{ MAIN "protocols = pop3\nprotocols = imap\n", IMAP_TWINS },
		{ MAIN "protocols = imap\nprotocols = $protocols sieve\n",
		  IMAP_TWINS "sieve 4190 -> 14190 [] new\n" },
		{ MAIN "protocols {\n imap = yes\n}\n", IMAP_TWINS },
		{ MAIN "protocols = imap pop3\nprotocols {\n pop3 = no\n}\n", IMAP_TWINS },
		{ MAIN "protocols {\n pop3 = yes\n}\nprotocols = imap, lmtp\n", IMAP_TWINS },
		{ MAIN "protocols = imap\nservice imap-login {\n protocol = pop3\n}\n", "" },
		{ MAIN "service imap-login {\n protocol =\n}\n", IMAP_TWINS },
		{ MAIN "protocols = imap\nservice imap-login {\n executable =\n}\n", "" },
		{ MAIN "protocols = IMAP\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_list(cases[i].tree, cases[i].list);
}

#define IMAP_LOGIN(inside) MAIN "protocols = imap\nservice imap-login {\n" inside "}\n"

static void listeners_follow_their_own_settings(void **state)
{
	static const struct {
		const char *tree;
		const char *list;
	} cases[] = {
		{ IMAP_LOGIN(" inet_listener imap {\n }\n"), IMAP_TWINS },
		{ IMAP_LOGIN(" inet_listener imap {\n  port = 0\n }\n"),
		  "imaps 993 -> 10993 [] ssl new\n" },
		{ IMAP_LOGIN(" inet_listener imap {\n  port = 1143\n }\n"),
		  "imap 1143 -> 10143 [] new\nimaps 993 -> 10993 [] ssl new\n" },
		{ IMAP_LOGIN(" inet_listener imap {\n  port = \"01143\"\n }\n"),
		  "imap 1143 -> 10143 [] new\nimaps 993 -> 10993 [] ssl new\n" },
		{ IMAP_LOGIN(" inet_listener foo {\n  port = 1143\n }\n"), IMAP_TWINS },
		{ IMAP_LOGIN(" inet_listener imap {\n  ssl = yes\n }\n"),
		  "imap 143 -> 10143 [] ssl new\nimaps 993 -> 10993 [] ssl new\n" },
		{ IMAP_LOGIN(" inet_listener imaps {\n  ssl = no\n }\n"),
		  "imap 143 -> 10143 [] new\nimaps 993 -> 10993 [] new\n" },
		{ IMAP_LOGIN("}\nssl = no\nservice x {\n"), "imap 143 -> 10143 [] new\n" },
		{ IMAP_LOGIN("}\nssl = required\nservice x {\n"), IMAP_TWINS },
		{ IMAP_LOGIN(" inet_listener imap {\n  port = 0\n }\n}\n"
			     "service imap-login {\n inet_listener imap {\n  port = 143\n }\n"),
		  IMAP_TWINS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_list(cases[i].tree, cases[i].list);
}

static void loopback_listeners_get_no_twin_and_others_keep_their_addresses(void **state)
{
	static const struct {
		const char *setting;
		const char *list;
		const char *drop_in; /* part of it */
	} cases[] = {
		{ "address = 127.0.0.1", "", "" },
		{ "address = 127.0.0.1, ::1", "", "" },
		{ "listen = localhost [::1]", "", "" },
		{ "address = 192.0.2.1", "imap 143 -> 10143 [192.0.2.1] new\n",
		  "    address = 192.0.2.1\n" },
		{ "listen = 192.0.2.1 [2001:db8::1]", "imap 143 -> 10143 [192.0.2.1] new\n",
		  "    listen = 192.0.2.1 [2001:db8::1]\n" },
		{ "address = 127.0.0.1, 192.0.2.1", "imap 143 -> 10143 [127.0.0.1] new\n",
		  "    address = 127.0.0.1, 192.0.2.1\n" },
		{ "address = *, ::", "imap 143 -> 10143 [] new\n", "    address = *, ::\n" },
		{ "address =", "imap 143 -> 10143 [] new\n", "haproxy = yes" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_buf struct buf tree = BUF_INIT, drop_in = BUF_INIT;
		struct dovecot_case c = { .listeners = "imap" };

		buf_add_format(&tree, IMAP_LOGIN(" inet_listener imap {\n  %s\n }\n"),
			       cases[i].setting);
		c.tree = buf_text(&tree);
		unit_expect_text(dovecot_list_body, &c, cases[i].list);
		dovecot_expect_laws(&c);
		assert_int_equal(dovecot_drop_in_body(&c, &drop_in, NULL), 0);
		if (cases[i].drop_in[0])
			unit_assert_contains(buf_span(&drop_in), cases[i].drop_in);
		else
			assert_int_equal(drop_in.len, 0);
	}
}

static void what_gets_no_twin_is_said(void **state)
{
	static const struct dovecot_case off = { .tree = MAIN "protocols = imap\n",
						 .listeners = "pop3" };
	static const struct dovecot_case loopback = {
		.tree = IMAP_LOGIN(" inet_listener imap {\n  address = ::1\n }\n"),
		.listeners = "imap",
	};
	static const struct dovecot_case proxied = {
		.tree = IMAP_LOGIN(" inet_listener imap {\n  haproxy = yes\n }\n"),
		.listeners = "imap",
	};
	cleanup_buf struct buf notes = BUF_INIT;

	(void)state;
	assert_int_equal(dovecot_notes_body(&off, &notes, NULL), 0);
	unit_assert_contains(buf_span(&notes), "notice: listener pop3: ");
	buf_clear(&notes);
	assert_int_equal(dovecot_notes_body(&loopback, &notes, NULL), 0);
	unit_assert_contains(buf_span(&notes), "notice: listener imap: it listens on loopback");
	buf_clear(&notes);
	assert_int_equal(dovecot_notes_body(&proxied, &notes, NULL), 0);
	unit_assert_contains(buf_span(&notes), "warning: inet_listener imap has haproxy = yes");
}

static void only_the_listeners_asked_for_get_a_twin(void **state)
{
	static const struct dovecot_case c = { .tree = ALL_ON, .listeners = "sieve imaps:20993" };
	static const struct dovecot_case none = { .tree = ALL_ON, .listeners = "" };

	(void)state;
	unit_expect_text(dovecot_list_body, &c,
			 "imaps 993 -> 20993 [] ssl new\nsieve 4190 -> 14190 [] new\n");
	unit_expect_text(dovecot_drop_in_body, &none, "");
}

static void in_place_sets_haproxy_on_the_stock_listener_alone(void **state)
{
	static const struct dovecot_case c = {
		.tree = IMAP_LOGIN(" inet_listener imaps {\n  port = 1993\n }\n"),
		.listeners = "imap imaps",
		.in_place = true,
	};
	cleanup_buf struct buf drop_in = BUF_INIT;

	(void)state;
	unit_expect_text(dovecot_list_body, &c, "imap 143 -> 143 []\nimaps 1993 -> 1993 [] ssl\n");
	assert_int_equal(dovecot_drop_in_body(&c, &drop_in, NULL), 0);
	unit_assert_contains(buf_span(&drop_in),
			     "\nservice imap-login {\n"
			     "  inet_listener imap {\n    haproxy = yes\n  }\n"
			     "  inet_listener imaps {\n    haproxy = yes\n  }\n}\n");
	dovecot_expect_laws(&c);
}

static void a_taken_port_is_refused_and_both_places_are_named(void **state)
{
	static const struct {
		const char *tree;
		const char *first;
		const char *second;
	} cases[] = {
		{ IMAP_LOGIN(" inet_listener other {\n  port = 10143\n }\n"),
		  "/etc/dovecot/dovecot.conf:4: ", "built in" },
		{ IMAP_LOGIN(" inet_listener imap {\n  port = 1143\n }\n}\n"
			     "service mine {\n inet_listener x {\n  port = 10143\n }\n"),
		  "/etc/dovecot/dovecot.conf:9: ", "/etc/dovecot/dovecot.conf:4" },
	};
	static const struct dovecot_case on_stock = { .tree = ALL_ON, .listeners = "imap:110" };
	static const struct dovecot_case nothing_there = {
		.tree = MAIN "protocols = imap\nservice pop3-login {\n"
			     " inet_listener x {\n  port = 10143\n }\n}\n"
			     "service imap-login {\n inet_listener y {\n  port = 10143\n }\n"
			     " inet_listener y {\n  port = 0\n }\n}\n",
		.listeners = "imap",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dovecot_case c = { .tree = cases[i].tree };

		unit_expect_error(dovecot_drop_in_body, &c, -EADDRINUSE, cases[i].first,
				  cases[i].second, "10143");
	}
	unit_expect_error(dovecot_drop_in_body, &on_stock, -EADDRINUSE, "pop3", "110");
	unit_expect_text(dovecot_list_body, &nothing_there, "imap 143 -> 10143 [] new\n");
}

static void adopt_switches_a_recipes_listener_off(void **state)
{
	static const char tree[] = IMAP_LOGIN(" inet_listener imap_proxyprotocol {\n"
					      "  port = 10143\n  haproxy = yes\n }\n");
	static const struct dovecot_case refused = { .tree = tree, .listeners = "imap" };
	static const struct dovecot_case adopted = { .tree = tree, .listeners = "imap!" };
	static const struct dovecot_case other = {
		.tree = IMAP_LOGIN(" inet_listener x {\n  port = 10143\n }\n"),
		.listeners = "imap!",
	};
	cleanup_buf struct buf drop_in = BUF_INIT;

	(void)state;
	unit_expect_error(dovecot_drop_in_body, &refused, -EADDRINUSE, "adopt = true");
	unit_expect_error(dovecot_drop_in_body, &other, -EADDRINUSE, "inet_listener x");
	unit_expect_text(dovecot_list_body, &adopted, "imap 143 -> 10143 [] new\n");
	assert_int_equal(dovecot_drop_in_body(&adopted, &drop_in, NULL), 0);
	unit_assert_contains(buf_span(&drop_in),
			     "inet_listener imap_proxyprotocol {\n    port = 0\n");
	dovecot_expect_laws(&adopted);
}

static void adopt_takes_over_a_listener_that_has_the_twins_own_name(void **state)
{
	static const struct dovecot_case c = {
		.tree = IMAP_LOGIN(" inet_listener imap_proxied {\n"
				   "  port = 10143\n  haproxy = yes\n }\n"),
		.listeners = "imap!",
	};
	cleanup_buf struct buf drop_in = BUF_INIT;

	(void)state;
	assert_int_equal(dovecot_drop_in_body(&c, &drop_in, NULL), 0);
	unit_assert_contains(buf_span(&drop_in),
			     "inet_listener imap_proxied {\n    port = 10143\n");
	assert_false(span_contains(buf_span(&drop_in), "port = 0"));
	dovecot_expect_laws(&c);
}

static void the_drop_in_says_that_its_folder_is_ours(void **state)
{
	static const struct dovecot_case ours = { .tree = ALL_ON, .made_directory = true };
	static const struct dovecot_case theirs = { .tree = ALL_ON };
	cleanup_buf struct buf text = BUF_INIT;

	(void)state;
	assert_int_equal(dovecot_drop_in_body(&ours, &text, NULL), 0);
	assert_true(dovecot_listeners_made_directory(buf_span(&text)));
	buf_clear(&text);
	assert_int_equal(dovecot_drop_in_body(&theirs, &text, NULL), 0);
	assert_false(dovecot_listeners_made_directory(buf_span(&text)));
	assert_false(dovecot_listeners_made_directory(span_from("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_stock_listener_gets_its_twin),
		cmocka_unit_test(listeners_follow_the_protocols_that_are_on),
		cmocka_unit_test(listeners_follow_their_own_settings),
		cmocka_unit_test(loopback_listeners_get_no_twin_and_others_keep_their_addresses),
		cmocka_unit_test(what_gets_no_twin_is_said),
		cmocka_unit_test(only_the_listeners_asked_for_get_a_twin),
		cmocka_unit_test(in_place_sets_haproxy_on_the_stock_listener_alone),
		cmocka_unit_test(a_taken_port_is_refused_and_both_places_are_named),
		cmocka_unit_test(adopt_switches_a_recipes_listener_off),
		cmocka_unit_test(adopt_takes_over_a_listener_that_has_the_twins_own_name),
		cmocka_unit_test(the_drop_in_says_that_its_folder_is_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
