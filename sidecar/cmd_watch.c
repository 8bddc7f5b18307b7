/* SPDX-License-Identifier: MIT */
/* cmd_watch - keep a mail host's twins in step, from a container of our own or in its. */
#include "command.h"
#include "log.h"
#include "patchers/base/error.h"
#include "privileges.h"
#include "watcher.h"

int cmd_watch(const struct command *self, const struct command_globals *globals, int argc,
	      char **argv)
{
	const struct watcher_job job = {
		.mode = "watch",
		.config = globals->config,
		.root = globals->root_is_given ? globals->root : NULL,
		.socket_path = globals->socket,
	};
	const char *values[1];
	struct error err = { 0 };

	if (!command_parse(self, argc, argv, values))
		return EXIT_USAGE;
	log_never_wait();
	if (command_keep_privileges(PRIVILEGES_WATCH, &err) < 0)
		return command_fail(&err);
	return watcher_run(&job);
}
