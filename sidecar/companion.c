/* SPDX-License-Identifier: MIT */
/* companion - the process beside CMD in which the watching is done. */
#include "companion.h"

#include "signal_state.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

pid_t companion_start(companion_main *run, void *arg, const struct supervisor_shared *shared)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0)
		return pid;
	(void)setpgid(0, 0); /* a new child may always */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent) /* it died before that */
		_exit(0);
	(void)prctl(PR_SET_NAME, "postern-watch");
	signal_state_fresh();
	_exit(run(arg, shared));
}

int companion_delay(int last_ms, long long lived_ms)
{
	if (last_ms == 0 || lived_ms >= COMPANION_DELAY_MAX_MS)
		return COMPANION_DELAY_MIN_MS;
	return last_ms < COMPANION_DELAY_MAX_MS / 2 ? 2 * last_ms : COMPANION_DELAY_MAX_MS;
}
