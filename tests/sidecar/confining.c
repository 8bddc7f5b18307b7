/* SPDX-License-Identifier: MIT */
/* confining - what becomes of system calls in processes that are confined. */
#include "confining.h"

#include "sidecar/confinement.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void confining_enter(void)
{
	struct error err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || confinement_enter(&err) != 0)
		_exit(NOT_CONFINED);
}

void confining_enter_alone(void)
{
	struct error err;

	if (confinement_enter_alone(&err) != 0)
		_exit(NOT_CONFINED);
}

int confining_status(void (*run)(void *), void *arg)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		run(arg);
		_exit(FINE);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static unsigned long word_of(unsigned long given)
{
	return given == SELF     ? (unsigned long)getpid()
	       : given == PARENT ? (unsigned long)getppid()
				 : given;
}

bool confining_comes_out(const struct attempt *a)
{
	const pid_t self = getpid();
	unsigned long words[4];
	long done;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = word_of(a->arguments[i]);
	errno = 0;
	done = syscall(a->number, words[0], words[1], words[2], words[3]);
	if (done == 0 && getpid() != self) /* a child */
		_exit(FINE);
	if (a->wanted == 0)
		return errno != EPERM && errno != ENOSYS;
	return done == -1 && errno == a->wanted;
}

struct trial {
	void (*enter)(void);
	const struct attempt *attempt;
};

static void make(void *arg)
{
	const struct trial *trial = arg;

	if (trial->enter)
		trial->enter();
	_exit(confining_comes_out(trial->attempt) ? FINE : CASE);
}

int confining_attempt(void (*enter)(void), const struct attempt *attempt)
{
	struct trial trial = { enter, attempt };

	return confining_status(make, &trial);
}

void confining_assert_each(void (*enter)(void), const struct attempt attempts[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int status = confining_attempt(enter, &attempts[i]);

		if (status != FINE)
			fail_msg("%s: status %d", attempts[i].name, status);
	}
}
