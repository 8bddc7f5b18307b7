/* SPDX-License-Identifier: MIT */
/* rootfs - where a file is or would be made inside a root, and folders there. */
#include "sandbox.h"

#include <stdio.h>
#include <sys/stat.h>

/* ---- locate ---- */

static void assert_located(const struct sandbox *s, const char *path, bool follow,
			   const char *folder, const char *name)
{
	CLEANUP(rootfs_place_release) struct rootfs_place place = ROOTFS_PLACE_INIT;
	struct stat ours, theirs;
	struct error err = { 0 };

	if (rootfs_locate(&s->root, path, follow, &place, &err) < 0)
		fail_msg("%s: %s", path, err.msg);
	assert_string_equal(place.name, name);
	assert_ptr_equal(place.name, strrchr(place.path, '/') + 1);
	assert_int_equal(fstat(place.dir_fd, &ours), 0);
	assert_int_equal(stat(sandbox_path(s, folder), &theirs), 0);
	assert_int_equal(ours.st_ino, theirs.st_ino);
	assert_int_equal(ours.st_dev, theirs.st_dev);
}

static void a_place_is_the_folder_and_the_last_name(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/etc/postfix/master.cf", "");
	assert_located(s, "/etc/postfix/master.cf", true, "/etc/postfix", "master.cf");
	assert_located(s, "/etc/postfix/not-yet", true, "/etc/postfix", "not-yet");
	assert_located(s, "/top", true, "/", "top");
	sandbox_link(s, "/etc/postfix", "/link");
	assert_located(s, "/link/master.cf", true, "/etc/postfix", "master.cf");
}

static void a_link_is_followed_only_when_asked(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/srv/mail/real", "");
	sandbox_link(s, "../srv/mail/real", "/etc/link");
	sandbox_link(s, "link", "/etc/link2");
	sandbox_link(s, "/../../srv/mail/not-yet", "/etc/dangling");
	assert_located(s, "/etc/link2", true, "/srv/mail", "real");
	assert_located(s, "/etc/link2", false, "/etc", "link2");
	assert_located(s, "/etc/dangling", true, "/srv/mail", "not-yet");
}

/* A relative target counts from where the folder really is. */
static void a_link_in_a_linked_folder_counts_from_the_real_folder(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/deep/er/file", "");
	sandbox_link(s, "../file", "/deep/er/conf/link");
	sandbox_link(s, "/deep/er/conf", "/etc");
	assert_located(s, "/etc/link", true, "/deep/er", "file");
}

static void forty_links_are_followed_and_no_more(void **state)
{
	const struct sandbox *s = *state;
	struct rootfs_place place = ROOTFS_PLACE_INIT;
	char target[16], name[16];

	sandbox_write(s, "/0", "");
	for (int i = 1; i <= 41; i++) {
		snprintf(target, sizeof(target), "%d", i - 1);
		snprintf(name, sizeof(name), "/%d", i);
		sandbox_link(s, target, name);
	}
	assert_located(s, "/40", true, "/", "0");
	assert_int_equal(rootfs_locate(&s->root, "/41", true, &place, NULL), -ELOOP);
}

static void what_names_no_file_has_no_place(void **state)
{
	const struct sandbox *s = *state;
	struct rootfs_place place = ROOTFS_PLACE_INIT;
	struct error err;

	sandbox_make_folder(s, "/etc");
	assert_int_equal(rootfs_locate(&s->root, "/etc/", true, &place, &err), -EINVAL);
	assert_int_equal(rootfs_locate(&s->root, "/", true, &place, &err), -EINVAL);
	assert_int_equal(rootfs_locate(&s->root, "file", true, &place, &err), -EINVAL);
	assert_int_equal(rootfs_locate(&s->root, "", true, &place, &err), -EINVAL);
	assert_int_equal(rootfs_locate(&s->root, "/none/file", true, &place, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/none"));
	assert_int_equal(place.dir_fd, -1);
}

/* ".." of the root is the root to openat2(2), but not to the calls that follow a place. */
static void a_place_is_never_a_dot_or_two(void **state)
{
	const struct sandbox *s = *state;
	struct rootfs_place place = ROOTFS_PLACE_INIT;

	sandbox_link(s, "/..", "/out");
	sandbox_link(s, "..", "/etc/out");
	sandbox_link(s, ".", "/etc/here");
	assert_int_equal(rootfs_locate(&s->root, "/out", true, &place, NULL), -EINVAL);
	assert_int_equal(rootfs_locate(&s->root, "/etc/out", true, &place, NULL), -EINVAL);
	assert_int_equal(rootfs_locate(&s->root, "/etc/here", true, &place, NULL), -EINVAL);
	assert_int_equal(rootfs_locate(&s->root, "/..", false, &place, NULL), -EINVAL);
}

/* ---- folders ---- */

static void a_folder_is_made_once(void **state)
{
	const struct sandbox *s = *state;
	struct error err;

	assert_int_equal(rootfs_make_directory(&s->root, "/run", 0755, NULL), 1);
	assert_int_equal(rootfs_make_directory(&s->root, "/run", 0755, NULL), 0);
	assert_int_equal(rootfs_make_directory(&s->root, "/run/a/b", 0755, &err), -ENOENT);
	sandbox_link(s, "/run/postern", "/link");
	assert_int_equal(rootfs_make_directory(&s->root, "/link", 0700, NULL), 1);
	sandbox_assert_names(s, "/run", "postern");
}

static void an_empty_folder_is_removed(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/run/postern/file", "");
	assert_int_equal(rootfs_remove_directory(&s->root, "/run/postern", NULL), 0);
	assert_true(sandbox_has(s, "/run/postern"));
	assert_int_equal(unlink(sandbox_path(s, "/run/postern/file")), 0);
	assert_int_equal(rootfs_remove_directory(&s->root, "/run/postern", NULL), 1);
	assert_int_equal(rootfs_remove_directory(&s->root, "/run/postern", NULL), 0);
	assert_int_equal(rootfs_remove_directory(&s->root, "/none/postern", NULL), 0);
	sandbox_write(s, "/file", "");
	assert_int_equal(rootfs_remove_directory(&s->root, "/file", NULL), -ENOTDIR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_place_is_the_folder_and_the_last_name),
		TEST(a_link_is_followed_only_when_asked),
		TEST(a_link_in_a_linked_folder_counts_from_the_real_folder),
		TEST(forty_links_are_followed_and_no_more),
		TEST(what_names_no_file_has_no_place),
		TEST(a_place_is_never_a_dot_or_two),
		TEST(a_folder_is_made_once),
		TEST(an_empty_folder_is_removed),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
