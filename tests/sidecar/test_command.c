/* SPDX-License-Identifier: MIT */
/* command - options as a command declares them. */
#include "tests/unit/unit.h"

#include "sidecar/command.h"

#include <fcntl.h>
#include <stdio.h>

static const struct command_option options[] = {
	{ "dry-run", NULL, "" },
	{ "address", "ADDRESS", "" },
	{ "json", NULL, "" },
	{ 0 },
};
enum { DRY_RUN, ADDRESS, JSON, OPTIONS };

static const struct command command = { .name = "patch", .options = options };
static const struct command bare = { .name = "version" };

/* What command_parse() says on standard error. */
static char said[4096];

static bool parse(const struct command *c, const char *const *words, const char **values)
{
	union {
		const char *const *in;
		char **out;
	} argv = { .in = words };
	int argc = 0, saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), pipe_fds[2];
	ssize_t n;
	bool done;

	while (words[argc])
		argc++;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	done = command_parse(c, argc, argv.out, values);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipe_fds[1]);
	n = read(pipe_fds[0], said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	close(pipe_fds[0]);
	return done;
}

#define WORDS(...) ((const char *const[]){ "patch", __VA_ARGS__ })

static void options_that_are_not_given_are_null(void **state)
{
	const char *values[OPTIONS] = { "x", "x", "x" };

	(void)state;
	assert_true(parse(&command, WORDS(NULL), values));
	for (int i = 0; i < OPTIONS; i++)
		assert_null(values[i]);
	assert_string_equal(said, "");
	assert_true(parse(&bare, WORDS(NULL), values));
}

static void options_are_taken_in_any_order(void **state)
{
	const char *values[OPTIONS];

	(void)state;
	assert_true(parse(&command, WORDS("--json", "--address", "::1", "--dry-run", NULL), values));
	assert_string_equal(values[DRY_RUN], "");
	assert_string_equal(values[ADDRESS], "::1");
	assert_string_equal(values[JSON], "");
	assert_true(parse(&command, WORDS("--address=a b", NULL), values));
	assert_string_equal(values[ADDRESS], "a b");
	assert_null(values[JSON]);
	assert_true(parse(&command, WORDS("--address=", NULL), values));
	assert_string_equal(values[ADDRESS], "");
	/* an argument is taken whatever it looks like, and the last one counts */
	assert_true(parse(&command, WORDS("--address", "1", "--address", "--json", NULL), values));
	assert_string_equal(values[ADDRESS], "--json");
	assert_null(values[JSON]);
}

static void what_is_not_declared_is_refused_and_named(void **state)
{
	static const struct {
		const char *words[4];
		const char *named;
	} cases[] = {
		{ { "patch", "--nonsense" }, "--nonsense" },
		{ { "patch", "--json", "--nonsense=1" }, "--nonsense" },
		{ { "patch", "-x" }, "-x" },
		{ { "patch", "-xyz" }, "-x" },
		{ { "patch", "word" }, "word" },
		{ { "patch", "--json", "word" }, "word" },
		{ { "patch", "" }, "\"\"" },
		{ { "patch", "--", "word" }, "word" },
		{ { "patch", "--address" }, "--address" },
		{ { "patch", "--json=yes" }, "--json" },
	};
	const char *values[OPTIONS];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_false(parse(&command, cases[i].words, values));
		unit_assert_contains(span_from(said), cases[i].named);
		unit_assert_contains(span_from(said), "patch: ");
		/* one line */
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	}
	assert_false(parse(&bare, WORDS("--json", NULL), values));
}

static void one_parse_leaves_nothing_to_the_next(void **state)
{
	const char *values[OPTIONS];

	(void)state;
	assert_false(parse(&command, WORDS("-xyz", NULL), values));
	assert_true(parse(&command, WORDS("--json", NULL), values));
	assert_string_equal(values[JSON], "");
	assert_false(parse(&command, WORDS("--json", "word", "--dry-run", NULL), values));
	assert_true(parse(&command, WORDS("--dry-run", NULL), values));
	assert_null(values[JSON]);
}

/* What command_parse_each() gave: "INDEX=VALUE;" each. */
static char taken[256];

static bool take(void *arg, int which, const char *value)
{
	(void)arg;
	snprintf(taken + strlen(taken), sizeof(taken) - strlen(taken), "%d=%s;", which, value);
	return strcmp(value, "bad") != 0;
}

static int parse_each(const char *const *words)
{
	union {
		const char *const *in;
		char **out;
	} argv = { .in = words };
	int argc = 0;

	while (words[argc])
		argc++;
	taken[0] = '\0';
	return command_parse_each(&command, argc, argv.out, take, NULL);
}

static void each_option_is_given_in_its_order_and_as_often_as_it_stands(void **state)
{
	(void)state;
	assert_int_equal(parse_each(WORDS(NULL)), 1);
	assert_string_equal(taken, "");
	assert_int_equal(parse_each(WORDS("--address", "1", "--json", "--address=2", NULL)), 5);
	assert_string_equal(taken, "1=1;2=;1=2;");
}

static void operands_begin_at_the_first_word_that_is_no_option(void **state)
{
	(void)state;
	assert_int_equal(parse_each(WORDS("--json", "ls", "--json", "-l", NULL)), 2);
	assert_string_equal(taken, "2=;");
	assert_int_equal(parse_each(WORDS("--json", "--", "--json", NULL)), 3);
	assert_string_equal(taken, "2=;");
	assert_int_equal(parse_each(WORDS("--", NULL)), 2);
	assert_int_equal(parse_each(WORDS("--", "--", "x", NULL)), 2);
	assert_int_equal(parse_each(WORDS("-", NULL)), 1);
}

static void a_refused_value_ends_the_parse(void **state)
{
	(void)state;
	assert_int_equal(parse_each(WORDS("--address", "bad", "--json", NULL)), -1);
	assert_string_equal(taken, "1=bad;");
}

static void the_commands_own_tables_hold_together(void **state)
{
	static const struct command_option *const tables[] = { cmd_check_options, cmd_install_options,
							       cmd_patch_options,
							       cmd_probe_options,
							       cmd_revert_options,
							       cmd_run_options };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		int n = 0;

		for (; tables[i][n].name; n++) {
			assert_non_null(tables[i][n].summary);
			for (int k = 0; k < n; k++)
				assert_string_not_equal(tables[i][k].name, tables[i][n].name);
		}
		assert_true(n <= 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_that_are_not_given_are_null),
		cmocka_unit_test(options_are_taken_in_any_order),
		cmocka_unit_test(what_is_not_declared_is_refused_and_named),
		cmocka_unit_test(one_parse_leaves_nothing_to_the_next),
		cmocka_unit_test(each_option_is_given_in_its_order_and_as_often_as_it_stands),
		cmocka_unit_test(operands_begin_at_the_first_word_that_is_no_option),
		cmocka_unit_test(a_refused_value_ends_the_parse),
		cmocka_unit_test(the_commands_own_tables_hold_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
