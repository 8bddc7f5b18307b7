/* SPDX-License-Identifier: MIT */
/* postern run - be PID 1: start CMD, watch beside it, end as it did. */
#include "command.h"

#include "first_guard.h"
#include "log.h"
#include "patchers/base/error.h"
#include "patchers/base/span.h"
#include "privileges.h"
#include "spawn.h"
#include "supervisor.h"
#include "watcher.h"

#include <errno.h>

enum option {
	OPTION_PROCESS_GROUP,
	OPTION_REWRITE,
	OPTION_REMAP_EXIT,
	OPTION_GRACE,
	OPTION_PARENT_DEATH_SIGNAL,
	OPTION_COUNT
};

const struct command_option cmd_run_options[] = {
	[OPTION_PROCESS_GROUP] = { "process-group", NULL, "forward to CMD's process group" },
	[OPTION_REWRITE] = { "rewrite", "FROM:TO",
			     "forward signal FROM as TO; 0: not at all; may be repeated" },
	[OPTION_REMAP_EXIT] = { "remap-exit", "FROM[:TO]",
				"exit with TO (default: 0) instead of FROM; may be repeated" },
	[OPTION_GRACE] = { "grace", "SECONDS",
			   "what CMD leaves gets SIGTERM, and SIGKILL then (default: 5)" },
	[OPTION_PARENT_DEATH_SIGNAL] = { "parent-death-signal", "SIGNAL",
					 "forward this when our parent dies" },
	[OPTION_COUNT] = { 0 },
};

enum { GRACE_S = 5, GRACE_S_MAX = 3600 };

static int take_grace(struct supervisor_job *job, const char *value, struct error *err)
{
	unsigned long seconds;

	if (!span_to_number(span_from(value), GRACE_S_MAX, &seconds))
		return error_set(err, -EINVAL, "\"%s\": wanted seconds from 0 to %d", value,
				 GRACE_S_MAX);
	job->grace_ms = (int)seconds * 1000;
	return 0;
}

static int take_remap(struct supervisor_job *job, const char *value, struct error *err)
{
	struct span text = span_from(value), from = text;
	const char *colon = strchr(value, ':');
	unsigned long was, is = 0;

	if (colon)
		from = span_between(value, colon);
	if (!span_to_number(from, SUPERVISOR_STATUSES - 1, &was) ||
	    (colon && !span_to_number(span_between(colon + 1, span_end(text)),
				      SUPERVISOR_STATUSES - 1, &is)))
		return error_set(err, -EINVAL, "\"%s\": wanted FROM or FROM:TO, from 0 to %d",
				 value, SUPERVISOR_STATUSES - 1);
	job->exits[was] = (unsigned char)is;
	return 0;
}

static int take_death_signal(struct supervisor_job *job, const char *value, struct error *err)
{
	int sig = signal_from_name(span_from(value));

	if (sig == 0)
		return error_set(err, -EINVAL, "\"%s\" is no signal", value);
	if (!signal_is_forwarded(sig))
		return error_set(err, -EINVAL, "\"%s\" is never forwarded", value);
	job->parent_death_signal = sig;
	return 0;
}

static int take_value(struct supervisor_job *job, enum option option, const char *value,
		      struct error *err)
{
	switch (option) {
	case OPTION_PROCESS_GROUP:
		job->process_group = true;
		return 0;
	case OPTION_REWRITE:
		return signal_rewrites_add(&job->rewrites, value, err);
	case OPTION_REMAP_EXIT:
		return take_remap(job, value, err);
	case OPTION_GRACE:
		return take_grace(job, value, err);
	case OPTION_PARENT_DEATH_SIGNAL:
		return take_death_signal(job, value, err);
	case OPTION_COUNT:
		break;
	}
	return 0;
}

static bool take_option(void *arg, int which, const char *value)
{
	struct error err = { 0 };

	if (take_value(arg, (enum option)which, value, &err) == 0)
		return true;
	log_error("run: --%s %s", cmd_run_options[which].name, err.msg);
	return false;
}

/*
 * CMD has everything that we were given, and so has what it starts.  The companion
 * has what we keep: none of the tools that it runs is a set-gid program.
 */
static void keep_privileges(void)
{
	struct error err = { 0 };

	if (command_keep_privileges(PRIVILEGES_RUN, &err) < 0)
		log_error("run: %s", err.msg); /* CMD runs all the same */
}

/* In the companion: what is done beside CMD until a signal ends it. */
static int watch_companion(void *arg, const struct supervisor_shared *shared)
{
	const struct command_globals *globals = arg;
	const struct watcher_job job = {
		.mode = "run",
		.config = globals->config,
		.root = globals->root,
		.socket_path = globals->socket,
		.supervisor = shared,
	};

	return watcher_run(&job);
}

int cmd_run(const struct command *self, const struct command_globals *globals, int argc,
	    char **argv)
{
	struct command_globals for_companion = *globals;
	struct supervisor_job job = { .grace_ms = GRACE_S * 1000,
				      .before_start = first_guard,
				      .once_running = keep_privileges,
				      .companion = watch_companion,
				      .companion_arg = &for_companion };
	int first;

	signal_rewrites_init(&job.rewrites);
	for (int i = 0; i < SUPERVISOR_STATUSES; i++)
		job.exits[i] = (unsigned char)i;
	first = command_parse_each(self, argc, argv, take_option, &job);
	if (first < 0)
		return SPAWN_FAILED;
	if (first == argc) {
		log_error("run: there is no CMD to start; see \"postern help\"");
		return SPAWN_FAILED;
	}
	job.argv = argv + first;
	log_never_wait();
	return supervisor_run(&job);
}
