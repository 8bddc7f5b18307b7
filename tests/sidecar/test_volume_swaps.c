/* SPDX-License-Identifier: MIT */
/* volume: while another process replaces it at full speed, it is one generation that is read. */
#include "kubelet.h"
#include "sandbox.h"
#include "swaps.h"

#include "sidecar/digest.h"
#include "sidecar/folder_watch.h"
#include "sidecar/volume.h"

#include <poll.h>
#include <stdio.h>

#define FOLDER "/volume"

enum { SWAPS = 2000, EVENT_WAIT_MS = 10000 };

/* Two keys that always hold the same number, and one that comes and goes with it. */
static void write_generation(const struct sandbox *s, int i)
{
	char text[32];
	struct kubelet_key keys[] = { { "a", text }, { "b", text }, { "odd", text }, { 0 } };

	snprintf(text, sizeof(text), "%d", i);
	if (i % 2 == 0)
		keys[2].name = NULL;
	kubelet_write(sandbox_path(s, FOLDER), i % 3 == 0 ? KUBELET_OLD : KUBELET_NEW, keys);
}

static void release_files(struct volume_file (*files)[3])
{
	for (size_t i = 0; i < 3; i++)
		volume_file_release(&(*files)[i]);
}

static void read_once(const struct sandbox *s, struct swaps_tally *tally)
{
	static const char *const keys[] = { "a", "b", "odd" };
	CLEANUP(release_files) struct volume_file files[3] = { VOLUME_FILE_INIT };
	int rc = volume_snapshot(&s->root, FOLDER, keys, 3, files, NULL);
	long number;

	if (rc < 0) {
		swaps_count_failure(tally, rc);
		return;
	}
	number = files[0].exists ? strtol(buf_text(&files[0].text), NULL, 10) : -1;
	if (files[1].exists && span_equal(buf_span(&files[0].text), buf_span(&files[1].text)) &&
	    files[2].exists == (number % 2 != 0) &&
	    (!files[2].exists || span_equal(buf_span(&files[0].text), buf_span(&files[2].text))) &&
	    number >= tally->last)
		tally->whole++;
	else
		tally->torn++;
	tally->last = number;
}

static void no_snapshot_is_torn(void **state)
{
	const struct sandbox *s = *state;

	sandbox_make_folder(s, FOLDER);
	swaps_assert_whole(s, write_generation, SWAPS, read_once);
}

static void write_one_of_two(const struct sandbox *s, int i)
{
	write_generation(s, i % 2);
}

static void no_digest_is_torn(void **state)
{
	const struct sandbox *s = *state;
	struct digest wanted[2], now;
	int n_read = 0, n_torn = 0;
	pid_t child;

	sandbox_make_folder(s, FOLDER);
	for (int i = 0; i < 2; i++) {
		write_generation(s, i);
		assert_int_equal(volume_digest(&s->root, FOLDER, &wanted[i], NULL), 0);
	}
	assert_false(digest_equal(&wanted[0], &wanted[1]));
	child = swaps_start(s, write_one_of_two, SWAPS);
	while (!sandbox_has_ended(child)) {
		if (volume_digest(&s->root, FOLDER, &now, NULL) < 0)
			continue;
		n_read++;
		n_torn += !digest_equal(&now, &wanted[0]) && !digest_equal(&now, &wanted[1]);
	}
	sandbox_end(child);
	print_message("%d digests, %d torn\n", n_read, n_torn);
	assert_int_equal(n_torn, 0);
	assert_true(n_read > 0);
	assert_int_equal(volume_digest(&s->root, FOLDER, &now, NULL), 0);
	assert_true(digest_equal(&now, &wanted[SWAPS % 2]));
}

/* kubelet's removing an old generation must not look like a mount whose source is gone. */
static void a_volume_in_motion_is_not_stale(void **state)
{
	const struct sandbox *s = *state;
	cleanup_buf struct buf reason = BUF_INIT;
	pid_t child;
	int n = 0;

	sandbox_make_folder(s, FOLDER);
	child = swaps_start(s, write_generation, SWAPS);
	while (!sandbox_has_ended(child)) {
		assert_true(volume_stale(&s->root, FOLDER, "a", &reason, NULL) <= 0);
		n++;
	}
	sandbox_end(child);
	assert_true(n > 0);
}

/* Read only when an event says so: were the last one lost, the poll would run out. */
static void the_last_swap_is_told(void **state)
{
	const struct sandbox *s = *state;
	CLEANUP(folder_watch_release) struct folder_watch watch = FOLDER_WATCH_INIT;
	const struct folder_request request = { .root = &s->root, .path = FOLDER };
	struct swaps_tally tally = { 0 };
	pid_t child;

	sandbox_make_folder(s, FOLDER);
	write_generation(s, 0);
	assert_int_equal(folder_watch_init(&watch, NULL), 0);
	assert_int_equal(folder_watch_set(&watch, &request, 1, NULL), 0);
	child = swaps_start(s, write_generation, SWAPS);
	while (tally.last < SWAPS) {
		struct pollfd poll_fd = { .fd = folder_watch_fd(&watch), .events = POLLIN };

		assert_int_equal(poll(&poll_fd, 1, EVENT_WAIT_MS), 1);
		assert_true(folder_watch_read(&watch, NULL) >= 0);
		if (folder_watch_take(&watch, 0))
			read_once(s, &tally);
	}
	sandbox_end(child);
	assert_int_equal(tally.torn + tally.failed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_snapshot_is_torn),
		TEST(no_digest_is_torn),
		TEST(the_last_swap_is_told),
		TEST(a_volume_in_motion_is_not_stale),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
