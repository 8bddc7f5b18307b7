/* SPDX-License-Identifier: MIT */
/* time_limit - what hangs in the kernel has an end all the same. */
#include "sandbox.h"

#include "sidecar/command.h"
#include "sidecar/time_limit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum { LONG_S = 300, SHORT_S = 1, LATE_S = 60 };

/* As in the hands of a file system that is silent: no handler runs, and only a kill ends it. */
static void hang_in_the_kernel(void)
{
	const pid_t work = getpid();
	pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* NOLINT(clang-analyzer-unix.Vfork) */
		while (getppid() == work)         /* else it was killed before that */
			pause();
		_exit(EXIT_SUCCESS);
	}
}

static void work_that_ends(void *ctx)
{
	int status = *(const int *)ctx;

	if (time_limit_begin(LONG_S, NULL) < 0)
		_exit(99);
	if (status >= 0)
		_exit(status);
	raise(-status);
}

static void the_end_is_the_works(void **state)
{
	static int ends[] = { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, 77, -SIGTERM, -SIGKILL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		assert_int_equal(sandbox_in_child(work_that_ends, &ends[i]),
				 ends[i] < 0 ? 128 - ends[i] : ends[i]);
}

static void work_that_hangs(void *ctx)
{
	if (time_limit_begin(*(const unsigned *)ctx, NULL) < 0)
		_exit(99);
	hang_in_the_kernel();
	_exit(98);
}

static void what_hangs_in_the_kernel_is_given_up_when_its_time_is_over(void **state)
{
	unsigned seconds = SHORT_S;
	time_t start = time(NULL);

	(void)state;
	assert_int_equal(sandbox_in_child(work_that_hangs, &seconds), EXIT_FAILED);
	assert_true(time(NULL) - start < LATE_S);
}

/* The work's number; it hangs. */
static void work_that_is_known(void *ctx)
{
	pid_t pid;

	if (time_limit_begin(LONG_S, NULL) < 0)
		_exit(99);
	pid = getpid();
	if (write(*(const int *)ctx, &pid, sizeof(pid)) != sizeof(pid))
		_exit(98);
	hang_in_the_kernel();
}

static int end_by(int number)
{
	int fds[2], status = 0;
	pid_t waiting, work;

	assert_int_equal(pipe(fds), 0);
	waiting = fork();
	if (waiting == 0) {
		close(fds[0]);
		work_that_is_known(&fds[1]);
		_exit(97);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &work, sizeof(work)), sizeof(work));
	assert_int_equal(kill(waiting, number), 0);
	assert_int_equal(waitpid(waiting, &status, 0), waiting);
	/* The work has the pipe, and so has what it waits for: both are gone when it ends. */
	assert_int_equal(read(fds[0], &work, sizeof(work)), 0);
	close(fds[0]);
	return status;
}

static void an_alarm_from_outside_is_the_end_of_the_time(void **state)
{
	int status = end_by(SIGALRM);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_FAILED);
}

static void who_kills_what_waits_kills_the_work(void **state)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGKILL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		int status = end_by(numbers[i]);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), numbers[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_is_the_works),
		cmocka_unit_test(what_hangs_in_the_kernel_is_given_up_when_its_time_is_over),
		cmocka_unit_test(an_alarm_from_outside_is_the_end_of_the_time),
		cmocka_unit_test(who_kills_what_waits_kills_the_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
