/* SPDX-License-Identifier: MIT */
/* generation - which children there are, and which are left. */
#include "sandbox.h"

#include "sidecar/generation.h"

#include <unistd.h>

static const char *const ours[] = { "nobody-such", "test_generation", NULL };

static void children_that_run_one_of_the_programs_are_taken(void **state)
{
	static const char *const others[] = { "nobody-such", NULL };
	pid_t pid = sandbox_spawn(sandbox_linger, NULL);
	struct generation generation;

	(void)state;
	generation_take(getpid(), ours, &generation);
	assert_int_equal(generation.n, 1);
	assert_int_equal(generation.pids[0], pid);
	generation_take(getpid(), others, &generation);
	assert_int_equal(generation.n, 0);
	assert_true(generation_await(getpid(), &generation));
	sandbox_end(pid);
}

static void those_that_stay_are_not_waited_for(void **state)
{
	pid_t leaving = sandbox_spawn(sandbox_linger, NULL);
	pid_t staying = sandbox_spawn(sandbox_linger, NULL);
	struct generation generation;

	(void)state;
	generation_take(getpid(), ours, &generation);
	assert_int_equal(generation.n, 2);
	sandbox_end(leaving);
	assert_false(generation_await(getpid(), &generation));
	assert_int_equal(generation.n, 1);
	assert_int_equal(generation.pids[0], staying);
	sandbox_end(staying);
	assert_true(generation_await(getpid(), &generation));
	assert_int_equal(generation.n, 0);
}

static void a_later_child_is_not_of_the_generation(void **state)
{
	pid_t old = sandbox_spawn(sandbox_linger, NULL), new;
	struct generation generation;

	(void)state;
	generation_take(getpid(), ours, &generation);
	new = sandbox_spawn(sandbox_linger, NULL);
	sandbox_end(old);
	assert_true(generation_await(getpid(), &generation));
	sandbox_end(new);
}

static void a_master_that_is_gone_has_none(void **state)
{
	pid_t pid = sandbox_spawn(sandbox_linger, NULL);
	struct generation generation;

	(void)state;
	sandbox_end(pid);
	generation_take(pid, ours, &generation);
	assert_int_equal(generation.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_that_run_one_of_the_programs_are_taken),
		cmocka_unit_test(those_that_stay_are_not_waited_for),
		cmocka_unit_test(a_later_child_is_not_of_the_generation),
		cmocka_unit_test(a_master_that_is_gone_has_none),
	};

	return cmocka_run_group_tests_name("generation", tests, NULL, NULL);
}
