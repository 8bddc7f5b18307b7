/* SPDX-License-Identifier: MIT */
/*
 * supervisor - what the companion finds and is told.  Everything that concerns
 * CMD is in tests/system/test_run_*.py, with the program as it ships.
 */
#include "tests/unit/unit.h"

#include "sidecar/log.h"
#include "sidecar/signal_state.h"
#include "sidecar/supervisor.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STARTS_MAX = 4 };

/* What the companion writes down.  One per start. */
struct diary {
	_Atomic int starts;
	struct {
		pid_t pid, group, parent;
		sigset_t blocked;
		bool all_default, pipe_ignored, shared_is_there;
		char name[16];
		int death_signal;
		int child_pid, child_state;
		unsigned long reaped, companion_starts;
	} found[STARTS_MAX];
	_Atomic int hangups, terms, child_state;
	int fail_at; /* the start that ends at once with status 7; -1: none */
};

static struct diary *diary;
static const struct supervisor_shared *seen;

static void on_hangup(int sig)
{
	(void)sig;
	diary->child_state = seen->child_state;
	diary->hangups++;
}

static void on_term(int sig)
{
	(void)sig;
	diary->child_state = seen->child_state;
	diary->terms++;
	_exit(0);
}

static bool is_default(int sig)
{
	struct sigaction found = { 0 };

	return sigaction(sig, NULL, &found) < 0 || found.sa_handler == SIG_DFL;
}

static void write_down(int n, const struct supervisor_shared *shared)
{
	struct sigaction pipe_action = { 0 };

	diary->found[n].pid = getpid();
	diary->found[n].group = getpgrp();
	diary->found[n].parent = getppid();
	sigprocmask(SIG_SETMASK, NULL, &diary->found[n].blocked);
	diary->found[n].all_default = true;
	for (int sig = 1; sig <= SIGNAL_MAX; sig++)
		if (sig != SIGPIPE && !is_default(sig))
			diary->found[n].all_default = false;
	sigaction(SIGPIPE, NULL, &pipe_action);
	diary->found[n].pipe_ignored = pipe_action.sa_handler == SIG_IGN;
	prctl(PR_GET_NAME, diary->found[n].name);
	prctl(PR_GET_PDEATHSIG, &diary->found[n].death_signal);
	diary->found[n].shared_is_there = shared != NULL;
	if (!shared)
		return;
	diary->found[n].child_pid = shared->child_pid;
	diary->found[n].child_state = shared->child_state;
	diary->found[n].reaped = shared->reaped;
	diary->found[n].companion_starts = shared->companion_starts;
}

static int keep_diary(void *arg, const struct supervisor_shared *shared)
{
	int n = diary->starts;

	alarm(60);
	assert_ptr_equal(arg, diary);
	write_down(n, shared);
	seen = shared;
	signal(SIGHUP, on_hangup);
	signal(SIGTERM, on_term);
	diary->starts++;
	if (n == diary->fail_at)
		return 7;
	for (;;)
		pause();
}

static const char *const sleeper[] = { "/bin/sleep", "60", NULL };

/* The supervisor in a process of its own, with signals as a careless parent leaves them. */
static pid_t start(const char *const *argv, companion_main *companion)
{
	union {
		const char *const *in;
		char *const *out;
	} words = { .in = argv };
	struct supervisor_job job = {
		.argv = words.out, .grace_ms = 10000, .companion = companion, .companion_arg = diary
	};
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	alarm(60);
	signal(SIGINT, SIG_IGN);
	signal_state_capture();
	log_set_up(LOG_LEVEL_ERROR, false);
	signal_rewrites_init(&job.rewrites);
	for (int i = 0; i < SUPERVISOR_STATUSES; i++)
		job.exits[i] = (unsigned char)i;
	_exit(supervisor_run(&job));
}

static void wait_for(const _Atomic int *value, int wanted)
{
	for (int i = 0; i < 30000 && *value < wanted; i++)
		usleep(1000);
	assert_true(*value >= wanted);
}

static int status_of(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int set_up(void **state)
{
	(void)state;
	diary = mmap(NULL, sizeof(*diary), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (diary == MAP_FAILED)
		return -1;
	diary->fail_at = -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return munmap(diary, sizeof(*diary));
}

static void the_companion_finds_a_clean_house(void **state)
{
	pid_t pid = start(sleeper, keep_diary);

	(void)state;
	wait_for(&diary->starts, 1);
	assert_int_equal(diary->found[0].parent, pid);
	assert_int_equal(diary->found[0].group, diary->found[0].pid);
	for (int sig = 1; sig <= SIGNAL_MAX; sig++)
		assert_int_equal(sigismember(&diary->found[0].blocked, sig) == 1, 0);
	assert_true(diary->found[0].all_default);
	assert_true(diary->found[0].pipe_ignored);
	assert_string_equal(diary->found[0].name, "postern-watch");
	assert_int_equal(diary->found[0].death_signal, SIGTERM);
	kill(pid, SIGTERM);
	assert_int_equal(status_of(pid), 128 + SIGTERM);
}

static void the_companion_can_read_what_is_shared(void **state)
{
	pid_t pid = start(sleeper, keep_diary);

	(void)state;
	wait_for(&diary->starts, 1);
	assert_true(diary->found[0].shared_is_there);
	assert_true(diary->found[0].child_pid > 0);
	assert_int_equal(kill(diary->found[0].child_pid, 0), 0);
	assert_int_equal(diary->found[0].child_state, SUPERVISOR_CHILD_RUNS);
	assert_int_equal(diary->found[0].reaped, 0);
	assert_int_equal(diary->found[0].companion_starts, 1);
	kill(diary->found[0].child_pid, SIGKILL);
	assert_int_equal(status_of(pid), 128 + SIGKILL);
}

static void a_stopped_command_is_seen(void **state)
{
	pid_t pid = start(sleeper, keep_diary);
	int hangups = 0;

	(void)state;
	wait_for(&diary->starts, 1);
	/* SIGHUP goes to CMD, too, which does not mind while it is stopped. */
	kill(diary->found[0].child_pid, SIGSTOP);
	do {
		kill(diary->found[0].pid, SIGHUP);
		wait_for(&diary->hangups, ++hangups);
	} while (diary->child_state != SUPERVISOR_CHILD_IS_STOPPED && hangups < 10000);
	assert_int_equal(diary->child_state, SUPERVISOR_CHILD_IS_STOPPED);
	kill(diary->found[0].child_pid, SIGCONT);
	do {
		kill(diary->found[0].pid, SIGHUP);
		wait_for(&diary->hangups, ++hangups);
	} while (diary->child_state != SUPERVISOR_CHILD_RUNS && hangups < 20000);
	assert_int_equal(diary->child_state, SUPERVISOR_CHILD_RUNS);
	kill(pid, SIGTERM);
	assert_int_equal(status_of(pid), 128 + SIGTERM);
}

/* Ignores SIGHUP, so that only the companion is touched. */
static const char *const deaf[] = { "/bin/sh", "-c", "trap '' HUP; exec sleep 60", NULL };

static void hangups_and_the_end_are_told(void **state)
{
	pid_t pid;

	(void)state;
	/* Ignored from the start: there is no moment at which it would die of it. */
	signal(SIGHUP, SIG_IGN);
	pid = start(deaf, keep_diary);
	signal(SIGHUP, SIG_DFL);
	wait_for(&diary->starts, 1);
	for (int i = 1; i <= 3; i++) {
		kill(pid, SIGHUP);
		wait_for(&diary->hangups, i);
	}
	assert_int_equal(diary->terms, 0);
	kill(pid, SIGTERM);
	assert_int_equal(status_of(pid), 128 + SIGTERM);
	assert_int_equal(diary->terms, 1);
	assert_int_equal(diary->child_state, SUPERVISOR_CHILD_HAS_ENDED);
}

static void one_that_ends_is_started_again(void **state)
{
	pid_t pid;

	(void)state;
	diary->fail_at = 0;
	pid = start(sleeper, keep_diary);
	wait_for(&diary->starts, 2);
	assert_int_not_equal(diary->found[0].pid, diary->found[1].pid);
	assert_int_equal(diary->found[1].companion_starts, 2);
	assert_int_equal(diary->found[1].reaped, 1);
	kill(pid, SIGTERM);
	assert_int_equal(status_of(pid), 128 + SIGTERM);
	assert_int_equal(diary->starts, 2);
}

static void there_may_be_none(void **state)
{
	static const char *const failing[] = { "/bin/sh", "-c", "exit 5", NULL };
	pid_t pid = start(failing, NULL);

	(void)state;
	assert_int_equal(status_of(pid), 5);
	assert_int_equal(diary->starts, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_companion_finds_a_clean_house, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_companion_can_read_what_is_shared, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_stopped_command_is_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hangups_and_the_end_are_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_that_ends_is_started_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(there_may_be_none, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
