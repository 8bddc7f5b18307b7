/* SPDX-License-Identifier: MIT */
/*
 * settings - each key of postern.conf with each thing that could end a line, a
 * word or a string in a file that is made of it.
 */
#include "sandbox.h"

#include "patchers/inet_service.h"
#include "sidecar/printable.h"
#include "sidecar/settings.h"

#include <stdio.h>

#define CONF SETTINGS_DEFAULT_PATH
#define NETWORKS "trusted-networks = \"10.42.0.0/16\"\n"

/* As they stand between single quotes, where libconfuse replaces nothing. */
static const char *const hostile[] = {
	"\n",
	"\r",
	"\r\n",
	"\t",
	"\v",
	"\f",
	"\x01",
	"\x1b[31m",
	"\x7f",
	"$",
	"${x}",
	"{",
	"}",
	"\"",
	"#",
	";",
	"|",
	"`x`",
	" ",
	"/../",
	"\xff",
	"\xc3",
	"\xed\xa0\x80",
	"\xc2\x85",
	"\xe2\x80\xa8",
	"\xe2\x80\xae",
	"\xf4\x90\x80\x80",
};

/* A key's value; "%s" is where it goes. */
struct key {
	const char *text;
	bool is_path; /* of a file system, which knows all bytes but NUL */
};

static const struct key keys[] = {
	{ "trusted-networks = '10.42.0.0/16%s'", false },
	{ "trusted-networks = '%s10.42.0.0/16'", false },
	{ NETWORKS "mode = 'in-place%s'", false },
	{ NETWORKS "gate = 'off%s'", false },
	{ NETWORKS "listen = '127.0.0.1:9477%s'", false },
	{ NETWORKS "listen = '127.0.0.1%s:9477'", false },
	{ NETWORKS "postfix { config-directory = '/etc/%spostfix' }", true },
	{ NETWORKS "dovecot { config-directory = '/etc/%sdovecot' }", true },
	{ NETWORKS "postfix { listener 'smtp%s' { } }", false },
	{ NETWORKS "postfix { listener '%s587' { } }", false },
	{ NETWORKS "dovecot { listener 'imap%s' { } }", false },
	{ NETWORKS "overrides '/srv/%sx' { }", true },
	{ NETWORKS "watch '/srv/%sx' { reload = 'postfix' }", true },
	{ NETWORKS "watch '/srv/x' { reload = 'postfix%s' }", false },
};

static bool has_control(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return true;
	return false;
}

static int load(const struct sandbox *s, const char *networks, struct settings *out,
		struct error *err)
{
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	const struct port_names names = { 0 };
	const struct settings_request request = {
		.path = sandbox_path(s, CONF),
		.root = &s->root,
		.networks = networks,
		.port_names = &names,
		.networks_needed = true,
	};

	return settings_load(&request, out, &notes, err);
}

/* What is said of it can be shown, and begins with the file and the line. */
static void assert_message(const struct sandbox *s, const struct error *err, unsigned line)
{
	cleanup_buf struct buf shown = BUF_INIT;
	char place[128];

	printable_add(&shown, err->msg);
	for (size_t i = 0; i < shown.len; i++)
		assert_true((unsigned char)shown.data[i] >= 0x20 && shown.data[i] != 0x7f);
	snprintf(place, sizeof(place), "%s:%u: ", sandbox_path(s, CONF), line);
	if (!span_starts(buf_span(&shown), place))
		fail_msg("\"%s\" does not begin with \"%s\"", buf_text(&shown), place);
}

static void each_hostile_text_in_each_key_is_refused(void **state)
{
	const struct sandbox *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		for (size_t k = 0; k < ARRAY_SIZE(hostile); k++) {
			CLEANUP(settings_release) struct settings settings = { 0 };
			const char *at = strstr(keys[i].text, "%s");
			cleanup_buf struct buf text = BUF_INIT;
			struct error err = { 0 };
			unsigned line = 1;
			int rc;

			buf_add(&text, span_between(keys[i].text, at));
			buf_add_text(&text, hostile[k]);
			for (const char *p = buf_text(&text); *p; p++)
				line += *p == '\n';
			buf_add_text(&text, at + 2);
			buf_add_char(&text, '\n');
			sandbox_write(s, CONF, buf_text(&text));
			rc = load(s, NULL, &settings, &err);
			if (keys[i].is_path && !has_control(hostile[k])) {
				assert_int_equal(rc, 0);
				continue;
			}
			if (rc != -EINVAL)
				fail_msg("returned %d for: %s", rc, buf_text(&text));
			assert_message(s, &err, line);
		}
}

/* A path is one as it stands: what is special elsewhere is not here. */
static void a_path_is_taken_as_it_is(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(settings_release) struct settings settings = { 0 };

	sandbox_write(s, CONF,
		      NETWORKS "postfix { config-directory = '/etc/a b\"#${HOME}{}' }\n"
			       "overrides '/srv/\xe2\x80\xa8$x' { }\n");
	assert_int_equal(load(s, NULL, &settings, NULL), 0);
	assert_string_equal(settings.postfix.config_directory, "/etc/a b\"#${HOME}{}");
	assert_string_equal(settings.overrides[0], "/srv/\xe2\x80\xa8$x");
}

static void a_token_of_64_kb_is_refused(void **state)
{
	const struct sandbox *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		CLEANUP(settings_release) struct settings settings = { 0 };
		const char *at = strstr(keys[i].text, "%s");
		cleanup_buf struct buf text = BUF_INIT;
		struct error err = { 0 };

		buf_add(&text, span_between(keys[i].text, at));
		for (int n = 0; n < 65536; n++)
			buf_add_char(&text, 'a');
		buf_add_text(&text, at + 2);
		sandbox_write(s, CONF, buf_text(&text));
		assert_int_equal(load(s, NULL, &settings, &err), -EINVAL);
		assert_message(s, &err, span_starts(buf_span(&text), NETWORKS) ? 2 : 1);
	}
}

static void a_nul_byte_is_refused_with_its_line(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(settings_release) struct settings settings = { 0 };
	struct error err = { 0 };

	sandbox_write_span(s, CONF, SPAN_LITERAL(NETWORKS "\n\0mode = 'in-place'\n"));
	assert_int_equal(load(s, NULL, &settings, &err), -EINVAL);
	assert_message(s, &err, 3);
	unit_assert_contains(span_from(err.msg), "NUL");
}

static void the_environments_networks_are_networks(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, CONF, "\n");
	for (size_t k = 0; k < ARRAY_SIZE(hostile); k++) {
		CLEANUP(settings_release) struct settings settings = { 0 };
		char networks[64];
		struct error err = { 0 };
		int rc;

		snprintf(networks, sizeof(networks), "10.0.0.0/8%s10.1.0.0/16", hostile[k]);
		rc = load(s, networks, &settings, &err);
		if (strpbrk(hostile[k], " \t\n") && !strpbrk(hostile[k], "\r"))
			assert_int_equal(rc, 0); /* between two */
		else if (rc >= 0 || !strstr(err.msg, SETTINGS_NETWORKS_VARIABLE))
			fail_msg("\"%s\": returned %d: %s", networks, rc, err.msg);
	}
}

/* Whoever wrote a file of another root is not told what our environment holds. */
static void a_file_of_another_root_sees_no_environment(void **state)
{
	const struct sandbox *s = *state;
	const struct port_names names = { 0 };
	struct settings_request request = { .root = &s->root,
					    .port_names = &names,
					    .networks_needed = true };
	CLEANUP(settings_release) struct settings settings = { 0 };
	struct error err = { 0 };

	setenv("POSTERN_LAB_SECRET", "hunter2", 1);
	sandbox_write(s, CONF, NETWORKS "\nlisten = \"${POSTERN_LAB_SECRET}\"\n");
	assert_int_equal(settings_load(&request, &settings, NULL, &err), -EINVAL);
	assert_null(strstr(err.msg, "hunter2"));
	unit_assert_contains(span_from(err.msg), CONF ":3: ");
	/* Our own may, as its manual says. */
	setenv("POSTERN_LAB_SECRET", "127.0.0.1:9477", 1);
	assert_int_equal(load(s, NULL, &settings, &err), 0);
	assert_string_equal(settings.listen, "127.0.0.1:9477");
	unsetenv("POSTERN_LAB_SECRET");
}

/* libconfuse does not count the line, and every message behind it would name another one. */
static void a_variable_ends_on_its_line(void **state)
{
	static const char said[] = "\"${\" without \"}\" on its line";
	static const struct {
		const char *text;
		unsigned line;
		bool is_torn;
	} mistakes[] = {
		{ "listen = \"${a\n}\"\n", 2, true },
		{ "\nlisten = \"a\\\"\n${a\n}\"\n", 4, true },
		{ "listen = ${a\n}\n", 2, true },
		{ "listen = \"${a\"\npostfix { listener smtp { } }\n", 2, true },
		{ "listen = '${a\n}'\n", 3, false },
		{ "listen = \"\\${a\n}\"\n", 3, false },
		{ "# ${a\n nonsense = 1 # }\n", 3, false },
	};
	const struct sandbox *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		CLEANUP(settings_release) struct settings settings = { 0 };
		struct error err = { 0 };
		char text[200], place[64];

		snprintf(text, sizeof(text), NETWORKS "%s", mistakes[i].text);
		snprintf(place, sizeof(place), CONF ":%u: ", mistakes[i].line);
		sandbox_write(s, CONF, text);
		assert_int_equal(load(s, NULL, &settings, &err), -EINVAL);
		unit_assert_contains(span_from(err.msg), place);
		assert_int_equal(strstr(err.msg, said) != NULL, mistakes[i].is_torn);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_hostile_text_in_each_key_is_refused),
		TEST(a_path_is_taken_as_it_is),
		TEST(a_token_of_64_kb_is_refused),
		TEST(a_nul_byte_is_refused_with_its_line),
		TEST(the_environments_networks_are_networks),
		TEST(a_file_of_another_root_sees_no_environment),
		TEST(a_variable_ends_on_its_line),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
