/* SPDX-License-Identifier: MIT */
/* settings - what a postern.conf means. */
#include "sandbox.h"

#include "patchers/inet_service.h"
#include "sidecar/settings.h"

#include <stdio.h>

#define CONF SETTINGS_DEFAULT_PATH
#define NETWORKS "trusted-networks = { \"10.42.0.0/16\", \"fd00:42::/48\" }\n"

/* A file's text and the environment's networks. */
struct input {
	const struct sandbox *sandbox;
	const char *text;     /* NULL: no file */
	const char *networks; /* the environment's */
	bool not_needed;
};

static void show_networks(const struct settings *s, struct buf *out)
{
	cidr_list_print(&s->networks, out);
	buf_add_char(out, '\n');
}

static void show_listeners(const struct settings *s, struct buf *out)
{
	for (size_t i = 0; i < s->postfix.n_listeners; i++) {
		const struct postfix_listener *l = &s->postfix.listeners[i];

		buf_add_format(out, "%s %u->%u%s%s\n", l->name, l->stock_port, l->port,
			       l->trust_mynetworks ? " trust-mynetworks" : "",
			       l->adopt ? " adopt" : "");
	}
	for (size_t i = 0; i < s->dovecot.n_listeners; i++) {
		const struct dovecot_listener *l = &s->dovecot.listeners[i];

		buf_add_format(out, "%s %u->%u%s\n", l->stock->name, l->stock->port, l->port,
			       l->adopt ? " adopt" : "");
	}
}

static void show_rest(const struct settings *s, struct buf *out)
{
	static const char *const gates[] = {
		[SETTINGS_GATE_AUTO] = "auto",
		[SETTINGS_GATE_REQUIRE] = "require",
		[SETTINGS_GATE_OFF] = "off",
	};

	buf_add_format(out, "%s gate %s\npostfix %s %s\ndovecot %s %s\n",
		       s->in_place ? "in-place" : "separate", gates[s->gate],
		       s->postfix.enabled ? "on" : "off", s->postfix.config_directory,
		       s->dovecot.enabled ? "on" : "off", s->dovecot.config_directory);
}

static int load(const struct input *input, struct settings *out, struct notes *notes,
		struct error *err)
{
	const struct port_names names = { .services_file = SPAN_INIT("http-alt 8080/tcp\n") };
	const struct settings_request request = {
		.root = &input->sandbox->root,
		.networks = input->networks,
		.port_names = &names,
		.networks_needed = !input->not_needed,
	};

	if (input->text)
		sandbox_write(input->sandbox, CONF, input->text);
	return settings_load(&request, out, notes, err);
}

typedef void show_function(const struct settings *s, struct buf *out);

static int load_and_show(const struct input *input, show_function *show, struct buf *out,
			 struct error *err)
{
	CLEANUP(settings_release) struct settings settings = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	int rc = load(input, &settings, &notes, err);

	if (rc < 0)
		return rc;
	show(&settings, out);
	return buf_check(out, err);
}

static int networks_body(const void *ctx, struct buf *out, struct error *err)
{
	return load_and_show(ctx, show_networks, out, err);
}

static int listeners_body(const void *ctx, struct buf *out, struct error *err)
{
	return load_and_show(ctx, show_listeners, out, err);
}

static int rest_body(const void *ctx, struct buf *out, struct error *err)
{
	return load_and_show(ctx, show_rest, out, err);
}

/* What only a postern that keeps running needs. */
static void show_live(const struct settings *settings, struct buf *out)
{
	buf_add_format(out, "resync %u listen \"%s\"\n", settings->resync_s, settings->listen);
	for (size_t i = 0; i < settings->n_overrides; i++)
		buf_add_format(out, "overrides %s\n", settings->overrides[i]);
	for (size_t i = 0; i < settings->n_watches; i++)
		buf_add_format(out, "watch %s%s%s\n", settings->watches[i].directory,
			       settings->watches[i].reload_postfix ? " postfix" : "",
			       settings->watches[i].reload_dovecot ? " dovecot" : "");
}

static int live_body(const void *ctx, struct buf *out, struct error *err)
{
	return load_and_show(ctx, show_live, out, err);
}

/* What is remarked on the way. */
static int notes_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(settings_release) struct settings settings = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	int rc = load(ctx, &settings, &notes, err);

	unit_add_notes(out, &notes);
	return rc < 0 ? rc : buf_check(out, err);
}

#define DEFAULT_REST "separate gate auto\npostfix on /etc/postfix\ndovecot on /etc/dovecot\n"
#define DEFAULT_LIVE "resync 60 listen \"\"\noverrides /tmp/docker-mailserver\n"
#define DEFAULT_DOVECOT                                                                            \
	"imap 143->10143\nimaps 993->10993\npop3 110->10110\npop3s 995->10995\n"                   \
	"sieve 4190->14190\n"
#define DEFAULT_LISTENERS                                                                          \
	"smtp 25->12525\nsubmission 587->10587\nsubmissions 465->10465\n" DEFAULT_DOVECOT

static void with_networks_alone_everything_is_as_documented(void **state)
{
	const struct input input = { .sandbox = *state, .text = NETWORKS };

	unit_expect_text(networks_body, &input, "10.42.0.0/16 fd00:42::/48\n");
	unit_expect_text(listeners_body, &input, DEFAULT_LISTENERS);
	unit_expect_text(rest_body, &input, DEFAULT_REST);
	unit_expect_text(live_body, &input, DEFAULT_LIVE);
	unit_expect_once(notes_body, &input, "");
}

/* Section 4 of the design, as it stands there. */
static void the_documented_file_is_the_default(void **state)
{
	const struct input input = {
		.sandbox = *state,
		.text = "trusted-networks = { \"10.42.0.0/16\", \"fd00:42::/48\" }   # who may\n"
			"\n"
			"port-offset = 10000\n"
			"mode        = \"separate\"          # \"in-place\": ...\n"
			"\n"
			"postfix {\n"
			"  config-directory = \"/etc/postfix\"\n"
			"  listener smtp        { port = 12525 }    # 10025 is Amavis's in DMS\n"
			"  listener submission  { }                 # 587 -> 10587\n"
			"  listener submissions { }                 # 465 -> 10465\n"
			"}\n"
			"dovecot {\n"
			"  config-directory = \"/etc/dovecot\"\n"
			"  listener imap  { }\n"
			"  listener imaps { }\n"
			"  listener pop3  { }\n"
			"  listener pop3s { }\n"
			"  listener sieve { }\n"
			"}\n"
			"overrides \"/tmp/docker-mailserver\" { }\n"
			"watch \"/secrets/ssl\" { reload = { \"postfix\", \"dovecot\" } }\n",
	};

	unit_expect_text(networks_body, &input, "10.42.0.0/16 fd00:42::/48\n");
	unit_expect_text(listeners_body, &input, DEFAULT_LISTENERS);
	unit_expect_text(rest_body, &input, DEFAULT_REST);
	unit_expect_text(live_body, &input, DEFAULT_LIVE "watch /secrets/ssl postfix dovecot\n");
	unit_expect_once(notes_body, &input, "");
}

static void every_key_is_taken(void **state)
{
	const struct input input = {
		.sandbox = *state,
		.text = NETWORKS "allow-any-network = true\n"
				 "port-offset = 20000\n"
				 "mode = \"in-place\"\n"
				 "gate = \"off\"\n"
				 "resync = 0\n"
				 "listen = \"127.0.0.1:9477\"\n"
				 "postfix {\n"
				 "  enable = false\n"
				 "  config-directory = \"/srv/postfix\"\n"
				 "  listener smtp { enable = false }\n"
				 "  listener submission { trust-mynetworks = true adopt = true }\n"
				 "  listener submissions { port = 1 }\n"
				 "  listener 2525 { port = 65535 }\n"
				 "  listener http-alt { }\n"
				 "}\n"
				 "dovecot {\n"
				 "  enable = no\n"
				 "  config-directory = \"/srv/dovecot\"\n"
				 "  listener imap { port = 1143 adopt = yes }\n"
				 "  listener pop3 { enable = off }\n"
				 "}\n"
				 "overrides \"/a\" { }\n"
				 "overrides \"/b/\" { enable = yes }\n"
				 "overrides \"/off\" { enable = no }\n"
				 "watch \"/c\" { }\n"
				 "watch \"/d\" { reload = { \"dovecot\" } }\n",
	};

	unit_expect_text(listeners_body, &input,
			 "submission 587->20587 trust-mynetworks adopt\n"
			 "submissions 465->1\n"
			 "2525 2525->65535\n"
			 "http_alt 8080->28080\n"
			 "imap 143->1143 adopt\n"
			 "imaps 993->20993\n"
			 "pop3s 995->20995\n"
			 "sieve 4190->24190\n");
	unit_expect_text(rest_body, &input,
			 "in-place gate off\npostfix off /srv/postfix\ndovecot off /srv/dovecot\n");
	unit_expect_text(live_body, &input,
			 "resync 0 listen \"127.0.0.1:9477\"\noverrides /a\noverrides /b\n"
			 "watch /c\nwatch /d dovecot\n");
}

static void overrides_can_be_switched_off(void **state)
{
	const struct input input = {
		.sandbox = *state,
		.text = NETWORKS "overrides \"/tmp/docker-mailserver\" { enable = false }\n",
	};

	unit_expect_text(live_body, &input, "resync 60 listen \"\"\n");
}

static void a_watch_that_reloads_nothing_is_remarked(void **state)
{
	const struct input input = {
		.sandbox = *state,
		.text = NETWORKS "watch \"/c\" { }\n",
	};

	unit_expect_once(notes_body, &input,
			 "warning: /etc/postern/postern.conf:2: watch \"/c\" reloads nothing: add "
			 "reload = { \"postfix\", \"dovecot\" }\n");
}

static void every_gate_has_its_word(void **state)
{
	struct input input = { .sandbox = *state, .text = NETWORKS "gate = \"require\"\n" };

	unit_expect_text(rest_body, &input,
			 "separate gate require\npostfix on /etc/postfix\n"
			 "dovecot on /etc/dovecot\n");
	input.text = NETWORKS "gate = auto\n";
	unit_expect_text(rest_body, &input, DEFAULT_REST);
}

static void limits_of_ranges_are_inside(void **state)
{
	static const char *const texts[] = {
		NETWORKS "resync = 86400\n",
		NETWORKS "listen = \"[::1]:1\"\n",
		NETWORKS "listen = \"0.0.0.0:65535\"\n",
		NETWORKS "listen = \"\"\n",
		NETWORKS "postfix { listener smtp { port = 65535 } }\n",
		NETWORKS "postfix { listener smtp { port = 1 } }\n",
		NETWORKS "port-offset = 61345\n", /* 4190 + it is 65535 */
		NETWORKS "port-offset = 1\n",
		NETWORKS "watch \"/x\" { reload = { } }\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		CLEANUP(settings_release) struct settings settings = { 0 };
		CLEANUP(notes_release) struct notes notes = NOTES_INIT;
		struct input input = { .sandbox = *state, .text = texts[i] };
		struct error err = { 0 };

		if (load(&input, &settings, &notes, &err) != 0)
			fail_msg("%s: %s", texts[i], err.msg);
	}
}

static void the_smtp_twin_follows_another_offset(void **state)
{
	const struct input input = { .sandbox = *state,
				     .text = NETWORKS "port-offset = 30000\n"
						      "dovecot { listener imap { enable = false } "
						      "listener imaps { enable = false } "
						      "listener pop3 { enable = false } "
						      "listener pop3s { enable = false } "
						      "listener sieve { enable = false } }\n" };

	unit_expect_text(listeners_body, &input,
			 "smtp 25->30025\nsubmission 587->30587\nsubmissions 465->30465\n");
}

/* ---- networks ---- */

static void the_environment_supplies_the_networks(void **state)
{
	static const char *const lists[] = {
		"10.0.0.0/8,fd00::/8",
		"10.0.0.0/8 fd00::/8",
		" ,, 10.0.0.0/8\t,\n fd00::/8 , ",
	};
	struct input input = { .sandbox = *state };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		input.networks = lists[i];
		unit_expect_text(networks_body, &input, "10.0.0.0/8 fd00::/8\n");
	}
	input.text = "port-offset = 10000\n";
	unit_expect_text(networks_body, &input, "10.0.0.0/8 fd00::/8\n");
	input.text = "trusted-networks = { }\n";
	unit_expect_text(networks_body, &input, "10.0.0.0/8 fd00::/8\n");
}

static void the_file_comes_before_the_environment_and_that_is_said(void **state)
{
	const struct input input = { .sandbox = *state,
				     .text = "\n" NETWORKS,
				     .networks = "192.0.2.0/24" };

	unit_expect_text(networks_body, &input, "10.42.0.0/16 fd00:42::/48\n");
	unit_expect_once(notes_body, &input,
			 "notice: " CONF ":2: trusted-networks: the environment's "
			 "POSTERN_TRUSTED_NETWORKS is not used\n");
}

static void a_single_network_needs_no_braces(void **state)
{
	const struct input input = { .sandbox = *state, .text = "trusted-networks = 10.42.0.7\n" };

	unit_expect_text(networks_body, &input, "10.42.0.7/32\n");
}

static void networks_are_tidied_up_and_that_is_said(void **state)
{
	const struct input input = {
		.sandbox = *state,
		.text = "trusted-networks = { \"10.42.7.9/16\", \"10.42.0.0/16\", "
			"\"10.42.3.0/24\",\n"
			"  \"fd00::/8\", \"::ffff:192.0.2.0/120\" }\n",
	};

	unit_expect_text(networks_body, &input, "10.42.0.0/16 fd00::/8 192.0.2.0/24\n");
	unit_expect_once(notes_body, &input,
			 "warning: " CONF
			 ":2: trusted-networks: 10.42.7.9/16 has bits set beyond its "
			 "prefix: taken as 10.42.0.0/16\n"
			 "notice: network 10.42.0.0/16 is given twice\n"
			 "notice: network 10.42.3.0/24 lies inside 10.42.0.0/16: left out\n");
}

static void every_address_is_trusted_only_on_request_and_warned_about(void **state)
{
	struct input input = { .sandbox = *state,
			       .text = "allow-any-network = true\n"
				       "trusted-networks = { \"0.0.0.0/0\" }\n" };

	unit_expect_text(networks_body, &input, "0.0.0.0/0\n");
	unit_expect_once(notes_body, &input,
			 "warning: " CONF ":2: trusted-networks: 0.0.0.0/0 trusts every address: "
			 "anyone can forge a client's address\n");
	/* wherever the permission stands */
	input.text = "trusted-networks = \"::/0\"\nallow-any-network = true\n";
	unit_expect_text(networks_body, &input, "::/0\n");
}

static void a_permitted_network_of_every_address_is_kept(void **state)
{
	struct input input = { .sandbox = *state,
			       .text = "allow-any-network = true\n"
				       "trusted-networks = { \"10.0.0.0/8\", \"::/0\" }\n" };
	CLEANUP(settings_release) struct settings settings = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;

	assert_int_equal(load(&input, &settings, &notes, NULL), 0);
	assert_int_equal(settings.networks.n_items, 2);
	assert_true(settings.networks.items[1].is_ipv6);
	assert_int_equal(settings.networks.items[1].prefix, 0);
}

static void for_a_revert_no_network_is_needed(void **state)
{
	struct input input = { .sandbox = *state, .not_needed = true };

	unit_expect_text(networks_body, &input, "\n");
	input.text = "";
	unit_expect_text(listeners_body, &input, DEFAULT_LISTENERS);
}

/* ---- which file ---- */

static void a_file_that_is_named_is_this_machines(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(settings_release) struct settings settings = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	const struct port_names names = { 0 };
	struct settings_request request = { .root = &s->root, .port_names = &names };
	char here[64];

	sandbox_write(s, "/file", "port-offset = 5\n");
	request.path = sandbox_path(s, "/file");
	assert_int_equal(settings_load(&request, &settings, &notes, NULL), 0);
	assert_int_equal(settings.postfix.listeners[0].port, 30);
	settings_release(&settings);
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(s->path), 0);
	request.path = "file";
	assert_int_equal(settings_load(&request, &settings, &notes, NULL), 0);
	assert_int_equal(settings.postfix.listeners[0].port, 30);
	assert_int_equal(chdir(here), 0);
}

static void a_link_to_the_default_file_is_followed_inside_the_root(void **state)
{
	const struct sandbox *s = *state;
	const struct input input = { .sandbox = s };

	sandbox_write(s, "/config/..data/postern.conf", NETWORKS);
	sandbox_link(s, "/config/..data/postern.conf", CONF);
	unit_expect_text(networks_body, &input, "10.42.0.0/16 fd00:42::/48\n");
}

static void comments_and_layout_do_not_matter(void **state)
{
	const struct input input = {
		.sandbox = *state,
		.text = "# one\n// two\n/* three\n lines */ trusted-networks={10.42.0.0/16,\n\n"
			"\"fd00:42::/48\"}\r\n\tpostfix\n{\nlistener\n\"smtp\"\n{port=12525}}",
	};

	unit_expect_text(networks_body, &input, "10.42.0.0/16 fd00:42::/48\n");
	unit_expect_text(listeners_body, &input, DEFAULT_LISTENERS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(with_networks_alone_everything_is_as_documented),
		TEST(the_documented_file_is_the_default),
		TEST(every_key_is_taken),
		TEST(overrides_can_be_switched_off),
		TEST(a_watch_that_reloads_nothing_is_remarked),
		TEST(every_gate_has_its_word),
		TEST(limits_of_ranges_are_inside),
		TEST(the_smtp_twin_follows_another_offset),
		TEST(the_environment_supplies_the_networks),
		TEST(the_file_comes_before_the_environment_and_that_is_said),
		TEST(a_single_network_needs_no_braces),
		TEST(networks_are_tidied_up_and_that_is_said),
		TEST(every_address_is_trusted_only_on_request_and_warned_about),
		TEST(a_permitted_network_of_every_address_is_kept),
		TEST(for_a_revert_no_network_is_needed),
		TEST(a_file_that_is_named_is_this_machines),
		TEST(a_link_to_the_default_file_is_followed_inside_the_root),
		TEST(comments_and_layout_do_not_matter),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
