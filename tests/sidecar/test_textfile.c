/* SPDX-License-Identifier: MIT */
/* textfile - read with a limit, and replace without losing anything of the file. */
#include "sandbox.h"

#include "sidecar/textfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define FILE_PATH "/etc/postfix/master.cf"
#define FOLDER "/etc/postfix"
#define TEMP_PATH FILE_PATH ".tmp"

static const struct textfile_content none;

static struct textfile_content holding(const char *text)
{
	return (struct textfile_content){ .exists = true, .text = span_from(text) };
}

static int swap_texts(const struct sandbox *s, const char *old, const char *new)
{
	enum textfile_how how;

	return textfile_swap(&s->root, FILE_PATH, holding(old), holding(new), &how, NULL);
}

/* ---- read ---- */

static void a_file_is_added_to_what_the_buffer_holds(void **state)
{
	const struct sandbox *s = *state;
	cleanup_buf struct buf text = BUF_INIT;

	sandbox_write_span(s, FILE_PATH, SPAN_LITERAL("a\0b\xff\r\n"));
	buf_add_text(&text, "before ");
	assert_int_equal(textfile_read(&s->root, FILE_PATH, &text, NULL), 0);
	unit_assert_span(buf_span(&text), SPAN_LITERAL("before a\0b\xff\r\n"));
}

static void an_empty_file_is_read_as_no_bytes(void **state)
{
	const struct sandbox *s = *state;
	cleanup_buf struct buf text = BUF_INIT;

	sandbox_write(s, FILE_PATH, "");
	assert_int_equal(textfile_read(&s->root, FILE_PATH, &text, NULL), 0);
	assert_int_equal(text.len, 0);
}

static int read_path(const struct sandbox *s, const char *path, struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;

	return textfile_read(&s->root, path, &text, err);
}

static void what_is_no_regular_file_is_refused_without_waiting(void **state)
{
	const struct sandbox *s = *state;
	struct error err;

	sandbox_make_folder(s, FOLDER);
	assert_int_equal(read_path(s, FILE_PATH, &err), -ENOENT);
	assert_non_null(strstr(err.msg, FILE_PATH));
	assert_int_equal(read_path(s, FOLDER, &err), -EISDIR);
	assert_int_equal(read_path(s, FOLDER "/none/x", &err), -ENOENT);
	assert_int_equal(mkfifo(sandbox_path(s, "/fifo"), 0600), 0);
	assert_int_equal(read_path(s, "/fifo", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "/fifo"));
	assert_int_equal(mknod(sandbox_path(s, "/zero"), S_IFCHR | 0600, makedev(1, 5)), 0);
	assert_int_equal(read_path(s, "/zero", &err), -EINVAL);
	sandbox_link(s, "fifo", "/link");
	assert_int_equal(read_path(s, "/link", &err), -EINVAL);
}

static void a_file_beyond_the_limit_is_refused(void **state)
{
	const struct sandbox *s = *state;
	cleanup_buf struct buf text = BUF_INIT;
	struct error err;

	sandbox_write(s, "/giant", "");
	assert_int_equal(truncate(sandbox_path(s, "/giant"), TEXTFILE_LIMIT_BYTES), 0);
	assert_int_equal(textfile_read(&s->root, "/giant", &text, NULL), 0);
	assert_int_equal(text.len, TEXTFILE_LIMIT_BYTES);
	assert_int_equal(truncate(sandbox_path(s, "/giant"), TEXTFILE_LIMIT_BYTES + 1), 0);
	buf_clear(&text);
	assert_int_equal(textfile_read(&s->root, "/giant", &text, &err), -EFBIG);
	assert_non_null(strstr(err.msg, "/giant"));
	assert_int_equal(truncate(sandbox_path(s, "/giant"), 1L << 40), 0);
	buf_clear(&text);
	assert_int_equal(textfile_read(&s->root, "/giant", &text, &err), -EFBIG);
}

/* ---- replace, make, remove ---- */

static void a_file_keeps_mode_owner_and_attributes(void **state)
{
	const struct sandbox *s = *state;
	enum textfile_how how = TEXTFILE_IN_PLACE;
	char value[16];
	struct stat st;

	sandbox_write(s, FILE_PATH, "old\n");
	assert_int_equal(chown(sandbox_path(s, FILE_PATH), 1234, 4321), 0);
	assert_int_equal(chmod(sandbox_path(s, FILE_PATH), 06751), 0);
	assert_int_equal(setxattr(sandbox_path(s, FILE_PATH), "trusted.lab", "kept", 4, 0), 0);
	assert_int_equal(setxattr(sandbox_path(s, FILE_PATH), "trusted.empty", "", 0, 0), 0);
	assert_int_equal(textfile_swap(&s->root, FILE_PATH, holding("old\n"),
				       holding("new and longer\n"), &how, NULL),
			 0);
	assert_int_equal(how, TEXTFILE_RENAMED);
	sandbox_assert_text(s, FILE_PATH, "new and longer\n");
	assert_int_equal(stat(sandbox_path(s, FILE_PATH), &st), 0);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_gid, 4321);
	assert_int_equal(st.st_mode & 07777, 06751);
	assert_int_equal(getxattr(sandbox_path(s, FILE_PATH), "trusted.lab", value, sizeof(value)),
			 4);
	assert_memory_equal(value, "kept", 4);
	assert_int_equal(getxattr(sandbox_path(s, FILE_PATH), "trusted.empty", value, 1), 0);
	sandbox_assert_names(s, FOLDER, "master.cf");
}

static void a_file_that_is_open_elsewhere_is_a_new_one(void **state)
{
	const struct sandbox *s = *state;
	char bytes[8] = "";
	cleanup_fd int fd = -1;

	sandbox_write(s, FILE_PATH, "old\n");
	fd = open(sandbox_path(s, FILE_PATH), O_RDONLY | O_CLOEXEC);
	assert_int_equal(swap_texts(s, "old\n", "new\n"), 0);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 4);
	assert_string_equal(bytes, "old\n");
}

static void a_new_file_gets_mode_0644_whatever_the_umask(void **state)
{
	const struct sandbox *s = *state;
	enum textfile_how how = TEXTFILE_IN_PLACE;
	struct stat st;

	sandbox_make_folder(s, FOLDER);
	assert_int_equal(textfile_swap(&s->root, FILE_PATH, none, holding("new\n"), &how, NULL), 0);
	assert_int_equal(how, TEXTFILE_RENAMED);
	assert_int_equal(stat(sandbox_path(s, FILE_PATH), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	sandbox_assert_text(s, FILE_PATH, "new\n");
	sandbox_assert_names(s, FOLDER, "master.cf");
}

static void a_file_is_removed(void **state)
{
	const struct sandbox *s = *state;
	enum textfile_how how;

	sandbox_write(s, FILE_PATH, "old\n");
	assert_int_equal(textfile_swap(&s->root, FILE_PATH, holding("old\n"), none, &how, NULL), 0);
	sandbox_assert_names(s, FOLDER, "");
	assert_int_equal(textfile_swap(&s->root, FILE_PATH, none, none, &how, NULL), 0);
	sandbox_assert_names(s, FOLDER, "");
}

static void empty_and_large_texts_go_forth_and_back(void **state)
{
	const struct sandbox *s = *state;
	cleanup_buf struct buf large = BUF_INIT;

	for (int i = 0; i < 300000; i++)
		buf_add_format(&large, "line %d\n", i);
	sandbox_write(s, FILE_PATH, "");
	assert_int_equal(swap_texts(s, "", buf_text(&large)), 0);
	sandbox_assert_text(s, FILE_PATH, buf_text(&large));
	assert_int_equal(swap_texts(s, buf_text(&large), ""), 0);
	sandbox_assert_text(s, FILE_PATH, "");
}

static void a_file_that_another_program_changed_is_left_alone(void **state)
{
	const struct sandbox *s = *state;
	enum textfile_how how;
	struct stat before, after;
	struct error err;

	sandbox_write(s, FILE_PATH, "theirs\n");
	assert_int_equal(stat(sandbox_path(s, FILE_PATH), &before), 0);
	assert_int_equal(
		textfile_swap(&s->root, FILE_PATH, holding("old\n"), holding("new\n"), &how, &err),
		-ESTALE);
	assert_non_null(strstr(err.msg, FILE_PATH));
	assert_int_equal(textfile_swap(&s->root, FILE_PATH, none, holding("new\n"), &how, &err),
			 -ESTALE);
	assert_int_equal(textfile_swap(&s->root, FILE_PATH, holding("old\n"), none, &how, &err),
			 -ESTALE);
	assert_int_equal(textfile_swap(&s->root, FILE_PATH, none, none, &how, &err), -ESTALE);
	assert_int_equal(
		textfile_swap(&s->root, FOLDER "/gone", holding(""), holding("new\n"), &how, &err),
		-ESTALE);
	assert_int_equal(stat(sandbox_path(s, FILE_PATH), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
	sandbox_assert_names(s, FOLDER, "master.cf");
}

static void a_missing_folder_is_an_error(void **state)
{
	const struct sandbox *s = *state;
	enum textfile_how how;
	struct error err;

	assert_int_equal(textfile_swap(&s->root, FILE_PATH, none, holding("new\n"), &how, &err),
			 -ENOENT);
	assert_non_null(strstr(err.msg, FOLDER));
}

/* ---- symbolic links ---- */

static void expect_link_kept(const struct sandbox *s, const char *target)
{
	struct stat st;

	assert_int_equal(swap_texts(s, "old\n", "new\n"), 0);
	assert_int_equal(lstat(sandbox_path(s, FILE_PATH), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	sandbox_assert_text(s, target, "new\n");
	sandbox_assert_names(s, FOLDER, "master.cf");
	sandbox_assert_names(s, "/srv/mail", "real.cf");
}

static void the_target_of_a_relative_link_is_replaced(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/srv/mail/real.cf", "old\n");
	sandbox_link(s, "../../srv/mail/real.cf", FILE_PATH);
	expect_link_kept(s, "/srv/mail/real.cf");
}

static void the_target_of_an_absolute_link_is_inside_the_root(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/srv/mail/real.cf", "old\n");
	sandbox_link(s, "/srv/mail/real.cf", FILE_PATH);
	expect_link_kept(s, "/srv/mail/real.cf");
}

static void a_chain_of_links_is_followed_to_its_end(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/srv/mail/real.cf", "old\n");
	sandbox_link(s, "/srv/mail", "/a");
	sandbox_link(s, "../a/real.cf", "/b/link");
	sandbox_link(s, "/b/link", FILE_PATH);
	expect_link_kept(s, "/srv/mail/real.cf");
}

static void a_link_to_nothing_makes_its_target(void **state)
{
	const struct sandbox *s = *state;
	enum textfile_how how;

	sandbox_make_folder(s, "/srv/mail");
	sandbox_link(s, "/srv/mail/real.cf", FILE_PATH);
	assert_int_equal(textfile_swap(&s->root, FILE_PATH, none, holding("new\n"), &how, NULL), 0);
	sandbox_assert_text(s, "/srv/mail/real.cf", "new\n");
	sandbox_assert_names(s, "/srv/mail", "real.cf");
}

/* Its folder's own editors, who know the file by its real name, lock real.cf.tmp. */
static void the_temporary_file_of_the_targets_own_editors_is_not_touched(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/srv/mail/real.cf", "old\n");
	sandbox_write(s, "/srv/mail/real.cf.tmp", "half of what postconf writes");
	sandbox_link(s, "/srv/mail/real.cf", FILE_PATH);
	assert_int_equal(swap_texts(s, "old\n", "new\n"), 0);
	sandbox_assert_text(s, "/srv/mail/real.cf.tmp", "half of what postconf writes");
	sandbox_assert_names(s, "/srv/mail", "real.cf real.cf.tmp");
}

/* ---- the lock ---- */

struct editor {
	const struct sandbox *sandbox;
	int ready_fd; /* says "locked" */
	int go_fd;    /* and waits for the word to go on */
};

/* As edit_file(3): lock, write, rename. */
static void edit_as_postfix_does(void *ctx)
{
	const struct editor *e = ctx;
	int fd = open(sandbox_path(e->sandbox, TEMP_PATH), O_RDWR | O_CREAT, 0600);
	char go;

	if (flock(fd, LOCK_EX) < 0 || write(e->ready_fd, "x", 1) != 1 ||
	    read(e->go_fd, &go, 1) != 1 || write(fd, "theirs\n", 7) != 7 ||
	    rename(sandbox_path(e->sandbox, TEMP_PATH), sandbox_path(e->sandbox, FILE_PATH)) < 0)
		_exit(1);
}

struct patient {
	const struct sandbox *sandbox;
	int result_fd;
	int ready_fd;
};

static void swap_old_for_new(void *ctx)
{
	const struct patient *p = ctx;
	int rc;

	rc = write(p->ready_fd, "x", 1) == 1 ? swap_texts(p->sandbox, "old\n", "new\n") : -EIO;
	if (write(p->result_fd, &rc, sizeof(rc)) != sizeof(rc))
		_exit(1);
}

static void the_lock_of_another_editor_is_waited_for_and_its_edit_seen(void **state)
{
	const struct sandbox *s = *state;
	int ready[2], go[2], started[2], result[2], rc = 0;
	pid_t editor, patient;
	char byte;

	sandbox_write(s, FILE_PATH, "old\n");
	assert_int_equal(pipe2(ready, O_CLOEXEC) | pipe2(go, O_CLOEXEC) |
				 pipe2(started, O_CLOEXEC) | pipe2(result, O_CLOEXEC),
			 0);
	editor = sandbox_spawn(edit_as_postfix_does, &(struct editor){ s, ready[1], go[0] });
	assert_int_equal(read(ready[0], &byte, 1), 1);
	patient = sandbox_spawn(swap_old_for_new, &(struct patient){ s, result[1], started[1] });
	assert_int_equal(read(started[0], &byte, 1), 1);
	usleep(20000); /* a swap that does not wait would be over by now */
	sandbox_assert_text(s, FILE_PATH, "old\n");
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(read(result[0], &rc, sizeof(rc)), sizeof(rc));
	assert_int_equal(rc, -ESTALE);
	sandbox_end(editor);
	sandbox_end(patient);
	sandbox_assert_text(s, FILE_PATH, "theirs\n");
	sandbox_assert_names(s, FOLDER, "master.cf");
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(go[i]);
		close(started[i]);
		close(result[i]);
	}
}

static void what_a_crashed_writer_left_is_thrown_away(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, FILE_PATH, "old\n");
	sandbox_write(s, TEMP_PATH, "half of a longer te");
	assert_int_equal(swap_texts(s, "old\n", "new\n"), 0);
	sandbox_assert_text(s, FILE_PATH, "new\n");
	sandbox_assert_names(s, FOLDER, "master.cf");
}

static void a_left_over_lock_that_is_another_files_second_name_leaves_that_file_whole(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, FILE_PATH, "old\n");
	sandbox_write(s, FILE_PATH ".postern-saved", "precious\n");
	assert_int_equal(
		link(sandbox_path(s, FILE_PATH ".postern-saved"), sandbox_path(s, TEMP_PATH)), 0);
	assert_int_equal(swap_texts(s, "old\n", "new\n"), 0);
	sandbox_assert_text(s, FILE_PATH ".postern-saved", "precious\n");
	assert_false(sandbox_has(s, TEMP_PATH));
}

static void a_lock_that_is_no_file_is_refused(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, FILE_PATH, "old\n");
	sandbox_write(s, "/precious", "");
	sandbox_link(s, "/precious", TEMP_PATH);
	assert_int_equal(swap_texts(s, "old\n", "new\n"), -ELOOP);
	sandbox_assert_text(s, "/precious", "");
	assert_int_equal(unlink(sandbox_path(s, TEMP_PATH)), 0);

	assert_int_equal(mkfifo(sandbox_path(s, TEMP_PATH), 0600), 0);
	assert_int_equal(swap_texts(s, "old\n", "new\n"), -EINVAL);
	assert_int_equal(unlink(sandbox_path(s, TEMP_PATH)), 0);

	assert_int_equal(mkdir(sandbox_path(s, TEMP_PATH), 0700), 0);
	assert_int_equal(swap_texts(s, "old\n", "new\n"), -EISDIR);
	sandbox_assert_text(s, FILE_PATH, "old\n");
}

static void what_is_no_regular_file_is_not_replaced(void **state)
{
	const struct sandbox *s = *state;
	enum textfile_how how;
	struct stat st;

	sandbox_make_folder(s, FOLDER);
	assert_int_equal(mkfifo(sandbox_path(s, FILE_PATH), 0600), 0);
	assert_int_equal(
		textfile_swap(&s->root, FILE_PATH, holding(""), holding("new\n"), &how, NULL),
		-EINVAL);
	assert_int_equal(lstat(sandbox_path(s, FILE_PATH), &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(unlink(sandbox_path(s, FILE_PATH)), 0);
	assert_int_equal(mkdir(sandbox_path(s, FILE_PATH), 0700), 0);
	assert_int_equal(
		textfile_swap(&s->root, FILE_PATH, holding(""), holding("new\n"), &how, NULL),
		-EISDIR);
	sandbox_assert_names(s, FOLDER, "master.cf");
}

/* ---- out of memory ---- */

static int swap_body(const void *ctx, struct buf *out, struct error *err)
{
	const struct sandbox *s = ctx;
	enum textfile_how how;
	int rc;

	sandbox_write(s, FILE_PATH, "old\n");
	rc = textfile_swap(&s->root, FILE_PATH, holding("old\n"), holding("new\n"), &how, err);
	if (rc < 0)
		sandbox_assert_text(s, FILE_PATH, "old\n");
	sandbox_assert_names(s, FOLDER, "master.cf");
	return rc < 0 ? rc : textfile_read(&s->root, FILE_PATH, out, err);
}

static void without_memory_the_old_file_stays(void **state)
{
	const struct sandbox *s = *state;

	sandbox_make_folder(s, FOLDER);
	unit_expect_text(swap_body, s, "new\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_is_added_to_what_the_buffer_holds),
		TEST(an_empty_file_is_read_as_no_bytes),
		TEST(what_is_no_regular_file_is_refused_without_waiting),
		TEST(a_file_beyond_the_limit_is_refused),
		TEST(a_file_keeps_mode_owner_and_attributes),
		TEST(a_file_that_is_open_elsewhere_is_a_new_one),
		TEST(a_new_file_gets_mode_0644_whatever_the_umask),
		TEST(a_file_is_removed),
		TEST(empty_and_large_texts_go_forth_and_back),
		TEST(a_file_that_another_program_changed_is_left_alone),
		TEST(a_missing_folder_is_an_error),
		TEST(the_target_of_a_relative_link_is_replaced),
		TEST(the_target_of_an_absolute_link_is_inside_the_root),
		TEST(a_chain_of_links_is_followed_to_its_end),
		TEST(a_link_to_nothing_makes_its_target),
		TEST(the_temporary_file_of_the_targets_own_editors_is_not_touched),
		TEST(the_lock_of_another_editor_is_waited_for_and_its_edit_seen),
		TEST(what_a_crashed_writer_left_is_thrown_away),
		TEST(a_left_over_lock_that_is_another_files_second_name_leaves_that_file_whole),
		TEST(a_lock_that_is_no_file_is_refused),
		TEST(what_is_no_regular_file_is_not_replaced),
		TEST(without_memory_the_old_file_stays),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
