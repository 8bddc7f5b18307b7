/* SPDX-License-Identifier: MIT */
/* master_process - the process that a server's pid file names. */
#include "master_process.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "process.h"
#include "rootfs.h"
#include "textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

enum { START_WAIT_MS = 5000, START_STEP_MS = 10, SHOWN_MAX = 32 };

void master_process_release(struct master_process *master)
{
	if (master->pidfd >= 0)
		close(master->pidfd);
	*master = (struct master_process)MASTER_PROCESS_INIT;
}

/* What is asked for, and who may have written it. */
struct search {
	const struct rootfs *root;
	const char *pid_file;
	const char *program;
	pid_t number;
	uid_t owner; /* of the file */
	struct master_process *out;
};

static void see(const struct search *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void see(const struct search *s, const char *fmt, ...)
{
	char *sight = s->out->sight;
	va_list ap;
	int n;

	if (sight[0] != '\0')
		return;
	n = snprintf(sight, MASTER_PROCESS_SIGHT_BYTES, "%.120s ", s->pid_file);
	va_start(ap, fmt);
	vsnprintf(sight + n, MASTER_PROCESS_SIGHT_BYTES - (size_t)n, fmt, ap);
	va_end(ap);
}

static bool is_a_masters_user(const struct search *s, uid_t user)
{
	return user == 0 || user == getuid() || user == s->owner;
}

/*
 * Checked after the process was opened: what is checked is what will be signalled.
 * 1, 0, or a negative errno when it cannot be told.
 */
static int is_the_master(const struct search *s, pid_t pid, int pidfd)
{
	int runs, lives, is_told;
	char name[PROCESS_NAME_BYTES] = "?";
	pid_t inner = process_inner_number(pid);
	uid_t user = 0;

	if (inner != s->number)
		return inner < 0 ? inner : 0;
	runs = process_runs(pid, s->program);
	lives = process_lives_in(pid, s->root);
	is_told = process_users(pid, NULL, &user);
	if (runs < 0 || lives < 0 || is_told <= 0)
		return runs < 0 ? runs : lives < 0 ? lives : is_told;
	/* Each process namespace of the machine has one of that number: they are none of ours. */
	if (pid != s->number && !lives)
		return 0;
	if (runs && lives && is_a_masters_user(s, user))
		return process_is_alive(pidfd);
	if (process_executes_nothing(pid)) /* its end is not to be seen by the pidfd yet */
		return 0;
	if (!runs && process_name(pid, name))
		see(s, "names process %d, \"%s\", which is not %s", (int)pid, name, s->program);
	else if (!lives)
		see(s, "names process %d, which has another root", (int)pid);
	else
		see(s, "names process %d, which is of user %u", (int)pid, (unsigned)user);
	return 0;
}

/* 1 and the process in s->out, 0 when this one is not it, or an error. */
static int try_process(const struct search *s, pid_t pid, struct error *err)
{
	int pidfd = process_open(pid), rc;
	bool had_sight;

	if (pidfd == -ESRCH && process_of_thread(pid) > 0)
		see(s, "names %d, which is a thread of process %d", (int)pid,
		    (int)process_of_thread(pid));
	if (pidfd == -ESRCH)
		return 0;
	if (pidfd < 0)
		return error_code(err, pidfd, "open process %d", (int)pid);
	had_sight = s->out->sight[0] != '\0';
	rc = is_the_master(s, pid, pidfd);
	if (rc <= 0) {
		if (!had_sight && !process_is_alive(pidfd)) /* gone meanwhile: it was stale */
			s->out->sight[0] = '\0';
		close(pidfd);
		return rc < 0 ? error_code(err, rc, "look at process %d", (int)pid) : 0;
	}
	*s->out = (struct master_process){ .pid = pid, .pidfd = pidfd };
	return 1;
}

/*
 * The number is the master's own: in a process namespace below ours, it has
 * another one here.
 */
static int find_by_inner_number(const struct search *s, struct error *err)
{
	CLEANUP(process_walk_release) struct process_walk walk = PROCESS_WALK_INIT;
	int rc = process_walk_init(&walk, err);
	pid_t pid, inner;

	while (rc == 0 && (pid = process_walk_next(&walk)) > 0) {
		inner = pid == s->number ? 0 : process_inner_number(pid);
		if (inner < 0)
			rc = error_code(err, inner, "look at process %d", (int)pid);
		if (inner == s->number)
			rc = try_process(s, pid, err);
	}
	return rc;
}

static uid_t owner_of(const struct rootfs *root, const char *path)
{
	cleanup_fd int fd = rootfs_open(root, path, O_PATH, 0, NULL);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_uid : 0;
}

/* 1 and the number, or 0. */
static int read_number(struct search *s, struct span text)
{
	unsigned long number;

	text = span_trim(text, " \t\r\n");
	if (span_to_number(text, INT_MAX, &number) && number >= 1) {
		s->number = (pid_t)number;
		return 1;
	}
	if (text.len > 0) /* else somebody is about to write it */
		see(s, "holds \"%.*s\", which is no process's number",
		    (int)(text.len < SHOWN_MAX ? text.len : SHOWN_MAX), text.data);
	return 0;
}

int master_process_find(const struct rootfs *root, const char *pid_file, const char *program,
			struct master_process *out, struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct search s = { .root = root, .pid_file = pid_file, .program = program, .out = out };
	int rc = textfile_read(root, pid_file, &text, err);

	out->sight[0] = '\0';
	if (rc == -ENOENT || rc == -ENOTDIR)
		return MASTER_PROCESS_NONE;
	if (rc < 0)
		return rc;
	if (read_number(&s, buf_span(&text)) == 0)
		return MASTER_PROCESS_NONE;
	s.owner = owner_of(root, pid_file);
	rc = try_process(&s, s.number, err);
	if (rc == 0)
		rc = find_by_inner_number(&s, err);
	if (rc <= 0)
		return rc;
	rc = process_catches(out->pid, SIGHUP);
	if (rc < 0) {
		master_process_release(out);
		return error_code(err, rc, "look at process %d", (int)s.number);
	}
	return rc ? MASTER_PROCESS_READY : MASTER_PROCESS_STARTING;
}

bool master_process_await(const struct master_process *master)
{
	const struct timespec step = { .tv_nsec = START_STEP_MS * 1000000L };

	for (int waited = 0; waited < START_WAIT_MS; waited += START_STEP_MS) {
		if (process_catches(master->pid, SIGHUP) > 0)
			return master_process_is_alive(master);
		if (!master_process_is_alive(master))
			return false;
		nanosleep(&step, NULL);
	}
	return false;
}

bool master_process_is_alive(const struct master_process *master)
{
	return process_is_alive(master->pidfd);
}

int master_process_reload(const struct master_process *master, struct error *err)
{
	if (syscall(SYS_pidfd_send_signal, master->pidfd, SIGHUP, NULL, 0) < 0)
		return error_errno(err, "send SIGHUP to process %d", (int)master->pid);
	return 0;
}
