/* SPDX-License-Identifier: MIT */
/* master_process - what is said of a pid file that names no master. */
#include "sandbox.h"

#include "sidecar/master_process.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>

#define PID_FILE "/run/master.pid"

enum { STEPS_MAX = 10000 };

static void write_pid(const struct sandbox *s, long pid)
{
	char text[64];

	snprintf(text, sizeof(text), "%ld\n", pid);
	sandbox_write(s, PID_FILE, text);
}

/* No master; and these words, or "" for none at all. */
static void assert_seen(const struct sandbox *s, const char *program, const char *words)
{
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;

	assert_int_equal(
		master_process_find(&s->own, sandbox_path(s, PID_FILE), program, &master, NULL),
		MASTER_PROCESS_NONE);
	assert_int_equal(master.pidfd, -1);
	if (words[0] == '\0')
		assert_string_equal(master.sight, "");
	else if (!strstr(master.sight, words))
		fail_msg("\"%s\" has no \"%s\"", master.sight, words);
}

static void a_text_that_is_no_number_is_shown(void **state)
{
	const struct sandbox *s = *state;
	static const char *const texts[] = { "0",  "-1",   "1x",     "0x1",
					     "+1", "1 2",  "master", "2147483648",
					     "1;", "\xff", "{$x}",   "99999999999999999999999" };
	char words[64], long_text[70000];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		sandbox_write(s, PID_FILE, texts[i]);
		snprintf(words, sizeof(words), "holds \"%s\", which is no process's number",
			 texts[i]);
		assert_seen(s, "master", words);
	}
	memset(long_text, '7', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	sandbox_write(s, PID_FILE, long_text);
	assert_seen(s, "master", "777\", which is no process's number");
}

/* It is about to be written, or its process is gone: as at every start. */
static void nothing_is_said_of_what_happens_every_day(void **state)
{
	const struct sandbox *s = *state;
	pid_t child = sandbox_spawn(sandbox_linger, NULL);

	assert_seen(s, "master", "");
	sandbox_write(s, PID_FILE, "");
	assert_seen(s, "master", "");
	sandbox_write(s, PID_FILE, " \n");
	assert_seen(s, "master", "");
	write_pid(s, child);
	sandbox_end(child);
	assert_seen(s, "master", "");
}

static void *linger(void *ctx)
{
	sandbox_linger(ctx);
	return NULL;
}

/* The first thread ends, and the process does not: it is there, and executes nothing any more. */
static void end_but_for_a_thread(void *ctx)
{
	pthread_t id;

	(void)ctx;
	if (pthread_create(&id, NULL, linger, NULL) != 0)
		_exit(1);
	pthread_exit(NULL);
}

static bool executes_nothing(pid_t pid)
{
	char path[64], exe[8];

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return readlink(path, exe, sizeof(exe)) < 0 && errno == ENOENT;
}

static void nothing_is_said_of_who_is_ending(void **state)
{
	const struct sandbox *s = *state;
	pid_t child = sandbox_spawn(end_but_for_a_thread, NULL);

	for (int i = 0; i < STEPS_MAX && !executes_nothing(child); i++)
		usleep(1000);
	write_pid(s, child);
	assert_seen(s, "master", "");
	sandbox_end(child);
}

static void another_programs_process_is_named(void **state)
{
	const struct sandbox *s = *state;

	write_pid(s, getpid());
	assert_seen(s, "master", "\"test_master_pro\", which is not master");
	write_pid(s, 1);
	assert_seen(s, "dovecot", "names process 1, ");
}

struct thread {
	pthread_barrier_t barrier;
	pid_t tid;
};

static void *wait_twice(void *ctx)
{
	struct thread *t = ctx;

	t->tid = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&t->barrier);
	pthread_barrier_wait(&t->barrier);
	return NULL;
}

/* A stale number may have become a thread's: not a process, and no error. */
static void a_number_that_is_now_a_threads_is_stale(void **state)
{
	const struct sandbox *s = *state;
	struct thread thread;
	pthread_t id;

	assert_int_equal(pthread_barrier_init(&thread.barrier, NULL, 2), 0);
	assert_int_equal(pthread_create(&id, NULL, wait_twice, &thread), 0);
	pthread_barrier_wait(&thread.barrier);
	write_pid(s, thread.tid);
	assert_seen(s, "master", "which is a thread of process");
	pthread_barrier_wait(&thread.barrier);
	pthread_join(id, NULL);
	pthread_barrier_destroy(&thread.barrier);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_text_that_is_no_number_is_shown),
		TEST(nothing_is_said_of_what_happens_every_day),
		TEST(nothing_is_said_of_who_is_ending),
		TEST(another_programs_process_is_named),
		TEST(a_number_that_is_now_a_threads_is_stale),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
