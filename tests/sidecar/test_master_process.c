/* SPDX-License-Identifier: MIT */
/* master_process - only the server's own master is found, and signalled. */
#include "sandbox.h"

#include "sidecar/master_process.h"
#include "sidecar/privileges.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PID_FILE "/run/master.pid"
/* A child that does not exec runs this program. */
#define OWN_PROGRAM "test_master_process"

static void ignore(int signal)
{
	(void)signal;
}

/* As a master that is ready does; what is forked afterwards does it, too. */
static void catch_hangups(void)
{
	signal(SIGHUP, ignore);
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

/* `wanted`: a master_process_state or a negative errno. */
static void assert_found(const struct sandbox *s, const char *program, int wanted)
{
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	struct error err = { 0 };
	int rc = find(s, program, &master, &err);

	if (rc != wanted)
		fail_msg("returned %d, wanted %d: %s", rc, wanted, err.msg);
	assert_true(rc > 0 ? master.pidfd >= 0 : master.pidfd == -1);
}

/* Ask until the answer comes, for a while. */
static void wait_until_found(const struct sandbox *s, const char *program, int wanted)
{
	for (int i = 0; i < 5000; i++) {
		CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;

		if (find(s, program, &master, NULL) == wanted)
			return;
		usleep(1000);
	}
	fail_msg("waited for the answer %d", wanted);
}

static void a_running_master_is_found(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	pid_t child = sandbox_spawn(sandbox_linger, NULL);
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
	pid_t child = sandbox_spawn(sandbox_linger, NULL);

	write_pid(s, child);
	sandbox_end(child);
	assert_found(s, OWN_PROGRAM, 0);
}

static void a_process_that_ended_but_was_not_waited_for_is_gone(void **state)
{
	const struct sandbox *s = *state;
	pid_t child = sandbox_spawn(sandbox_linger, NULL);
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

/* ---- roots ---- */

static void wait_in_root(void *ctx)
{
	const struct sandbox *s = ctx;

	if (chroot(s->path) < 0 || chdir("/") < 0)
		_exit(1);
	sandbox_ready();
	sandbox_linger(NULL);
}

static void a_process_in_another_root_is_none_and_found_from_its_own(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	pid_t child = sandbox_spawn_ready(wait_in_root, *state);

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

	execl(sandbox_path(s, "/server"), "server", "--wait", (char *)NULL);
	_exit(1);
}

static void a_master_whose_program_file_was_replaced_is_found(void **state)
{
	const struct sandbox *s = *state;
	pid_t child;

	sandbox_copy_program(s, "/server");
	child = sandbox_spawn(run_copy, *state);
	write_pid(s, child);
	wait_until_found(s, "server", MASTER_PROCESS_READY);
	assert_int_equal(unlink(sandbox_path(s, "/server")), 0);
	assert_found(s, "server", MASTER_PROCESS_READY);
	sandbox_end(child);
}

/* ---- signals ---- */

static sigset_t block(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return set;
}

static void end_by_hangup(void *ctx)
{
	const sigset_t hangup = block(SIGHUP);
	int got = 0;

	(void)ctx;
	sandbox_ready();
	sigwait(&hangup, &got);
	_exit(got == SIGHUP ? 42 : 1);
}

static void a_reload_is_one_hangup(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	pid_t child = sandbox_spawn_ready(end_by_hangup, NULL);
	int status;

	write_pid(s, child);
	assert_int_equal(find(s, OWN_PROGRAM, &master, NULL), 1);
	assert_int_equal(master_process_reload(&master, NULL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void a_master_that_ended_is_not_alive_and_cannot_be_reloaded(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	pid_t child = sandbox_spawn(sandbox_linger, NULL);
	struct error err;

	write_pid(s, child);
	assert_int_equal(find(s, OWN_PROGRAM, &master, NULL), 1);
	sandbox_end(child);
	assert_false(master_process_is_alive(&master));
	assert_int_equal(master_process_reload(&master, &err), -ESRCH);
	assert_non_null(strstr(err.msg, "SIGHUP"));
}

/* ---- starting ---- */

static void start_slowly(void *ctx)
{
	const sigset_t go = block(SIGUSR1);
	int got;

	(void)ctx;
	signal(SIGHUP, SIG_DFL);
	sigwait(&go, &got);
	signal(SIGHUP, SIG_IGN); /* nor is this what a master does that is ready */
	sigwait(&go, &got);
	catch_hangups();
	sandbox_linger(NULL);
}

static bool ignores_hangups(pid_t pid)
{
	char path[64], line[256];
	bool ignores = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, "SigIgn:", 7) == 0)
			ignores = strtoull(line + 7, NULL, 16) & 1;
	fclose(file);
	return ignores;
}

static void a_master_that_does_not_catch_hangups_yet_is_starting(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	pid_t child = sandbox_spawn(start_slowly, NULL);

	write_pid(s, child);
	wait_until_found(s, OWN_PROGRAM, MASTER_PROCESS_STARTING);
	assert_int_equal(find(s, OWN_PROGRAM, &master, NULL), MASTER_PROCESS_STARTING);
	assert_int_equal(master.pid, child);
	kill(child, SIGUSR1);
	for (int i = 0; i < 5000 && !ignores_hangups(child); i++)
		usleep(1000);
	assert_true(ignores_hangups(child));
	assert_found(s, OWN_PROGRAM, MASTER_PROCESS_STARTING);
	kill(child, SIGUSR1);
	assert_true(master_process_await(&master));
	assert_found(s, OWN_PROGRAM, MASTER_PROCESS_READY);
	sandbox_end(child);
}

static void a_master_that_ends_while_it_starts_is_not_waited_for(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	pid_t child = sandbox_spawn(start_slowly, NULL);
	long start;

	write_pid(s, child);
	wait_until_found(s, OWN_PROGRAM, MASTER_PROCESS_STARTING);
	assert_int_equal(find(s, OWN_PROGRAM, &master, NULL), MASTER_PROCESS_STARTING);
	kill(child, SIGKILL);
	start = sandbox_now_ms();
	assert_false(master_process_await(&master));
	assert_true(sandbox_now_ms() - start < 4000); /* of the 5000 that it may wait */
	sandbox_end(child);
}

/* ---- process namespaces ---- */

/* A process whose own number is another than the one it has here, which is told. */
static void wait_below(void *ctx)
{
	const int *fd = ctx;
	char text[32];
	pid_t pid;

	if (unshare(CLONE_NEWPID) < 0)
		_exit(1);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sandbox_linger(NULL);
	}
	snprintf(text, sizeof(text), "%d", (int)pid);
	if (pid < 0 || write(*fd, text, strlen(text) + 1) < 0)
		_exit(1);
	sandbox_linger(NULL);
}

static void a_master_below_is_found_by_its_own_number(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(master_process_release) struct master_process master = MASTER_PROCESS_INIT;
	char text[32] = "";
	int fds[2];
	pid_t parent, outer;

	assert_int_equal(pipe(fds), 0);
	parent = sandbox_spawn(wait_below, &fds[1]);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	outer = (pid_t)atoi(text);
	write_pid(s, 1);
	assert_int_equal(find(s, OWN_PROGRAM, &master, NULL), MASTER_PROCESS_READY);
	assert_int_equal(master.pid, outer);
	assert_found(s, "master", MASTER_PROCESS_NONE);
	/* In its own namespace, the number that it has here is nobody's. */
	write_pid(s, outer);
	assert_found(s, OWN_PROGRAM, MASTER_PROCESS_NONE);
	kill(outer, SIGKILL);
	sandbox_end(parent);
	close(fds[0]);
	close(fds[1]);
}

/* ---- without the privilege to look ---- */

struct looking {
	const struct sandbox *s;
	const struct rootfs *root;
	const char *pid_file;
};

static void find_without_privileges(void *ctx)
{
	const struct looking *looking = ctx;
	struct master_process master = MASTER_PROCESS_INIT;
	char path[64], link[16];

	write_pid(looking->s, getppid()); /* to begin with: somebody who has more than we */
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)getppid());
	if (privileges_keep(NULL, 0, false, NULL) < 0 || readlink(path, link, sizeof(link)) >= 0)
		_exit(99);
	_exit(master_process_find(looking->root, looking->pid_file, OWN_PROGRAM, &master, NULL));
}

/* An engine's usual capabilities do not let root look at Postfix's master. */
static void a_master_that_may_not_be_looked_at_is_found(void **state)
{
	const struct sandbox *s = *state;
	struct looking own = { .s = s, .root = &s->own };
	struct looking other = { .s = s, .root = &s->root, .pid_file = PID_FILE };

	sandbox_write(s, PID_FILE, "");
	own.pid_file = sandbox_path(s, PID_FILE);
	assert_int_equal(sandbox_in_child(find_without_privileges, &own), MASTER_PROCESS_READY);
	/* The same process is not one of that root. */
	assert_int_equal(sandbox_in_child(find_without_privileges, &other), MASTER_PROCESS_NONE);
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
		TEST(a_process_in_another_root_is_none_and_found_from_its_own),
		TEST(a_master_whose_program_file_was_replaced_is_found),
		TEST(a_master_that_does_not_catch_hangups_yet_is_starting),
		TEST(a_master_that_ends_while_it_starts_is_not_waited_for),
		TEST(a_master_below_is_found_by_its_own_number),
		TEST(a_master_that_may_not_be_looked_at_is_found),
		TEST(a_reload_is_one_hangup),
		TEST(a_master_that_ended_is_not_alive_and_cannot_be_reloaded),
	};

	catch_hangups();
	if (argc > 1 && strcmp(argv[1], "--wait") == 0)
		sandbox_linger(NULL);
	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
