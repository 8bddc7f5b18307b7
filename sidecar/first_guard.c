/* SPDX-License-Identifier: MIT */
/* first_guard - the gate before the servers start. */
#include "first_guard.h"

#include "command.h"
#include "companion.h"
#include "inputs.h"
#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "privileges.h"
#include "process.h"
#include "reconcile.h"
#include "survey.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { LIMIT_MS = 2000 };

static int guard(void *arg, const struct supervisor_shared *shared)
{
	const struct command_globals *globals = arg;
	CLEANUP(host_release) struct host host = HOST_INIT;
	CLEANUP(inputs_release) struct inputs inputs = INPUTS_INIT;
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	const struct survey_request request = { .host = &host,
						.settings = &inputs.settings,
						.overrides = &inputs.overrides };
	const struct settings_request settings = {
		.path = globals->config,
		.root = &host.root,
		.networks = getenv(SETTINGS_NETWORKS_VARIABLE),
		.port_names = &host.port_names,
		.networks_needed = true,
	};

	(void)shared;
	if (host_init(&host, globals->root, NULL) == 0 &&
	    inputs_read(&settings, &inputs, &notes, NULL) == 0)
		reconcile_guard(&request, &notes);
	return 0;
}

/* True when it has ended; if there is no descriptor of it, nobody can wait for so long. */
static bool ends_in_time(pid_t pid)
{
	cleanup_fd int pidfd = process_open(pid);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	int n;

	if (pidfd < 0)
		return false;
	do
		n = poll(&ended, 1, LIMIT_MS); /* every signal is blocked */
	while (n < 0 && errno == EINTR);
	return n == 1;
}

void first_guard(void *globals)
{
	pid_t pid;

	if (!privileges_have(PRIVILEGE_NET_ADMIN))
		return;
	pid = companion_start(guard, globals, NULL);
	if (pid < 0) {
		log_warning("run: the gate comes after CMD: %s", strerror(-pid));
		return;
	}
	if (!ends_in_time(pid)) {
		log_warning("run: the gate comes after CMD: looking at the files took too long");
		kill(pid, SIGKILL);
	}
	(void)waitpid(pid, NULL, WNOHANG); /* else it is an orphan like others */
}
