/* SPDX-License-Identifier: MIT */
/* textfile - full, read-only and single-file mounts. */
#include "sandbox.h"

#include "sidecar/textfile.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define FOLDER "/etc/postfix"
#define FILE_PATH FOLDER "/master.cf"
#define SAVED_PATH FILE_PATH ".postern-saved"

static struct textfile_content holding(const char *text)
{
	return (struct textfile_content){ .exists = true, .text = span_from(text) };
}

static void mount_over(const struct sandbox *s, const char *inside, const char *options)
{
	assert_int_equal(mount("tmpfs", sandbox_path(s, inside), "tmpfs", 0, options), 0);
}

/* Fill the file system that a folder is on. */
static void fill(const struct sandbox *s, const char *inside)
{
	cleanup_fd int fd = open(sandbox_path(s, inside), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char bytes[4096] = { 1 };

	assert_true(fd >= 0);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		continue;
	assert_int_equal(errno, ENOSPC);
}

static void a_full_disk_leaves_the_old_file_and_nothing_else(void **state)
{
	const struct sandbox *s = *state;
	cleanup_buf struct buf large = BUF_INIT;
	enum textfile_how how;
	struct error err;

	for (int i = 0; i < 20000; i++)
		buf_add_format(&large, "line %d\n", i);
	sandbox_make_folder(s, FOLDER);
	mount_over(s, FOLDER, "size=128k,mode=0755");
	sandbox_write(s, FILE_PATH, "old\n");
	/* too little is free */
	assert_int_equal(textfile_swap(&s->root, FILE_PATH, holding("old\n"),
				       holding(buf_text(&large)), &how, &err),
			 -ENOSPC);
	assert_non_null(strstr(err.msg, FILE_PATH));
	sandbox_assert_text(s, FILE_PATH, "old\n");
	sandbox_assert_names(s, FOLDER, "master.cf");
	/* nothing is free */
	fill(s, FOLDER "/filler");
	assert_int_equal(
		textfile_swap(&s->root, FILE_PATH, holding("old\n"), holding("new\n"), &how, &err),
		-ENOSPC);
	sandbox_assert_text(s, FILE_PATH, "old\n");
	sandbox_assert_names(s, FOLDER, "filler master.cf");
}

static void a_disk_without_inodes_leaves_the_old_file(void **state)
{
	const struct sandbox *s = *state;
	enum textfile_how how;

	sandbox_make_folder(s, FOLDER);
	mount_over(s, FOLDER, "nr_inodes=2,mode=0755");
	sandbox_write(s, FILE_PATH, "old\n");
	assert_int_equal(
		textfile_swap(&s->root, FILE_PATH, holding("old\n"), holding("new\n"), &how, NULL),
		-ENOSPC);
	sandbox_assert_text(s, FILE_PATH, "old\n");
	sandbox_assert_names(s, FOLDER, "master.cf");
}

static void a_read_only_file_system_is_said(void **state)
{
	const struct sandbox *s = *state;
	enum textfile_how how;
	struct error err;

	sandbox_make_folder(s, FOLDER);
	mount_over(s, FOLDER, "mode=0755");
	sandbox_write(s, FILE_PATH, "old\n");
	assert_int_equal(mount("none", sandbox_path(s, FOLDER), "none", MS_REMOUNT | MS_RDONLY, NULL),
			 0);
	assert_int_equal(
		textfile_swap(&s->root, FILE_PATH, holding("old\n"), holding("new\n"), &how, &err),
		-EROFS);
	assert_non_null(strstr(err.msg, FILE_PATH));
	assert_int_equal(textfile_swap(&s->root, FILE_PATH, holding("old\n"),
				       (struct textfile_content){ .exists = false }, &how, &err),
			 -EROFS);
	assert_int_equal(textfile_recover(&s->root, FILE_PATH, &err), 0);
	sandbox_assert_text(s, FILE_PATH, "old\n");
}

/* ---- a file that is a mount of its own ---- */

static void mount_file(const struct sandbox *s, const char *inside, const char *text)
{
	sandbox_write(s, "/volume/file", text);
	sandbox_write(s, inside, "");
	sandbox_bind(s, "/volume/file", inside);
}

static void a_mounted_file_is_written_in_place(void **state)
{
	const struct sandbox *s = *state;
	enum textfile_how how = TEXTFILE_RENAMED;
	struct stat before, after;

	mount_file(s, FILE_PATH, "old and longer\n");
	assert_int_equal(chmod(sandbox_path(s, FILE_PATH), 0640), 0);
	assert_int_equal(chown(sandbox_path(s, FILE_PATH), 12, 34), 0);
	assert_int_equal(stat(sandbox_path(s, FILE_PATH), &before), 0);
	assert_int_equal(textfile_swap(&s->root, FILE_PATH, holding("old and longer\n"),
				       holding("new\n"), &how, NULL),
			 0);
	assert_int_equal(how, TEXTFILE_IN_PLACE);
	sandbox_assert_text(s, FILE_PATH, "new\n");
	sandbox_assert_text(s, "/volume/file", "new\n");
	assert_int_equal(stat(sandbox_path(s, FILE_PATH), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_mode, after.st_mode);
	assert_int_equal(before.st_uid, after.st_uid);
	assert_int_equal(before.st_gid, after.st_gid);
	sandbox_assert_names(s, FOLDER, "master.cf");
}

static void a_mounted_file_behind_a_link_is_written_in_place(void **state)
{
	const struct sandbox *s = *state;
	enum textfile_how how = TEXTFILE_RENAMED;

	mount_file(s, "/srv/mail/real.cf", "old\n");
	sandbox_link(s, "/srv/mail/real.cf", FILE_PATH);
	assert_int_equal(
		textfile_swap(&s->root, FILE_PATH, holding("old\n"), holding("new\n"), &how, NULL),
		0);
	assert_int_equal(how, TEXTFILE_IN_PLACE);
	sandbox_assert_text(s, "/volume/file", "new\n");
	sandbox_assert_names(s, "/srv/mail", "real.cf");
	sandbox_assert_names(s, FOLDER, "master.cf");
}

static void a_mounted_file_that_is_read_only_is_an_error(void **state)
{
	const struct sandbox *s = *state;
	enum textfile_how how;

	mount_file(s, FILE_PATH, "old\n");
	assert_int_equal(mount("none", sandbox_path(s, FILE_PATH), "none",
			       MS_REMOUNT | MS_BIND | MS_RDONLY, NULL),
			 0);
	assert_int_equal(
		textfile_swap(&s->root, FILE_PATH, holding("old\n"), holding("new\n"), &how, NULL),
		-EROFS);
	sandbox_assert_text(s, FILE_PATH, "old\n");
	sandbox_assert_names(s, FOLDER, "master.cf");
}

static void a_mounted_file_on_a_full_disk_keeps_its_text(void **state)
{
	const struct sandbox *s = *state;
	cleanup_buf struct buf large = BUF_INIT;
	enum textfile_how how;

	for (int i = 0; i < 20000; i++)
		buf_add_format(&large, "line %d\n", i);
	sandbox_make_folder(s, "/volume");
	mount_over(s, "/volume", "size=128k,mode=0755");
	mount_file(s, FILE_PATH, "old\n");
	assert_int_equal(textfile_swap(&s->root, FILE_PATH, holding("old\n"),
				       holding(buf_text(&large)), &how, NULL),
			 -ENOSPC);
	sandbox_assert_text(s, FILE_PATH, "old\n");
	sandbox_assert_names(s, FOLDER, "master.cf");
}

static void a_saved_copy_is_put_back(void **state)
{
	const struct sandbox *s = *state;

	mount_file(s, FILE_PATH, "ne");
	assert_int_equal(textfile_recover(&s->root, FILE_PATH, NULL), 0);
	sandbox_assert_text(s, FILE_PATH, "ne");
	sandbox_write(s, SAVED_PATH, "old\n");
	assert_int_equal(textfile_recover(&s->root, FILE_PATH, NULL), 1);
	sandbox_assert_text(s, FILE_PATH, "old\n");
	sandbox_assert_names(s, FOLDER, "master.cf");
	assert_int_equal(textfile_recover(&s->root, FILE_PATH, NULL), 0);
}

static void without_a_folder_there_is_nothing_to_recover(void **state)
{
	const struct sandbox *s = *state;
	int rc = textfile_recover(&s->root, FILE_PATH, NULL);

	assert_true(rc == 0 || rc == -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_full_disk_leaves_the_old_file_and_nothing_else),
		TEST(a_disk_without_inodes_leaves_the_old_file),
		TEST(a_read_only_file_system_is_said),
		TEST(a_mounted_file_is_written_in_place),
		TEST(a_mounted_file_behind_a_link_is_written_in_place),
		TEST(a_mounted_file_that_is_read_only_is_an_error),
		TEST(a_mounted_file_on_a_full_disk_keeps_its_text),
		TEST(a_saved_copy_is_put_back),
		TEST(without_a_folder_there_is_nothing_to_recover),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
