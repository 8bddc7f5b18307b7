/* SPDX-License-Identifier: MIT */
/* process - what /proc says is understood, whatever a program calls itself. */
#include "sandbox.h"

#include "sidecar/privileges.h"
#include "sidecar/process.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { ASKED = 200000 };

#define OWN_PROGRAM "test_process"

static const char *const names[] = {
	"",
	"a) Z 1 (",
	"x y z",
	") S 1 1 1 1 1",
	"((((",
	"tab\tnewline\n",
	"15 characters!",
	"\xff\xfe",
	"NSpid:\t7",
	"\\n",
	"SigCgt:\tf",
};

/* What the children tell by their exit status. */
enum { FINE, WRONG_STAT, WRONG_NUMBER, WRONG_SIGNALS, WRONG_USER, WRONG_PROGRAM, WRONG_ROOT };

static void look_at_a_named_one(void *ctx)
{
	struct process_stat stat;
	pid_t self = getpid();
	uid_t user = 12345;

	prctl(PR_SET_NAME, ctx);
	if (process_read_stat(self, &stat) != 0 || stat.state != 'R' || stat.parent != getppid() ||
	    stat.kernel_thread || stat.start == 0)
		_exit(WRONG_STAT);
	if (process_inner_number(self) != self)
		_exit(WRONG_NUMBER);
	if (process_catches(self, SIGUSR2) || process_catches(self, SIGKILL))
		_exit(WRONG_SIGNALS);
	if (!process_users(self, &user, NULL) || user != geteuid())
		_exit(WRONG_USER);
	if (!process_runs(self, OWN_PROGRAM) || process_runs(self, "test"))
		_exit(WRONG_PROGRAM);
}

static void a_name_does_not_confuse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		union {
			const char *in;
			void *out;
		} name = { .in = names[i] };

		assert_int_equal(sandbox_in_child(look_at_a_named_one, name.out), FINE);
	}
}

static void ignore(int signal)
{
	(void)signal;
}

static void each_caught_signal_is_told_from_the_others(void **state)
{
	static const int signals[] = { SIGHUP, SIGUSR1, SIGTERM };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		signal(signals[i], ignore);
		for (size_t k = 0; k < ARRAY_SIZE(signals); k++)
			assert_int_equal(process_catches(getpid(), signals[k]), i == k);
		signal(signals[i], SIG_IGN);
		assert_false(process_catches(getpid(), signals[i]));
		signal(signals[i], SIG_DFL);
	}
	signal(SIGRTMAX, ignore);
	assert_true(process_catches(getpid(), SIGRTMAX));
	signal(SIGRTMAX, SIG_DFL);
}

/* poll(2) says EINTR even where it does not wait, when a signal comes just then. */
static void signals_of_ours_do_not_make_another_process_end(void **state)
{
	const struct itimerval often = { .it_interval = { .tv_usec = 20 },
					 .it_value = { .tv_usec = 20 } };
	const struct itimerval never = { .it_value = { .tv_usec = 0 } };
	const struct sigaction handled = { .sa_handler = ignore };
	pid_t child = sandbox_spawn(sandbox_linger, NULL);
	int pidfd = process_open(child);
	unsigned long wrong = 0;

	(void)state;
	sigaction(SIGALRM, &handled, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned i = 0; i < ASKED; i++)
		wrong += !process_is_alive(pidfd);
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_IGN); /* one that is under way still */
	signal(SIGALRM, SIG_DFL);
	assert_int_equal(wrong, 0);
	sandbox_end(child);
	assert_false(process_is_alive(pidfd));
	close(pidfd);
}

static void what_is_gone_has_no_properties(void **state)
{
	const struct sandbox *s = *state;
	pid_t child = sandbox_spawn(sandbox_linger, NULL);
	int pidfd = process_open(child);
	struct process_stat stat;
	uid_t user;

	assert_true(pidfd >= 0 && process_is_alive(pidfd));
	sandbox_end(child);
	assert_false(process_is_alive(pidfd));
	close(pidfd);
	assert_int_equal(process_open(child), -ESRCH);
	assert_int_equal(process_read_stat(child, &stat), -ENOENT);
	assert_int_equal(process_inner_number(child), 0);
	assert_false(process_catches(child, SIGHUP));
	assert_false(process_users(child, &user, NULL));
	assert_false(process_runs(child, OWN_PROGRAM));
	assert_false(process_lives_in(child, &s->own));
}

static void kernel_threads_are_known(void **state)
{
	struct process_stat stat;

	(void)state;
	/* kthreadd, where this is the machine's own process namespace. */
	if (process_read_stat(2, &stat) == 0 && stat.parent == 0)
		assert_true(stat.kernel_thread);
	assert_int_equal(process_read_stat(getpid(), &stat), 0);
	assert_false(stat.kernel_thread);
}

static void a_walk_meets_everybody_once(void **state)
{
	CLEANUP(process_walk_release) struct process_walk walk = PROCESS_WALK_INIT;
	pid_t child = sandbox_spawn(sandbox_linger, NULL), pid;
	int own = 0, childs = 0;

	(void)state;
	assert_int_equal(process_walk_init(&walk, NULL), 0);
	while ((pid = process_walk_next(&walk)) > 0) {
		own += pid == getpid();
		childs += pid == child;
	}
	assert_int_equal(own, 1);
	assert_int_equal(childs, 1);
	sandbox_end(child);
}

/* Without a descriptor nothing can be read: not a no. */
static void ask_without_descriptors(void *ctx)
{
	struct rlimit limit;
	pid_t self = getpid();

	(void)ctx;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		_exit(99);
	limit.rlim_cur = 0;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		_exit(99);
	if (process_inner_number(self) != -EMFILE)
		_exit(WRONG_NUMBER);
	if (process_catches(self, SIGHUP) != -EMFILE)
		_exit(WRONG_SIGNALS);
}

static void what_cannot_be_asked_now_is_not_a_no(void **state)
{
	(void)state;
	assert_int_equal(sandbox_in_child(ask_without_descriptors, NULL), FINE);
}

/* ---- without the privilege to look ---- */

/* The parent has more than we have now: what needs ptrace(2)'s leave is denied. */
static void look_at_the_parent(void *ctx)
{
	const struct sandbox *s = ctx;
	struct process_stat stat;
	uid_t user;
	char path[PROCESS_PATH_MAX], link[8];

	if (privileges_keep(NULL, 0, false, NULL) < 0)
		_exit(99);
	snprintf(path, sizeof(path), "/proc/%d/root", (int)getppid());
	if (readlink(path, link, sizeof(link)) >= 0 || errno != EACCES)
		_exit(98);
	if (process_read_stat(getppid(), &stat) != 0)
		_exit(WRONG_STAT);
	if (process_inner_number(getppid()) != getppid())
		_exit(WRONG_NUMBER);
	if (!process_users(getppid(), &user, NULL) || user != 0)
		_exit(WRONG_USER);
	if (!process_runs(getppid(), OWN_PROGRAM) || process_runs(getppid(), "test_proces") ||
	    process_runs(getppid(), OWN_PROGRAM "x"))
		_exit(WRONG_PROGRAM);
	if (!process_lives_in(getppid(), &s->own) || process_lives_in(getppid(), &s->root))
		_exit(WRONG_ROOT);
}

static void who_may_not_look_still_knows_program_and_root(void **state)
{
	assert_int_equal(sandbox_in_child(look_at_the_parent, *state), FINE);
}

/* A folder on our root's own mount is not our root. */
static void who_may_not_look_does_not_take_a_folder_for_a_root(void **state)
{
	struct sandbox *s = *state;
	struct sandbox folder = { .path = "/", .own = s->own, .root = ROOTFS_INIT };

	assert_int_equal(rootfs_init(&folder.root, "/usr", NULL), 0);
	assert_int_equal(sandbox_in_child(look_at_the_parent, &folder), FINE);
	rootfs_release(&folder.root);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_does_not_confuse),
		TEST(each_caught_signal_is_told_from_the_others),
		TEST(signals_of_ours_do_not_make_another_process_end),
		TEST(what_is_gone_has_no_properties),
		TEST(kernel_threads_are_known),
		TEST(a_walk_meets_everybody_once),
		TEST(what_cannot_be_asked_now_is_not_a_no),
		TEST(who_may_not_look_still_knows_program_and_root),
		TEST(who_may_not_look_does_not_take_a_folder_for_a_root),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
