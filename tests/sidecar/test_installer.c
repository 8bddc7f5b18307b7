/* SPDX-License-Identifier: MIT */
/* installer - program, hook and the user's own script in a shared folder. */
#include "installing.h"

#include "sidecar/installer.h"
#include "sidecar/own_script.h"

#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

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

	installing_prepare(s);
	assert_int_equal(installing_run(s, &installing_usual), 1);
	installing_assert_program(s, PROGRAM_TEXT);
	installing_assert_hook(s, &installing_usual);
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
	assert_string_equal(installing_said, PROGRAM ": written\n" HOOK ": written\n");
}

static void the_program_that_runs_is_what_is_copied(void **state)
{
	const struct sandbox *s = *state;
	const struct installer_job job = { .root = &s->root,
					   .folder = FOLDER,
					   .program = INSTALLER_SELF };
	cleanup_buf struct buf ours = BUF_INIT, copied = BUF_INIT;

	installing_prepare(s);
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

	installing_prepare(s);
	assert_int_equal(installing_run(s, &installing_usual), 1);
	before = moment_of(s);
	assert_int_equal(installing_run(s, &installing_usual), 0);
	assert_string_equal(installing_said, "");
	after = moment_of(s);
	assert_int_equal(before.program.st_ino, after.program.st_ino);
	assert_int_equal(before.hook.st_ino, after.hook.st_ino);
	assert_memory_equal(&before.folder.st_mtim, &after.folder.st_mtim,
			    sizeof(before.folder.st_mtim));
}

static void what_is_there_already_needs_no_writable_file_system(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	assert_int_equal(mount("tmpfs", sandbox_path(s, FOLDER), "tmpfs", 0, "mode=0755"), 0);
	assert_int_equal(installing_run(s, &installing_usual), 1);
	assert_int_equal(mount("none", sandbox_path(s, FOLDER), "none", MS_REMOUNT | MS_RDONLY, NULL),
			 0);
	assert_int_equal(installing_run(s, &installing_usual), 0);
}

static void another_version_replaces_program_and_hook(void **state)
{
	const struct sandbox *s = *state;
	static const struct user_hook other = { .folder = FOLDER, .config = "/c" };

	installing_prepare(s);
	assert_int_equal(installing_run(s, &installing_usual), 1);
	sandbox_write(s, "/build/postern", "another\n");
	assert_int_equal(installing_run(s, &other), 1);
	installing_assert_program(s, "another\n");
	installing_assert_hook(s, &other);
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
	/* the same bytes, but nobody may execute them */
	assert_int_equal(chmod(sandbox_path(s, PROGRAM), 0644), 0);
	assert_int_equal(chmod(sandbox_path(s, HOOK), 0600), 0);
	assert_int_equal(installing_run(s, &other), 1);
	installing_assert_program(s, "another\n");
	installing_assert_hook(s, &other);
}

static void links_are_replaced_themselves(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	sandbox_write(s, "/elsewhere", PROGRAM_TEXT);
	sandbox_link(s, "../elsewhere", PROGRAM);
	assert_int_equal(installing_run(s, &installing_usual), 1);
	installing_assert_program(s, PROGRAM_TEXT);
	sandbox_assert_text(s, "/elsewhere", PROGRAM_TEXT);
}

static void leftovers_of_a_killed_run_go(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	sandbox_write(s, FOLDER "/.postern-new.0123456789abcdef", "half");
	sandbox_write(s, FOLDER "/other", "");
	assert_int_equal(installing_run(s, &installing_usual), 1);
	sandbox_assert_names(s, FOLDER, "other postern user-patches.sh");
	sandbox_write(s, FOLDER "/.postern-new.0123456789abcdef", "half");
	assert_int_equal(installing_run(s, &installing_usual), 0);
	sandbox_assert_names(s, FOLDER, "other postern user-patches.sh");
}

/* ---- the user's own script ---- */

static void an_own_script_is_kept_and_said(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	sandbox_write(s, HOOK, "echo one\n");
	assert_int_equal(chmod(sandbox_path(s, HOOK), 0640), 0);
	assert_int_equal(installing_run(s, &installing_usual), 1);
	installing_assert_hook(s, &installing_usual);
	sandbox_assert_text(s, OWN, "echo one\n");
	unit_assert_contains(span_from(installing_said),
			     HOOK ": a script of yours: kept as user-patches.own.sh");
	sandbox_assert_names(s, FOLDER, "postern user-patches.own.sh user-patches.sh");
	assert_int_equal(installing_run(s, &installing_usual), 0);
	/* the same again: no other copy */
	sandbox_write(s, HOOK, "echo one\n");
	assert_int_equal(installing_run(s, &installing_usual), 1);
	installing_assert_hook(s, &installing_usual);
	sandbox_assert_names(s, FOLDER, "postern user-patches.own.sh user-patches.sh");
}

static void the_newest_own_script_runs_and_none_is_lost(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	for (int n = 1; n <= 3; n++) {
		char text[32];

		snprintf(text, sizeof(text), "echo %d\n", n);
		sandbox_write(s, HOOK, text);
		assert_int_equal(installing_run(s, &installing_usual), 1);
		installing_assert_hook(s, &installing_usual);
		sandbox_assert_text(s, OWN, text);
	}
	sandbox_assert_text(s, OWN ".1", "echo 1\n");
	sandbox_assert_text(s, OWN ".2", "echo 2\n");
	unit_assert_contains(span_from(installing_said), "kept as user-patches.own.sh.2, not run");
	/* one of the older ones again: the last is kept, too */
	sandbox_write(s, HOOK, "echo 1\n");
	assert_int_equal(installing_run(s, &installing_usual), 1);
	sandbox_assert_text(s, OWN, "echo 1\n");
	sandbox_assert_text(s, OWN ".3", "echo 3\n");
	/* what is among them already is not kept twice */
	sandbox_write(s, HOOK, "echo 4\n");
	assert_int_equal(installing_run(s, &installing_usual), 1);
	sandbox_assert_names(s, FOLDER,
			     "postern user-patches.own.sh user-patches.own.sh.1 "
			     "user-patches.own.sh.2 user-patches.own.sh.3 user-patches.sh");
}

static void the_older_scripts_have_a_limit_at_which_nothing_is_touched(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	for (int n = 1; n <= OWN_SCRIPT_OLDER_MAX; n++) {
		char name[64], text[32];

		snprintf(name, sizeof(name), OWN ".%d", n);
		snprintf(text, sizeof(text), "echo %d\n", n);
		sandbox_write(s, name, text);
	}
	sandbox_write(s, OWN, "echo old\n");
	sandbox_write(s, HOOK, "echo new\n");
	assert_int_equal(installing_run(s, &installing_usual), -EMLINK);
	unit_assert_contains(span_from(installing_err.msg), FOLDER);
	sandbox_assert_text(s, OWN, "echo old\n");
	sandbox_assert_text(s, HOOK, "echo new\n");
	assert_false(sandbox_has(s, PROGRAM));
}

static void an_own_link_is_kept_as_the_link_that_it_is(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	sandbox_write(s, "/config/mine.sh", "echo mine\n");
	sandbox_link(s, "../config/mine.sh", HOOK);
	assert_int_equal(installing_run(s, &installing_usual), 1);
	installing_assert_hook(s, &installing_usual);
	assert_link(s, OWN, "../config/mine.sh");
	sandbox_assert_text(s, "/config/mine.sh", "echo mine\n");
	/* the same link; then one that leads to what is kept; then one that leads nowhere */
	assert_int_equal(unlink(sandbox_path(s, HOOK)), 0);
	sandbox_link(s, "../config/mine.sh", HOOK);
	assert_int_equal(installing_run(s, &installing_usual), 1);
	sandbox_assert_names(s, FOLDER, "postern user-patches.own.sh user-patches.sh");
	assert_int_equal(unlink(sandbox_path(s, HOOK)), 0);
	sandbox_link(s, "/nowhere", HOOK);
	assert_int_equal(installing_run(s, &installing_usual), 1);
	assert_link(s, OWN, "/nowhere");
	assert_link(s, OWN ".1", "../config/mine.sh");
}

static void a_link_to_the_kept_script_is_no_other_script(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	sandbox_write(s, OWN, "echo mine\n");
	sandbox_link(s, "user-patches.own.sh", HOOK);
	assert_int_equal(installing_run(s, &installing_usual), 1);
	installing_assert_hook(s, &installing_usual);
	sandbox_assert_text(s, OWN, "echo mine\n");
	sandbox_assert_names(s, FOLDER, "postern user-patches.own.sh user-patches.sh");
}

static void a_script_that_the_kept_link_leads_to_is_not_lost(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	sandbox_link(s, "user-patches.sh", OWN);
	sandbox_write(s, HOOK, "echo mine\n");
	assert_int_equal(installing_run(s, &installing_usual), 1);
	installing_assert_hook(s, &installing_usual);
	sandbox_assert_text(s, OWN, "echo mine\n");
}

static void without_a_hook_the_own_script_is_back(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	sandbox_write(s, HOOK, "echo mine\n");
	assert_int_equal(installing_run(s, &installing_usual), 1);
	assert_int_equal(installing_run(s, NULL), 1);
	assert_string_equal(installing_said, HOOK ": your own script again\n");
	sandbox_assert_text(s, HOOK, "echo mine\n");
	installing_assert_program(s, PROGRAM_TEXT);
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
	assert_int_equal(installing_run(s, NULL), 0);
	assert_string_equal(installing_said, "");
	sandbox_assert_text(s, HOOK, "echo mine\n");
}

static void without_a_hook_ours_goes_and_the_program_is_put(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	assert_int_equal(installing_run(s, NULL), 1);
	sandbox_assert_names(s, FOLDER, "postern");
	assert_int_equal(installing_run(s, &installing_usual), 1);
	sandbox_write(s, "/build/postern", "another\n");
	assert_int_equal(installing_run(s, NULL), 1);
	assert_string_equal(installing_said, PROGRAM ": written\n" HOOK ": the hook is removed\n");
	installing_assert_program(s, "another\n");
	sandbox_assert_names(s, FOLDER, "postern");
	assert_int_equal(installing_run(s, NULL), 0);
}

static void without_a_hook_a_folder_of_its_name_is_nobodys_business(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	sandbox_make_folder(s, HOOK);
	assert_int_equal(installing_run(s, NULL), 1);
	sandbox_assert_names(s, FOLDER, "postern user-patches.sh");
	assert_int_equal(installing_run(s, NULL), 0);
}

/* ---- memory ---- */

static int install_body(const void *ctx, struct buf *out, struct error *err)
{
	static const char *const made[] = { PROGRAM, OWN };
	const struct sandbox *s = ctx;
	const struct installer_job job = { .root = &s->root,
					   .folder = FOLDER,
					   .program = "/etc/passwd",
					   .hook = &installing_usual };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		unlink(sandbox_path(s, made[i]));
	sandbox_write(s, HOOK, "echo mine\n");
	rc = installer_run(&job, &notes, err);
	if (rc < 0) /* nothing was done */
		sandbox_assert_names(s, FOLDER, "user-patches.sh");
	else
		sandbox_assert_names(s, FOLDER, "postern user-patches.own.sh user-patches.sh");
	buf_add_format(out, "%d", rc);
	return rc < 0 ? rc : buf_check(out, err);
}

static void without_memory_nothing_is_done(void **state)
{
	const struct sandbox *s = *state;

	installing_prepare(s);
	unit_expect_text(install_body, s, "1");
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
		TEST(without_memory_nothing_is_done),
		TEST(without_a_hook_a_folder_of_its_name_is_nobodys_business),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
