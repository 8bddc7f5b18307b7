/* SPDX-License-Identifier: MIT */
/* command - what all commands share: options, host, settings, messages. */
#include "command.h"

#include "log.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "server.h"
#include "settings.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 16 };

const char *command_bad_option(char **argv, char room[3])
{
	/* Long options have no character; in "-xy" getopt is not past the word yet. */
	if (optopt == 0)
		return argv[optind - 1];
	room[0] = '-';
	room[1] = (char)optopt;
	room[2] = '\0';
	return room;
}

bool command_parse(const struct command *self, int argc, char **argv, const char **values)
{
	struct option longs[OPTIONS_MAX + 1] = { 0 };
	int n = 0, found, which = 0;
	char room[3];

	for (; self->options && self->options[n].name && n < OPTIONS_MAX; n++) {
		longs[n].name = self->options[n].name;
		longs[n].has_arg = self->options[n].argument ? required_argument : no_argument;
		values[n] = NULL;
	}
	optind = 0; /* glibc: start anew */
	opterr = 0;
	while ((found = getopt_long(argc, argv, "+:", longs, &which)) != -1) {
		if (found != 0) {
			log_error("%s: unknown or incomplete option \"%s\"; see \"postern help\"",
				  self->name, command_bad_option(argv, room));
			return false;
		}
		values[which] = optarg ? optarg : "";
	}
	if (optind < argc) {
		log_error("%s: unexpected \"%s\"; see \"postern help\"", self->name, argv[optind]);
		return false;
	}
	return true;
}

void command_log_notes(const struct notes *notes)
{
	for (size_t i = 0; i < notes->n_items; i++)
		log_write(notes->items[i].level == NOTE_WARNING ? LOG_LEVEL_WARNING
								: LOG_LEVEL_NOTICE,
			  "%s", notes->items[i].text);
}

int command_fail(const struct error *err)
{
	log_error("%s", err->msg);
	return EXIT_FAILED;
}

/* Until the gate is there, a promise of it cannot be kept. */
static int check_gate(const struct settings *settings)
{
	if (settings->gate != SETTINGS_GATE_REQUIRE)
		return 0;
	log_error("gate = \"require\": this version has no gate, so the ports are not opened");
	return EXIT_FAILED;
}

/* The defaults, when the file cannot be used and must not be in the way. */
static int open_defaults(const struct settings_request *request, struct settings *settings,
			 const struct error *why)
{
	struct settings_request defaults = *request;
	struct error err = { 0 };

	log_warning("%s; going on with the default folders", why->msg);
	defaults.path = NULL;
	defaults.no_file = true;
	defaults.networks = NULL;
	return settings_load(&defaults, settings, NULL, &err) < 0 ? command_fail(&err) : 0;
}

int command_open(const struct command_globals *globals, enum command_needs needs, struct host *host,
		 struct settings *settings, struct notes *notes)
{
	struct settings_request request = {
		.path = globals->config,
		.root = &host->root,
		.networks = getenv(SETTINGS_NETWORKS_VARIABLE),
		.port_names = &host->port_names,
		.networks_needed = needs == COMMAND_NEEDS_NETWORKS,
	};
	struct error err = { 0 };

	if (host_init(host, globals->root, &err) < 0)
		return command_fail(&err);
	if (settings_load(&request, settings, notes, &err) < 0) {
		if (needs == COMMAND_NEEDS_FOLDERS)
			return open_defaults(&request, settings, &err);
		log_error("%s", err.msg);
		return EXIT_USAGE;
	}
	return needs == COMMAND_NEEDS_NETWORKS ? check_gate(settings) : 0;
}
