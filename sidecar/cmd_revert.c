/* SPDX-License-Identifier: MIT */
/* cmd_revert - take away everything that postern wrote. */
#include "command.h"
#include "inputs.h"
#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "reconcile.h"
#include "status_client.h"
#include "survey.h"

enum { OPTION_NO_RELOAD, OPTION_COUNT };

const struct command_option cmd_revert_options[] = {
	[OPTION_NO_RELOAD] = { "no-reload", NULL, "files only: the servers are not reloaded" },
	[OPTION_COUNT] = { 0 },
};

/* A postern that keeps running would make everything anew. */
static bool is_kept(const struct command_globals *globals)
{
	cleanup_buf struct buf answer = BUF_INIT;

	if (globals->root_is_given ||
	    status_client_get(globals->socket, "/healthz", &answer, NULL) != 200)
		return false;
	log_error(
		"revert: a postern runs here (%s) and would make the twins anew: stop it first, or "
		"switch them off in its configuration: postfix { enable = false } dovecot { enable "
		"= false }",
		globals->socket);
	return true;
}

int cmd_revert(const struct command *self, const struct command_globals *globals, int argc,
	       char **argv)
{
	CLEANUP(host_release) struct host host = HOST_INIT;
	CLEANUP(inputs_release) struct inputs inputs = INPUTS_INIT;
	CLEANUP(survey_release) struct survey r = SURVEY_INIT;
	struct survey_request request = {
		.host = &host,
		.settings = &inputs.settings,
		.overrides = &inputs.overrides,
		.revert = true,
	};
	const char *values[OPTION_COUNT];
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	struct error err = { 0 };
	int rc;

	if (!command_parse(self, argc, argv, values))
		return EXIT_USAGE;
	if (is_kept(globals))
		return EXIT_FAILED;
	rc = command_open(globals, COMMAND_NEEDS_FOLDERS, &host, &inputs, &notes);
	command_log_notes(&notes);
	if (rc != 0)
		return rc;
	request.no_reload = values[OPTION_NO_RELOAD] != NULL;
	request.await_start = !request.no_reload;
	rc = reconcile_run(&request, &r, &err);
	command_log_notes(&r.notes);
	if (rc < 0)
		return command_fail(&err);
	if (r.failed) {
		log_error("not everything could be reverted: see above");
		return EXIT_FAILED;
	}
	if (rc == 0)
		log_notice("nothing to do: nothing of postern's is here");
	return EXIT_DONE;
}
