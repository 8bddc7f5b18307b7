/* SPDX-License-Identifier: MIT */
/* rootfs - no path, link or folder inside a root leads out of it. */
#include "sandbox.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* What the file is that a path opens: its text, or "ERROR CODE". */
static void assert_opens(const struct sandbox *s, const char *path, const char *text)
{
	struct error err = { 0 };
	cleanup_fd int fd = rootfs_open(&s->root, path, O_RDONLY, 0, &err);
	char bytes[64] = "";

	if (fd < 0)
		fail_msg("%s: %s", path, err.msg);
	assert_true(read(fd, bytes, sizeof(bytes) - 1) >= 0);
	assert_string_equal(bytes, text);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void assert_open_fails(const struct sandbox *s, const char *path, int code)
{
	struct error err = { 0 };
	int rc = rootfs_open(&s->root, path, O_RDONLY, 0, &err);

	if (rc != code)
		fail_msg("%s: returned %d, wanted %d", path, rc, code);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.msg, path));
}

static void a_root_is_a_folder(void **state)
{
	const struct sandbox *s = *state;
	struct rootfs root = ROOTFS_INIT;
	struct error err;

	sandbox_write(s, "/file", "");
	assert_int_equal(rootfs_init(&root, sandbox_path(s, "/file"), &err), -ENOTDIR);
	assert_int_equal(rootfs_init(&root, sandbox_path(s, "/none"), &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/none"));
	assert_int_equal(root.fd, -1);
	rootfs_release(&root);
	rootfs_release(&root);
}

static void the_processs_own_root_is_known_as_such(void **state)
{
	const struct sandbox *s = *state;
	struct rootfs again = ROOTFS_INIT;

	assert_true(rootfs_is_own(&s->own));
	assert_false(rootfs_is_own(&s->root));
	assert_int_equal(rootfs_init(&again, "/proc/self/root", NULL), 0);
	assert_true(rootfs_is_own(&again));
	rootfs_release(&again);
}

static void paths_begin_at_the_root_however_they_are_written(void **state)
{
	const struct sandbox *s = *state;
	static const char *const names[] = {
		"/etc/file",        "etc/file",        "//etc///file",
		"/etc/../etc/file", "/../../etc/file", "/etc/../../../etc/./file",
		"/../etc/file",
	};

	sandbox_write(s, "/etc/file", "inside");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_opens(s, names[i], "inside");
	assert_open_fails(s, "/etc/none", -ENOENT);
	assert_open_fails(s, "/etc/file/x", -ENOTDIR);
}

static void links_stay_inside(void **state)
{
	const struct sandbox *s = *state;
	static const struct {
		const char *target;
		const char *path;
	} cases[] = {
		{ "/etc/hostname", "/etc/link" },
		{ "hostname", "/etc/link" },
		{ "../../../../../../../etc/hostname", "/etc/link" },
		{ "/../../../etc/hostname", "/etc/link" },
		{ "/proc/../etc/hostname", "/etc/link" },
	};

	sandbox_make_folder(s, "/proc");
	sandbox_write(s, "/etc/hostname", "inside");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		sandbox_link(s, cases[i].target, cases[i].path);
		assert_opens(s, cases[i].path, "inside");
		assert_int_equal(unlink(sandbox_path(s, cases[i].path)), 0);
	}
}

static void a_folder_that_is_a_link_stays_inside(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/srv/passwd", "inside");
	sandbox_link(s, "/srv", "/absolute");
	sandbox_link(s, "../../../srv", "/a/b/relative");
	assert_opens(s, "/absolute/passwd", "inside");
	assert_opens(s, "/a/b/relative/passwd", "inside");
	assert_opens(s, "/a/b/relative/../srv/passwd", "inside");
}

/* /proc/PID/root and its like are links that path resolution does not walk. */
static void the_magic_links_of_proc_lead_nowhere(void **state)
{
	const struct sandbox *s = *state;
	char path[64];

	sandbox_make_folder(s, "/proc");
	assert_int_equal(mount("proc", sandbox_path(s, "/proc"), "proc", 0, NULL), 0);
	snprintf(path, sizeof(path), "/proc/%d/root/etc/passwd", (int)getpid());
	assert_true(rootfs_open(&s->root, path, O_RDONLY, 0, NULL) < 0);
	assert_true(rootfs_open(&s->root, "/proc/self/cwd", O_RDONLY, 0, NULL) < 0);
	assert_false(rootfs_exists(&s->root, path, NULL));
}

static void a_loop_of_links_is_an_error(void **state)
{
	const struct sandbox *s = *state;
	struct rootfs_place place = ROOTFS_PLACE_INIT;

	sandbox_link(s, "b", "/a");
	sandbox_link(s, "a", "/b");
	assert_open_fails(s, "/a", -ELOOP);
	assert_false(rootfs_exists(&s->root, "/a", NULL));
	assert_int_equal(rootfs_locate(&s->root, "/a", true, &place, NULL), -ELOOP);
	assert_int_equal(place.dir_fd, -1);
}

static void a_file_is_made_with_the_mode_given(void **state)
{
	const struct sandbox *s = *state;
	cleanup_fd int fd = rootfs_open(&s->root, "/new", O_WRONLY | O_CREAT | O_EXCL, 0600, NULL);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(stat(sandbox_path(s, "/new"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_thing_exists_of_whatever_kind(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/file", "");
	assert_int_equal(mkfifo(sandbox_path(s, "/fifo"), 0), 0);
	sandbox_link(s, "/none", "/dangling");
	assert_true(rootfs_exists(&s->root, "/file", NULL));
	assert_true(rootfs_exists(&s->root, "/fifo", NULL));
	assert_true(rootfs_exists(&s->root, "/", NULL));
	assert_false(rootfs_exists(&s->root, "/dangling", NULL));
	assert_false(rootfs_exists(&s->root, "/file/x", NULL));
}

/* ---- regular files ---- */

static int open_file(const struct sandbox *s, const char *path, int flags, struct error *err)
{
	int fd = rootfs_open_file(&s->root, path, flags, 0600, err);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

/* Is let go as soon as anybody opens the FIFO's other end. */
static void open_writing_end(void *ctx)
{
	const struct sandbox *s = ctx;

	sandbox_ready();
	open(sandbox_path(s, "/fifo"), O_WRONLY | O_CLOEXEC);
}

static void what_is_no_regular_file_is_never_opened(void **state)
{
	struct sandbox *s = *state;
	pid_t writer;

	assert_int_equal(mkfifo(sandbox_path(s, "/fifo"), 0600), 0);
	sandbox_link(s, "fifo", "/link");
	writer = sandbox_spawn_ready(open_writing_end, s);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(open_file(s, "/fifo", O_RDONLY, NULL), -EINVAL);
		assert_int_equal(open_file(s, "/link", O_RDWR, NULL), -EINVAL);
		assert_int_equal(open_file(s, "/fifo", O_WRONLY | O_CREAT | O_NOFOLLOW, NULL),
				 -EINVAL);
		usleep(1000);
	}
	assert_false(sandbox_has_ended(writer));
	sandbox_end(writer);
	assert_int_equal(mknod(sandbox_path(s, "/zero"), S_IFCHR | 0666, makedev(1, 5)), 0);
	assert_int_equal(open_file(s, "/zero", O_RDWR, NULL), -EINVAL);
	/* No driver has it: to open it would tell. */
	assert_int_equal(mknod(sandbox_path(s, "/none"), S_IFBLK | 0666, makedev(240, 77)), 0);
	assert_int_equal(open_file(s, "/none", O_RDONLY, NULL), -EINVAL);
	assert_int_equal(open_file(s, "/", O_RDONLY, NULL), -EISDIR);
}

static void what_the_kernel_makes_up_is_not_opened(void **state)
{
	static const char *const paths[] = { "/proc/self/environ", "/proc/self/maps", "/proc/kmsg",
					     "/proc/sys/kernel/hostname", "/link" };
	const struct sandbox *s = *state;
	struct error err;

	sandbox_make_folder(s, "/proc");
	assert_int_equal(mount("/proc", sandbox_path(s, "/proc"), "none", MS_BIND, NULL), 0);
	sandbox_link(s, "/proc/1/environ", "/link");
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(open_file(s, paths[i], O_RDONLY, &err), -EINVAL);
		unit_assert_contains(span_from(err.msg), paths[i]);
	}
	assert_true(open_file(s, "/proc/self/exe", O_RDONLY, NULL) < 0);
	assert_true(open_file(s, "/proc/self/root/etc/passwd", O_RDONLY, NULL) < 0);
}

static void a_regular_file_is_opened_or_made(void **state)
{
	const struct sandbox *s = *state;

	assert_int_equal(open_file(s, "/file", O_RDONLY, NULL), -ENOENT);
	assert_int_equal(open_file(s, "/file", O_WRONLY | O_CREAT, NULL), 0);
	assert_int_equal(open_file(s, "/file", O_WRONLY | O_CREAT, NULL), 0);
	assert_int_equal(open_file(s, "/file", O_WRONLY | O_CREAT | O_EXCL, NULL), -EEXIST);
	sandbox_link(s, "file", "/link");
	assert_int_equal(open_file(s, "/link", O_RDONLY, NULL), 0);
	assert_int_equal(open_file(s, "/link", O_RDONLY | O_NOFOLLOW, NULL), -ELOOP);
	/* A link to nothing is not made to lead to something. */
	sandbox_link(s, "none", "/dangling");
	assert_true(open_file(s, "/dangling", O_WRONLY | O_CREAT | O_NOFOLLOW, NULL) < 0);
	assert_false(sandbox_has(s, "/none"));
}

/* The bytes come from the file that was looked at, whatever is renamed over its name. */
static void swap_for_ever(void *ctx)
{
	const struct sandbox *s = ctx;

	sandbox_ready();
	for (;;) {
		rename(sandbox_path(s, "/a"), sandbox_path(s, "/name"));
		link(sandbox_path(s, "/kept"), sandbox_path(s, "/a"));
		rename(sandbox_path(s, "/b"), sandbox_path(s, "/name"));
		mkfifo(sandbox_path(s, "/b"), 0600);
	}
}

static void a_swap_at_full_speed_gets_nothing_else_opened(void **state)
{
	struct sandbox *s = *state;
	int n_opened = 0, n_refused = 0;
	pid_t swapper;

	sandbox_write(s, "/kept", "kept");
	sandbox_write(s, "/name", "kept");
	swapper = sandbox_spawn_ready(swap_for_ever, s);
	for (int i = 0; i < 200000 && (n_opened < 200 || n_refused < 200); i++) {
		cleanup_fd int fd = rootfs_open_file(&s->root, "/name", O_WRONLY, 0, NULL);
		struct stat st;

		n_refused += fd == -EINVAL;
		if (fd < 0)
			continue;
		n_opened++;
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(S_ISREG(st.st_mode));
	}
	sandbox_end(swapper);
	assert_true(n_opened > 0 && n_refused > 0);
}

/* ---- a busy machine ---- */

static void rename_forever(void *ctx)
{
	const struct sandbox *s = ctx;
	char a[128], b[128];

	snprintf(a, sizeof(a), "%s", sandbox_path(s, "/busy/a"));
	snprintf(b, sizeof(b), "%s", sandbox_path(s, "/busy/b"));
	for (;;) {
		rename(a, b);
		rename(b, a);
	}
}

/*
 * The kernel answers EAGAIN when any rename on the machine falls into the
 * resolution of a ".." (openat2(2)).
 */
static void renames_elsewhere_do_not_make_an_open_fail(void **state)
{
	const struct sandbox *s = *state;
	pid_t child;
	int failures = 0;

	sandbox_write(s, "/busy/a/x", "");
	sandbox_write(s, "/etc/postfix/file", "");
	child = sandbox_spawn(rename_forever, *state);
	for (int i = 0; i < 30000; i++) {
		int fd = rootfs_open(&s->root, "/etc/postfix/../../etc/../etc/postfix/file",
				     O_RDONLY, 0, NULL);

		if (fd >= 0)
			close(fd);
		else
			failures++;
	}
	sandbox_end(child);
	assert_int_equal(failures, 0);
}

static void what_cannot_be_looked_for_is_not_absent(void **state)
{
	const struct sandbox *s = *state;
	struct rlimit limit, none;
	int rc, last = dup(STDERR_FILENO);

	sandbox_write(s, "/file", "");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = (rlim_t)last, .rlim_max = limit.rlim_max };
	close(last);
	setrlimit(RLIMIT_NOFILE, &none);
	rc = rootfs_exists(&s->root, "/file", NULL);
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_int_equal(rc, -EMFILE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_no_regular_file_is_never_opened),
		TEST(what_the_kernel_makes_up_is_not_opened),
		TEST(a_regular_file_is_opened_or_made),
		TEST(a_swap_at_full_speed_gets_nothing_else_opened),
		TEST(a_root_is_a_folder),
		TEST(the_processs_own_root_is_known_as_such),
		TEST(paths_begin_at_the_root_however_they_are_written),
		TEST(links_stay_inside),
		TEST(a_folder_that_is_a_link_stays_inside),
		TEST(the_magic_links_of_proc_lead_nowhere),
		TEST(a_loop_of_links_is_an_error),
		TEST(a_file_is_made_with_the_mode_given),
		TEST(a_thing_exists_of_whatever_kind),
		TEST(what_cannot_be_looked_for_is_not_absent),
		TEST(renames_elsewhere_do_not_make_an_open_fail),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
