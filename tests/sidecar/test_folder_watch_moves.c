/* SPDX-License-Identifier: MIT */
/* folder_watch: folders that are missing, removed, made again, mounted over, in another root. */
#include "kubelet.h"
#include "watching.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { EVENT_WAIT_MS = 10000, ROUNDS = 2000 };

#define SET(w, ...)                                                                                \
	watching_set(w, ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })),                        \
		     (const char *const[]){ __VA_ARGS__ })

static const char *at(const struct watching *w, const char *inside)
{
	return sandbox_path(w->s, inside);
}

static void make(const struct watching *w, const char *inside)
{
	assert_int_equal(mkdir(at(w, inside), 0755), 0);
}

/* A file in the folder of the only request: it is watched. */
static void assert_heard(struct watching *w, const char *inside)
{
	sandbox_write(w->s, inside, "");
	watching_assert_touched(w, "0");
	assert_int_equal(unlink(at(w, inside)), 0);
	watching_assert_touched(w, "0");
}

static void assert_not_heard(struct watching *w, const char *inside)
{
	sandbox_write(w->s, inside, "");
	assert_int_equal(unlink(at(w, inside)), 0);
	watching_assert_touched(w, "");
}

/* ---- missing ---- */

static void a_missing_folder_is_waited_for(void **state)
{
	struct watching *w = *state;

	SET(w, "/a/b/c");
	watching_assert_counts(w, 1, 0);
	make(w, "/unrelated");
	watching_assert_touched(w, "");
	/* the way there is no news; the folder is */
	make(w, "/a");
	watching_assert_touched(w, "");
	sandbox_write(w->s, "/a/c", "");
	make(w, "/a/b");
	watching_assert_touched(w, "");
	watching_assert_counts(w, 1, 0);
	make(w, "/a/b/c");
	watching_assert_touched(w, "0");
	assert_heard(w, "/a/b/c/file");
	watching_assert_counts(w, 1, 0);
}

static void a_folder_that_comes_whole_is_found(void **state)
{
	struct watching *w = *state;

	SET(w, "/a/b/c", "/a/b", "/a/x");
	sandbox_write(w->s, "/ready/b/c/file", "");
	sandbox_move(w->s, "/ready", "/a");
	watching_assert_touched(w, "0 1");
	watching_assert_counts(w, 3, 0);
	sandbox_write(w->s, "/a/b/c/file", "");
	watching_assert_touched(w, "0");
	make(w, "/a/x");
	watching_assert_touched(w, "2");
}

static void made_at_once_and_read_once_is_enough(void **state)
{
	struct watching *w = *state;

	SET(w, "/a/b/c//");
	sandbox_write(w->s, "/a/b/c/file", "");
	watching_assert_touched(w, "0");
	assert_heard(w, "/a/b/c/file");
}

static void what_is_no_folder_is_a_missing_one(void **state)
{
	struct watching *w = *state;

	sandbox_write(w->s, "/a/b", "a file");
	SET(w, "/a/b/c");
	assert_int_equal(unlink(at(w, "/a/b")), 0);
	watching_assert_touched(w, "");
	sandbox_write(w->s, "/a/b/c/file", "");
	watching_assert_touched(w, "0");
}

static void a_missing_name_may_be_any(void **state)
{
	struct watching *w = *state;

	SET(w, "/some.lock");
	make(w, "/some.lock");
	watching_assert_touched(w, "0");
	assert_heard(w, "/some.lock/file");
}

/* ---- removed, renamed ---- */

static void a_folder_removed_and_made_again_is_watched(void **state)
{
	struct watching *w = *state;

	make(w, "/a");
	SET(w, "/a");
	assert_int_equal(rmdir(at(w, "/a")), 0);
	watching_assert_touched(w, "0");
	watching_assert_counts(w, 1, 0);
	make(w, "/a");
	watching_assert_touched(w, "0");
	assert_heard(w, "/a/file");
	/* both before anybody looks */
	assert_int_equal(rmdir(at(w, "/a")), 0);
	make(w, "/a");
	watching_assert_touched(w, "0");
	assert_heard(w, "/a/file");
	watching_assert_counts(w, 1, 0);
}

static void a_folder_removed_with_its_parents_is_waited_for(void **state)
{
	struct watching *w = *state;

	sandbox_make_folder(w->s, "/a/b/c");
	SET(w, "/a/b/c");
	assert_int_equal(rmdir(at(w, "/a/b/c")), 0);
	watching_assert_touched(w, "0");
	assert_int_equal(rmdir(at(w, "/a/b")), 0);
	assert_int_equal(rmdir(at(w, "/a")), 0);
	watching_assert_touched(w, "");
	sandbox_make_folder(w->s, "/a/b/c");
	watching_assert_touched(w, "0");
	assert_heard(w, "/a/b/c/file");
}

static void a_folder_renamed_away_is_not_watched_any_more(void **state)
{
	struct watching *w = *state;

	make(w, "/a");
	SET(w, "/a");
	sandbox_move(w->s, "/a", "/elsewhere");
	watching_assert_touched(w, "0");
	assert_not_heard(w, "/elsewhere/file");
	make(w, "/new");
	sandbox_move(w->s, "/new", "/a");
	watching_assert_touched(w, "0");
	assert_heard(w, "/a/file");
	watching_assert_counts(w, 1, 0);
}

static void a_renamed_parent_is_found_by_renewing(void **state)
{
	struct watching *w = *state;

	sandbox_make_folder(w->s, "/a/b");
	SET(w, "/a/b");
	sandbox_move(w->s, "/a", "/old");
	sandbox_make_folder(w->s, "/a/b");
	watching_assert_renewed(w, "0");
	watching_assert_renewed(w, "");
	assert_heard(w, "/a/b/file");
	assert_not_heard(w, "/old/b/file");
	watching_assert_counts(w, 1, 0);
}

static void a_link_that_leads_elsewhere_now_is_found_by_renewing(void **state)
{
	struct watching *w = *state;

	make(w, "/one");
	make(w, "/two");
	sandbox_link(w->s, "one", "/link");
	SET(w, "/link");
	assert_heard(w, "/one/file");
	assert_int_equal(unlink(at(w, "/link")), 0);
	sandbox_link(w->s, "two", "/link");
	watching_assert_renewed(w, "0");
	assert_heard(w, "/two/file");
	assert_not_heard(w, "/one/file");
}

static void renewing_finds_nothing_when_all_stands(void **state)
{
	struct watching *w = *state;

	sandbox_make_folder(w->s, "/a/b");
	SET(w, "/a/b", "/a", "/a/missing", "/a/b");
	watching_assert_renewed(w, "");
	watching_assert_counts(w, 2, 0);
	sandbox_write(w->s, "/a/b/file", "");
	watching_assert_touched(w, "0 3");
	/* what was touched before stays so */
	sandbox_write(w->s, "/a/b/file", "");
	assert_int_equal(folder_watch_read(&w->watch, NULL), 1);
	watching_assert_renewed(w, "0 3");
}

/* ---- all that at full speed ---- */

static void need(bool done)
{
	if (!done)
		_exit(1);
}

/* Make /a/b with a file in it and take it away again, each time in another way. */
static void make_and_remove(void *ctx)
{
	const struct watching *w = ctx;

	for (int i = 0; i <= ROUNDS; i++) {
		FILE *file;

		need(mkdir(at(w, "/a"), 0755) == 0 && mkdir(at(w, "/a/b"), 0755) == 0);
		file = fopen(at(w, "/a/b/file"), "we");
		need(file && fprintf(file, "%d", i) > 0 && fclose(file) == 0);
		if (i == ROUNDS)
			return;
		if (i % 3 == 1)
			need(rename(at(w, "/a/b"), at(w, "/a/old")) == 0);
		if (i % 3 == 2)
			need(rename(at(w, "/a"), at(w, "/old")) == 0);
		need(unlink(at(w, i % 3 == 0   ? "/a/b/file"
				  : i % 3 == 1 ? "/a/old/file"
					       : "/old/b/file")) == 0);
		need(rmdir(at(w, i % 3 == 0 ? "/a/b" : i % 3 == 1 ? "/a/old" : "/old/b")) == 0);
		need(rmdir(at(w, i % 3 == 2 ? "/old" : "/a")) == 0);
	}
}

static long number_in(const struct watching *w)
{
	char text[16] = "";
	FILE *file = fopen(at(w, "/a/b/file"), "re");

	if (file) {
		if (!fgets(text, sizeof(text), file))
			text[0] = '\0';
		fclose(file);
	}
	return strtol(text, NULL, 10);
}

/* Look only when an event says so: were the last one lost, the poll would run out. */
static void the_last_state_is_told(void **state)
{
	struct watching *w = *state;
	pid_t child;

	SET(w, "/a/b");
	child = sandbox_spawn(make_and_remove, w);
	while (number_in(w) < ROUNDS) {
		struct pollfd poll_fd = { .fd = folder_watch_fd(&w->watch), .events = POLLIN };
		bool touched = false;

		while (!touched) {
			assert_int_equal(poll(&poll_fd, 1, EVENT_WAIT_MS), 1);
			assert_true(folder_watch_read(&w->watch, NULL) >= 0);
			touched = folder_watch_take(&w->watch, 0);
		}
	}
	sandbox_end(child);
	/* What is left of the way there shows at its next event. */
	sandbox_write(w->s, "/a/unrelated", "");
	sandbox_write(w->s, "/unrelated", "");
	assert_true(folder_watch_read(&w->watch, NULL) >= 0);
	watching_assert_counts(w, 1, 0);
}

/* ---- mounts ---- */

static void mount_tmpfs(const struct watching *w, const char *inside)
{
	assert_int_equal(mount("tmpfs", at(w, inside), "tmpfs", 0, "mode=0755"), 0);
}

static void a_volume_mounted_over_the_folder_is_found_by_renewing(void **state)
{
	struct watching *w = *state;
	const struct kubelet_key keys[] = { { "a", "1" }, { 0 } };

	make(w, "/a");
	make(w, "/volume");
	kubelet_write(at(w, "/volume"), KUBELET_NEW, keys);
	SET(w, "/a");
	sandbox_bind(w->s, "/volume", "/a");
	watching_assert_touched(w, "");
	watching_assert_renewed(w, "0");
	/* written where it is bound from, as kubelet does */
	kubelet_write(at(w, "/volume"), KUBELET_NEW,
		      (const struct kubelet_key[]){ { "a", "2" }, { 0 } });
	watching_assert_touched(w, "0");
	assert_int_equal(umount(at(w, "/a")), 0);
	watching_assert_renewed(w, "0");
	assert_heard(w, "/a/file");
}

static void an_unmounted_folder_is_told_at_once(void **state)
{
	struct watching *w = *state;
	struct pollfd poll_fd = { .fd = folder_watch_fd(&w->watch), .events = POLLIN };

	make(w, "/a");
	mount_tmpfs(w, "/a");
	SET(w, "/a");
	assert_heard(w, "/a/file");
	assert_int_equal(umount(at(w, "/a")), 0);
	assert_int_equal(poll(&poll_fd, 1, EVENT_WAIT_MS), 1);
	watching_assert_touched(w, "0");
	assert_heard(w, "/a/file");
	watching_assert_counts(w, 1, 0);
}

/* ---- another root ---- */

static void links_stay_in_the_root(void **state)
{
	struct watching *w = *state;
	char outside[] = "/tmp/postern-outside-XXXXXX", path[64];

	assert_non_null(mkdtemp(outside));
	sandbox_link(w->s, outside, "/link");
	SET(w, "/link");
	snprintf(path, sizeof(path), "%s/file", outside);
	assert_true(close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) == 0);
	watching_assert_touched(w, "");
	unlink(path);
	rmdir(outside);
	/* Inside, the target of the link is missing still; nobody tells when it comes. */
	sandbox_make_folder(w->s, outside);
	watching_assert_renewed(w, "0");
	snprintf(path, sizeof(path), "%s/file", outside);
	assert_heard(w, path);
}

/* As a container: mounts and a root of its own. */
static void live_in_a_root_of_its_own(void *ctx)
{
	struct watching *w = ctx;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", at(w, "/container"), "tmpfs", 0, "mode=0755") < 0 ||
	    mkdir(at(w, "/container/etc"), 0755) < 0 || chroot(at(w, "/container")) < 0 ||
	    chdir("/etc") < 0)
		_exit(1);
	if (kill(getpid(), SIGSTOP) < 0)
		_exit(2);
	if (close(open("/etc/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) < 0)
		_exit(3);
	_exit(0);
}

static void another_containers_root_is_watched(void **state)
{
	struct watching *w = *state;
	CLEANUP(rootfs_release) struct rootfs theirs = ROOTFS_INIT;
	struct folder_request request = { .root = &theirs, .path = "/etc" };
	char path[64];
	siginfo_t info;
	pid_t child;

	make(w, "/container");
	child = sandbox_spawn(live_in_a_root_of_its_own, w);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WSTOPPED | WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_code, CLD_STOPPED);
	snprintf(path, sizeof(path), "/proc/%d/root", (int)child);
	assert_int_equal(rootfs_init(&theirs, path, NULL), 0);
	watching_set_requests(w, 1, &request);
	watching_assert_touched(w, "");
	assert_int_equal(kill(child, SIGCONT), 0);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_status, 0);
	watching_assert_touched(w, "0");
	sandbox_end(child);
	/* Its last mount goes with our hold of it; the request waits on, and does no harm. */
	watching_assert_renewed(w, "");
	watching_set(w, 0, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, watching_set_up, watching_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_missing_folder_is_waited_for),
		TEST(a_folder_that_comes_whole_is_found),
		TEST(made_at_once_and_read_once_is_enough),
		TEST(what_is_no_folder_is_a_missing_one),
		TEST(a_missing_name_may_be_any),
		TEST(a_folder_removed_and_made_again_is_watched),
		TEST(a_folder_removed_with_its_parents_is_waited_for),
		TEST(a_folder_renamed_away_is_not_watched_any_more),
		TEST(a_renamed_parent_is_found_by_renewing),
		TEST(a_link_that_leads_elsewhere_now_is_found_by_renewing),
		TEST(renewing_finds_nothing_when_all_stands),
		TEST(the_last_state_is_told),
		TEST(a_volume_mounted_over_the_folder_is_found_by_renewing),
		TEST(an_unmounted_folder_is_told_at_once),
		TEST(links_stay_in_the_root),
		TEST(another_containers_root_is_watched),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
