/* SPDX-License-Identifier: MIT */
/* time_limit - an end for what may hang in the kernel. */
#include "time_limit.h"

#include "patchers/base/error.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIGNAL_STATUS = 128 };

static pid_t work; /* for the handler */

static void on_limit(int number)
{
	static const char text[] =
		"postern: error: given up: the root has held us up for too long\n";

	(void)number;
	kill(work, SIGKILL); /* it need not obey */
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(EXIT_FAILURE);
}

/* SIGALRM is let in once `work` is known. */
static void allow_limit(const sigset_t *before)
{
	sigset_t mask = *before;

	sigdelset(&mask, SIGALRM);
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

static _Noreturn void end_as_work(int status)
{
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
		_exit(SIGNAL_STATUS + WTERMSIG(status));
	}
	_exit(WEXITSTATUS(status));
}

static _Noreturn void wait_for_work(unsigned seconds, const sigset_t *before)
{
	int status = 0;

	signal(SIGALRM, on_limit);
	alarm(seconds);
	allow_limit(before);
	while (waitpid(work, &status, 0) < 0 && errno == EINTR)
		;
	alarm(0);
	end_as_work(status);
}

int time_limit_begin(unsigned seconds, struct error *err)
{
	pid_t parent = getpid();
	sigset_t alarms, before;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarms, &before);
	work = fork();
	if (work > 0)
		wait_for_work(seconds, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (work < 0)
		return error_errno(err, "start a process");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* killed before that */
		_exit(EXIT_FAILURE);
	return 0;
}
