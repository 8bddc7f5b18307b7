/* SPDX-License-Identifier: MIT */
/* cmd_check - read everything, change nothing, print the plan and every warning. */
#include "command.h"
#include "inputs.h"
#include "network.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "privileges.h"
#include "survey.h"
#include "view.h"

enum { OPTION_JSON, OPTION_COUNT };

const struct command_option cmd_check_options[] = {
	[OPTION_JSON] = { "json", NULL, "for programs" },
	[OPTION_COUNT] = { 0 },
};

static void note_privileges(struct notes *notes)
{
	static const enum privilege needed[] = { PRIVILEGE_CHOWN, PRIVILEGE_DAC_OVERRIDE,
						 PRIVILEGE_FOWNER, PRIVILEGE_KILL };
	cleanup_buf struct buf missing = BUF_INIT;

	if (privileges_missing(needed, sizeof(needed) / sizeof(needed[0]), &missing) > 0)
		notes_add(notes, NOTE_WARNING,
			  "this process lacks %s: patch needs what root has to write the servers' "
			  "files and to reload them",
			  missing.failed ? "capabilities" : buf_text(&missing));
}

static void note_network(struct notes *notes)
{
	char interface[64];

	if (network_is_of_a_node(interface, sizeof(interface)))
		notes_add(notes, NOTE_WARNING,
			  "the network is a whole machine's (it has %s): every program on it can "
			  "reach the twins over loopback, which Dovecot's listeners trust",
			  interface);
}

int cmd_check(const struct command *self, const struct command_globals *globals, int argc,
	      char **argv)
{
	CLEANUP(host_release) struct host host = HOST_INIT;
	CLEANUP(inputs_release) struct inputs inputs = INPUTS_INIT;
	CLEANUP(survey_release) struct survey r = SURVEY_INIT;
	struct survey_request request = { .host = &host,
					  .settings = &inputs.settings,
					  .overrides = &inputs.overrides };
	const char *values[OPTION_COUNT];
	struct error err = { 0 };
	int rc;

	if (!command_parse(self, argc, argv, values))
		return EXIT_USAGE;
	rc = command_open(globals, COMMAND_NEEDS_NETWORKS, &host, &inputs, &r.notes);
	if (rc != 0) {
		command_log_notes(&r.notes);
		return rc;
	}
	rc = survey_take(&request, &r, &err);
	note_privileges(&r.notes);
	note_network(&r.notes);
	if (rc == 0)
		rc = view_plan(&r, &inputs.settings, values[OPTION_JSON] != NULL, &err);
	else
		command_log_notes(&r.notes);
	return rc < 0 ? command_fail(&err) : EXIT_DONE;
}
