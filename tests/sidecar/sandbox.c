/* SPDX-License-Identifier: MIT */
/* sandbox - a folder of the test's own as the mail host's root. */
#include "sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { WALK_FDS = 16, PATHS = 8, NAMES_BYTES_MAX = 4096 };

static bool mounts_are_private;

static void need(bool done, const char *what)
{
	if (done)
		return;
	fprintf(stderr, "%s: %s; these tests need root\n", what, strerror(errno));
	exit(1);
}

void sandbox_enter_private_mounts(void)
{
	need(unshare(CLONE_NEWNS) == 0, "private mounts");
	need(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
	mounts_are_private = true;
}

void sandbox_enter_private_network(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	cleanup_fd int fd = -1;

	need(unshare(CLONE_NEWNET) == 0, "private network");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	need(fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0, "loopback");
	request.ifr_flags |= IFF_UP;
	need(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "loopback");
}

static void put_text(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
}

void sandbox_enter_user_namespace(void)
{
	need(unshare(CLONE_NEWUSER) == 0, "user namespace");
	put_text("/proc/self/uid_map", "0 0 1");
	put_text("/proc/self/setgroups", "deny");
	put_text("/proc/self/gid_map", "0 0 1");
}

int sandbox_set_up(void **state)
{
	struct sandbox *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	umask(0077); /* modes must not depend on a friendly one */
	s->root = s->own = (struct rootfs)ROOTFS_INIT;
	strcpy(s->path, "/tmp/postern-sandbox-XXXXXX");
	assert_non_null(mkdtemp(s->path));
	if (mounts_are_private)
		need(mount("tmpfs", s->path, "tmpfs", 0, "mode=0755") == 0, "tmpfs");
	assert_int_equal(rootfs_init(&s->root, s->path, NULL), 0);
	assert_int_equal(rootfs_init(&s->own, "/", NULL), 0);
	*state = s;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

int sandbox_tear_down(void **state)
{
	struct sandbox *s = *state;

	rootfs_release(&s->root);
	rootfs_release(&s->own);
	if (mounts_are_private)
		umount2(s->path, MNT_DETACH);
	nftw(s->path, remove_one, WALK_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(s);
	return 0;
}

const char *sandbox_path(const struct sandbox *s, const char *inside)
{
	static char paths[PATHS][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % PATHS];

	snprintf(path, PATH_MAX, "%s%s", s->path, inside);
	return path;
}

void sandbox_make_folder(const struct sandbox *s, const char *inside)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", sandbox_path(s, inside));
	for (char *p = path + strlen(s->path) + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	if (mkdir(path, 0755) < 0)
		assert_int_equal(errno, EEXIST);
}

static void make_parent(const struct sandbox *s, const char *inside)
{
	char parent[PATH_MAX], *slash;

	snprintf(parent, sizeof(parent), "%s", inside);
	slash = strrchr(parent, '/');
	assert_non_null(slash);
	*slash = '\0';
	if (parent[0])
		sandbox_make_folder(s, parent);
}

void sandbox_write_span(const struct sandbox *s, const char *inside, struct span text)
{
	const char *path = sandbox_path(s, inside);
	FILE *file;

	make_parent(s, inside);
	file = fopen(path, "we");
	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	if (text.len > 0)
		assert_int_equal(fwrite(text.data, 1, text.len, file), text.len);
	assert_int_equal(fclose(file), 0);
}

void sandbox_write(const struct sandbox *s, const char *inside, const char *text)
{
	sandbox_write_span(s, inside, span_from(text));
}

void sandbox_link(const struct sandbox *s, const char *target, const char *inside)
{
	make_parent(s, inside);
	assert_int_equal(symlink(target, sandbox_path(s, inside)), 0);
}

void sandbox_move(const struct sandbox *s, const char *from, const char *to)
{
	assert_int_equal(rename(sandbox_path(s, from), sandbox_path(s, to)), 0);
}

void sandbox_bind(const struct sandbox *s, const char *from, const char *to)
{
	assert_int_equal(mount(sandbox_path(s, from), sandbox_path(s, to), "none", MS_BIND, NULL), 0);
}

void sandbox_copy_program(const struct sandbox *s, const char *inside)
{
	char command[2 * PATH_MAX + 64], program[PATH_MAX];
	/* Under valgrind it is this program only for this program. */
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program));

	assert_true(n > 0 && (size_t)n < sizeof(program));
	/* cp(1) keeps the mode */
	snprintf(command, sizeof(command), "cp %.*s %s", (int)n, program, sandbox_path(s, inside));
	assert_int_equal(system(command), 0);
}

void sandbox_read(const struct sandbox *s, const char *inside, struct buf *out)
{
	const char *path = sandbox_path(s, inside);
	FILE *file = fopen(path, "re");
	char bytes[4096];
	size_t n;

	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
		buf_add(out, span_make(bytes, n));
	fclose(file);
}

static bool holds_text(const char *path, struct span text)
{
	FILE *file = fopen(path, "re");
	bool same = file != NULL;
	char bytes[4096];
	size_t n;

	while (same && (n = fread(bytes, 1, sizeof(bytes), file)) > 0) {
		same = n <= text.len && memcmp(bytes, text.data, n) == 0;
		if (same)
			text = span_between(text.data + n, span_end(text));
	}
	if (file)
		fclose(file);
	return same && text.len == 0;
}

void sandbox_assert_text(const struct sandbox *s, const char *inside, const char *text)
{
	cleanup_buf struct buf now = BUF_INIT;

	if (holds_text(sandbox_path(s, inside), span_from(text)))
		return;
	sandbox_read(s, inside, &now);
	unit_assert_span(buf_span(&now), span_from(text));
}

bool sandbox_has(const struct sandbox *s, const char *inside)
{
	struct stat st;

	return lstat(sandbox_path(s, inside), &st) == 0;
}

static int is_no_dot(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

void sandbox_assert_names(const struct sandbox *s, const char *inside, const char *names)
{
	char found[NAMES_BYTES_MAX] = "";
	size_t at = 0;
	struct dirent **entries = NULL;
	int n = scandir(sandbox_path(s, inside), &entries, is_no_dot, alphasort);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		at += (size_t)snprintf(found + at, sizeof(found) - at, "%s%s", i > 0 ? " " : "",
				       entries[i]->d_name);
		assert_true(at < sizeof(found));
		free(entries[i]);
	}
	free(entries);
	unit_assert_span(span_from(found), span_from(names));
}

pid_t sandbox_spawn(void (*function)(void *ctx), void *ctx)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	function(ctx);
	_exit(0);
}

/* A stop needs nothing that would have to be handed on. */
void sandbox_ready(void)
{
	raise(SIGSTOP);
}

pid_t sandbox_spawn_ready(void (*function)(void *ctx), void *ctx)
{
	pid_t pid = sandbox_spawn(function, ctx);
	siginfo_t info = { 0 };

	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_code, CLD_STOPPED);
	assert_int_equal(kill(pid, SIGCONT), 0);
	return pid;
}

void sandbox_linger(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

bool sandbox_has_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	if (info.si_pid != pid)
		return false;
	assert_int_equal(info.si_code, CLD_EXITED);
	assert_int_equal(info.si_status, 0);
	return true;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int sandbox_in_child(void (*function)(void *ctx), void *ctx)
{
	return wait_for(sandbox_spawn(function, ctx));
}

void sandbox_end(pid_t pid)
{
	kill(pid, SIGKILL);
	wait_for(pid);
}

long sandbox_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
