/* SPDX-License-Identifier: MIT */
/* first_guard - the gate before the servers start. */
#include "first_guard.h"

#include "command.h"
#include "companion.h"
#include "inputs.h"
#include "log.h"
#include "monotonic.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "privileges.h"
#include "reconcile.h"
#include "survey.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum { LIMIT_MS = 2000 };

static int guard(void *arg, const struct supervisor_shared *shared)
{
	const struct command_globals *globals = arg;
	CLEANUP(host_release) struct host host = HOST_INIT;
	CLEANUP(inputs_release) struct inputs inputs = INPUTS_INIT;
	CLEANUP(notes_release) struct notes of_inputs = NOTES_INIT, notes = NOTES_INIT;
	const struct survey_request request = { .host = &host,
						.settings = &inputs.settings,
						.overrides = &inputs.overrides,
						.guard_anyway = true };
	const struct settings_request settings = inputs_request(&host, globals->config);

	(void)shared;
	(void)prctl(PR_SET_NAME, "postern-guard");
	if (host_init(&host, globals->root, NULL) == 0)
		(void)inputs_read(&settings, &inputs, &of_inputs, NULL);
	if (inputs.has_settings)
		reconcile_guard(&request, &notes);
	command_log_notes(&notes);
	return 0;
}

/* True when it has ended, and is reaped; without a descriptor, as there may be none left. */
static bool ends_in_time(pid_t pid, int *status)
{
	const int64_t deadline_ms = monotonic_ms() + LIMIT_MS;
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGCHLD);
	while (waitpid(pid, status, WNOHANG) == 0) {
		const int64_t left_ms = deadline_ms - monotonic_ms();
		const struct timespec left = { .tv_sec = left_ms / 1000,
					       .tv_nsec = left_ms % 1000 * 1000000 };

		if (left_ms <= 0)
			return false;
		(void)sigtimedwait(&ends, NULL, &left); /* or it was another one's end */
	}
	return true;
}

void first_guard(void *globals)
{
	int status = 0;
	pid_t pid;

	if (!privileges_have(PRIVILEGE_NET_ADMIN))
		return;
	pid = companion_start(guard, globals, NULL);
	if (pid < 0) {
		log_warning("run: the gate comes after CMD: %s", strerror(-pid));
		return;
	}
	if (ends_in_time(pid, &status)) {
		if (WIFSIGNALED(status))
			log_warning("run: the gate comes after CMD: looking at the files ended by "
				    "signal %d",
				    WTERMSIG(status));
		return;
	}
	log_warning("run: the gate comes after CMD: looking at the files took too long");
	kill(pid, SIGKILL); /* and reaped later, as orphans are */
}
