/* SPDX-License-Identifier: MIT */
/* master_process - the process that a server's pid file names. */
#include "master_process.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "process.h"
#include "textfile.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

enum { START_WAIT_MS = 5000, START_STEP_MS = 10 };

void master_process_release(struct master_process *master)
{
	if (master->pidfd >= 0)
		close(master->pidfd);
	*master = (struct master_process)MASTER_PROCESS_INIT;
}

/*
 * Checked after the process was opened: what is checked is what will be signalled.
 * 1, 0, or a negative errno when it cannot be told.
 */
static int is_the_master(pid_t pid, int pidfd, pid_t number, const struct rootfs *root,
			 const char *program)
{
	pid_t inner = process_inner_number(pid);
	int rc;

	if (inner != number)
		return inner < 0 ? inner : 0;
	rc = process_runs(pid, program);
	if (rc > 0)
		rc = process_lives_in(pid, root);
	return rc > 0 ? process_is_alive(pidfd) : rc;
}

/* 1 and the process in *out, 0 when this one is not it, or an error. */
static int try_process(pid_t pid, pid_t number, const struct rootfs *root, const char *program,
		       struct master_process *out, struct error *err)
{
	int pidfd = process_open(pid), rc;

	if (pidfd == -ESRCH)
		return 0;
	if (pidfd < 0)
		return error_code(err, pidfd, "open process %d", (int)pid);
	rc = is_the_master(pid, pidfd, number, root, program);
	if (rc <= 0) {
		close(pidfd);
		return rc < 0 ? error_code(err, rc, "look at process %d", (int)pid) : 0;
	}
	*out = (struct master_process){ .pid = pid, .pidfd = pidfd };
	return 1;
}

/*
 * The number is the master's own: in a process namespace below ours, it has
 * another one here.
 */
static int find_by_inner_number(pid_t number, const struct rootfs *root, const char *program,
				struct master_process *out, struct error *err)
{
	CLEANUP(process_walk_release) struct process_walk walk = PROCESS_WALK_INIT;
	int rc = process_walk_init(&walk, err);
	pid_t pid, inner;

	while (rc == 0 && (pid = process_walk_next(&walk)) > 0) {
		inner = pid == number ? 0 : process_inner_number(pid);
		if (inner < 0)
			rc = error_code(err, inner, "look at process %d", (int)pid);
		if (inner == number)
			rc = try_process(pid, number, root, program, out, err);
	}
	return rc;
}

int master_process_find(const struct rootfs *root, const char *pid_file, const char *program,
			struct master_process *out, struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	unsigned long number;
	int rc = textfile_read(root, pid_file, &text, err);

	if (rc == -ENOENT || rc == -ENOTDIR)
		return MASTER_PROCESS_NONE;
	if (rc < 0)
		return rc;
	if (!span_to_number(span_trim(buf_span(&text), " \t\r\n"), INT_MAX, &number) || number < 1)
		return MASTER_PROCESS_NONE;
	rc = try_process((pid_t)number, (pid_t)number, root, program, out, err);
	if (rc == 0)
		rc = find_by_inner_number((pid_t)number, root, program, out, err);
	if (rc <= 0)
		return rc;
	rc = process_catches(out->pid, SIGHUP);
	if (rc < 0) {
		master_process_release(out);
		return error_code(err, rc, "look at process %lu", number);
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
