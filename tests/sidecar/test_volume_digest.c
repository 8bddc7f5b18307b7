/* SPDX-License-Identifier: MIT */
/* volume_digest: equal for equal names and contents, different for all others. */
#include "kubelet.h"
#include "sandbox.h"

#include "sidecar/digest.h"
#include "sidecar/volume.h"

#include <stdio.h>
#include <sys/stat.h>

#define FOLDER "/secrets/ssl"

static int digest_body(const void *ctx, struct buf *out, struct error *err)
{
	const struct sandbox *s = ctx;
	struct digest digest = DIGEST_NONE;
	char text[DIGEST_TEXT_BYTES];
	int rc = volume_digest(&s->root, FOLDER, &digest, err);

	if (rc < 0)
		return rc;
	buf_add_text(out, digest_print(&digest, text));
	return buf_check(out, err);
}

static struct digest digest_of(const struct sandbox *s, const char *inside)
{
	struct digest digest = DIGEST_NONE;
	struct error err;

	if (volume_digest(&s->root, inside, &digest, &err) < 0)
		fail_msg("%s", err.msg);
	return digest;
}

static void assert_equal(struct digest a, struct digest b)
{
	assert_true(digest_equal(&a, &b));
}

static void assert_other(struct digest a, struct digest b)
{
	assert_false(digest_equal(&a, &b));
}

#define PUT(s, inside, ...)                                                                        \
	kubelet_write(sandbox_path(s, inside), KUBELET_NEW,                                        \
		      (const struct kubelet_key[]){ __VA_ARGS__, { 0 } })

/* The fields are name and content of each file, names in the order of their bytes. */
static void it_is_of_names_and_contents(void **state)
{
	const struct sandbox *s = *state;
	static const char *const fields[] = { "B", "2", "a", "1", "c", "" };
	struct digest_maker maker;
	struct digest digest;
	char text[DIGEST_TEXT_BYTES];

	sandbox_write(s, FOLDER "/c", "");
	sandbox_write(s, FOLDER "/a", "1");
	sandbox_write(s, FOLDER "/B", "2");
	digest_start(&maker);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		digest_add_text(&maker, fields[i]);
	digest_finish(&maker, &digest);
	unit_expect_text(digest_body, s, digest_print(&digest, text));
}

static void without_a_folder_it_is_none(void **state)
{
	const struct sandbox *s = *state;
	struct digest digest;

	unit_expect_text(digest_body, s, "none");
	sandbox_make_folder(s, FOLDER);
	digest = digest_of(s, FOLDER);
	assert_false(digest_is_none(&digest));
}

static void every_change_makes_another(void **state)
{
	const struct sandbox *s = *state;
	struct digest first, now;

	sandbox_write(s, FOLDER "/cert", "1");
	sandbox_write(s, FOLDER "/key", "1");
	first = digest_of(s, FOLDER);
	assert_equal(first, digest_of(s, FOLDER));
	/* one byte more, a name more, a name less, another name, contents exchanged */
	sandbox_write(s, FOLDER "/cert", "12");
	assert_other(first, digest_of(s, FOLDER));
	sandbox_write(s, FOLDER "/cert", "1");
	assert_equal(first, digest_of(s, FOLDER));
	sandbox_write(s, FOLDER "/more", "");
	assert_other(first, digest_of(s, FOLDER));
	unlink(sandbox_path(s, FOLDER "/more"));
	assert_equal(first, digest_of(s, FOLDER));
	sandbox_move(s, FOLDER "/key", FOLDER "/kex");
	now = digest_of(s, FOLDER);
	assert_other(first, now);
	sandbox_write(s, FOLDER "/kex", "2");
	now = digest_of(s, FOLDER);
	sandbox_write(s, FOLDER "/kex", "1");
	sandbox_write(s, FOLDER "/cert", "2");
	assert_other(now, digest_of(s, FOLDER));
}

static void a_volume_is_worth_what_its_files_are(void **state)
{
	const struct sandbox *s = *state;
	struct digest first;

	sandbox_make_folder(s, FOLDER);
	PUT(s, FOLDER, { "tls.crt", "1" }, { "tls.key", "2" });
	sandbox_write(s, "/plain/tls.crt", "1");
	sandbox_write(s, "/plain/tls.key", "2");
	first = digest_of(s, FOLDER);
	assert_equal(first, digest_of(s, "/plain"));
	PUT(s, FOLDER, { "tls.crt", "3" }, { "tls.key", "2" });
	assert_other(first, digest_of(s, FOLDER));
	/* back to what it was, in another generation */
	PUT(s, FOLDER, { "tls.crt", "1" }, { "tls.key", "2" });
	assert_equal(first, digest_of(s, FOLDER));
	/* a file beside the generation counts as in a plain folder */
	sandbox_write(s, FOLDER "/beside", "4");
	sandbox_write(s, "/plain/beside", "4");
	assert_other(first, digest_of(s, FOLDER));
	assert_equal(digest_of(s, "/plain"), digest_of(s, FOLDER));
}

static void what_is_no_file_does_not_count(void **state)
{
	const struct sandbox *s = *state;
	struct digest first;

	sandbox_write(s, FOLDER "/cert", "1");
	first = digest_of(s, FOLDER);
	sandbox_write(s, FOLDER "/folder/file", "");
	sandbox_write(s, FOLDER "/..hidden", "");
	assert_int_equal(mkfifo(sandbox_path(s, FOLDER "/fifo"), 0600), 0);
	sandbox_link(s, "fifo", FOLDER "/to-fifo");
	sandbox_link(s, "folder", FOLDER "/to-folder");
	sandbox_link(s, "nowhere", FOLDER "/to-nowhere");
	assert_equal(first, digest_of(s, FOLDER));
	/* a name with one dot is a name like others */
	sandbox_write(s, FOLDER "/.file", "");
	assert_other(first, digest_of(s, FOLDER));
}

/* As certbot has it: live/NAME/cert.pem -> ../../archive/NAME/cert1.pem */
static void links_are_followed_inside_the_root(void **state)
{
	const struct sandbox *s = *state;
	struct digest first, second;

	sandbox_write(s, "/secrets/archive/cert1.pem", "1");
	sandbox_write(s, "/secrets/archive/cert2.pem", "2");
	sandbox_link(s, "../archive/cert1.pem", FOLDER "/cert.pem");
	first = digest_of(s, FOLDER);
	unlink(sandbox_path(s, FOLDER "/cert.pem"));
	sandbox_link(s, "/secrets/archive/cert2.pem", FOLDER "/cert.pem");
	second = digest_of(s, FOLDER);
	assert_other(first, second);
	sandbox_write(s, "/secrets/archive/cert2.pem", "1");
	assert_equal(first, digest_of(s, FOLDER));
}

static void too_many_files_are_an_error(void **state)
{
	const struct sandbox *s = *state;
	struct digest digest = DIGEST_NONE;
	struct error err;
	char name[64];

	for (int i = 0; i < VOLUME_DIGEST_FILES_MAX; i++) {
		snprintf(name, sizeof(name), FOLDER "/%d", i);
		sandbox_write(s, name, "");
	}
	assert_int_equal(volume_digest(&s->root, FOLDER, &digest, NULL), 0);
	assert_false(digest_is_none(&digest));
	digest = (struct digest)DIGEST_NONE;
	sandbox_write(s, FOLDER "/one-more", "");
	assert_int_equal(volume_digest(&s->root, FOLDER, &digest, &err), -E2BIG);
	assert_non_null(strstr(err.msg, FOLDER));
	assert_true(digest_is_none(&digest));
}

static void too_many_bytes_are_an_error(void **state)
{
	const struct sandbox *s = *state;
	struct digest digest;
	struct error err;

	sandbox_write(s, FOLDER "/large", "");
	sandbox_write(s, FOLDER "/small", "");
	assert_int_equal(truncate(sandbox_path(s, FOLDER "/large"), VOLUME_DIGEST_BYTES_MAX), 0);
	assert_int_equal(volume_digest(&s->root, FOLDER, &digest, NULL), 0);
	sandbox_write(s, FOLDER "/small", "1");
	assert_int_equal(volume_digest(&s->root, FOLDER, &digest, &err), -EFBIG);
	assert_non_null(strstr(err.msg, FOLDER));
	assert_int_equal(truncate(sandbox_path(s, FOLDER "/large"), 1L << 40), 0);
	assert_int_equal(volume_digest(&s->root, FOLDER, &digest, &err), -EFBIG);
	assert_non_null(strstr(err.msg, "large"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_of_names_and_contents),    TEST(without_a_folder_it_is_none),
		TEST(every_change_makes_another),     TEST(a_volume_is_worth_what_its_files_are),
		TEST(what_is_no_file_does_not_count), TEST(links_are_followed_inside_the_root),
		TEST(too_many_files_are_an_error),    TEST(too_many_bytes_are_an_error),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
