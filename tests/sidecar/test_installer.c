/* SPDX-License-Identifier: MIT */
/* installer - program, hook and the user's own script in a shared folder. */
#include "sandbox.h"

#include "patchers/user_hook.h"
#include "sidecar/installer.h"
#include "sidecar/own_script.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define FOLDER "/postern"
#define PROGRAM FOLDER "/postern"
#define HOOK FOLDER "/user-patches.sh"
#define OWN FOLDER "/user-patches.own.sh"

/* What stands for the program: longer than one write(2) of a pipe. */
#define PROGRAM_TEXT "#!/bin/sh\nexit 0\n"

static const struct user_hook usual = { .folder = FOLDER };

/* What the last one failed with, and what it said. */
static struct error err;
static char said[4096];

static int install(const struct sandbox *s, const struct user_hook *hook)
{
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	char program[128];
	const struct installer_job job = {
		.root = &s->root, .folder = FOLDER, .program = program, .hook = hook
	};
	int rc;

	snprintf(program, sizeof(program), "%s", sandbox_path(s, "/build/postern"));
	err = (struct error){ 0 };
	rc = installer_run(&job, &notes, &err);
	said[0] = '\0';
	for (size_t i = 0; i < notes.n_items; i++)
		snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s\n",
			 notes.items[i].text);
	return rc;
}

static void prepare(const struct sandbox *s)
{
	sandbox_write(s, "/build/postern", PROGRAM_TEXT);
	sandbox_make_folder(s, FOLDER);
}

static void assert_hook(const struct sandbox *s, const struct user_hook *hook)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct stat st;

	assert_int_equal(user_hook_render(hook, &text, NULL), 0);
	sandbox_assert_text(s, HOOK, buf_text(&text));
	assert_int_equal(lstat(sandbox_path(s, HOOK), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
}

static void assert_program(const struct sandbox *s, const char *text)
{
	struct stat st;

	sandbox_assert_text(s, PROGRAM, text);
	assert_int_equal(lstat(sandbox_path(s, PROGRAM), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
}

static void assert_link(const struct sandbox *s, const char *inside, const char *target)
{
	char found[128];
	ssize_t n = readlink(sandbox_path(s, inside), found, sizeof(found));

	assert_true(n > 0);
	unit_assert_span(span_make(found, (size_t)n), span_from(target));
}

static void an_empty_folder_gets_both(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	assert_int_equal(install(s, &usual), 1);
	assert_program(s, PROGRAM_TEXT);
	assert_hook(s, &usual);
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
	assert_string_equal(said, PROGRAM ": written\n" HOOK ": written\n");
}

static void the_program_that_runs_is_what_is_copied(void **state)
{
	const struct sandbox *s = *state;
	const struct installer_job job = {
		.root = &s->root, .folder = FOLDER, .program = INSTALLER_SELF
	};
	cleanup_buf struct buf ours = BUF_INIT, copied = BUF_INIT;

	prepare(s);
	sandbox_copy_program(s, "/itself");
	assert_int_equal(installer_run(&job, NULL, NULL), 1);
	sandbox_read(s, "/itself", &ours);
	sandbox_read(s, PROGRAM, &copied);
	assert_true(span_equal(buf_span(&ours), buf_span(&copied)));
}

struct moment {
	struct stat folder, program, hook;
};

static struct moment moment_of(const struct sandbox *s)
{
	struct moment m;

	assert_int_equal(stat(sandbox_path(s, FOLDER), &m.folder), 0);
	assert_int_equal(stat(sandbox_path(s, PROGRAM), &m.program), 0);
	assert_int_equal(stat(sandbox_path(s, HOOK), &m.hook), 0);
	return m;
}

static void a_second_run_writes_nothing(void **state)
{
	const struct sandbox *s = *state;
	struct moment before, after;

	prepare(s);
	assert_int_equal(install(s, &usual), 1);
	before = moment_of(s);
	assert_int_equal(install(s, &usual), 0);
	assert_string_equal(said, "");
	after = moment_of(s);
	assert_int_equal(before.program.st_ino, after.program.st_ino);
	assert_int_equal(before.hook.st_ino, after.hook.st_ino);
	assert_memory_equal(&before.folder.st_mtim, &after.folder.st_mtim,
			    sizeof(before.folder.st_mtim));
}

static void what_is_there_already_needs_no_writable_file_system(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	assert_int_equal(mount("tmpfs", sandbox_path(s, FOLDER), "tmpfs", 0, "mode=0755"), 0);
	assert_int_equal(install(s, &usual), 1);
	assert_int_equal(mount(NULL, sandbox_path(s, FOLDER), NULL, MS_REMOUNT | MS_RDONLY, NULL),
			 0);
	assert_int_equal(install(s, &usual), 0);
}

static void another_version_replaces_program_and_hook(void **state)
{
	const struct sandbox *s = *state;
	static const struct user_hook other = { .folder = FOLDER, .config = "/c" };

	prepare(s);
	assert_int_equal(install(s, &usual), 1);
	sandbox_write(s, "/build/postern", "another\n");
	assert_int_equal(install(s, &other), 1);
	assert_program(s, "another\n");
	assert_hook(s, &other);
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
	/* the same bytes, but nobody may execute them */
	assert_int_equal(chmod(sandbox_path(s, PROGRAM), 0644), 0);
	assert_int_equal(chmod(sandbox_path(s, HOOK), 0600), 0);
	assert_int_equal(install(s, &other), 1);
	assert_program(s, "another\n");
	assert_hook(s, &other);
}

static void links_are_replaced_themselves(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	sandbox_write(s, "/elsewhere", PROGRAM_TEXT);
	sandbox_link(s, "../elsewhere", PROGRAM);
	assert_int_equal(install(s, &usual), 1);
	assert_program(s, PROGRAM_TEXT);
	sandbox_assert_text(s, "/elsewhere", PROGRAM_TEXT);
}

static void leftovers_of_a_killed_run_go(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	sandbox_write(s, FOLDER "/.postern-new.0123456789abcdef", "half");
	sandbox_write(s, FOLDER "/other", "");
	assert_int_equal(install(s, &usual), 1);
	sandbox_assert_names(s, FOLDER, "other postern user-patches.sh");
	sandbox_write(s, FOLDER "/.postern-new.0123456789abcdef", "half");
	assert_int_equal(install(s, &usual), 0);
	sandbox_assert_names(s, FOLDER, "other postern user-patches.sh");
}

/* ---- the user's own script ---- */

static void an_own_script_is_kept_and_said(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	sandbox_write(s, HOOK, "echo one\n");
	assert_int_equal(chmod(sandbox_path(s, HOOK), 0640), 0);
	assert_int_equal(install(s, &usual), 1);
	assert_hook(s, &usual);
	sandbox_assert_text(s, OWN, "echo one\n");
	unit_assert_contains(span_from(said), HOOK ": a script of yours: kept as user-patches.own.sh");
	sandbox_assert_names(s, FOLDER, "postern user-patches.own.sh user-patches.sh");
	assert_int_equal(install(s, &usual), 0);
	/* the same again: no other copy */
	sandbox_write(s, HOOK, "echo one\n");
	assert_int_equal(install(s, &usual), 1);
	assert_hook(s, &usual);
	sandbox_assert_names(s, FOLDER, "postern user-patches.own.sh user-patches.sh");
}

static void the_newest_own_script_runs_and_none_is_lost(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	for (int n = 1; n <= 3; n++) {
		char text[32];

		snprintf(text, sizeof(text), "echo %d\n", n);
		sandbox_write(s, HOOK, text);
		assert_int_equal(install(s, &usual), 1);
		assert_hook(s, &usual);
		sandbox_assert_text(s, OWN, text);
	}
	sandbox_assert_text(s, OWN ".1", "echo 1\n");
	sandbox_assert_text(s, OWN ".2", "echo 2\n");
	unit_assert_contains(span_from(said), "kept as user-patches.own.sh.2, not run");
	/* one of the older ones again: the last is kept, too */
	sandbox_write(s, HOOK, "echo 1\n");
	assert_int_equal(install(s, &usual), 1);
	sandbox_assert_text(s, OWN, "echo 1\n");
	sandbox_assert_text(s, OWN ".3", "echo 3\n");
	/* what is among them already is not kept twice */
	sandbox_write(s, HOOK, "echo 4\n");
	assert_int_equal(install(s, &usual), 1);
	sandbox_assert_names(s, FOLDER,
			     "postern user-patches.own.sh user-patches.own.sh.1 "
			     "user-patches.own.sh.2 user-patches.own.sh.3 user-patches.sh");
}

static void the_older_scripts_have_a_limit_at_which_nothing_is_touched(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	for (int n = 1; n <= OWN_SCRIPT_OLDER_MAX; n++) {
		char name[64], text[32];

		snprintf(name, sizeof(name), OWN ".%d", n);
		snprintf(text, sizeof(text), "echo %d\n", n);
		sandbox_write(s, name, text);
	}
	sandbox_write(s, OWN, "echo old\n");
	sandbox_write(s, HOOK, "echo new\n");
	assert_int_equal(install(s, &usual), -EMLINK);
	unit_assert_contains(span_from(err.msg), FOLDER);
	sandbox_assert_text(s, OWN, "echo old\n");
	sandbox_assert_text(s, HOOK, "echo new\n");
	assert_false(sandbox_has(s, PROGRAM));
}

static void an_own_link_is_kept_as_the_link_that_it_is(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	sandbox_write(s, "/config/mine.sh", "echo mine\n");
	sandbox_link(s, "../config/mine.sh", HOOK);
	assert_int_equal(install(s, &usual), 1);
	assert_hook(s, &usual);
	assert_link(s, OWN, "../config/mine.sh");
	sandbox_assert_text(s, "/config/mine.sh", "echo mine\n");
	/* the same link; then one that leads to what is kept; then one that leads nowhere */
	assert_int_equal(unlink(sandbox_path(s, HOOK)), 0);
	sandbox_link(s, "../config/mine.sh", HOOK);
	assert_int_equal(install(s, &usual), 1);
	sandbox_assert_names(s, FOLDER, "postern user-patches.own.sh user-patches.sh");
	assert_int_equal(unlink(sandbox_path(s, HOOK)), 0);
	sandbox_link(s, "/nowhere", HOOK);
	assert_int_equal(install(s, &usual), 1);
	assert_link(s, OWN, "/nowhere");
	assert_link(s, OWN ".1", "../config/mine.sh");
}

static void a_link_to_the_kept_script_is_no_other_script(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	sandbox_write(s, OWN, "echo mine\n");
	sandbox_link(s, "user-patches.own.sh", HOOK);
	assert_int_equal(install(s, &usual), 1);
	assert_hook(s, &usual);
	sandbox_assert_text(s, OWN, "echo mine\n");
	sandbox_assert_names(s, FOLDER, "postern user-patches.own.sh user-patches.sh");
}

static void a_script_that_the_kept_link_leads_to_is_not_lost(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	sandbox_link(s, "user-patches.sh", OWN);
	sandbox_write(s, HOOK, "echo mine\n");
	assert_int_equal(install(s, &usual), 1);
	assert_hook(s, &usual);
	sandbox_assert_text(s, OWN, "echo mine\n");
}

static void without_a_hook_the_own_script_is_back(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	sandbox_write(s, HOOK, "echo mine\n");
	assert_int_equal(install(s, &usual), 1);
	assert_int_equal(install(s, NULL), 1);
	assert_string_equal(said, HOOK ": your own script again\n");
	sandbox_assert_text(s, HOOK, "echo mine\n");
	assert_program(s, PROGRAM_TEXT);
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
	assert_int_equal(install(s, NULL), 0);
	assert_string_equal(said, "");
	sandbox_assert_text(s, HOOK, "echo mine\n");
}

static void without_a_hook_ours_goes_and_the_program_is_put(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	assert_int_equal(install(s, NULL), 1);
	sandbox_assert_names(s, FOLDER, "postern");
	assert_int_equal(install(s, &usual), 1);
	sandbox_write(s, "/build/postern", "another\n");
	assert_int_equal(install(s, NULL), 1);
	assert_string_equal(said, PROGRAM ": written\n" HOOK ": the hook is removed\n");
	assert_program(s, "another\n");
	sandbox_assert_names(s, FOLDER, "postern");
	assert_int_equal(install(s, NULL), 0);
}

/* ---- what is refused ---- */

static void what_is_no_folder_is_refused(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/build/postern", PROGRAM_TEXT);
	assert_int_equal(install(s, &usual), -ENOENT);
	unit_assert_contains(span_from(err.msg), FOLDER ": No such file");
	sandbox_write(s, FOLDER, "");
	assert_int_equal(install(s, &usual), -ENOTDIR);
	unit_assert_contains(span_from(err.msg), FOLDER ": Not a directory");
}

static void folders_under_our_names_are_refused_before_anything_is_done(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	sandbox_make_folder(s, PROGRAM);
	sandbox_write(s, HOOK, "echo mine\n");
	assert_int_equal(install(s, &usual), -EISDIR);
	unit_assert_contains(span_from(err.msg), PROGRAM " is a folder");
	sandbox_assert_text(s, HOOK, "echo mine\n");
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
	assert_int_equal(rmdir(sandbox_path(s, PROGRAM)), 0);
	assert_int_equal(unlink(sandbox_path(s, HOOK)), 0);
	sandbox_make_folder(s, HOOK);
	assert_int_equal(install(s, &usual), -EISDIR);
	unit_assert_contains(span_from(err.msg), HOOK " is a folder");
	sandbox_assert_names(s, FOLDER, "user-patches.sh");
	assert_int_equal(rmdir(sandbox_path(s, HOOK)), 0);
	assert_int_equal(mkfifo(sandbox_path(s, HOOK), 0600), 0);
	assert_int_equal(install(s, &usual), -EINVAL);
	sandbox_assert_names(s, FOLDER, "user-patches.sh");
}

static void a_program_that_cannot_be_read_is_said(void **state)
{
	const struct sandbox *s = *state;
	const struct installer_job job = {
		.root = &s->root, .folder = FOLDER, .program = "/nowhere/exe", .hook = &usual
	};

	prepare(s);
	assert_int_equal(installer_run(&job, NULL, &err), -ENOENT);
	unit_assert_contains(span_from(err.msg), "read this program");
	unit_assert_contains(span_from(err.msg), "/nowhere/exe");
	sandbox_assert_names(s, FOLDER, "");
}

static void a_read_only_file_system_is_said(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	assert_int_equal(mount("tmpfs", sandbox_path(s, FOLDER), "tmpfs", MS_RDONLY, ""), 0);
	assert_int_equal(install(s, &usual), -EROFS);
	unit_assert_contains(span_from(err.msg), PROGRAM ": Read-only file system");
	assert_string_equal(said, "");
}

/* Room for `kb`, less what is in it already. */
static void make_tight(const struct sandbox *s, unsigned kb)
{
	char options[64];

	snprintf(options, sizeof(options), "size=%uk,mode=0755", kb);
	assert_int_equal(mount("tmpfs", sandbox_path(s, FOLDER), "tmpfs", 0, options), 0);
}

static void a_full_disk_leaves_everything_as_it_was(void **state)
{
	const struct sandbox *s = *state;
	static const struct user_hook other = { .folder = FOLDER, .config = "/c" };
	cleanup_buf struct buf large = BUF_INIT;

	prepare(s);
	make_tight(s, 64);
	assert_int_equal(install(s, &usual), 1);
	for (int i = 0; i < 10000; i++)
		buf_add_text(&large, "no room for this\n");
	sandbox_write(s, "/build/postern", buf_text(&large));
	sandbox_write(s, HOOK, "echo mine\n");
	assert_int_equal(install(s, &other), -ENOSPC);
	unit_assert_contains(span_from(err.msg), PROGRAM ": No space left on device");
	assert_program(s, PROGRAM_TEXT);
	sandbox_assert_text(s, HOOK, "echo mine\n");
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
}

static void a_disk_with_room_for_the_program_only_keeps_the_old_one(void **state)
{
	const struct sandbox *s = *state;
	static const struct user_hook other = { .folder = FOLDER, .config = "/c" };
	long page = sysconf(_SC_PAGESIZE);

	prepare(s);
	/* both, and one more */
	make_tight(s, (unsigned)(3 * page / 1024));
	assert_int_equal(install(s, &usual), 1);
	sandbox_write(s, "/build/postern", "another\n");
	assert_int_equal(install(s, &other), -ENOSPC);
	unit_assert_contains(span_from(err.msg), HOOK ": No space left on device");
	assert_program(s, PROGRAM_TEXT);
	assert_hook(s, &usual);
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
}

static void a_hook_that_is_a_mount_is_refused_with_the_reason(void **state)
{
	const struct sandbox *s = *state;

	prepare(s);
	sandbox_write(s, "/config/mine.sh", "echo mine\n");
	sandbox_write(s, HOOK, "");
	sandbox_bind(s, "/config/mine.sh", HOOK);
	assert_int_equal(install(s, &usual), -EBUSY);
	unit_assert_contains(span_from(err.msg), HOOK ": it is a mount of its own");
	sandbox_assert_text(s, HOOK, "echo mine\n");
	sandbox_assert_names(s, FOLDER, "user-patches.sh");
}

/* ---- without root's privileges ---- */

enum { SOMEBODY = 12345 };

static void become_somebody(void)
{
	assert_int_equal(setgroups(0, NULL), 0);
	assert_int_equal(setgid(SOMEBODY), 0);
	assert_int_equal(setuid(SOMEBODY), 0);
}

static void install_as_somebody(void *ctx)
{
	const struct sandbox *s = ctx;

	become_somebody();
	_exit(install(s, &usual) == 1 && install(s, &usual) == 0 ? 0 : 1);
}

static void fail_as_somebody(void *ctx)
{
	const struct sandbox *s = ctx;

	become_somebody();
	_exit(install(s, &usual) == -EACCES && strstr(err.msg, PROGRAM ": Permission denied") ? 0
											      : 1);
}

static void any_user_can_install_into_a_folder_that_all_may_write(void **state)
{
	struct sandbox *s = *state;
	struct stat st;

	prepare(s);
	assert_int_equal(chmod(sandbox_path(s, "/build"), 0755), 0);
	assert_int_equal(chmod(sandbox_path(s, "/build/postern"), 0755), 0);
	assert_int_equal(chmod(sandbox_path(s, FOLDER), 0755), 0);
	assert_int_equal(sandbox_in_child(fail_as_somebody, s), 0);
	sandbox_assert_names(s, FOLDER, "");
	assert_int_equal(chmod(sandbox_path(s, FOLDER), 0777), 0);
	/* root's, as a setup by hand leaves it */
	sandbox_write(s, HOOK, "echo mine\n");
	assert_int_equal(chmod(sandbox_path(s, HOOK), 0644), 0);
	assert_int_equal(sandbox_in_child(install_as_somebody, s), 0);
	assert_program(s, PROGRAM_TEXT);
	assert_hook(s, &usual);
	sandbox_assert_text(s, OWN, "echo mine\n");
	assert_int_equal(stat(sandbox_path(s, PROGRAM), &st), 0);
	assert_int_equal(st.st_uid, SOMEBODY);
}

/* ---- two at once ---- */

static void hold_the_lock(void *ctx)
{
	const struct sandbox *s = ctx;
	int fd = open(sandbox_path(s, FOLDER), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		_exit(1);
	sandbox_ready();
	sandbox_linger(NULL);
}

static void one_that_is_at_work_is_waited_for(void **state)
{
	struct sandbox *s = *state;
	pid_t other;

	prepare(s);
	other = sandbox_spawn_ready(hold_the_lock, s);
	assert_int_equal(install(s, &usual), -ETIMEDOUT);
	unit_assert_contains(span_from(err.msg), FOLDER);
	sandbox_assert_names(s, FOLDER, "");
	sandbox_end(other);
	assert_int_equal(install(s, &usual), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_folder_gets_both),
		TEST(the_program_that_runs_is_what_is_copied),
		TEST(a_second_run_writes_nothing),
		TEST(what_is_there_already_needs_no_writable_file_system),
		TEST(another_version_replaces_program_and_hook),
		TEST(links_are_replaced_themselves),
		TEST(leftovers_of_a_killed_run_go),
		TEST(an_own_script_is_kept_and_said),
		TEST(the_newest_own_script_runs_and_none_is_lost),
		TEST(the_older_scripts_have_a_limit_at_which_nothing_is_touched),
		TEST(an_own_link_is_kept_as_the_link_that_it_is),
		TEST(a_link_to_the_kept_script_is_no_other_script),
		TEST(a_script_that_the_kept_link_leads_to_is_not_lost),
		TEST(without_a_hook_the_own_script_is_back),
		TEST(without_a_hook_ours_goes_and_the_program_is_put),
		TEST(what_is_no_folder_is_refused),
		TEST(folders_under_our_names_are_refused_before_anything_is_done),
		TEST(a_program_that_cannot_be_read_is_said),
		TEST(a_read_only_file_system_is_said),
		TEST(a_full_disk_leaves_everything_as_it_was),
		TEST(a_disk_with_room_for_the_program_only_keeps_the_old_one),
		TEST(a_hook_that_is_a_mount_is_refused_with_the_reason),
		TEST(any_user_can_install_into_a_folder_that_all_may_write),
		TEST(one_that_is_at_work_is_waited_for),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
