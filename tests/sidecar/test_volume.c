/* SPDX-License-Identifier: MIT */
/* volume: a folder's files are read as one state, and only what is a file in it. */
#include "kubelet.h"
#include "sandbox.h"

#include "sidecar/textfile.h"
#include "sidecar/volume.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#define FOLDER "/volume"

static const char *const keys[] = { "a", "b", "c" };

static void release_files(struct volume_file (*files)[ARRAY_SIZE(keys)])
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		volume_file_release(&(*files)[i]);
}

#define FILES                                                                                      \
	CLEANUP(release_files)                                                                     \
	struct volume_file files[ARRAY_SIZE(keys)] = { VOLUME_FILE_INIT }

/* What a, b and c hold, as "a=1 b=2 c" without what does not exist. */
static int snapshot_body(const void *ctx, struct buf *out, struct error *err)
{
	const struct sandbox *s = ctx;
	FILES;
	int rc = volume_snapshot(&s->root, FOLDER, keys, ARRAY_SIZE(keys), files, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!files[i].exists)
			continue;
		buf_add_format(out, "%s%s=", out->len > 0 ? " " : "", keys[i]);
		buf_add(out, buf_span(&files[i].text));
	}
	return buf_check(out, err);
}

static void expect_files(const struct sandbox *s, const char *text)
{
	unit_expect_text(snapshot_body, s, text);
}

/* A plain file in the folder that cannot be read: the message names it. */
static void expect_refused(const struct sandbox *s, int code, const char *name)
{
	unit_expect_error(snapshot_body, s, code, name);
}

static void put(const struct sandbox *s, enum kubelet_order order, const struct kubelet_key *data)
{
	sandbox_make_folder(s, FOLDER);
	assert_true(kubelet_write(sandbox_path(s, FOLDER), order, data));
}

#define PUT(order, ...) put(s, order, (const struct kubelet_key[]){ __VA_ARGS__, { 0 } })

/* ---- what is there ---- */

static void plain_files_are_read(void **state)
{
	const struct sandbox *s = *state;

	expect_files(s, "");
	sandbox_write(s, FOLDER "/a", "1");
	sandbox_write(s, FOLDER "/c", "");
	expect_files(s, "a=1 c=");
	sandbox_link(s, "../elsewhere/b", FOLDER "/b");
	expect_files(s, "a=1 c=");
	sandbox_write(s, "/elsewhere/b", "2");
	expect_files(s, "a=1 b=2 c=");
}

static void keys_come_and_go_with_the_generations(void **state)
{
	const struct sandbox *s = *state;

	for (enum kubelet_order order = KUBELET_NEW; order <= KUBELET_OLD; order++) {
		PUT(order, { "a", "1" });
		expect_files(s, "a=1");
		PUT(order, { "a", "2" }, { "b", "2" });
		expect_files(s, "a=2 b=2");
		PUT(order, { "b", "2" }, { "c", "" });
		expect_files(s, "b=2 c=");
		PUT(order, { "unasked", "" });
		expect_files(s, "");
	}
	sandbox_assert_names(s, FOLDER "/..data", "unasked");
}

/* Whatever the visible names say: only the generation in force counts. */
static void visible_names_do_not_count(void **state)
{
	const struct sandbox *s = *state;

	PUT(KUBELET_NEW, { "a", "1" }, { "b", "1" });
	assert_int_equal(unlink(sandbox_path(s, FOLDER "/a")), 0);
	sandbox_write(s, FOLDER "/a", "not this");
	/* an old kubelet, between the name of a new key and the swap */
	sandbox_link(s, "..data/c", FOLDER "/c");
	expect_files(s, "a=1 b=1");
}

static void a_key_may_be_a_link_in_the_generation(void **state)
{
	const struct sandbox *s = *state;

	PUT(KUBELET_NEW, { "a", "1" });
	sandbox_write(s, FOLDER "/..data/nested/file", "2");
	sandbox_link(s, "nested/file", FOLDER "/..data/b");
	sandbox_link(s, "./a", FOLDER "/..data/c");
	expect_files(s, "a=1 b=2 c=1");
}

static void a_file_beside_the_volume_is_read(void **state)
{
	const struct sandbox *s = *state;

	PUT(KUBELET_NEW, { "a", "1" });
	sandbox_write(s, FOLDER "/b", "2");
	sandbox_write(s, FOLDER "/c", "");
	sandbox_write(s, "/elsewhere/c", "3");
	sandbox_bind(s, "/elsewhere/c", FOLDER "/c");
	expect_files(s, "a=1 b=2 c=3");
}

/* ---- what is refused ---- */

static void what_is_no_file_is_refused(void **state)
{
	const struct sandbox *s = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_fd int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const char *path = sandbox_path(s, FOLDER "/b");

	sandbox_write(s, FOLDER "/a", "1");
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_refused(s, -EINVAL, FOLDER "/b");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mknod(path, S_IFCHR | 0600, makedev(1, 3)), 0);
	expect_refused(s, -EINVAL, FOLDER "/b");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	expect_refused(s, -EISDIR, FOLDER "/b");
	assert_int_equal(rmdir(path), 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(socket_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	expect_refused(s, -EINVAL, FOLDER "/b");
}

static void make_giant(const struct sandbox *s, const char *inside)
{
	sandbox_write(s, inside, "");
	assert_int_equal(truncate(sandbox_path(s, inside), (off_t)TEXTFILE_LIMIT_BYTES + 1), 0);
}

static void a_giant_is_refused(void **state)
{
	const struct sandbox *s = *state;
	struct error err;
	FILES;

	make_giant(s, FOLDER "/b");
	assert_int_equal(volume_snapshot(&s->root, FOLDER, keys, ARRAY_SIZE(keys), files, &err),
			 -EFBIG);
	assert_non_null(strstr(err.msg, FOLDER "/b"));
}

static void links_stay_in_the_root(void **state)
{
	const struct sandbox *s = *state;
	char outside[] = "/tmp/postern-outside-XXXXXX";
	cleanup_fd int fd = mkstemp(outside);
	char up[256];

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "outside", 7), 7);
	snprintf(up, sizeof(up), "../../../../../../..%s", outside);
	sandbox_link(s, outside, FOLDER "/a");
	sandbox_link(s, up, FOLDER "/b");
	expect_files(s, "");
	sandbox_write(s, outside, "inside");
	expect_files(s, "a=inside b=inside");
	unlink(outside);
}

static void links_stay_in_the_generation(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/elsewhere", "elsewhere");
	PUT(KUBELET_NEW, { "a", "1" });
	sandbox_link(s, "/elsewhere", FOLDER "/..data/b");
	expect_refused(s, -EXDEV, FOLDER "/b");
	PUT(KUBELET_NEW, { "a", "2" });
	sandbox_link(s, "../../elsewhere", FOLDER "/..data/c");
	expect_refused(s, -EXDEV, FOLDER "/c");
}

static void a_volume_that_leads_nowhere_is_to_be_read_again(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, FOLDER "/a", "1");
	sandbox_link(s, "..2026_01_01", FOLDER "/..data");
	unit_expect_error(snapshot_body, s, -EAGAIN, FOLDER, "..data");
	assert_int_equal(unlink(sandbox_path(s, FOLDER "/..data")), 0);
	sandbox_write(s, FOLDER "/..data", "");
	unit_expect_error(snapshot_body, s, -ENOTDIR, FOLDER "/..data");
}

static void a_folder_that_is_none_is_refused(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, FOLDER, "");
	unit_expect_error(snapshot_body, s, -ENOTDIR, FOLDER);
}

static void only_names_are_keys(void **state)
{
	const struct sandbox *s = *state;
	static const char *const bad[] = { "", ".", "..", "..data", "..data/a", "a/b", "/a" };
	struct volume_file file = VOLUME_FILE_INIT;
	struct error err;

	PUT(KUBELET_NEW, { "a", "1" });
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(volume_snapshot(&s->root, FOLDER, &bad[i], 1, &file, &err),
				 -EINVAL);
		assert_non_null(strstr(err.msg, bad[i]));
	}
}

static void a_failure_leaves_the_files_as_they_were(void **state)
{
	const struct sandbox *s = *state;
	FILES;

	PUT(KUBELET_NEW, { "a", "1" }, { "b", "1" });
	assert_int_equal(volume_snapshot(&s->root, FOLDER, keys, ARRAY_SIZE(keys), files, NULL), 0);
	PUT(KUBELET_NEW, { "a", "2" });
	assert_int_equal(mkfifo(sandbox_path(s, FOLDER "/..data/c"), 0600), 0);
	assert_int_equal(volume_snapshot(&s->root, FOLDER, keys, ARRAY_SIZE(keys), files, NULL),
			 -EINVAL);
	assert_string_equal(buf_text(&files[0].text), "1");
	assert_true(files[1].exists);
	assert_int_equal(unlink(sandbox_path(s, FOLDER "/..data/c")), 0);
	assert_int_equal(volume_snapshot(&s->root, FOLDER, keys, ARRAY_SIZE(keys), files, NULL), 0);
	assert_string_equal(buf_text(&files[0].text), "2");
	assert_false(files[1].exists);
}

/* ---- an old container engine's seccomp profile: openat2(2) is not known ---- */

static void forbid_openat2(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void read_without_openat2(void *ctx)
{
	const struct sandbox *s = ctx;
	FILES;
	int rc;

	forbid_openat2();
	rc = volume_snapshot(&s->own, sandbox_path(s, FOLDER), keys, ARRAY_SIZE(keys), files, NULL);
	if (rc < 0 || !files[0].exists || strcmp(buf_text(&files[0].text), "1") != 0)
		_exit(1);
	sandbox_link(s, "a", FOLDER "/..data/b");
	rc = volume_snapshot(&s->own, sandbox_path(s, FOLDER), keys, ARRAY_SIZE(keys), files, NULL);
	_exit(rc == -ELOOP ? 0 : 2);
}

static void without_openat2_a_volume_without_links_is_read(void **state)
{
	struct sandbox *s = *state;

	PUT(KUBELET_NEW, { "a", "1" });
	assert_int_equal(sandbox_in_child(read_without_openat2, s), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_files_are_read),
		TEST(keys_come_and_go_with_the_generations),
		TEST(visible_names_do_not_count),
		TEST(a_key_may_be_a_link_in_the_generation),
		TEST(a_file_beside_the_volume_is_read),
		TEST(what_is_no_file_is_refused),
		TEST(a_giant_is_refused),
		TEST(links_stay_in_the_root),
		TEST(links_stay_in_the_generation),
		TEST(a_volume_that_leads_nowhere_is_to_be_read_again),
		TEST(a_folder_that_is_none_is_refused),
		TEST(only_names_are_keys),
		TEST(a_failure_leaves_the_files_as_they_were),
		TEST(without_openat2_a_volume_without_links_is_read),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
