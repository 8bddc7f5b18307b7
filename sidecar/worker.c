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
#include <time.h>

/* A look may have to wait for it, and asks for itself then. */
enum { REHEARSAL_TOOL_MS = 1000 };

enum {
	HANGING_MAX = 8, /* a look and a rehearsal at once, and those of containers before */
	END_STEP_US = 100,
	END_LIMIT_US = 1000000,
};

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
	prctl(PR_SET_NAME, request->rehearse ? "postern-judge" : WORKER_LOOK_NAME);
	if (request->rehearse) {
		log_silence();
		tool_set_limit(REHEARSAL_TOOL_MS);
	}
	let_go_of_all_but(fd);
	look_run(request, &report);
	if (report_print(&report, &bytes, NULL) == 0)
		write_all(fd, buf_span(&bytes));
}

/*
 * Those that cannot even be killed: they wait for a file system that does not
 * answer.  They are nobody's report any more.
 */
static pid_t hanging[HANGING_MAX];
static size_t n_hanging;

/* One that hangs is not joined by another. */
static int check_hanging(struct error *err)
{
	size_t left = 0;

	for (size_t i = 0; i < n_hanging; i++)
		if (waitpid(hanging[i], NULL, WNOHANG) == 0)
			hanging[left++] = hanging[i];
	n_hanging = left;
	if (left == 0)
		return 0;
	return error_set(err, -EBUSY,
			 "process %d, which looked last, waits for a file system that does not "
			 "answer, and cannot be ended",
			 (int)hanging[0]);
}

int worker_start(const struct look_request *request, struct worker *out, struct error *err)
{
	cleanup_fd int ours = -1, theirs = -1;
	int fds[2], rc = check_hanging(err);
	pid_t pid;

	if (rc < 0)
		return rc;
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

/* It has closed its end, or is killed: how did it end?  -ETIMEDOUT: it does not. */
static int reap(struct worker *worker)
{
	const struct timespec step = { .tv_nsec = END_STEP_US * 1000L };
	pid_t pid = worker->pid, ended = 0;
	int status = 0;

	for (int waited = 0; waited < END_LIMIT_US && ended == 0; waited += END_STEP_US) {
		ended = waitpid(pid, &status, WNOHANG);
		if (ended == 0)
			nanosleep(&step, NULL);
	}
	if (ended == 0 && n_hanging < HANGING_MAX)
		hanging[n_hanging++] = pid;
	worker->pid = 0;
	close(worker->fd);
	worker->fd = -1;
	return ended == 0 ? -ETIMEDOUT : status;
}

static int finish(struct worker *worker, struct report *out, struct error *err)
{
	int status = reap(worker);
	int rc;

	if (status < 0)
		rc = error_set(err, status, "looking at the mail host came to no end");
	else if (WIFSIGNALED(status))
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
