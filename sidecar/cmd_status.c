/* SPDX-License-Identifier: MIT */
/* cmd_status - what the running postern last applied, verified, failed at. */
#include "command.h"
#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "status_client.h"
#include "view_status.h"

#include <stdio.h>

enum { OPTION_JSON, OPTION_COUNT };

const struct command_option cmd_status_options[] = {
	[OPTION_JSON] = { "json", NULL, "for programs" },
	[OPTION_COUNT] = { 0 },
};

int cmd_status(const struct command *self, const struct command_globals *globals, int argc,
	       char **argv)
{
	cleanup_buf struct buf body = BUF_INIT;
	const char *values[OPTION_COUNT];
	struct error err = { 0 };
	int rc;

	if (!command_parse(self, argc, argv, values))
		return EXIT_USAGE;
	rc = status_client_get(globals->socket, "/status", &body, &err);
	if (rc < 0)
		return command_fail(&err);
	if (rc != 200) {
		log_error("status: the running postern answers %d: %s", rc, buf_text(&body));
		return EXIT_FAILED;
	}
	if (values[OPTION_JSON]) {
		fputs(buf_text(&body), stdout);
		return EXIT_DONE;
	}
	rc = view_status_for_people(buf_span(&body), &err);
	return rc < 0 ? command_fail(&err) : EXIT_DONE;
}
