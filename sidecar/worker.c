/* SPDX-License-Identifier: MIT */
/* worker - a look in a process of its own. */
#include "worker.h"

#include "log.h"
#include "look.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "report.h"
#include "signal_state.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* A look may have to wait for it, and asks for itself then. */
enum { REHEARSAL_TOOL_MS = 1000 };

static bool write_all(int fd, struct span bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.data, bytes.len);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0)
			bytes = span_make(bytes.data + n, bytes.len - (size_t)n);
	}
	return true;
}

/*
 * The watcher's own: a look that outlives it would keep its sockets served, and
 * its successor from them.
 */
static void let_go_of_all_but(int fd)
{
	if (fd > STDERR_FILENO + 1)
		(void)close_range(STDERR_FILENO + 1, (unsigned)fd - 1, 0);
	(void)close_range((unsigned)fd + 1, ~0U, 0);
}

static void work(const struct look_request *request, int fd)
{
	CLEANUP(report_release) struct report report = REPORT_INIT;
	cleanup_buf struct buf bytes = BUF_INIT;

	signal_state_fresh();     /* the watcher's handlers are not ours: a signal means to end */
	setpgid(0, 0);            /* so that the servers' tools can be ended with it */
	signal(SIGTTOU, SIG_IGN); /* the terminal may be of another group */
	prctl(PR_SET_NAME, request->rehearse ? "postern-judge" : "postern-look");
	if (request->rehearse) {
		log_silence();
		tool_set_limit(REHEARSAL_TOOL_MS);
	}
	let_go_of_all_but(fd);
	look_run(request, &report);
	if (report_print(&report, &bytes, NULL) == 0)
		write_all(fd, buf_span(&bytes));
}

int worker_start(const struct look_request *request, struct worker *out, struct error *err)
{
	cleanup_fd int ours = -1, theirs = -1;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, "make a pipe");
	ours = fds[0];
	theirs = fds[1];
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return error_errno(err, "set up a pipe");
	pid = fork();
	if (pid < 0)
		return error_errno(err, "start a process");
	if (pid == 0) {
		work(request, theirs);
		_exit(0);
	}
	setpgid(pid, pid); /* whoever of the two comes first */
	*out = (struct worker){ .pid = pid, .fd = steal_fd(&ours) };
	return 0;
}

/* It has closed its end, or is to be killed: how did it end? */
static int reap(struct worker *worker)
{
	int status = 0;

	while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	worker->pid = 0;
	close(worker->fd);
	worker->fd = -1;
	return status;
}

static int finish(struct worker *worker, struct report *out, struct error *err)
{
	int status = reap(worker);
	int rc;

	if (WIFSIGNALED(status))
		rc = error_set(err, -ECHILD, "looking at the mail host ended by signal %d",
			       WTERMSIG(status));
	else
		rc = report_parse(buf_span(&worker->bytes), out, err);
	if (rc == -EINVAL)
		rc = error_set(err, -ECHILD, "looking at the mail host ended without a report");
	buf_release(&worker->bytes);
	return rc < 0 ? rc : 1;
}

int worker_read(struct worker *worker, struct report *out, struct error *err)
{
	for (;;) {
		ssize_t n;

		if (worker->bytes.len > WORKER_REPORT_BYTES_MAX ||
		    !buf_reserve(&worker->bytes, 4096)) {
			worker_release(worker);
			return error_set(err, -ENOMEM, "out of memory for a report");
		}
		n = read(worker->fd, worker->bytes.data + worker->bytes.len, 4096);
		if (n > 0) {
			worker->bytes.len += (size_t)n;
			worker->bytes.data[worker->bytes.len] = '\0';
			continue;
		}
		if (n == 0)
			return finish(worker, out, err);
		if (errno == EAGAIN)
			return 0;
		if (errno != EINTR) {
			int rc = error_errno(err, "read a report");

			worker_release(worker);
			return rc;
		}
	}
}

void worker_kill(const struct worker *worker)
{
	if (worker->pid > 0 && kill(-worker->pid, SIGKILL) < 0)
		kill(worker->pid, SIGKILL); /* where it could not lead a group */
}

void worker_release(struct worker *worker)
{
	worker_kill(worker);
	if (worker->pid > 0)
		reap(worker);
	buf_release(&worker->bytes);
	*worker = (struct worker)WORKER_INIT;
}
