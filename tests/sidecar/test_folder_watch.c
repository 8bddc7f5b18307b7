/* SPDX-License-Identifier: MIT */
/* folder_watch: what changes in a folder touches the requests that it is about. */
#include "kubelet.h"
#include "watching.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#define SET(w, ...)                                                                                \
	watching_set(w, ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })),                        \
		     (const char *const[]){ __VA_ARGS__ })
#define SET_REQUESTS(w, ...)                                                                       \
	watching_set_requests(w, ARRAY_SIZE(((const struct folder_request[]){ __VA_ARGS__ })),     \
			      (const struct folder_request[]){ __VA_ARGS__ })

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void put(struct watching *w, const char *inside, enum kubelet_order order, const char *a,
		const char *b)
{
	struct kubelet_key keys[] = { { "a", a }, { b ? "b" : NULL, b }, { 0 } };

	sandbox_make_folder(w->s, inside);
	kubelet_write(sandbox_path(w->s, inside), order, keys);
}

/* ---- kubelet ---- */

static void a_swap_touches_the_requests_on_its_folder(void **state)
{
	struct watching *w = *state;
	const struct rootfs *root = &w->s->root;

	for (enum kubelet_order order = KUBELET_NEW; order <= KUBELET_OLD; order++) {
		watching_set(w, 0, NULL);
		put(w, "/one", order, "1", NULL);
		put(w, "/two", order, "1", NULL);
		SET_REQUESTS(w, { root, "/one", NAMES("a"), false }, { root, "/two", NULL, false },
			     { root, "/one", NAMES("b"), false }, { root, "/one", NULL, false },
			     { root, "/two", NAMES("a"), true });
		watching_assert_touched(w, "");
		watching_assert_counts(w, 2, 0);
		/* only a value */
		put(w, "/one", order, "2", NULL);
		watching_assert_touched(w, "0 2 3");
		put(w, "/two", order, "2", NULL);
		watching_assert_touched(w, "1 4");
		/* a key added, a key removed, and nothing new */
		put(w, "/one", order, "2", "2");
		watching_assert_touched(w, "0 2 3");
		put(w, "/one", order, "2", NULL);
		watching_assert_touched(w, "0 2 3");
		put(w, "/one", order, "2", NULL);
		watching_assert_touched(w, "");
		SET(w, "/one");
		put(w, "/one", order, "0", NULL);
		put(w, "/two", order, "0", NULL);
		watching_assert_touched(w, "0");
	}
}

static void a_volume_is_filled_for_the_first_time(void **state)
{
	struct watching *w = *state;

	sandbox_make_folder(w->s, "/one");
	SET(w, "/one");
	put(w, "/one", KUBELET_NEW, "1", NULL);
	watching_assert_touched(w, "0");
}

/* The new key's name comes after the swap: it is not needed, and tells nothing new. */
static void what_kubelet_makes_on_the_way_does_not_count(void **state)
{
	struct watching *w = *state;

	put(w, "/one", KUBELET_NEW, "1", NULL);
	SET_REQUESTS(w, { &w->s->root, "/one", NULL, false },
		     { &w->s->root, "/one", NAMES("..2026", "..data_tmp", "a"), false });
	sandbox_make_folder(w->s, "/one/..2026");
	sandbox_write(w->s, "/one/..2026/a", "2");
	sandbox_link(w->s, "..2026", "/one/..data_tmp");
	watching_assert_touched(w, "");
	sandbox_move(w->s, "/one/..data_tmp", "/one/..data");
	watching_assert_touched(w, "0 1");
}

/* ---- plain files ---- */

static void files_written_in_place_count_when_they_are_closed(void **state)
{
	struct watching *w = *state;
	const struct rootfs *root = &w->s->root;
	cleanup_fd int fd = -1;

	sandbox_write(w->s, "/etc/main.cf", "1");
	SET_REQUESTS(w, { root, "/etc", NAMES("main.cf"), false }, { root, "/etc", NULL, false },
		     { root, "/etc", NAMES("master.cf"), false });
	sandbox_write(w->s, "/etc/main.cf", "2");
	watching_assert_touched(w, "0 1");
	fd = open(sandbox_path(w->s, "/etc/main.cf"), O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "3", 1), 1);
	watching_assert_touched(w, "");
	close(steal_fd(&fd));
	watching_assert_touched(w, "0 1");
	assert_int_equal(unlink(sandbox_path(w->s, "/etc/main.cf")), 0);
	watching_assert_touched(w, "0 1");
	sandbox_write(w->s, "/etc/main.cf", "");
	watching_assert_touched(w, "0 1");
}

static void an_editors_save_by_rename_counts(void **state)
{
	struct watching *w = *state;
	const struct rootfs *root = &w->s->root;

	sandbox_write(w->s, "/etc/main.cf", "1");
	SET_REQUESTS(w, { root, "/etc", NAMES("main.cf"), false },
		     { root, "/etc", NAMES("master.cf"), false });
	sandbox_write(w->s, "/etc/.main.cf.swp", "2");
	watching_assert_touched(w, "");
	sandbox_move(w->s, "/etc/.main.cf.swp", "/etc/main.cf");
	watching_assert_touched(w, "0");
	/* and away, as "mv main.cf main.cf~" */
	sandbox_move(w->s, "/etc/main.cf", "/etc/main.cf~");
	watching_assert_touched(w, "0");
	/* a link is a new file like others */
	sandbox_link(w->s, "main.cf~", "/etc/main.cf");
	watching_assert_touched(w, "0");
}

static void locks_and_postfixs_temporary_files_do_not_count_unless_asked_for(void **state)
{
	struct watching *w = *state;
	const struct rootfs *root = &w->s->root;

	sandbox_make_folder(w->s, "/etc");
	SET_REQUESTS(w, { root, "/etc", NULL, false },
		     { root, "/etc", NAMES("main.cf", "check-for-changes.sh.lock"), false },
		     { root, "/etc", NAMES("main.cf.tmp"), false });
	sandbox_write(w->s, "/etc/check-for-changes.sh.lock", "");
	watching_assert_touched(w, "1");
	sandbox_write(w->s, "/etc/main.cf.tmp", "");
	watching_assert_touched(w, "2");
	sandbox_write(w->s, "/etc/.lock", "");
	sandbox_write(w->s, "/etc/..anything", "");
	watching_assert_touched(w, "");
	sandbox_move(w->s, "/etc/main.cf.tmp", "/etc/main.cf");
	watching_assert_touched(w, "0 1 2");
}

static void a_pid_file_counts_while_its_writer_keeps_it_open(void **state)
{
	struct watching *w = *state;
	const struct rootfs *root = &w->s->root;
	cleanup_fd int fd = -1;

	sandbox_make_folder(w->s, "/pid");
	fd = open(sandbox_path(w->s, "/pid/master.pid"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	/* Who else has to do with the folder, before and after, makes no difference. */
	SET_REQUESTS(w, { root, "/pid", NAMES("master.pid"), false },
		     { root, "/pid", NAMES("master.pid"), true },
		     { root, "/pid", NAMES("other.pid"), true }, { root, "/pid", NULL, false },
		     { root, "/pid/missing/folder", NULL, false });
	assert_int_equal(write(fd, "1", 1), 1);
	watching_assert_touched(w, "1");
	assert_int_equal(unlink(sandbox_path(w->s, "/pid/master.pid")), 0);
	watching_assert_touched(w, "0 1 3");
	watching_assert_counts(w, 1, 0);
}

static void reading_does_not_count(void **state)
{
	struct watching *w = *state;
	cleanup_buf struct buf text = BUF_INIT;
	struct pollfd poll_fd = { .fd = folder_watch_fd(&w->watch), .events = POLLIN };

	put(w, "/one", KUBELET_NEW, "1", "2");
	SET(w, "/one");
	sandbox_read(w->s, "/one/a", &text);
	sandbox_assert_names(w->s, "/one/..data", "a b");
	/* kubelet's own look when nothing differs */
	put(w, "/one", KUBELET_NEW, "1", "2");
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	watching_assert_touched(w, "");
}

/* ---- sets ---- */

static void a_set_replaces_the_one_before(void **state)
{
	struct watching *w = *state;

	sandbox_make_folder(w->s, "/one");
	sandbox_make_folder(w->s, "/two");
	SET(w, "/one", "/two");
	watching_assert_counts(w, 2, 0);
	SET(w, "/two");
	watching_assert_counts(w, 1, 0);
	sandbox_write(w->s, "/one/file", "");
	watching_assert_touched(w, "");
	sandbox_write(w->s, "/two/file", "");
	watching_assert_touched(w, "0");
	watching_set(w, 0, NULL);
	watching_assert_counts(w, 0, 0);
	sandbox_write(w->s, "/two/file", "");
	watching_assert_touched(w, "");
	SET(w, "/one");
	watching_assert_counts(w, 1, 0);
}

/* Neither what waits in the kernel nor what was read is lost. */
static void a_set_keeps_what_was_touched(void **state)
{
	struct watching *w = *state;
	struct error err;

	sandbox_make_folder(w->s, "/one");
	sandbox_make_folder(w->s, "/two");
	SET(w, "/one", "/two");
	sandbox_write(w->s, "/one/file", "");
	assert_int_equal(folder_watch_read(&w->watch, &err), 1);
	sandbox_write(w->s, "/two/file", "");
	SET(w, "/", "/two", "/one");
	watching_assert_touched(w, "1 2");
	/* the same set again: nothing is looked up, nothing forgotten */
	sandbox_write(w->s, "/two/file", "");
	assert_int_equal(folder_watch_read(&w->watch, &err), 1);
	SET(w, "/", "/two", "/one");
	watching_assert_touched(w, "1");
}

static void the_same_requests_for_other_names_are_another_set(void **state)
{
	struct watching *w = *state;
	const struct rootfs *root = &w->s->root;

	sandbox_make_folder(w->s, "/etc");
	SET_REQUESTS(w, { root, "/etc", NAMES("a"), false });
	SET_REQUESTS(w, { root, "/etc", NAMES("a", "b"), false });
	sandbox_write(w->s, "/etc/b", "");
	watching_assert_touched(w, "0");
	SET_REQUESTS(w, { root, "/etc", NAMES("b"), false });
	sandbox_write(w->s, "/etc/a", "");
	watching_assert_touched(w, "");
	SET_REQUESTS(w, { root, "/etc", NULL, false });
	sandbox_write(w->s, "/etc/c", "");
	watching_assert_touched(w, "0");
	SET_REQUESTS(w, { &w->s->own, "/etc", NULL, false });
	sandbox_write(w->s, "/etc/c", "");
	watching_assert_touched(w, "");
}

static void a_bad_path_leaves_the_set_as_it_was(void **state)
{
	struct watching *w = *state;
	struct folder_request requests[] = {
		{ &w->s->root, "/two", NULL, false },
		{ &w->s->root, "two", NULL, false },
	};
	struct error err;

	sandbox_make_folder(w->s, "/one");
	sandbox_make_folder(w->s, "/two");
	SET(w, "/one");
	assert_int_equal(folder_watch_set(&w->watch, requests, 2, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "\"two\""));
	sandbox_write(w->s, "/two/file", "");
	watching_assert_touched(w, "");
	sandbox_write(w->s, "/one/file", "");
	watching_assert_touched(w, "0");
	assert_int_equal(folder_watch_set(&w->watch, requests, (size_t)FOLDER_SET_MAX + 1, &err),
			 -E2BIG);
}

static int set_body(const void *ctx, struct buf *out, struct error *err)
{
	const struct sandbox *s = ctx;
	CLEANUP(folder_watch_release) struct folder_watch watch = FOLDER_WATCH_INIT;
	const struct folder_request requests[] = {
		{ &s->root, "/one", NAMES("a", "b"), false },
		{ &s->root, "/missing", NULL, true },
	};
	int rc = folder_watch_init(&watch, err);

	if (rc == 0)
		rc = folder_watch_set(&watch, requests, ARRAY_SIZE(requests), err);
	if (rc < 0)
		return rc;
	sandbox_write(s, "/one/a", "");
	rc = folder_watch_read(&watch, err);
	buf_add_format(out, "%d%d", folder_watch_take(&watch, 0), folder_watch_take(&watch, 1));
	return rc < 0 ? rc : buf_check(out, err);
}

static void out_of_memory_is_an_error(void **state)
{
	struct watching *w = *state;

	sandbox_make_folder(w->s, "/one");
	unit_expect_text(set_body, w->s, "10");
}

static void one_of_a_thousand_is_touched(void **state)
{
	enum { FOLDERS = 1000 };
	struct watching *w = *state;
	cleanup_free struct folder_request *requests = calloc(FOLDERS, sizeof(*requests));
	static char paths[FOLDERS][16];

	assert_non_null(requests);
	for (size_t i = 0; i < FOLDERS; i++) {
		snprintf(paths[i], sizeof(paths[i]), "/%zu", i);
		put(w, paths[i], KUBELET_NEW, "1", NULL);
		requests[i] = (struct folder_request){ .root = &w->s->root, .path = paths[i] };
	}
	watching_set_requests(w, FOLDERS, requests);
	watching_assert_counts(w, FOLDERS, 0);
	put(w, "/537", KUBELET_NEW, "2", NULL);
	watching_assert_touched(w, "537");
	watching_assert_renewed(w, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, watching_set_up, watching_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_swap_touches_the_requests_on_its_folder),
		TEST(a_volume_is_filled_for_the_first_time),
		TEST(what_kubelet_makes_on_the_way_does_not_count),
		TEST(files_written_in_place_count_when_they_are_closed),
		TEST(an_editors_save_by_rename_counts),
		TEST(locks_and_postfixs_temporary_files_do_not_count_unless_asked_for),
		TEST(a_pid_file_counts_while_its_writer_keeps_it_open),
		TEST(reading_does_not_count),
		TEST(a_set_replaces_the_one_before),
		TEST(a_set_keeps_what_was_touched),
		TEST(the_same_requests_for_other_names_are_another_set),
		TEST(a_bad_path_leaves_the_set_as_it_was),
		TEST(out_of_memory_is_an_error),
		TEST(one_of_a_thousand_is_touched),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
