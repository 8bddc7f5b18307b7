/* SPDX-License-Identifier: MIT */
/* spawn - start CMD with exactly what postern was given. */
#include "spawn.h"

#include "patchers/base/error.h"
#include "signal_state.h"
#include "terminal.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: the memory is the parent's, which waits.  The errno of the failed exec. */
static int become(char *const argv[], bool foreground)
{
	(void)setpgid(0, 0); /* a new child may always */
	if (foreground)
		terminal_give(getpid());
	signal_state_give_back();
	execvp(argv[0], argv);
	return errno;
}

static int status_of(int exec_errno)
{
	return exec_errno == ENOENT || exec_errno == ENOTDIR ? SPAWN_NOT_FOUND
							     : SPAWN_NOT_EXECUTABLE;
}

int spawn_start(char *const argv[], bool foreground, pid_t *pid, struct error *err)
{
	volatile int exec_errno = 0;
	/* It stops us until the exec: as long as that takes there is no CMD to forward to. */
	pid_t made = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */

	if (made < 0) {
		error_errno(err, "start %s", argv[0]);
		return SPAWN_FAILED;
	}
	if (made == 0) {
		exec_errno = become(argv, foreground); /* NOLINT(clang-analyzer-unix.Vfork) */
		_exit(SPAWN_NOT_EXECUTABLE);
	}
	if (exec_errno == 0) {
		*pid = made;
		return 0;
	}
	while (waitpid(made, NULL, 0) < 0 && errno == EINTR)
		;
	error_code(err, -exec_errno, "%s", argv[0]);
	return status_of(exec_errno);
}
