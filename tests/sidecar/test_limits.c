/* SPDX-License-Identifier: MIT */
/*
 * What is given up after a time, waited for in full: all cases at once, so
 * that the program takes as long as the longest.
 */
#include "sandbox.h"

#include "sidecar/textfile.h"
#include "sidecar/tool.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

/* How much later than its limit a thing may end on a busy machine. */
enum { SLACK_MS = 8000, LOCK_LIMIT_MS = 10000 };

/* On a busy machine a sleep is longer than asked for. */
enum { LONGER = 4 };

int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	for (int i = 1; i < LONGER; i++)
		__real_nanosleep(time, left);
	return __real_nanosleep(time, left);
}

struct limit_case {
	const char *name;
	int (*run)(const struct sandbox *s);
	int result;
	long least_ms;
	long most_ms;
};

static int run_script(const struct sandbox *s, const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };

	return tool_run(&s->own, argv, NULL, NULL);
}

static int run_silent_tool(const struct sandbox *s)
{
	return run_script(s, "exec sleep 600");
}

static int run_talking_tool(const struct sandbox *s)
{
	return run_script(s, "while :; do echo x >&2; sleep 0.1; done");
}

/* It says nothing any more, and does not end. */
static int run_tool_without_standard_error(const struct sandbox *s)
{
	return run_script(s, "exec 2>&-; exec sleep 600");
}

/* It ends, and something that it started lives on. */
static int run_tool_that_leaves_a_child(const struct sandbox *s)
{
	return run_script(s, "sleep 40 & exit 5");
}

static int swap_under_a_lock(const struct sandbox *s)
{
	const struct textfile_content old = { .exists = true, .text = SPAN_INIT("old\n") };
	const struct textfile_content new = { .exists = true, .text = SPAN_INIT("new\n") };
	cleanup_fd int fd = open(sandbox_path(s, "/file.tmp"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	enum textfile_how how;
	int rc;

	sandbox_write(s, "/file", "old\n");
	if (flock(fd, LOCK_EX) < 0)
		return -errno;
	rc = textfile_swap(&s->root, "/file", old, new, &how, NULL);
	sandbox_assert_text(s, "/file", "old\n");
	/* the lock stays its holder's */
	return sandbox_has(s, "/file.tmp") ? rc : -EBADF;
}

static const struct limit_case cases[] = {
	{ "silent tool", run_silent_tool, -ETIMEDOUT, TOOL_LIMIT_MS, TOOL_LIMIT_MS + SLACK_MS },
	{ "talking tool", run_talking_tool, -ETIMEDOUT, TOOL_LIMIT_MS, TOOL_LIMIT_MS + SLACK_MS },
	{ "tool without standard error", run_tool_without_standard_error, -ETIMEDOUT, TOOL_LIMIT_MS,
	  TOOL_LIMIT_MS + SLACK_MS },
	{ "tool that leaves a child", run_tool_that_leaves_a_child, 5, 0, TOOL_LIMIT_MS - 1 },
	{ "lock", swap_under_a_lock, -ETIMEDOUT, LOCK_LIMIT_MS, LOCK_LIMIT_MS + SLACK_MS },
};

struct running {
	const struct limit_case *of;
	const struct sandbox *sandbox;
	pid_t pid;
};

static void run_case(void *ctx)
{
	const struct running *r = ctx;
	long start = sandbox_now_ms();
	int rc = r->of->run(r->sandbox);
	long took = sandbox_now_ms() - start;

	if (rc == r->of->result && took >= r->of->least_ms && took <= r->of->most_ms)
		_exit(0);
	dprintf(STDERR_FILENO, "%s: returned %d after %ld ms; wanted %d after %ld to %ld ms\n",
		r->of->name, rc, took, r->of->result, r->of->least_ms, r->of->most_ms);
	_exit(1);
}

/* Its exit status, or -1 when it does not end: it is ended then. */
static int await(pid_t pid, long deadline_ms)
{
	int status;

	for (bool more = true; more;) {
		more = sandbox_now_ms() < deadline_ms;
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		usleep(10000);
	}
	sandbox_end(pid);
	return -1;
}

static void nothing_is_waited_for_longer_than_its_limit(void **state)
{
	struct running running[ARRAY_SIZE(cases)];
	long deadline = sandbox_now_ms() + TOOL_LIMIT_MS + 2 * SLACK_MS;
	int failures = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		running[i] = (struct running){ .of = &cases[i], .sandbox = *state };
		running[i].pid = sandbox_spawn(run_case, &running[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = await(running[i].pid, deadline);

		if (status == -1)
			dprintf(STDERR_FILENO, "%s: did not end\n", cases[i].name);
		failures += status != 0;
	}
	assert_int_equal(failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_waited_for_longer_than_its_limit,
						sandbox_set_up, sandbox_tear_down),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
