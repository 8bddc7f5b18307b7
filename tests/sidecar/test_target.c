/* SPDX-License-Identifier: MIT */
/*
 * target - the mail container is found among those whose processes are visible.
 *
 * The tests are process 1 of a process namespace of their own, with an empty
 * /etc.
 */
#include "container.h"

#include "sidecar/privileges.h"
#include "sidecar/target.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define POSTFIX "/etc/postfix/master.cf"
#define DOVECOT "/etc/dovecot/dovecot.conf"

enum { WAIT_MS = 10000 };

/* ---- looking ---- */

static void assert_found(pid_t anchor)
{
	CLEANUP(target_release) struct target target = TARGET_INIT;
	struct error err = { 0 };
	char root[PROCESS_PATH_MAX] = "/";
	int rc = target_find(&target, &err);

	if (anchor > 0)
		snprintf(root, sizeof(root), "/proc/%d/root", (int)anchor);
	if (rc != 1)
		fail_msg("returned %d: %s", rc, err.msg);
	assert_int_equal(target.anchor, anchor);
	assert_string_equal(target.root, root);
	assert_true(anchor == 0 ? target.pidfd == -1 : target.pidfd >= 0);
	assert_true(target_is_alive(&target));
}

static void assert_not_found(int code, const char *words)
{
	struct target target = TARGET_INIT;
	struct error err = { 0 };

	assert_int_equal(target_find(&target, &err), code);
	assert_int_equal(target.pidfd, -1);
	if (words && !strstr(err.msg, words))
		fail_msg("\"%s\" lacks \"%s\"", err.msg, words);
}

/* ---- tests ---- */

static void without_other_containers_processes_it_is_said_what_the_pod_lacks(void **state)
{
	(void)state;
	assert_not_found(-ESRCH, "shareProcessNamespace: true");
}

static void a_container_without_mail_is_nobody(void **state)
{
	pid_t other = container_start(*state, NULL, "/etc/hosts", 0);
	pid_t empty = container_start(*state, NULL, NULL, 0);

	assert_not_found(0, NULL);
	sandbox_end(other);
	sandbox_end(empty);
}

static void each_servers_configuration_makes_a_mail_host(void **state)
{
	static const char *const files[] = { POSTFIX, DOVECOT };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		pid_t mail = container_start(*state, NULL, files[i], 0);

		assert_found(mail);
		sandbox_end(mail);
		assert_not_found(-ESRCH, NULL);
	}
}

static void the_target_of_a_process_that_ended_is_not_alive(void **state)
{
	CLEANUP(target_release) struct target target = TARGET_INIT;
	pid_t mail = container_start(*state, NULL, POSTFIX, 0);

	assert_int_equal(target_find(&target, NULL), 1);
	sandbox_end(mail);
	assert_false(target_is_alive(&target));
	mail = container_start(*state, NULL, POSTFIX, 0);
	assert_found(mail);
	assert_false(target_is_alive(&target));
	sandbox_end(mail);
}

static void a_container_in_which_a_master_runs_is_preferred(void **state)
{
	static const char *const programs[] = { "/master", "/dovecot" };

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		pid_t before = container_start(*state, NULL, POSTFIX, 0);
		pid_t mail = container_start(*state, programs[i], DOVECOT, 0);
		pid_t after = container_start(*state, NULL, POSTFIX, 0);

		assert_found(mail);
		sandbox_end(before);
		sandbox_end(after);
		sandbox_end(mail);
	}
}

static void a_program_of_a_masters_name_is_none_without_configuration(void **state)
{
	pid_t other = container_start(*state, "/master", "/etc/hosts", 0);
	pid_t mail = container_start(*state, NULL, POSTFIX, 0);

	assert_found(mail);
	sandbox_end(mail);
	assert_not_found(0, NULL);
	sandbox_end(other);
}

static void between_two_that_run_a_master_a_person_decides(void **state)
{
	pid_t one = container_start(*state, "/master", POSTFIX, 0);
	pid_t two = container_start(*state, "/dovecot", DOVECOT, 0);
	char words[64];

	assert_not_found(-EEXIST, "--pid");
	snprintf(words, sizeof(words), "process %d ", (int)one);
	assert_not_found(-EEXIST, words);
	snprintf(words, sizeof(words), "process %d ", (int)two);
	assert_not_found(-EEXIST, words);
	sandbox_end(one);
	assert_found(two);
	sandbox_end(two);
}

static void between_two_without_a_master_time_decides(void **state)
{
	pid_t one = container_start(*state, NULL, POSTFIX, 0);
	pid_t two = container_start(*state, NULL, POSTFIX, 0);

	assert_not_found(0, NULL);
	sandbox_end(one);
	assert_found(two);
	sandbox_end(two);
}

static void our_own_root_is_the_target_when_no_other_qualifies(void **state)
{
	const struct sandbox machine = { .path = "" };
	pid_t other;

	sandbox_write(&machine, DOVECOT, "");
	assert_found(0);
	other = container_start(*state, NULL, NULL, 0);
	assert_found(0);
	sandbox_end(other);
	other = container_start(*state, NULL, POSTFIX, 0);
	assert_found(other);
	sandbox_end(other);
}

static void run_forever(void *ctx)
{
	execl(sandbox_path(ctx, "/master"), "x", "--wait", (char *)NULL);
	_exit(1);
}

static bool becomes(pid_t pid, const char *program)
{
	for (long end = sandbox_now_ms() + WAIT_MS; sandbox_now_ms() < end; usleep(1000))
		if (process_runs(pid, program) > 0)
			return true;
	return false;
}

static void our_own_root_is_the_target_when_a_master_runs_in_it(void **state)
{
	const struct sandbox machine = { .path = "" };
	pid_t other = container_start(*state, "/master", POSTFIX, 0);
	pid_t own = sandbox_spawn(run_forever, *state);

	assert_true(becomes(own, "master"));
	assert_found(other); /* there is nothing in ours that it could be the master of */
	sandbox_write(&machine, POSTFIX, "");
	assert_found(0);
	sandbox_end(own);
	assert_found(other);
	sandbox_end(other);
}

static void no_link_leads_out_of_a_root(void **state)
{
	const struct sandbox machine = { .path = "" };
	pid_t other;

	/* The container's link leads to nothing in there, and to a file here. */
	sandbox_write(&machine, CONTAINER_OUTSIDE "/master.cf", "");
	other = container_start(*state, NULL, "/etc/postfix", CONTAINER_LINKED);
	assert_not_found(0, NULL);
	sandbox_end(other);
}

static void what_is_no_file_is_no_configuration(void **state)
{
	pid_t other = container_start(*state, NULL, POSTFIX "/x", 0);

	assert_not_found(0, NULL);
	sandbox_end(other);
}

/* A mail server locks its users' sessions up in their own folders. */
static void a_folder_that_a_process_is_locked_up_in_is_no_container(void **state)
{
	pid_t jailed = container_start(*state, "/dovecot", DOVECOT, CONTAINER_CHROOTED);

	assert_not_found(0, NULL);
	sandbox_end(jailed);
}

/* Anybody can make a root in a user namespace of his own. */
static void a_root_of_another_user_namespace_is_no_container(void **state)
{
	pid_t users = container_start(*state, "/dovecot", DOVECOT, CONTAINER_OTHER_USERS);

	assert_not_found(0, NULL);
	sandbox_end(users);
}

/* ---- the oldest ---- */

static void give_next_number(int number)
{
	FILE *file = fopen("/proc/sys/kernel/ns_last_pid", "we");

	assert_non_null(file);
	fprintf(file, "%d", number - 1);
	assert_int_equal(fclose(file), 0);
}

static unsigned long long start_of(pid_t pid)
{
	struct process_stat stat;

	assert_int_equal(process_read_stat(pid, &stat), 0);
	return stat.start;
}

static void the_oldest_process_is_the_anchor_whatever_its_number(void **state)
{
	pid_t mail, later;

	give_next_number(5000);
	mail = container_start(*state, NULL, POSTFIX, 0);
	do { /* until the clock that start times are counted by has gone on */
		give_next_number(300);
		later = container_join(mail);
		if (start_of(later) == start_of(mail)) {
			sandbox_end(later);
			later = 0;
		}
	} while (later == 0);
	assert_true(later < mail);
	assert_found(mail);
	sandbox_end(mail);
	assert_found(later);
	sandbox_end(later);
}

static void a_process_that_ended_but_was_not_waited_for_is_no_anchor(void **state)
{
	pid_t mail = container_start(*state, NULL, POSTFIX, 0);
	pid_t later = container_join(mail);
	siginfo_t info;

	kill(mail, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)mail, &info, WEXITED | WNOWAIT), 0);
	assert_found(later);
	sandbox_end(later);
	assert_not_found(-ESRCH, NULL);
	waitpid(mail, NULL, 0);
}

/* ---- privileges ---- */

static void look_without_privileges(void *ctx)
{
	static const enum privilege kept[] = { PRIVILEGE_KILL, PRIVILEGE_DAC_OVERRIDE };
	struct target target;
	struct error err = { 0 };

	(void)ctx;
	if (privileges_keep(kept, 2, false, NULL) < 0)
		_exit(1);
	if (target_find(&target, &err) != -EPERM || !strstr(err.msg, "CAP_SYS_PTRACE")) {
		fprintf(stderr, "%s\n", err.msg);
		_exit(2);
	}
}

static void look_with_that_privilege(void *ctx)
{
	static const enum privilege kept[] = { PRIVILEGE_SYS_PTRACE };
	struct target target;
	const pid_t *wanted = ctx;

	if (privileges_keep(kept, 1, true, NULL) < 0)
		_exit(1);
	if (target_find(&target, NULL) != 1 || target.anchor != *wanted)
		_exit(2);
}

static void who_may_not_look_is_told_what_he_lacks(void **state)
{
	pid_t mail = container_start(*state, NULL, POSTFIX, 0);

	assert_int_equal(sandbox_in_child(look_without_privileges, NULL), 0);
	assert_int_equal(sandbox_in_child(look_with_that_privilege, &mail), 0);
	sandbox_end(mail);
}

/* ---- the world ---- */

static int set_up(void **state)
{
	/* An empty /etc for each test. */
	if (mount("tmpfs", "/etc", "tmpfs", 0, "mode=0755") < 0)
		return -1;
	return sandbox_set_up(state);
}

static int tear_down(void **state)
{
	sandbox_tear_down(state);
	return umount2("/etc", MNT_DETACH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_other_containers_processes_it_is_said_what_the_pod_lacks),
		TEST(a_container_without_mail_is_nobody),
		TEST(each_servers_configuration_makes_a_mail_host),
		TEST(the_target_of_a_process_that_ended_is_not_alive),
		TEST(a_container_in_which_a_master_runs_is_preferred),
		TEST(a_program_of_a_masters_name_is_none_without_configuration),
		TEST(between_two_that_run_a_master_a_person_decides),
		TEST(between_two_without_a_master_time_decides),
		TEST(our_own_root_is_the_target_when_no_other_qualifies),
		TEST(our_own_root_is_the_target_when_a_master_runs_in_it),
		TEST(no_link_leads_out_of_a_root),
		TEST(what_is_no_file_is_no_configuration),
		TEST(a_folder_that_a_process_is_locked_up_in_is_no_container),
		TEST(a_root_of_another_user_namespace_is_no_container),
		TEST(the_oldest_process_is_the_anchor_whatever_its_number),
		TEST(a_process_that_ended_but_was_not_waited_for_is_no_anchor),
		TEST(who_may_not_look_is_told_what_he_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

static void run_in_child(void *ctx)
{
	(void)ctx;
	exit(run_all());
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	container_continue(argc, argv);
	if (argc == 2 && strcmp(argv[1], "--wait") == 0)
		sandbox_linger(NULL);
	sandbox_enter_private_mounts();
	if (unshare(CLONE_NEWPID) < 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (mount("proc", "/proc", "proc", 0, NULL) < 0)
			_exit(1);
		_exit(sandbox_in_child(run_in_child, NULL));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	/* Without the sanitizer's leak check, which forks: that namespace is gone. */
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}
