/* SPDX-License-Identifier: MIT */
/* master_process - only the server's own master is found, and signalled. */
#include "sandbox.h"

#include "sidecar/master_process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PID_FILE "/run/master.pid"
/* A child that does not exec runs this program. */
#define OWN_PROGRAM "test_master_process"

static void wait_forever(void *ctx)
{
	(void)ctx;
	for (;;)
		pause();
}

static void write_pid(const struct sandbox *s, long pid)
{
	char text[64];

	snprintf(text, sizeof(text), "%ld\n", pid);
	sandbox_write(s, PID_FILE, text);
}

/* As seen from this machine's own root. */
static int find(const struct sandbox *s, const char *program, struct master_process *out,
		struct error *err)
{
	return master_process_find(&s->own, sandbox_path(s, PID_FILE), program, out, err);
}

static void assert_found(const struct sandbox *s, const char *program, int wanted)
{
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	struct error err = { 0 };
	int rc = find(s, program, &master, &err);

	if (rc != wanted)
		fail_msg("returned %d, wanted %d: %s", rc, wanted, err.msg);
	if (rc == 0)
		assert_int_equal(master.pidfd, -1);
}

static void a_running_master_is_found(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	pid_t child = sandbox_spawn(wait_forever, NULL);
	/* Postfix fills up with blanks, Dovecot ends with a newline. */
	static const char *const around[][2] = {
		{ "", "" },
		{ "", "\n" },
		{ "             ", "\n" },
		{ "\t", " \r\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(around); i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s%d%s", around[i][0], (int)child, around[i][1]);
		sandbox_write(s, PID_FILE, text);
		assert_int_equal(find(s, OWN_PROGRAM, &master, NULL), 1);
		assert_int_equal(master.pid, child);
		assert_true(fcntl(master.pidfd, F_GETFD) & FD_CLOEXEC);
		assert_true(master_process_is_alive(&master));
		master_process_release(&master);
		assert_int_equal(master.pidfd, -1);
	}
	sandbox_end(child);
}

static void a_missing_pid_file_means_that_nothing_runs(void **state)
{
	const struct sandbox *s = *state;

	assert_found(s, OWN_PROGRAM, 0);
	sandbox_write(s, "/run", "a file where the folder should be");
	assert_found(s, OWN_PROGRAM, 0);
}

static void a_pid_file_of_a_process_that_is_gone_is_stale(void **state)
{
	const struct sandbox *s = *state;
	pid_t child = sandbox_spawn(wait_forever, NULL);

	write_pid(s, child);
	sandbox_end(child);
	assert_found(s, OWN_PROGRAM, 0);
}

static void a_process_that_ended_but_was_not_waited_for_is_gone(void **state)
{
	const struct sandbox *s = *state;
	pid_t child = sandbox_spawn(wait_forever, NULL);
	siginfo_t info;

	write_pid(s, child);
	kill(child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_found(s, OWN_PROGRAM, 0);
	waitpid(child, NULL, 0);
}

static void another_programs_process_is_none(void **state)
{
	const struct sandbox *s = *state;

	write_pid(s, getpid());
	assert_found(s, "master", 0);
	assert_found(s, "test_master", 0);
	assert_found(s, OWN_PROGRAM "x", 0);
	assert_found(s, "", 0);
	write_pid(s, 1);
	assert_found(s, "master", 0);
}

static void garbage_in_the_pid_file_means_that_nothing_runs(void **state)
{
	const struct sandbox *s = *state;
	static const struct span texts[] = {
		SPAN_INIT(""),
		SPAN_INIT("\n"),
		SPAN_INIT("0\n"),
		SPAN_INIT("-1\n"),
		SPAN_INIT("+1"),
		SPAN_INIT("1x"),
		SPAN_INIT("1 2\n"),
		SPAN_INIT("0x1\n"),
		SPAN_INIT("2147483648\n"),
		SPAN_INIT("99999999999999999999999\n"),
		SPAN_INIT("1\0\n"),
		SPAN_INIT("\0\0\0"),
		SPAN_INIT("master\n"),
		SPAN_INIT("2147483647\n"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		sandbox_write_span(s, PID_FILE, texts[i]);
		assert_found(s, OWN_PROGRAM, 0);
	}
}

static void a_pid_file_that_cannot_be_read_is_an_error(void **state)
{
	const struct sandbox *s = *state;

	sandbox_make_folder(s, PID_FILE);
	assert_found(s, OWN_PROGRAM, -EISDIR);
	assert_int_equal(rmdir(sandbox_path(s, PID_FILE)), 0);
	assert_int_equal(mkfifo(sandbox_path(s, PID_FILE), 0600), 0);
	assert_found(s, OWN_PROGRAM, -EINVAL);
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
	assert_found(s, "master", 0);
	pthread_barrier_wait(&thread.barrier);
	pthread_join(id, NULL);
	pthread_barrier_destroy(&thread.barrier);
}

/* ---- roots ---- */

static void wait_in_root(void *ctx)
{
	const struct sandbox *s = ctx;

	if (chroot(s->path) < 0 || chdir("/") < 0)
		_exit(1);
	sandbox_write(&(struct sandbox){ .path = "" }, "/entered", "");
	wait_forever(NULL);
}

static void a_process_in_another_root_is_none_and_found_from_its_own(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	pid_t child = sandbox_spawn(wait_in_root, *state);

	for (int i = 0; i < 5000 && !sandbox_has(s, "/entered"); i++)
		usleep(1000);
	write_pid(s, child);
	assert_found(s, OWN_PROGRAM, 0);
	assert_int_equal(master_process_find(&s->root, PID_FILE, OWN_PROGRAM, &master, NULL), 1);
	assert_int_equal(master.pid, child);
	write_pid(s, getpid());
	assert_int_equal(master_process_find(&s->root, PID_FILE, OWN_PROGRAM, &master, NULL), 0);
	sandbox_end(child);
}

/* ---- after an upgrade ---- */

static void run_copy(void *ctx)
{
	const struct sandbox *s = ctx;

	execl(sandbox_path(s, "/master"), "master", "--wait", (char *)NULL);
	_exit(1);
}

static void a_master_whose_program_file_was_replaced_is_found(void **state)
{
	const struct sandbox *s = *state;
	char link[128] = "", path[64];
	pid_t child;
	char command[256];

	snprintf(command, sizeof(command), "cp /proc/%d/exe %s", (int)getpid(),
		 sandbox_path(s, "/master"));
	assert_int_equal(system(command), 0);
	child = sandbox_spawn(run_copy, *state);
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)child);
	for (int i = 0; i < 5000 && !strstr(link, "/master"); i++) {
		usleep(1000);
		memset(link, 0, sizeof(link));
		if (readlink(path, link, sizeof(link) - 1) < 0)
			break;
	}
	write_pid(s, child);
	assert_found(s, "master", 1);
	assert_int_equal(unlink(sandbox_path(s, "/master")), 0);
	assert_found(s, "master", 1);
	sandbox_end(child);
}

/* ---- signals ---- */

static void end_by_hangup(void *ctx)
{
	sigset_t hangup;
	int got = 0, *ready_fd = ctx;

	sigemptyset(&hangup);
	sigaddset(&hangup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hangup, NULL);
	if (write(*ready_fd, "x", 1) != 1)
		_exit(1);
	sigwait(&hangup, &got);
	_exit(got == SIGHUP ? 42 : 1);
}

static void a_reload_is_one_hangup(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	int ready[2], status;
	char byte;
	pid_t child;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = sandbox_spawn(end_by_hangup, &ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	write_pid(s, child);
	assert_int_equal(find(s, OWN_PROGRAM, &master, NULL), 1);
	assert_int_equal(master_process_reload(&master, NULL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 42);
	close(ready[0]);
	close(ready[1]);
}

static void a_master_that_ended_is_not_alive_and_cannot_be_reloaded(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	pid_t child = sandbox_spawn(wait_forever, NULL);
	struct error err;

	write_pid(s, child);
	assert_int_equal(find(s, OWN_PROGRAM, &master, NULL), 1);
	sandbox_end(child);
	assert_false(master_process_is_alive(&master));
	assert_int_equal(master_process_reload(&master, &err), -ESRCH);
	assert_non_null(strstr(err.msg, "SIGHUP"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_running_master_is_found),
		TEST(a_missing_pid_file_means_that_nothing_runs),
		TEST(a_pid_file_of_a_process_that_is_gone_is_stale),
		TEST(a_process_that_ended_but_was_not_waited_for_is_gone),
		TEST(another_programs_process_is_none),
		TEST(garbage_in_the_pid_file_means_that_nothing_runs),
		TEST(a_pid_file_that_cannot_be_read_is_an_error),
		TEST(a_number_that_is_now_a_threads_is_stale),
		TEST(a_process_in_another_root_is_none_and_found_from_its_own),
		TEST(a_master_whose_program_file_was_replaced_is_found),
		TEST(a_reload_is_one_hangup),
		TEST(a_master_that_ended_is_not_alive_and_cannot_be_reloaded),
	};

	if (argc > 1 && strcmp(argv[1], "--wait") == 0)
		wait_forever(NULL);
	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
