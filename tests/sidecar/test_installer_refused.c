/* SPDX-License-Identifier: MIT */
/* installer - what it cannot do: said, and everything as it was. */
#include "installing.h"

#include "sidecar/installer.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

static void what_is_no_folder_is_refused(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/build/postern", PROGRAM_TEXT);
	assert_int_equal(installing_run(s, &installing_usual), -ENOENT);
	unit_assert_contains(span_from(installing_err.msg), FOLDER ": No such file");
	sandbox_write(s, FOLDER, "");
	assert_int_equal(installing_run(s, &installing_usual), -ENOTDIR);
	unit_assert_contains(span_from(installing_err.msg), FOLDER ": Not a directory");
}

static void folders_under_our_names_are_refused_before_anything_is_done(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	sandbox_make_folder(s, PROGRAM);
	sandbox_write(s, HOOK, "echo mine\n");
	assert_int_equal(installing_run(s, &installing_usual), -EISDIR);
	unit_assert_contains(span_from(installing_err.msg), PROGRAM " is a folder");
	sandbox_assert_text(s, HOOK, "echo mine\n");
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
	assert_int_equal(rmdir(sandbox_path(s, PROGRAM)), 0);
	assert_int_equal(unlink(sandbox_path(s, HOOK)), 0);
	sandbox_make_folder(s, HOOK);
	assert_int_equal(installing_run(s, &installing_usual), -EISDIR);
	unit_assert_contains(span_from(installing_err.msg), HOOK " is a folder");
	sandbox_assert_names(s, FOLDER, "user-patches.sh");
	assert_int_equal(rmdir(sandbox_path(s, HOOK)), 0);
	assert_int_equal(mkfifo(sandbox_path(s, HOOK), 0600), 0);
	assert_int_equal(installing_run(s, &installing_usual), -EINVAL);
	sandbox_assert_names(s, FOLDER, "user-patches.sh");
}

static void a_program_that_cannot_be_read_is_said(void **state)
{
	const struct sandbox *s = *state;
	const struct installer_job job = { .root = &s->root,
					   .folder = FOLDER,
					   .program = "/nowhere/exe",
					   .hook = &installing_usual };

	installing_prepare(s);
	assert_int_equal(installer_run(&job, NULL, &installing_err), -ENOENT);
	unit_assert_contains(span_from(installing_err.msg), "read this program");
	unit_assert_contains(span_from(installing_err.msg), "/nowhere/exe");
	sandbox_assert_names(s, FOLDER, "");
}

static void a_read_only_file_system_is_said(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	assert_int_equal(mount("tmpfs", sandbox_path(s, FOLDER), "tmpfs", MS_RDONLY, ""), 0);
	assert_int_equal(installing_run(s, &installing_usual), -EROFS);
	unit_assert_contains(span_from(installing_err.msg), PROGRAM ": Read-only file system");
	assert_string_equal(installing_said, "");
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

	installing_prepare(s);
	make_tight(s, 64);
	assert_int_equal(installing_run(s, &installing_usual), 1);
	for (int i = 0; i < 10000; i++)
		buf_add_text(&large, "no room for this\n");
	sandbox_write(s, "/build/postern", buf_text(&large));
	sandbox_write(s, HOOK, "echo mine\n");
	assert_int_equal(installing_run(s, &other), -ENOSPC);
	unit_assert_contains(span_from(installing_err.msg), PROGRAM ": No space left on device");
	installing_assert_program(s, PROGRAM_TEXT);
	sandbox_assert_text(s, HOOK, "echo mine\n");
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
}

static void a_disk_with_room_for_the_program_only_keeps_the_old_one(void **state)
{
	const struct sandbox *s = *state;
	static const struct user_hook other = { .folder = FOLDER, .config = "/c" };
	long page = sysconf(_SC_PAGESIZE);

	installing_prepare(s);
	/* both, and one more */
	make_tight(s, (unsigned)(3 * page / 1024));
	assert_int_equal(installing_run(s, &installing_usual), 1);
	sandbox_write(s, "/build/postern", "another\n");
	assert_int_equal(installing_run(s, &other), -ENOSPC);
	unit_assert_contains(span_from(installing_err.msg), HOOK ": No space left on device");
	installing_assert_program(s, PROGRAM_TEXT);
	installing_assert_hook(s, &installing_usual);
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
}

static void a_hook_that_is_a_mount_is_refused_with_the_reason(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	sandbox_write(s, "/config/mine.sh", "echo mine\n");
	sandbox_write(s, HOOK, "");
	sandbox_bind(s, "/config/mine.sh", HOOK);
	assert_int_equal(installing_run(s, &installing_usual), -EBUSY);
	unit_assert_contains(span_from(installing_err.msg), HOOK ": it is a mount of its own");
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
	_exit(installing_run(s, &installing_usual) == 1 && installing_run(s, &installing_usual) == 0
		      ? 0
		      : 1);
}

static void fail_as_somebody(void *ctx)
{
	const struct sandbox *s = ctx;

	become_somebody();
	_exit(installing_run(s, &installing_usual) == -EACCES &&
			      strstr(installing_err.msg, PROGRAM ": Permission denied")
		      ? 0
		      : 1);
}

static void any_user_can_install_into_a_folder_that_all_may_write(void **state)
{
	struct sandbox *s = *state;
	struct stat st;

	installing_prepare(s);
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
	installing_assert_program(s, PROGRAM_TEXT);
	installing_assert_hook(s, &installing_usual);
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

	installing_prepare(s);
	other = sandbox_spawn_ready(hold_the_lock, s);
	assert_int_equal(installing_run(s, &installing_usual), -ETIMEDOUT);
	unit_assert_contains(span_from(installing_err.msg), FOLDER);
	sandbox_assert_names(s, FOLDER, "");
	sandbox_end(other);
	assert_int_equal(installing_run(s, &installing_usual), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
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
