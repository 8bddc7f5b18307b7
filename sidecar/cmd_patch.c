/* SPDX-License-Identifier: MIT */
/* cmd_patch - converge once: plan, judge, write, reload, verify. */
#include "command.h"
#include "inputs.h"
#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "reconcile.h"
#include "survey.h"

#include <stdio.h>

enum { OPTION_DRY_RUN, OPTION_CHECK, OPTION_NO_RELOAD, OPTION_COUNT };

const struct command_option cmd_patch_options[] = {
	[OPTION_DRY_RUN] = { "dry-run", NULL, "print the changes as a diff, write nothing" },
	[OPTION_CHECK] = { "check", NULL, "the same, and exit 1 if something would change" },
	[OPTION_NO_RELOAD] = { "no-reload", NULL,
			       "write only: nothing is judged, reloaded or verified" },
	[OPTION_COUNT] = { 0 },
};

/* What would be done besides changing files. */
static void say_rest(const struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct server *server = &r->servers[i];

		if (server->unproven)
			log_notice("%s: it was not told of its files, or does not follow them",
				   server->kind->name);
		if (server->has_record)
			log_notice("%s: what is remembered of its overrides is out of date",
				   server->kind->name);
	}
	if (gate_differs(&r->gate))
		log_notice("gate: not as wanted");
}

/* Print what would change. */
static int show(const struct survey_request *request, bool check)
{
	CLEANUP(survey_release) struct survey r = SURVEY_INIT;
	cleanup_buf struct buf diff = BUF_INIT;
	struct error err = { 0 };
	int rc = survey_take(request, &r, &err);

	command_log_notes(&r.notes);
	if (rc == 0)
		rc = survey_diff(&r, &diff, &err);
	if (rc < 0)
		return command_fail(&err);
	fwrite(buf_text(&diff), 1, diff.len, stdout);
	say_rest(&r);
	return check && survey_differs(&r) ? EXIT_FAILED : EXIT_DONE;
}

static int apply(const struct survey_request *request)
{
	CLEANUP(survey_release) struct survey r = SURVEY_INIT;
	struct error err = { 0 };
	int rc = reconcile_run(request, &r, &err);

	command_log_notes(&r.notes);
	if (rc < 0)
		return command_fail(&err);
	if (rc == 0)
		log_notice(
			"nothing to do: everything is as wanted; nothing was written or reloaded");
	return EXIT_DONE;
}

int cmd_patch(const struct command *self, const struct command_globals *globals, int argc,
	      char **argv)
{
	CLEANUP(host_release) struct host host = HOST_INIT;
	CLEANUP(inputs_release) struct inputs inputs = INPUTS_INIT;
	struct survey_request request = { .host = &host,
					  .settings = &inputs.settings,
					  .overrides = &inputs.overrides,
					  .guard_anyway = true };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	const char *values[OPTION_COUNT];
	bool shows;
	int status;

	if (!command_parse(self, argc, argv, values))
		return EXIT_USAGE;
	status = command_open(globals, COMMAND_NEEDS_NETWORKS, &host, &inputs, &notes);
	shows = values[OPTION_DRY_RUN] || values[OPTION_CHECK];
	if (status != 0 && inputs.has_settings && !shows) /* then networks are known */
		reconcile_guard(&request, &notes);
	command_log_notes(&notes);
	if (status != 0)
		return status;
	request.no_reload = values[OPTION_NO_RELOAD] != NULL;
	if (shows)
		return show(&request, values[OPTION_CHECK] != NULL);
	request.await_start = !request.no_reload;
	return apply(&request);
}
