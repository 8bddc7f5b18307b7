/* SPDX-License-Identifier: MIT */
/* tool - a program of the servers', inside their root. */
#include "sandbox.h"

#include "sidecar/privileges.h"
#include "sidecar/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* What the header promises at most. */
enum { SAID_MAX = 8192 };

static int run_script(const struct rootfs *root, const char *script, struct buf *said,
		      struct error *err)
{
	const char *const argv[] = { "sh", "-c", script, NULL };

	return tool_run(root, argv, said, err);
}

static void assert_says(const struct rootfs *root, const char *script, int status,
			const char *words)
{
	cleanup_buf struct buf said = BUF_INIT;
	struct error err = { 0 };
	int rc = run_script(root, script, &said, &err);

	if (rc != status)
		fail_msg("%s: returned %d, wanted %d: %s", script, rc, status, err.msg);
	unit_assert_span(buf_span(&said), span_from(words));
}

static void the_exit_status_is_returned(void **state)
{
	const struct sandbox *s = *state;

	assert_says(&s->own, "exit 0", 0, "");
	assert_says(&s->own, "exit 1", 1, "");
	assert_says(&s->own, "exit 255", 255, "");
	assert_int_equal(run_script(&s->own, "echo x >&2; exit 3", NULL, NULL), 3);
}

static void a_signal_that_ends_it_is_returned_as_a_shell_does(void **state)
{
	const struct sandbox *s = *state;

	assert_says(&s->own, "kill -TERM $$", 128 + SIGTERM, "");
	assert_says(&s->own, "echo last words >&2; kill -SEGV $$", 128 + SIGSEGV, "last words\n");
}

/* Each waits for a file that the other one makes. */
static void two_run_at_once(void **state)
{
	static const char script[] = "echo I am $0 >&2; : >$1/$0; for i in $(seq 2000); do "
				     "[ -e $1/$2 ] && exit $3; sleep 0.01; done; exit 99";
	const struct sandbox *s = *state;
	const char *const argv[2][8] = {
		{ "sh", "-c", script, "first", s->path, "second", "3", NULL },
		{ "sh", "-c", script, "second", s->path, "first", "4", NULL },
	};
	cleanup_buf struct buf first = BUF_INIT, second = BUF_INIT;
	struct error err = { 0 };
	struct tool tools[2];

	for (size_t i = 0; i < 2; i++)
		assert_int_equal(tool_start(&s->own, argv[i], &tools[i], &err), 0);
	assert_int_equal(tool_finish(&tools[0], &first, &err), 3);
	assert_int_equal(tool_finish(&tools[1], &second, &err), 4);
	unit_assert_span(buf_span(&first), span_from("I am first\n"));
	unit_assert_span(buf_span(&second), span_from("I am second\n"));
}

static void what_it_says_on_standard_error_is_added(void **state)
{
	const struct sandbox *s = *state;
	cleanup_buf struct buf said = BUF_INIT;

	assert_says(&s->own, "echo lost; echo kept >&2", 0, "kept\n");
	buf_add_text(&said, "before ");
	assert_int_equal(run_script(&s->own, "printf after >&2", &said, NULL), 0);
	unit_assert_span(buf_span(&said), span_from("before after"));
}

/* When set, the next poll(2) of two looked at the first before the words came, and found none. */
static bool words_come_late;

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int found = __real_poll(fds, n, timeout_ms);

	if (words_come_late && n == 2 && fds[0].revents && fds[1].revents) {
		words_come_late = false;
		fds[0].revents = 0;
		found--;
	}
	return found;
}

static void its_last_words_are_heard_when_its_end_is_seen_first(void **state)
{
	static const char *const argv[] = { "sh", "-c", "echo why >&2; exit 3", NULL };
	const struct sandbox *s = *state;
	cleanup_buf struct buf said = BUF_INIT;
	struct error err = { 0 };
	struct pollfd ended;
	struct tool tool;

	assert_int_equal(tool_start(&s->own, argv, &tool, &err), 0);
	ended = (struct pollfd){ .fd = tool.pidfd, .events = POLLIN };
	assert_int_equal(__real_poll(&ended, 1, TOOL_LIMIT_MS), 1);
	words_come_late = true;
	assert_int_equal(tool_finish(&tool, &said, &err), 3);
	assert_false(words_come_late);
	unit_assert_span(buf_span(&said), span_from("why\n"));
}

static void it_may_say_more_than_is_kept_without_being_held_up(void **state)
{
	const struct sandbox *s = *state;
	static const char *const scripts[] = {
		"yes 2>/dev/null | head -c 3000000 >&2; exit 7",
		/* pieces that do not fill the last block */
		"i=0; while [ $i -lt 2000 ]; do echo 12345678901 >&2; i=$((i+1)); done; exit 7",
		"i=0; while [ $i -lt 20 ]; do printf '%1000s' x >&2; i=$((i+1)); done; exit 7",
	};

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		cleanup_buf struct buf said = BUF_INIT;

		assert_int_equal(run_script(&s->own, scripts[i], &said, NULL), 7);
		if (said.len < SAID_MAX / 2 || said.len > SAID_MAX)
			fail_msg("%zu bytes were kept of: %s", said.len, scripts[i]);
	}
}

static void a_missing_program_is_said(void **state)
{
	const struct sandbox *s = *state;
	static const char *const argv[] = { "no-such-program-of-postfix", "-M", NULL };
	struct error err;

	assert_int_equal(tool_run(&s->own, argv, NULL, &err), -ENOENT);
	unit_assert_contains(span_from(err.msg), "no-such-program-of-postfix");
	assert_int_equal(run_script(&s->root, "exit 0", NULL, NULL), -ENOENT);
}

static void its_surroundings_are_plain(void **state)
{
	const struct sandbox *s = *state;
	sigset_t all;

	assert_int_equal(dup2(STDIN_FILENO, 57), 57); /* as a parent leaves one behind */
	setenv("MAIL_CONFIG", "/somewhere/else", 1);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	signal(SIGHUP, SIG_IGN);
	assert_says(
		&s->own, "env | sort | grep -v '^_=' | grep -v ^PWD= | grep -v ^SHLVL= >&2", 0,
		"LC_ALL=C\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
	assert_says(&s->own, "pwd >&2; echo $(readlink /proc/$$/fd/0 /proc/$$/fd/1) >&2", 0,
		    "/\n/dev/null /dev/null\n");
	assert_says(&s->own, "exec grep -E '^Sig(Blk|Ign)' /proc/self/status >&2", 0,
		    "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	assert_says(&s->own, "test ! -e /proc/$$/fd/57", 0, "");
	close(57);
	signal(SIGHUP, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	unsetenv("MAIL_CONFIG");
}

/* ---- another root ---- */

static void lay_root(const struct sandbox *s)
{
	static const char *const folders[] = { "/bin", "/lib", "/lib64" };

	sandbox_make_folder(s, "/usr");
	sandbox_make_folder(s, "/dev");
	assert_int_equal(mount("/usr", sandbox_path(s, "/usr"), "none", MS_BIND, NULL), 0);
	assert_int_equal(mount("/dev", sandbox_path(s, "/dev"), "none", MS_BIND, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		char target[32];

		snprintf(target, sizeof(target), "usr%s", folders[i]);
		sandbox_link(s, target, folders[i]);
	}
}

static void in_another_root_that_roots_files_are_seen(void **state)
{
	const struct sandbox *s = *state;

	lay_root(s);
	sandbox_write(s, "/etc/only-here", "inside\n");
	assert_says(&s->root, "read x </etc/only-here; echo $x >&2; pwd >&2", 0, "inside\n/\n");
	assert_says(&s->root, "cd ..; exec cat etc/only-here >&2", 0, "inside\n");
	assert_false(access("/etc/only-here", F_OK) == 0);
}

/* What the kernel would let a process of our user do, and its answer here. */
static void in_another_root_it_is_alone(void **state)
{
	const struct sandbox *s = *state;
	cleanup_buf struct buf said = BUF_INIT;
	char script[128];
	struct error err;

	lay_root(s);
	sandbox_make_folder(s, "/proc");
	assert_int_equal(mount("/proc", sandbox_path(s, "/proc"), "none", MS_BIND, NULL), 0);
	assert_int_not_equal(run_script(&s->root, "(:) & (:); exit 0", &said, &err), 0);
	unit_assert_contains(buf_span(&said), "fork");
	/* It may end itself. */
	assert_says(&s->root, "kill -TERM $$", 128 + SIGTERM, "");
	/* Its parent, and all that it may signal. */
	snprintf(script, sizeof(script), "kill -CONT %d 2>/dev/null; echo $? >&2", (int)getpid());
	assert_says(&s->root, script, 0, "1\n");
	assert_says(&s->root, "kill -CONT -1 2>/dev/null; echo $? >&2", 0, "1\n");
	assert_says(&s->root, "kill -CONT 0 2>/dev/null; echo $? >&2", 0, "1\n");
	/* No descriptor of ours: 0 to 2, and the one that lists them. */
	assert_says(&s->root, "exec ls /proc/self/fd >&2", 0, "0\n1\n2\n3\n");
	assert_says(&s->root, "exec grep Seccomp: /proc/self/status >&2", 0, "Seccomp:\t2\n");
	/* A session of its own, so no terminal to type into. */
	assert_says(&s->root, "read a b c d e f g </proc/self/stat; [ $e = $f ] && [ $f = $$ ]", 0,
		    "");
}

/* As root of a container has them, by hand: no new privileges were forgone so far. */
static void run_with_few_privileges(void *ctx)
{
	static const enum privilege kept[] = { PRIVILEGE_DAC_OVERRIDE, PRIVILEGE_SYS_CHROOT };
	const struct sandbox *s = ctx;

	if (privileges_keep(kept, ARRAY_SIZE(kept), false, NULL) < 0)
		_exit(1);
	_exit(run_script(&s->root, "exit 5", NULL, NULL));
}

static void in_another_root_it_runs_with_few_privileges(void **state)
{
	lay_root(*state);
	assert_int_equal(sandbox_in_child(run_with_few_privileges, *state), 5);
}

/* From now on no filter can be loaded, for this reason. */
static void refuse_filters(uint32_t reason)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECCOMP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | reason),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(1);
}

static void run_where_the_kernel_has_no_filters(void *ctx)
{
	const struct sandbox *s = ctx;

	refuse_filters(EINVAL);
	_exit(run_script(&s->root, "(:); exit 5", NULL, NULL));
}

static void run_where_filters_are_refused(void *ctx)
{
	const struct sandbox *s = ctx;

	refuse_filters(EACCES);
	_exit(run_script(&s->root, "exit 5", NULL, NULL));
}

static void in_another_root_it_goes_without_a_filter_only_where_there_are_none(void **state)
{
	lay_root(*state);
	assert_int_equal(sandbox_in_child(run_where_the_kernel_has_no_filters, *state), 5);
	assert_int_equal(sandbox_in_child(run_where_filters_are_refused, *state), 127);
}

static void linger_in_a_tool(void *ctx)
{
	const struct sandbox *s = ctx;
	static const char *const argv[] = { "sh", "-c", "echo $$ >/pid; while :; do :; done",
					    NULL };
	struct stat st = { 0 };
	struct tool tool;

	assert_int_equal(tool_start(&s->root, argv, &tool, NULL), 0);
	/* The file is there before the number is in it. */
	for (long end = sandbox_now_ms() + 10000; st.st_size == 0;) {
		assert_true(sandbox_now_ms() < end);
		usleep(1000);
		(void)stat(sandbox_path(s, "/pid"), &st);
	}
	sandbox_ready();
	pause();
}

/* Whoever ends us ends it: none is left that nobody waits for. */
static void in_another_root_it_ends_with_us(void **state)
{
	struct sandbox *s = *state;
	cleanup_buf struct buf number = BUF_INIT;
	pid_t starter, tool;

	lay_root(s);
	starter = sandbox_spawn_ready(linger_in_a_tool, s);
	sandbox_read(s, "/pid", &number);
	tool = atoi(buf_text(&number));
	assert_true(tool > 1);
	assert_int_equal(kill(tool, 0), 0);
	sandbox_end(starter);
	for (long end = sandbox_now_ms() + 10000; kill(tool, 0) == 0;) {
		assert_true(sandbox_now_ms() < end);
		usleep(1000);
	}
}

static void in_another_root_it_ends_in_time(void **state)
{
	static const char *const scripts[] = {
		"while :; do :; done",
		"trap '' TERM INT HUP; while :; do echo 0123456789 >&2; done",
		"exec 2>&-; while :; do :; done",
		"kill -STOP $$",
	};
	const struct sandbox *s = *state;

	lay_root(s);
	tool_set_limit(300);
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		long start = sandbox_now_ms();

		assert_int_equal(run_script(&s->root, scripts[i], NULL, NULL), -ETIMEDOUT);
		assert_true(sandbox_now_ms() - start < 10000);
	}
	tool_set_limit(TOOL_LIMIT_MS);
}

/* Their /dev/null is not opened: it may wait for ever, or be one of ours. */
static void in_another_root_its_input_is_our_own_nothing(void **state)
{
	const struct sandbox *s = *state;

	sandbox_make_folder(s, "/usr");
	assert_int_equal(mount("/usr", sandbox_path(s, "/usr"), "none", MS_BIND, NULL), 0);
	sandbox_link(s, "usr/bin", "/bin");
	sandbox_link(s, "usr/lib", "/lib");
	sandbox_link(s, "usr/lib64", "/lib64");
	sandbox_write(s, "/dev/null", "theirs\n");
	assert_says(&s->root, "read x; echo \"<$x>\" >&2; echo out", 0, "<>\n");
	sandbox_assert_text(s, "/dev/null", "theirs\n");
}

static void a_program_that_cannot_be_started_is_a_failure(void **state)
{
	const struct sandbox *s = *state;
	static const char *const argv[] = { "postconf-of-the-test", NULL };

	sandbox_write(s, "/usr/sbin/postconf-of-the-test", "no program\n");
	sandbox_make_folder(s, "/dev");
	assert_int_equal(mount("/dev", sandbox_path(s, "/dev"), "none", MS_BIND, NULL), 0);
	assert_int_not_equal(tool_run(&s->root, argv, NULL, NULL), 0);
	assert_int_equal(chmod(sandbox_path(s, "/usr/sbin/postconf-of-the-test"), 0755), 0);
	assert_int_not_equal(tool_run(&s->root, argv, NULL, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_exit_status_is_returned),
		TEST(a_signal_that_ends_it_is_returned_as_a_shell_does),
		TEST(two_run_at_once),
		TEST(what_it_says_on_standard_error_is_added),
		TEST(its_last_words_are_heard_when_its_end_is_seen_first),
		TEST(it_may_say_more_than_is_kept_without_being_held_up),
		TEST(a_missing_program_is_said),
		TEST(its_surroundings_are_plain),
		TEST(in_another_root_that_roots_files_are_seen),
		TEST(in_another_root_it_is_alone),
		TEST(in_another_root_it_runs_with_few_privileges),
		TEST(in_another_root_it_goes_without_a_filter_only_where_there_are_none),
		TEST(in_another_root_it_ends_with_us),
		TEST(in_another_root_it_ends_in_time),
		TEST(in_another_root_its_input_is_our_own_nothing),
		TEST(a_program_that_cannot_be_started_is_a_failure),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
