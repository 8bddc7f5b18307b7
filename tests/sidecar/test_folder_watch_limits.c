/* SPDX-License-Identifier: MIT */
/* folder_watch at its limits: queue, watches, instances, descriptors, deaf file systems. */
#include "watching.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What a child says by its exit status: the line of what did not hold, or 0. */
#define HOLDS(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			_exit(__LINE__ % 251 + 1);                                                 \
	} while (0)

static long limit_of(const char *name)
{
	char path[128], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	return strtol(text, NULL, 10);
}

static bool says(const struct folder_watch *watch, size_t i, const char *part)
{
	cleanup_buf struct buf reason = BUF_INIT;

	return folder_watch_is_deaf(watch, i, &reason) == 1 &&
	       span_contains(buf_span(&reason), part);
}

/* ---- the queue ---- */

/* Two names in turn: the kernel joins equal events that follow each other. */
static void flood(const struct watching *w, long n)
{
	const char *from = sandbox_path(w->s, "/busy/a"), *to = sandbox_path(w->s, "/busy/b");

	for (long i = 0; i < n / 2; i += 2) {
		assert_int_equal(rename(from, to), 0);
		assert_int_equal(rename(to, from), 0);
	}
}

static void an_overflow_touches_every_request(void **state)
{
	struct watching *w = *state;
	static const char *const paths[] = { "/quiet", "/busy", "/missing/folder" };
	struct folder_watch_counts counts;

	sandbox_make_folder(w->s, "/quiet");
	sandbox_write(w->s, "/busy/a", "");
	watching_set(w, ARRAY_SIZE(paths), paths);
	flood(w, limit_of("fs/inotify/max_queued_events") + 8);
	/* What the kernel cannot tell any more, with a folder that comes among it. */
	sandbox_write(w->s, "/quiet/file", "");
	sandbox_make_folder(w->s, "/missing/folder");
	watching_assert_touched(w, "0 1 2");
	folder_watch_count(&w->watch, &counts);
	assert_int_equal(counts.overflows, 1);
	/* all is watched as before, and what came is too */
	watching_assert_counts(w, 3, 0);
	sandbox_write(w->s, "/missing/folder/file", "");
	watching_assert_touched(w, "2");
}

/* ---- instances and watches, counted in a user namespace of one's own ---- */

static bool set_limit(const char *name, const char *value)
{
	cleanup_fd int fd = open(name, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
}

static void live_with_one_instance(void *ctx)
{
	struct watching *w = ctx;
	struct folder_watch first, second;
	struct folder_request request = { .root = &w->s->root, .path = "/" };
	struct folder_watch_counts counts;
	struct error err;

	sandbox_enter_user_namespace();
	HOLDS(set_limit("/proc/sys/user/max_inotify_instances", "1"));
	HOLDS(folder_watch_init(&first, NULL) == 0);
	HOLDS(folder_watch_init(&second, &err) == -EMFILE);
	HOLDS(strstr(err.msg, "fs.inotify.max_user_instances"));
	/* Life goes on without. */
	HOLDS(folder_watch_fd(&second) == -1);
	HOLDS(folder_watch_set(&second, &request, 1, &err) == 0);
	HOLDS(says(&second, 0, "inotify instance"));
	HOLDS(folder_watch_read(&second, &err) == 0);
	HOLDS(folder_watch_renew(&second) == 0);
	HOLDS(!folder_watch_take(&second, 0));
	folder_watch_count(&second, &counts);
	HOLDS(counts.deaf == 1 && counts.watches == 0);
	folder_watch_release(&second);
	/* and with one again, when there is one */
	folder_watch_release(&first);
	for (int i = 0; i < 1000 && folder_watch_init(&second, &err) < 0; i++)
		usleep(10000);
	HOLDS(folder_watch_fd(&second) >= 0);
	HOLDS(folder_watch_set(&second, &request, 1, &err) == 0);
	HOLDS(folder_watch_is_deaf(&second, 0, NULL) == 0);
	folder_watch_release(&second);
}

static void without_an_instance_every_request_is_deaf(void **state)
{
	assert_int_equal(sandbox_in_child(live_with_one_instance, *state), 0);
}

static void live_with_one_watch(void *ctx)
{
	struct watching *w = ctx;
	struct folder_watch watch;
	struct folder_request requests[] = {
		{ .root = &w->s->root, .path = "/one" },
		{ .root = &w->s->root, .path = "/two" },
		{ .root = &w->s->root, .path = "/one" },
	};
	struct folder_watch_counts counts;

	sandbox_enter_user_namespace();
	HOLDS(set_limit("/proc/sys/user/max_inotify_watches", "1"));
	HOLDS(folder_watch_init(&watch, NULL) == 0);
	HOLDS(folder_watch_set(&watch, requests, 3, NULL) == 0);
	HOLDS(folder_watch_is_deaf(&watch, 0, NULL) == 0);
	HOLDS(says(&watch, 1, "/two: fs.inotify.max_user_watches"));
	HOLDS(folder_watch_is_deaf(&watch, 2, NULL) == 0);
	folder_watch_count(&watch, &counts);
	HOLDS(counts.deaf == 1 && counts.watches == 1);
	/* one more is allowed: the request is touched, for it was deaf meanwhile */
	HOLDS(folder_watch_renew(&watch) == 0);
	HOLDS(set_limit("/proc/sys/user/max_inotify_watches", "2"));
	HOLDS(folder_watch_renew(&watch) == 1);
	HOLDS(folder_watch_take(&watch, 1) && !folder_watch_take(&watch, 0));
	HOLDS(folder_watch_is_deaf(&watch, 1, NULL) == 0);
	HOLDS(mkdir(sandbox_path(w->s, "/two/folder"), 0700) == 0);
	HOLDS(folder_watch_read(&watch, NULL) == 1 && folder_watch_take(&watch, 1));
	folder_watch_release(&watch);
}

static void beyond_the_watches_a_request_is_deaf(void **state)
{
	struct watching *w = *state;

	sandbox_make_folder(w->s, "/one");
	sandbox_make_folder(w->s, "/two");
	assert_int_equal(sandbox_in_child(live_with_one_watch, w), 0);
}

/* ---- descriptors ---- */

static void live_without_descriptors(void *ctx)
{
	struct watching *w = ctx;
	struct rlimit limit = { 0, 0 };
	struct folder_watch watch;
	struct folder_request request = { .root = &w->s->root, .path = "/one" };
	struct error err;

	HOLDS(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = 0;
	HOLDS(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	HOLDS(folder_watch_init(&watch, &err) == -EMFILE);
	HOLDS(strstr(err.msg, "ulimit -n"));
	/* The one there is: a folder cannot be opened; later it can. */
	HOLDS(folder_watch_set(&w->watch, &request, 1, &err) == 0);
	HOLDS(says(&w->watch, 0, "/one: cannot be watched: Too many open files"));
	limit.rlim_cur = limit.rlim_max;
	HOLDS(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	HOLDS(folder_watch_renew(&w->watch) == 1);
	HOLDS(folder_watch_is_deaf(&w->watch, 0, NULL) == 0);
}

static void without_descriptors_a_request_is_deaf_for_a_while(void **state)
{
	struct watching *w = *state;

	sandbox_make_folder(w->s, "/one");
	assert_int_equal(sandbox_in_child(live_without_descriptors, w), 0);
}

/* ---- a file system that tells nothing: FUSE, with one empty folder ---- */

static void answer(int fd, const struct fuse_in_header *in, int code, const void *data, size_t n)
{
	struct {
		struct fuse_out_header header;
		char data[256];
	} out = { .header = { .unique = in->unique, .error = code } };

	HOLDS(n <= sizeof(out.data));
	if (n > 0)
		memcpy(out.data, data, n);
	out.header.len = (uint32_t)(sizeof(out.header) + n);
	/* ENOENT: whoever asked has gone */
	HOLDS(write(fd, &out, out.header.len) >= 0 || errno == ENOENT);
}

static void serve(void *ctx)
{
	static char request[FUSE_MIN_READ_BUFFER + (1 << 17)];
	const struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
					    .minor = 31,
					    .max_write = 4096 };
	const struct fuse_attr_out attributes = {
		.attr = { .ino = FUSE_ROOT_ID, .mode = S_IFDIR | 0755, .nlink = 2 }
	};
	const struct fuse_statfs_out state = { .st = { .namelen = 255 } };
	int fd = *(int *)ctx;

	while (read(fd, request, sizeof(request)) > 0) {
		const struct fuse_in_header *in = (const void *)request;

		if (in->opcode == FUSE_INIT)
			answer(fd, in, 0, &init, sizeof(init));
		else if (in->opcode == FUSE_GETATTR)
			answer(fd, in, 0, &attributes, sizeof(attributes));
		else if (in->opcode == FUSE_STATFS)
			answer(fd, in, 0, &state, sizeof(state));
		else if (in->opcode == FUSE_LOOKUP)
			answer(fd, in, -ENOENT, NULL, 0);
		else if (in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET &&
			 in->opcode != FUSE_INTERRUPT)
			answer(fd, in, -ENOSYS, NULL, 0);
	}
}

static void a_folder_on_fuse_is_deaf(void **state)
{
	struct watching *w = *state;
	static const char *const paths[] = { "/fuse", "/fuse/missing", "/" };
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[64];
	pid_t server;

	if (fd < 0)
		fail_msg("/dev/fuse: %s; this test needs it", strerror(errno));
	sandbox_make_folder(w->s, "/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	assert_int_equal(mount("fuse", sandbox_path(w->s, "/fuse"), "fuse", 0, options), 0);
	server = sandbox_spawn(serve, &fd);
	close(fd);
	watching_set(w, ARRAY_SIZE(paths), paths);
	assert_true(says(&w->watch, 0, "/fuse: its file system"));
	assert_true(says(&w->watch, 1, "/fuse/missing: its file system"));
	assert_int_equal(folder_watch_is_deaf(&w->watch, 2, NULL), 0);
	/* deaf, but watched: what is done on this machine is heard */
	watching_assert_counts(w, 2, 2);
	assert_int_equal(umount2(sandbox_path(w->s, "/fuse"), MNT_DETACH), 0);
	watching_assert_renewed(w, "0");
	assert_int_equal(folder_watch_is_deaf(&w->watch, 0, NULL), 0);
	sandbox_end(server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, watching_set_up, watching_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_overflow_touches_every_request),
		TEST(without_an_instance_every_request_is_deaf),
		TEST(beyond_the_watches_a_request_is_deaf),
		TEST(without_descriptors_a_request_is_deaf_for_a_while),
		TEST(a_folder_on_fuse_is_deaf),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
