/* SPDX-License-Identifier: MIT */
/* volume_stale: mounts of single files are told from files, with the cure. */
#include "kubelet.h"
#include "sandbox.h"

#include "sidecar/volume.h"

#include <stdio.h>
#include <sys/mount.h>

#define FOLDER "/tmp/docker-mailserver"
#define KEY "postfix-main.cf"
#define HOST_VOLUME "/var/lib/kubelet/volume"

static int stale_body(const void *ctx, struct buf *out, struct error *err)
{
	const struct sandbox *s = ctx;

	return volume_stale(&s->root, FOLDER, KEY, out, err);
}

static void expect_fine(const struct sandbox *s)
{
	unit_expect_text(stale_body, s, "");
}

static void expect_stale(const struct sandbox *s, const char *part)
{
	cleanup_buf struct buf reason = BUF_INIT;

	assert_int_equal(stale_body(s, &reason, NULL), 1);
	unit_assert_contains(buf_span(&reason), FOLDER "/" KEY);
	unit_assert_contains(buf_span(&reason), part);
	unit_assert_contains(buf_span(&reason), "as a folder");
	/* the same, or -ENOMEM, while allocations fail */
	unit_expect_text(stale_body, s, buf_text(&reason));
}

static void put(const struct sandbox *s, const char *inside, const char *text)
{
	const struct kubelet_key keys[] = { { KEY, text }, { 0 } };

	sandbox_make_folder(s, inside);
	kubelet_write(sandbox_path(s, inside), KUBELET_NEW, keys);
}

static void files_and_volumes_are_fine(void **state)
{
	const struct sandbox *s = *state;

	expect_fine(s);
	sandbox_write(s, FOLDER "/" KEY, "");
	expect_fine(s);
	assert_int_equal(unlink(sandbox_path(s, FOLDER "/" KEY)), 0);
	sandbox_link(s, "nowhere", FOLDER "/" KEY);
	expect_fine(s);
	assert_int_equal(unlink(sandbox_path(s, FOLDER "/" KEY)), 0);
	put(s, FOLDER, "1");
	expect_fine(s);
	put(s, FOLDER, "2");
	expect_fine(s);
}

static void a_folder_mounted_is_fine(void **state)
{
	const struct sandbox *s = *state;

	put(s, HOST_VOLUME, "1");
	sandbox_make_folder(s, FOLDER);
	sandbox_bind(s, HOST_VOLUME, FOLDER);
	put(s, HOST_VOLUME, "2");
	expect_fine(s);
	sandbox_assert_text(s, FOLDER "/" KEY, "2");
}

/* A subPath: kubelet binds the file of the generation at the container's start. */
static void a_sub_path_is_stale(void **state)
{
	const struct sandbox *s = *state;

	put(s, HOST_VOLUME, "1");
	sandbox_write(s, FOLDER "/" KEY, "");
	sandbox_bind(s, HOST_VOLUME "/" KEY, FOLDER "/" KEY);
	expect_stale(s, "a new version of it never arrives");
	put(s, HOST_VOLUME, "2");
	expect_stale(s, "has been replaced");
	sandbox_assert_text(s, FOLDER "/" KEY, "1");
}

static void a_file_bound_by_docker_is_stale(void **state)
{
	const struct sandbox *s = *state;

	sandbox_write(s, "/home/user/main.cf", "1");
	sandbox_write(s, FOLDER "/" KEY, "");
	sandbox_bind(s, "/home/user/main.cf", FOLDER "/" KEY);
	expect_stale(s, "a new version of it never arrives");
	/* also behind a link, as where DMS moves its files */
	assert_int_equal(umount(sandbox_path(s, FOLDER "/" KEY)), 0);
	assert_int_equal(unlink(sandbox_path(s, FOLDER "/" KEY)), 0);
	sandbox_write(s, "/elsewhere", "");
	sandbox_link(s, "/elsewhere", FOLDER "/" KEY);
	expect_fine(s);
	sandbox_bind(s, "/home/user/main.cf", "/elsewhere");
	expect_stale(s, "a new version of it never arrives");
}

static void links_out_of_the_root_are_not_looked_at(void **state)
{
	const struct sandbox *s = *state;
	char path[sizeof(s->path) + 16];

	/* a mount of its own on this machine, which the sandbox's root does not know */
	snprintf(path, sizeof(path), "%s/mounted", s->path);
	sandbox_write(s, "/mounted", "");
	sandbox_write(s, "/source", "");
	sandbox_bind(s, "/source", "/mounted");
	sandbox_link(s, path, FOLDER "/" KEY);
	expect_fine(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_and_volumes_are_fine),
		TEST(a_folder_mounted_is_fine),
		TEST(a_sub_path_is_stale),
		TEST(a_file_bound_by_docker_is_stale),
		TEST(links_out_of_the_root_are_not_looked_at),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
