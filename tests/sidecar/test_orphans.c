/* SPDX-License-Identifier: MIT */
/* orphans - our descendants and nobody else; and companion: how long it waits. */
#include "tests/unit/unit.h"

#include "sidecar/companion.h"
#include "sidecar/orphans.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* What the children write down for the test. */
struct family {
	_Atomic pid_t child, grandchild, other, other_grandchild;
	_Atomic int ready;
};

static struct family *family;

/* Sleeps until a signal; not for ever, should the test end before it sends one. */
static _Noreturn void linger(void)
{
	alarm(60);
	family->ready++;
	for (;;)
		pause();
}

static pid_t fork_lingering(_Atomic pid_t *pid)
{
	pid_t made = fork();

	if (made == 0) {
		*pid = getpid();
		linger();
	}
	return made;
}

static _Noreturn void *fork_in_a_thread(void *unused)
{
	(void)unused;
	assert_true(fork_lingering(&family->grandchild) > 0);
	/* A child of this thread: it must not end. */
	for (;;)
		pause();
}

/* A child whose name is hard to read, and whose own child belongs to a thread of it. */
static void fork_child(void)
{
	pthread_t thread;

	if (fork() > 0)
		return;
	family->child = getpid();
	prctl(PR_SET_NAME, ") Z 1 (x");
	if (pthread_create(&thread, NULL, fork_in_a_thread, NULL) != 0)
		_exit(1);
	linger();
}

static void fork_other(void)
{
	if (fork() > 0)
		return;
	family->other = getpid();
	fork_lingering(&family->other_grandchild);
	linger();
}

static void wait_until_ready(int n)
{
	for (int i = 0; i < 10000 && family->ready < n; i++)
		usleep(1000);
	assert_true(family->ready >= n);
}

/* How the process ended: its signal. */
static int signal_of(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int set_up(void **state)
{
	(void)state;
	family = mmap(NULL, sizeof(*family), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	return family == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	orphans_signal(SIGKILL, 0, getpgrp());
	while (waitpid(-1, NULL, 0) > 0)
		;
	return munmap(family, sizeof(*family));
}

static void without_children_there_is_nobody(void **state)
{
	(void)state;
	assert_false(orphans_exist(0));
	assert_int_equal(orphans_signal(SIGUSR1, 0, 0), 0);
}

static void all_descendants_but_the_excepted_ones_are_signalled(void **state)
{
	(void)state;
	fork_child();
	fork_other();
	wait_until_ready(4);
	assert_true(orphans_exist(0));
	assert_true(orphans_exist(family->other));
	/* neither ourselves nor our parent, else this test ends here */
	assert_int_equal(orphans_signal(SIGUSR1, family->other, 0), 2);
	assert_int_equal(signal_of(family->child), SIGUSR1);
	assert_int_equal(signal_of(family->grandchild), SIGUSR1);
	assert_false(orphans_exist(family->other));
	assert_int_equal(orphans_signal(SIGUSR2, family->other, 0), 0);
	assert_int_equal(kill(family->other_grandchild, 0), 0);
	assert_int_equal(orphans_signal(SIGUSR2, 0, 0), 2);
	assert_int_equal(signal_of(family->other), SIGUSR2);
	assert_int_equal(signal_of(family->other_grandchild), SIGUSR2);
	assert_false(orphans_exist(0));
}

static void killing_reaches_all_of_them(void **state)
{
	(void)state;
	fork_child();
	fork_other();
	wait_until_ready(4);
	orphans_kill(0);
	assert_int_equal(signal_of(family->child), SIGKILL);
	assert_int_equal(signal_of(family->grandchild), SIGKILL);
	assert_int_equal(signal_of(family->other), SIGKILL);
	assert_int_equal(signal_of(family->other_grandchild), SIGKILL);
	assert_false(orphans_exist(0));
}

static void a_zombie_does_not_count_as_living(void **state)
{
	pid_t pid = fork();
	siginfo_t info;

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(orphans_exist(0));
	assert_int_equal(orphans_signal(SIGUSR1, 0, 0), 0);
	assert_int_equal(signal_of(pid), 0);
}

static void without_descriptors_the_group_is_signalled(void **state)
{
	pid_t self = fork(), grouped;

	(void)state;
	if (self > 0) {
		assert_int_equal(signal_of(self), 0);
		return;
	}
	grouped = fork_lingering(&family->child);
	setpgid(grouped, grouped);
	wait_until_ready(1);
	close_range(0, ~0U, 0);
	while (open("/dev/null", O_RDONLY) >= 0) /* up to the limit of descriptors */
		;
	if (!orphans_exist(grouped) || orphans_signal(SIGUSR1, 0, grouped) != -1)
		abort();
	if (signal_of(grouped) != SIGUSR1)
		abort();
	_exit(0);
}

static void the_companion_waits_longer_each_time(void **state)
{
	int delay = 0;

	(void)state;
	for (int wanted = 1000; wanted < 300000; wanted *= 2) {
		delay = companion_delay(delay, 10);
		assert_int_equal(delay, wanted);
	}
	for (int i = 0; i < 3; i++) {
		delay = companion_delay(delay, 299999);
		assert_int_equal(delay, 300000);
	}
	/* one that lived long enough is trusted again */
	assert_int_equal(companion_delay(delay, 300000), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_children_there_is_nobody, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(all_descendants_but_the_excepted_ones_are_signalled,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(killing_reaches_all_of_them, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_zombie_does_not_count_as_living, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(without_descriptors_the_group_is_signalled, set_up,
						tear_down),
		cmocka_unit_test(the_companion_waits_longer_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
