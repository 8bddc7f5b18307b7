/* SPDX-License-Identifier: MIT */
/* user_hook - its text, and that bash reads back every path as it was. */
#include "unit.h"

#include "patchers/user_hook.h"

#include <stdio.h>
#include <sys/mman.h>

#define SETTINGS_END "status=0\n"

static int render_body(const void *ctx, struct buf *out, struct error *err)
{
	return user_hook_render(ctx, out, err);
}

/* The hook's lines that the paths are in. */
static int settings_body(const void *ctx, struct buf *out, struct error *err)
{
	cleanup_buf struct buf whole = BUF_INIT;
	int rc = user_hook_render(ctx, &whole, err);
	const char *start, *end;

	if (rc < 0)
		return rc;
	start = strstr(buf_text(&whole), "\nfolder=");
	end = strstr(buf_text(&whole), SETTINGS_END);
	assert_true(start && end);
	buf_add(out, span_between(start + 1, end));
	return buf_check(out, err);
}

static void a_hook_names_what_it_was_given_and_nothing_else(void **state)
{
	static const struct user_hook least = { .folder = "/postern" };
	static const struct user_hook most = { .folder = "/opt/my postern//",
					       .config = "/etc/it's.conf",
					       .user_patches = "/config" };
	static const struct user_hook at_root = { .folder = "/" };

	(void)state;
	unit_expect_text(settings_body, &least,
			 "folder='/postern'\noptions=()\n"
			 "own_scripts=(\"$folder/user-patches.own.sh\")\n");
	unit_expect_text(settings_body, &most,
			 "folder='/opt/my postern'\noptions=(--config '/etc/it'\\''s.conf')\n"
			 "own_scripts=(\"$folder/user-patches.own.sh\" '/config')\n");
	unit_expect_text(settings_body, &at_root,
			 "folder=''\noptions=()\n"
			 "own_scripts=(\"$folder/user-patches.own.sh\")\n");
}

static void two_renderings_are_the_same(void **state)
{
	static const struct user_hook hook = { .folder = "/postern", .config = "/a" };
	cleanup_buf struct buf first = BUF_INIT;

	(void)state;
	assert_int_equal(user_hook_render(&hook, &first, NULL), 0);
	unit_expect_span(render_body, &hook, buf_span(&first));
}

/* These bytes are in hooks out there: a version that changed them would take them for a user's. */
static void hooks_of_every_version_are_known_by_their_first_lines(void **state)
{
	static const struct user_hook hook = { .folder = "/postern" };
	static const char first_lines[] =
		"#!/bin/bash\n"
		"# This file is postern's: every \"postern install\" writes it anew, edits are "
		"lost.\n";
	static const char *const others[] = {
		"",
		"#!/bin/bash\n",
		"#!/bin/bash\npostern patch\n",
		"\n#!/bin/bash\n# This file is postern's: every \"postern install\" writes it "
		"anew, edits are lost.\n",
		"#!/bin/bash\ncat <<'END'\n# This file is postern's: every \"postern install\" "
		"writes it anew, edits are lost.\nEND\n",
	};
	cleanup_buf struct buf text = BUF_INIT;

	(void)state;
	assert_int_equal(user_hook_render(&hook, &text, NULL), 0);
	assert_true(user_hook_is_ours(buf_span(&text)));
	assert_true(span_starts(buf_span(&text), first_lines));
	assert_true(user_hook_is_ours(span_from(first_lines)));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_false(user_hook_is_ours(span_from(others[i])));
}

static void paths_are_absolute_and_of_one_line(void **state)
{
	static const char *const good[] = { "/", "/a", "/a b", "/'\"$`\\", "/\xc3\xa4", "/\xff" };
	static const char *const bad[] = { "",    "a",   "./a",     " /a",   "/a\nb",
					   "/\r", "/\t", "/\x1b[m", "/\x7f", "/a\x01" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(user_hook_takes_path(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(user_hook_takes_path(bad[i]));
}

/* ---- the law of quoting: what bash reads is what was given ---- */

enum { CASES = 400, PATH_BYTES_MAX = 24 };

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

/* Much of what a shell takes for something else, and any other byte. */
static void random_path(unsigned *seed, char *out)
{
	static const char special[] = "'''\"\"$`\\\\ !*?[]{}()<>|&;#~=%^:,-/\xc3\xa4\x81\x01";
	size_t n = next_random(seed) % (PATH_BYTES_MAX - 2) + 1;

	out[0] = '/';
	for (size_t i = 1; i <= n; i++)
		do {
			out[i] = next_random(seed) % 2
					 ? special[next_random(seed) % (sizeof(special) - 1)]
					 : (char)(next_random(seed) % 255 + 1);
			out[i + 1] = '\0';
		} while (!user_hook_takes_path(out));
	out[n] = out[n] == '/' ? 'x' : out[n]; /* those at the end are not kept */
}

/* What bash prints for a script in this locale. */
static void run_bash(const char *locale, struct span script, struct buf *out)
{
	char command[128], bytes[4096];
	cleanup_fd int fd = memfd_create("hook", MFD_CLOEXEC);
	FILE *answer;
	size_t n;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, script.data, script.len), script.len);
	snprintf(command, sizeof(command), "LC_ALL=%s /bin/bash /proc/%d/fd/%d", locale,
		 (int)getpid(), fd);
	answer = popen(command, "r");
	assert_non_null(answer);
	while ((n = fread(bytes, 1, sizeof(bytes), answer)) > 0)
		buf_add(out, span_make(bytes, n));
	assert_int_equal(pclose(answer), 0);
	assert_int_equal(buf_check(out, NULL), 0);
}

static void add_case(unsigned *seed, struct buf *script, struct buf *wanted)
{
	char folder[PATH_BYTES_MAX + 2], config[PATH_BYTES_MAX + 2], own[PATH_BYTES_MAX + 2];
	const struct user_hook hook = { .folder = folder, .config = config, .user_patches = own };

	random_path(seed, folder);
	random_path(seed, config);
	random_path(seed, own);
	assert_int_equal(settings_body(&hook, script, NULL), 0);
	buf_add_text(script,
		     "printf '%s\\n' \"$folder\" \"${options[@]}\" \"${own_scripts[@]}\"\n");
	buf_add_format(wanted, "%s\n--config\n%s\n%s/user-patches.own.sh\n%s\n", folder, config,
		       folder, own);
}

static void bash_reads_the_very_paths(void **state)
{
	static const char *const locales[] = { "C", "C.UTF-8" };
	unsigned seed = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(locales); i++) {
		cleanup_buf struct buf script = BUF_INIT, wanted = BUF_INIT, got = BUF_INIT;

		for (int n = 0; n < CASES; n++)
			add_case(&seed, &script, &wanted);
		run_bash(locales[i], buf_span(&script), &got);
		unit_assert_span(buf_span(&got), buf_span(&wanted));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hook_names_what_it_was_given_and_nothing_else),
		cmocka_unit_test(two_renderings_are_the_same),
		cmocka_unit_test(hooks_of_every_version_are_known_by_their_first_lines),
		cmocka_unit_test(paths_are_absolute_and_of_one_line),
		cmocka_unit_test(bash_reads_the_very_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
