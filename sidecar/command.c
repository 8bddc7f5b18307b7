/* SPDX-License-Identifier: MIT */
/* command - what all commands share: options, host, settings, messages. */
#include "command.h"

#include "confinement.h"
#include "inputs.h"
#include "log.h"
#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "privileges.h"
#include "server.h"
#include "time_limit.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

enum { OPTIONS_MAX = 16, COMMAND_LIMIT_S = 300 };

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

int command_parse_each(const struct command *self, int argc, char **argv, command_take *take,
		       void *arg)
{
	struct option longs[OPTIONS_MAX + 1] = { 0 };
	int found, which = 0;
	char room[3];

	for (int n = 0; self->options && self->options[n].name && n < OPTIONS_MAX; n++) {
		longs[n].name = self->options[n].name;
		longs[n].has_arg = self->options[n].argument ? required_argument : no_argument;
	}
	optind = 0; /* glibc: start anew */
	opterr = 0;
	while ((found = getopt_long(argc, argv, "+:", longs, &which)) != -1) {
		if (found != 0) {
			log_error("%s: unknown or incomplete option \"%s\"; see \"postern help\"",
				  self->name, command_bad_option(argv, room));
			return -1;
		}
		if (!take(arg, which, optarg ? optarg : ""))
			return -1;
	}
	return optind;
}

const char *command_absolute(const char *path, char room[COMMAND_PATH_BYTES])
{
	char folder[PATH_MAX];

	if (path[0] == '/' || !getcwd(folder, sizeof(folder)))
		return path;
	snprintf(room, COMMAND_PATH_BYTES, "%s/%s", folder, path);
	return room;
}

static bool keep_value(void *arg, int which, const char *value)
{
	const char **values = arg;

	values[which] = value;
	return true;
}

bool command_parse(const struct command *self, int argc, char **argv, const char **values)
{
	int first;

	for (int n = 0; self->options && self->options[n].name && n < OPTIONS_MAX; n++)
		values[n] = NULL;
	first = command_parse_each(self, argc, argv, keep_value, values);
	if (first >= 0 && first < argc)
		log_error("%s: unexpected \"%s\"; see \"postern help\"", self->name, argv[first]);
	return first == argc;
}

void command_log_notes(const struct notes *notes)
{
	for (size_t i = 0; i < notes->n_items; i++)
		log_write(notes->items[i].level == NOTE_WARNING ? LOG_LEVEL_WARNING
								: LOG_LEVEL_NOTICE,
			  "%s", notes->items[i].text);
}

static void say_missing(const struct privilege_use *use)
{
	log_warning("CAP_%s is missing: it is needed to %s", privileges_name(use->privilege),
		    use->what_for);
}

/*
 * A second wall behind what was dropped: some kernels and engines offer none, and
 * who runs postern there is better off with it than without it.
 */
static bool confine(void)
{
	struct error err = { 0 };

	if (confinement_enter(&err) == 0)
		return true;
	log_warning("system calls are not filtered: %s", err.msg);
	return false;
}

int command_keep_privileges(unsigned ways, struct error *err)
{
	const struct privilege_use *uses[PRIVILEGE_COUNT];
	enum privilege kept[PRIVILEGE_COUNT];
	size_t n_uses = privileges_uses(ways, uses), n_kept = 0;
	cleanup_buf struct buf names = BUF_INIT;
	int rc = 0;

	for (size_t i = 0; i < n_uses; i++) {
		if (privileges_have(uses[i]->privilege)) {
			kept[n_kept++] = uses[i]->privilege;
			buf_add_format(&names, "%s%s", names.len > 0 ? ", " : "",
				       privileges_name(uses[i]->privilege));
			continue;
		}
		if (uses[i]->privilege != PRIVILEGE_NET_ADMIN) /* the gate, when it is wanted */
			say_missing(uses[i]);
		if (uses[i]->is_indispensable)
			rc = -EPERM;
	}
	if (rc < 0)
		return error_set(err, rc, "without what is missing nothing can be done");
	rc = privileges_keep(kept, n_kept, true, err);
	if (rc == 0)
		log_notice("capabilities kept: %s; no new ones can be gained%s",
			   n_kept == 0    ? "none"
			   : names.failed ? "what is needed"
					  : buf_text(&names),
			   confine() ? "; system calls are filtered" : "");
	return rc;
}

void command_shed_privileges(unsigned ways)
{
	const struct privilege_use *uses[PRIVILEGE_COUNT];
	enum privilege kept[PRIVILEGE_COUNT];
	size_t n = privileges_uses(ways, uses);
	struct error err = { 0 };

	if (ways != 0 && !privileges_have(PRIVILEGE_SYS_PTRACE)) {
		if (privileges_gain_none(&err) < 0)
			log_warning("%s", err.msg);
		return;
	}
	for (size_t i = 0; i < n; i++)
		kept[i] = uses[i]->privilege;
	if (privileges_keep(kept, n, true, &err) < 0)
		log_warning("going on with all privileges: %s", err.msg);
}

int command_fail(const struct error *err)
{
	log_error("%s", err->msg);
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
		 struct inputs *inputs, struct notes *notes)
{
	struct settings_request request = inputs_request(host, globals->config);
	struct error err = { 0 };

	request.networks_needed = needs == COMMAND_NEEDS_NETWORKS;
	/* In another container it is what `watch` does, once. */
	command_shed_privileges(PRIVILEGES_PATCH | (globals->root_is_given ? PRIVILEGES_WATCH : 0));
	/* In a root of somebody else's there may be no end to what is read. */
	if (globals->root_is_given && time_limit_begin(COMMAND_LIMIT_S, &err) < 0)
		return command_fail(&err);
	if (host_init(host, globals->root, &err) < 0)
		return command_fail(&err);
	if (needs == COMMAND_NEEDS_FOLDERS)
		return settings_load(&request, &inputs->settings, notes, &err) < 0
			       ? open_defaults(&request, &inputs->settings, &err)
			       : 0;
	if (inputs_read(&request, inputs, notes, &err) < 0) {
		log_error("%s", err.msg);
		return inputs->has_settings ? EXIT_FAILED : EXIT_USAGE;
	}
	return 0;
}
