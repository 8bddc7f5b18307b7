/* SPDX-License-Identifier: MIT */
/* settings - every mistake is refused, with its file and line. */
#include "sandbox.h"

#include "patchers/inet_service.h"
#include "sidecar/settings.h"

#include <errno.h>
#include <stdio.h>

#define CONF SETTINGS_DEFAULT_PATH
#define NETWORKS "trusted-networks = \"10.42.0.0/16\"\n"

struct input {
	const struct sandbox *sandbox;
	struct span text;
	const char *networks;
};

static int load_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(settings_release) struct settings settings = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	const struct input *input = ctx;
	const struct port_names names = { .services_file = SPAN_INIT("http-alt 8080/tcp\n") };
	const struct settings_request request = {
		.root = &input->sandbox->root,
		.networks = input->networks,
		.port_names = &names,
		.networks_needed = true,
	};
	const struct settings untouched = { 0 };
	int rc;

	if (input->text.data)
		sandbox_write_span(input->sandbox, CONF, input->text);
	rc = settings_load(&request, &settings, &notes, err);
	if (rc < 0)
		assert_memory_equal(&settings, &untouched, sizeof(settings));
	return rc < 0 ? rc : buf_check(out, err);
}

struct mistake {
	const char *text;
	unsigned line;
	const char *part; /* of the message; NULL: whatever it says */
};

static void expect_mistakes(const struct sandbox *s, const struct mistake *mistakes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct input input = { .sandbox = s, .text = span_from(mistakes[i].text) };
		char place[64];

		snprintf(place, sizeof(place), CONF ":%u: ", mistakes[i].line);
		if (mistakes[i].part)
			unit_expect_error(load_body, &input, -EINVAL, place, mistakes[i].part);
		else
			unit_expect_error(load_body, &input, -EINVAL, place);
	}
}

static void keys_that_are_not_known_are_refused(void **state)
{
	static const struct mistake mistakes[] = {
		{ NETWORKS "\nnonsense = 1\n", 3, "nonsense" },
		{ NETWORKS "Mode = \"separate\"\n", 2, "Mode" },
		{ NETWORKS "postfix {\n\n nonsense = 1\n}\n", 4, "nonsense" },
		{ NETWORKS "postfix {\n trust-mynetworks = true\n}\n", 3, "trust-mynetworks" },
		{ NETWORKS "postfix {\n listener smtp {\n  nonsense = 1\n }\n}\n", 4, "nonsense" },
		{ NETWORKS "dovecot {\n listener imap {\n  trust-mynetworks = true\n }\n}\n", 4,
		  "trust-mynetworks" },
		{ NETWORKS "overrides \"/x\" {\n nonsense = 1\n}\n", 3, "nonsense" },
		{ NETWORKS "watch \"/x\" {\n nonsense = 1\n}\n", 3, "nonsense" },
		{ NETWORKS "listener smtp { }\n", 2, "listener" },
		{ NETWORKS "include(\"/etc/passwd\")\n", 2, "include" },
	};

	expect_mistakes(*state, mistakes, ARRAY_SIZE(mistakes));
}

/* libconfuse passes over it, and the value would be another one. */
static void a_star_or_plus_outside_of_quotes_is_refused(void **state)
{
	static const struct mistake mistakes[] = {
		{ NETWORKS "listen = *:9090\n", 2, "\"*\" outside of quotes" },
		{ NETWORKS "\n/* a comment */ re*sync = 5\n", 3, "outside of quotes" },
		{ NETWORKS "*", 2, "outside of quotes" },
		{ NETWORKS "/* a *///* b *\n*", 3, "outside of quotes" },
		{ NETWORKS "resync = +5\n", 2, "\"+\" outside of quotes" },
		{ NETWORKS "resync + = 5\n", 2, "\"+\" outside of quotes" },
		{ NETWORKS "resync = 5\n+//// \" {\n", 3, "\"+\" outside of quotes" },
		{ "*/*x/ rc /* a\n/ rc /* a e*/" NETWORKS, 1, "outside of quotes" },
	};

	expect_mistakes(*state, mistakes, ARRAY_SIZE(mistakes));
}

static void ports_out_of_range_are_refused(void **state)
{
	static const struct mistake mistakes[] = {
		{ NETWORKS "postfix { listener smtp {\n port = 0\n} }\n", 3, "port = 0" },
		{ NETWORKS "postfix { listener smtp {\n port = 70000\n} }\n", 3, "port = 70000" },
		{ NETWORKS "postfix { listener smtp {\n port = 65536\n} }\n", 3, "port = 65536" },
		{ NETWORKS "postfix { listener smtp {\n port = -1\n} }\n", 3, "port = -1" },
		{ NETWORKS "dovecot { listener imap {\n port = 0\n} }\n", 3, "port = 0" },
		{ NETWORKS "dovecot { listener imap {\n port = 70000\n} }\n", 3, "port = 70000" },
		{ NETWORKS "dovecot { listener imap {\n port = 99999999999999999999\n} }\n", 3,
		  NULL },
		{ NETWORKS "dovecot { listener imap {\n port = imap\n} }\n", 3, NULL },
		{ NETWORKS "dovecot { listener imap {\n port = \"\"\n} }\n", 3, NULL },
		{ NETWORKS "port-offset = 0\n", 2, "port-offset = 0" },
		{ NETWORKS "port-offset = -10000\n", 2, "port-offset = -10000" },
		{ NETWORKS "port-offset = 65535\n", 2, "port-offset = 65535" },
	};

	expect_mistakes(*state, mistakes, ARRAY_SIZE(mistakes));
}

static void an_offset_that_leads_beyond_the_last_port_is_refused(void **state)
{
	const struct input input = { .sandbox = *state,
				     .text = SPAN_LITERAL(NETWORKS "port-offset = 65000\n") };

	unit_expect_error(load_body, &input, -EINVAL, CONF, "65000", "no port");
}

static void other_values_out_of_range_are_refused(void **state)
{
	static const struct mistake mistakes[] = {
		{ NETWORKS "mode = \"both\"\n", 2, "mode = \"both\"" },
		{ NETWORKS "mode = \"\"\n", 2, "mode" },
		{ NETWORKS "gate = \"on\"\n", 2, "gate = \"on\"" },
		{ NETWORKS "resync = -1\n", 2, "resync = -1" },
		{ NETWORKS "resync = 86401\n", 2, "resync" },
		{ NETWORKS "resync = soon\n", 2, "resync" },
		{ NETWORKS "allow-any-network = maybe\n", 2, "allow-any-network" },
		{ NETWORKS "listen = \"9477\"\n", 2, "listen" },
		{ NETWORKS "listen = \"localhost:9477\"\n", 2, "listen" },
		{ NETWORKS "listen = \"127.0.0.1:0\"\n", 2, "listen" },
		{ NETWORKS "listen = \"127.0.0.1:65536\"\n", 2, "listen" },
		{ NETWORKS "listen = \"10.0.0.0/8:1\"\n", 2, "listen" },
		{ NETWORKS "postfix {\n config-directory = \"etc\"\n}\n", 3, "\"etc\"" },
		{ NETWORKS "dovecot {\n config-directory = \"\"\n}\n", 3, "config-directory" },
		{ NETWORKS "dovecot {\n config-directory = \"/a\\nb\"\n}\n", 3,
		  "config-directory" },
		{ NETWORKS "postfix {\n enable = 7\n}\n", 3, NULL },
		{ NETWORKS "overrides \"relative\" {\n}\n", 3, "relative" },
		{ NETWORKS "watch \"relative\" { }\n", 2, "relative" },
		{ NETWORKS "watch \"/x\" {\n reload = { \"postfix\", \"nginx\" }\n}\n", 3,
		  "nginx" },
	};

	expect_mistakes(*state, mistakes, ARRAY_SIZE(mistakes));
}

static void listeners_that_are_none_are_refused(void **state)
{
	static const struct mistake mistakes[] = {
		{ NETWORKS "postfix {\n listener nonsense { }\n}\n", 3, "nonsense" },
		{ NETWORKS "postfix {\n listener 0 { }\n}\n", 3, "0" },
		{ NETWORKS "postfix {\n listener 65536 { }\n}\n", 3, "65536" },
		{ NETWORKS "postfix {\n listener \"\" { }\n}\n", 3, NULL },
		{ NETWORKS "postfix {\n listener \"127.0.0.1:smtp\" { }\n}\n", 3,
		  "127.0.0.1:smtp" },
		{ NETWORKS "postfix {\n listener \"a b\" { }\n}\n", 3, "a b" },
		{ NETWORKS "postfix {\n listener "
			   "a123456789012345678901234567890123456789 { }\n}\n",
		  3, NULL },
		{ NETWORKS "dovecot {\n listener smtp { }\n}\n", 3, "smtp" },
		{ NETWORKS "dovecot {\n listener 143 { }\n}\n", 3, "143" },
	};

	expect_mistakes(*state, mistakes, ARRAY_SIZE(mistakes));
}

static void what_is_given_twice_is_refused(void **state)
{
	static const struct mistake mistakes[] = {
		{ NETWORKS "postfix {\n listener smtp { }\n listener smtp { }\n}\n", 4, "smtp" },
		{ NETWORKS "overrides \"/x\" { }\noverrides \"/x\" { }\n", 3, "/x" },
		{ NETWORKS "watch \"/x\" { }\nwatch \"/x\" { }\n", 3, "/x" },
		/* a second block would make the first one's keys defaults again */
		{ NETWORKS "postfix {\n enable = false\n}\npostfix { }\n", 5, "postfix" },
		{ NETWORKS "dovecot { }\n\ndovecot { }\n", 4, "dovecot" },
		/* two names of one port */
		{ NETWORKS "postfix {\n listener 25 { port = 30025 }\n}\n", 3, "25" },
	};

	expect_mistakes(*state, mistakes, ARRAY_SIZE(mistakes));
}

static void two_listeners_on_one_port_are_refused(void **state)
{
	static const struct mistake mistakes[] = {
		{ NETWORKS "postfix {\n listener smtp { port = 10587 }\n}\n", 3, "10587" },
		{ NETWORKS "postfix {\n listener smtp { port = 9 }\n"
			   " listener submission {\n port = 9\n }\n}\n",
		  6, "9" }, /* where the block ends */
		{ NETWORKS "dovecot {\n listener imap { port = 12525 }\n}\n", 3, "12525" },
		{ NETWORKS "dovecot {\n listener imap { port = 10993 }\n}\n", 3, "10993" },
		{ NETWORKS "postfix {\n listener http-alt { port = 10587 }\n}\n", 3, "10587" },
		{ NETWORKS "postfix {\n listener http-alt { port = 143 }\n}\n", 3, "143" },
		{ NETWORKS "dovecot {\n listener imap { port = 25 }\n}\n", 3, "25" },
		{ NETWORKS "postfix {\n listener smtp { port = 25 }\n}\n", 3, "25" },
	};

	expect_mistakes(*state, mistakes, ARRAY_SIZE(mistakes));
}

static void switched_off_listeners_have_no_port(void **state)
{
	const struct input input = {
		.sandbox = *state,
		.text = SPAN_LITERAL(NETWORKS
				     "postfix {\n listener smtp { port = 10587 }\n"
				     " listener submission { enable = false }\n}\n"
				     "dovecot { listener imap { port = 10587 enable = no } }"),
	};

	unit_expect_text(load_body, &input, "");
}

static void a_syntax_error_has_its_line(void **state)
{
	static const struct mistake mistakes[] = {
		{ NETWORKS "postfix {\n enable = true\n", 3, NULL },
		{ NETWORKS "postfix {\n listener smtp {\n", 3, NULL },
		{ NETWORKS "}\n", 2, NULL },
		{ NETWORKS "mode\n= \n", 3, NULL },
		{ NETWORKS "mode = separate separate\n", 2, NULL },
		{ "trusted-networks = { \"10.0.0.0/8\"\n\n", 2, NULL },
		{ "trusted-networks = { \"10.0.0.0/8\n", 1, NULL },
		{ NETWORKS "postfix listener { }\n", 2, NULL },
		{ NETWORKS "overrides { }\n", 2, NULL },
		{ "\n\n= 1\n", 3, NULL },
		{ NETWORKS "/* without an end\n\n", 2, NULL },
		{ "resync = 1 /* without an end\n", 1, "comment" },
	};
	const struct sandbox *s = *state;

	/* The end of the file may count as a line, or as the one before. */
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		struct input input = { .sandbox = s, .text = span_from(mistakes[i].text) };

		unit_expect_error(load_body, &input, -EINVAL, CONF ":");
	}
}

/* libconfuse counts more lines than a comment has. */
static void comments_do_not_move_the_line(void **state)
{
	static const struct mistake mistakes[] = {
		{ "# a\n# b\n\nmode = \"x\" # c\n# d\n\n\n", 4, "mode" },
		{ "//a\n///b\nmode = \"x\"\n\n\n\n\n\n\n", 3, "mode" },
		{ "/* a */ // b\nmode = \"x\"\n\n\n\n", 2, "mode" },
		{ "/* a\n b */\nmode = \"x\"\n\n\n\n", 3, "mode" },
		{ "postfix { # \"\n enable = true // '\n}\nmode = 'x'\n\n\n\n", 4, "mode" },
		{ "mode = 'a#\\'b' # c\n\n\n", 1, "a#'b" },
		{ "mode = \"a//b /* \\\"#\"\n\n\n", 1, "a//b /* \"#" },
		{ "mode = a//b\n\n\n", 1, "a//b" },
		{ "resync = 1\n#\ntrusted-networks = { \"0.0.0.0/0\" } # c\n\n\n\n", 3, "every" },
	};

	expect_mistakes(*state, mistakes, ARRAY_SIZE(mistakes));
}

static void networks_that_are_none_are_refused(void **state)
{
	static const struct mistake mistakes[] = {
		{ "\ntrusted-networks = \"10.0.0.0/33\"\n", 2, "10.0.0.0/33" },
		{ "trusted-networks = \"10.0.0\"\n", 1, "10.0.0" },
		{ "trusted-networks = \"fd00::/129\"\n", 1, "fd00::/129" },
		{ "trusted-networks = \"10.0.0.0/-1\"\n", 1, "10.0.0.0/-1" },
		{ "trusted-networks = \"10.0.0.0/\"\n", 1, "10.0.0.0/" },
		{ "trusted-networks = \"/8\"\n", 1, NULL },
		{ "trusted-networks = \"\"\n", 1, NULL },
		{ "trusted-networks = \"example.org\"\n", 1, "example.org" },
		{ "trusted-networks = { \"10.0.0.0/8\",\n \"nonsense\" }\n", 2, "nonsense" },
		{ "trusted-networks = { \"10.0.0.0/8 fd00::/8\" }\n", 1, "10.0.0.0/8 fd00::/8" },
		{ "trusted-networks = \"0.0.0.0/0\"\n", 1, "0.0.0.0/0" },
		{ "trusted-networks = \"::/0\"\n", 1, "allow-any-network" },
		{ "trusted-networks = \"1.2.3.4/0\"\n", 1, "allow-any-network" },
		{ "trusted-networks = \"::ffff:0.0.0.0/96\"\n", 1, "allow-any-network" },
		{ "allow-any-network = false\ntrusted-networks = \"::/0\"\n", 2, "::/0" },
	};

	expect_mistakes(*state, mistakes, ARRAY_SIZE(mistakes));
}

static void networks_of_the_environment_are_refused_by_its_name(void **state)
{
	struct input input = { .sandbox = *state, .networks = "10.0.0.0/8, nonsense" };

	unit_expect_error(load_body, &input, -EINVAL, SETTINGS_NETWORKS_VARIABLE, "nonsense");
	input.networks = "::/0";
	unit_expect_error(load_body, &input, -EINVAL, SETTINGS_NETWORKS_VARIABLE,
			  "allow-any-network");
	input.networks = "10.0.0.0/8;fd00::/8";
	unit_expect_error(load_body, &input, -EINVAL, SETTINGS_NETWORKS_VARIABLE);
}

static void without_networks_the_key_is_named(void **state)
{
	struct input input = { .sandbox = *state };
	static const char *const texts[] = { "", "port-offset = 10000\n",
					     "trusted-networks = { }\n", "# nothing", "\n" };

	unit_expect_error(load_body, &input, -EDESTADDRREQ, "trusted-networks", CONF,
			  SETTINGS_NETWORKS_VARIABLE);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		input.text = span_from(texts[i]);
		unit_expect_error(load_body, &input, -EDESTADDRREQ, "trusted-networks");
	}
	input.networks = " , ";
	unit_expect_error(load_body, &input, -EDESTADDRREQ, "trusted-networks");
}

static void a_nul_byte_is_refused(void **state)
{
	const struct input input = { .sandbox = *state,
				     .text = SPAN_LITERAL(NETWORKS "\0nonsense = 1\n") };

	unit_expect_error(load_body, &input, -EINVAL, CONF, "NUL");
}

static void a_file_that_was_asked_for_has_to_be_there(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(settings_release) struct settings settings = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	const struct port_names names = { 0 };
	struct settings_request request = { .root = &s->root, .port_names = &names };
	struct error err;

	request.path = sandbox_path(s, "/missing");
	assert_int_equal(settings_load(&request, &settings, &notes, &err), -ENOENT);
	unit_assert_contains(span_from(err.msg), "/missing");
	request.path = "no-such-file-here";
	assert_int_equal(settings_load(&request, &settings, &notes, &err), -ENOENT);
	request.path = s->path;
	assert_int_equal(settings_load(&request, &settings, &notes, &err), -EISDIR);
	request.path = "/dev/null";
	assert_int_equal(settings_load(&request, &settings, &notes, &err), -EINVAL);
}

static void the_first_of_several_mistakes_is_said(void **state)
{
	const struct input input = { .sandbox = *state,
				     .text = SPAN_LITERAL("first = 1\nsecond = 2\n") };

	unit_expect_error(load_body, &input, -EINVAL, CONF ":1: ", "first");
}

static void a_failed_load_leaves_nothing_to_the_next(void **state)
{
	struct input input = { .sandbox = *state, .text = SPAN_LITERAL("\n\nnonsense = 1\n") };

	unit_expect_error(load_body, &input, -EINVAL, CONF ":3: ");
	input.text = SPAN_LITERAL(NETWORKS);
	unit_expect_text(load_body, &input, "");
	input.text = SPAN_LITERAL("\n\nnonsense = 1\n");
	unit_expect_error(load_body, &input, -EINVAL, CONF ":3: ");
}

/* The bytes of a linear congruential generator: the same in every run. */
static void add_noise(unsigned seed, size_t n, const char *alphabet, struct buf *out)
{
	size_t kinds = alphabet ? strlen(alphabet) : 255;

	while (n-- > 0) {
		size_t dice;

		seed = seed * 1103515245u + 12345u;
		dice = (seed >> 16) % kinds;
		buf_add_char(out, alphabet ? alphabet[dice] : (char)(dice + 1));
	}
}

static void noise_is_refused_and_harms_nothing(void **state)
{
	static const char *const alphabets[] = {
		NULL, "a={}\"\\\n# ", "{", "\"", "\\", "a", "#", "/*", "postfix{", "\n", "'\"${}"
	};
	static const size_t sizes[] = { 100, 10000, 1 << 20 };

	for (size_t i = 0; i < ARRAY_SIZE(alphabets); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
			cleanup_buf struct buf text = BUF_INIT, out = BUF_INIT;
			struct input input = { .sandbox = *state };
			struct error err = { 0 };
			int rc;

			add_noise((unsigned)(i * 7 + k), sizes[k], alphabets[i], &text);
			input.text = buf_span(&text);
			rc = load_body(&input, &out, &err);
			assert_true(rc == -EINVAL || rc == -EDESTADDRREQ);
			unit_assert_contains(span_from(err.msg), CONF);
		}
	}
}

static void a_megabyte_of_right_text_is_taken(void **state)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct input input = { .sandbox = *state };

	while (text.len < 1 << 20)
		buf_add_text(&text, "# a comment\nresync = 30\n\n");
	buf_add_text(&text, NETWORKS);
	input.text = buf_span(&text);
	unit_expect_once(load_body, &input, "");
}

/* A ConfigMap holds one megabyte, all files together. */
static void two_megabytes_are_too_much(void **state)
{
	cleanup_buf struct buf text = BUF_INIT, out = BUF_INIT;
	struct input input = { .sandbox = *state };
	struct error err = { 0 };

	while (text.len <= 2 << 20)
		buf_add_text(&text, "# a comment\nresync = 30\n\n");
	input.text = buf_span(&text);
	assert_int_equal(load_body(&input, &out, &err), -EFBIG);
	unit_assert_contains(span_from(err.msg), CONF ": more than 2 MiB");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_that_are_not_known_are_refused),
		TEST(a_star_or_plus_outside_of_quotes_is_refused),
		TEST(ports_out_of_range_are_refused),
		TEST(an_offset_that_leads_beyond_the_last_port_is_refused),
		TEST(other_values_out_of_range_are_refused),
		TEST(listeners_that_are_none_are_refused),
		TEST(what_is_given_twice_is_refused),
		TEST(two_listeners_on_one_port_are_refused),
		TEST(switched_off_listeners_have_no_port),
		TEST(a_syntax_error_has_its_line),
		TEST(comments_do_not_move_the_line),
		TEST(networks_that_are_none_are_refused),
		TEST(networks_of_the_environment_are_refused_by_its_name),
		TEST(without_networks_the_key_is_named),
		TEST(a_nul_byte_is_refused),
		TEST(a_file_that_was_asked_for_has_to_be_there),
		TEST(the_first_of_several_mistakes_is_said),
		TEST(a_failed_load_leaves_nothing_to_the_next),
		TEST(noise_is_refused_and_harms_nothing),
		TEST(a_megabyte_of_right_text_is_taken),
		TEST(two_megabytes_are_too_much),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
