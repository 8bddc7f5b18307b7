/* SPDX-License-Identifier: MIT */
/* postern install - for init containers: the program and DMS's hook into a shared folder. */
#include "command.h"
#include "installer.h"
#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "patchers/user_hook.h"
#include "rootfs.h"

#include <limits.h>

enum option { OPTION_NO_HOOK, OPTION_USER_PATCHES, OPTION_AT, OPTION_COUNT };

const struct command_option cmd_install_options[] = {
	[OPTION_NO_HOOK] = { "no-hook", NULL, "the program only: for the command `run`" },
	[OPTION_USER_PATCHES] = { "user-patches", "PATH",
				  "your own script in the mail container, or a folder with "
				  "user-patches.sh" },
	[OPTION_AT] = { "at", "DIR",
			"where the mail container has the folder (default: the same)" },
	[OPTION_COUNT] = { 0 },
};

static bool keep_value(void *arg, int which, const char *value)
{
	const char **values = arg;

	if (cmd_install_options[which].argument && !user_hook_takes_path(value)) {
		log_error("install: --%s: wanted an absolute path without control characters",
			  cmd_install_options[which].name);
		return false;
	}
	values[which] = value;
	return true;
}

/* The only operand, absolute and without slashes at its end; NULL after saying why. */
static const char *take_folder(int argc, char **argv, int first, char room[COMMAND_PATH_BYTES])
{
	size_t len;

	if (first >= argc || !*argv[first]) {
		log_error("install: there is no DIR to install into; see \"postern help\"");
		return NULL;
	}
	if (first + 1 < argc) {
		log_error("install: unexpected \"%s\"; see \"postern help\"", argv[first + 1]);
		return NULL;
	}
	len = (size_t)snprintf(room, COMMAND_PATH_BYTES, "%s", argv[first]);
	while (len > 1 && len < COMMAND_PATH_BYTES && room[len - 1] == '/')
		room[--len] = '\0';
	return room;
}

static bool can_stand_in_hook(const struct user_hook *hook)
{
	if (!user_hook_takes_path(hook->folder)) {
		log_error("install: DIR holds control characters: give --at, or use another one");
		return false;
	}
	if (hook->config && !user_hook_takes_path(hook->config)) {
		log_error("install: --config: wanted a path without control characters");
		return false;
	}
	return true;
}

static int install(const struct command_globals *globals, const struct installer_job *given)
{
	CLEANUP(rootfs_release) struct rootfs root = ROOTFS_INIT;
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	struct installer_job job = *given;
	struct error err = { 0 };
	int rc = rootfs_init(&root, globals->root, &err);

	job.root = &root;
	if (rc == 0)
		rc = installer_run(&job, &notes, &err);
	command_log_notes(&notes);
	if (rc < 0)
		return command_fail(&err);
	if (rc == 0)
		log_notice("nothing to do: %s holds this postern%s", job.folder,
			   job.hook ? " and its hook" : "");
	return EXIT_DONE;
}

int cmd_install(const struct command *self, const struct command_globals *globals, int argc,
		char **argv)
{
	const char *values[OPTION_COUNT] = { NULL }, *folder;
	char given[COMMAND_PATH_BYTES], room[COMMAND_PATH_BYTES];
	int first = command_parse_each(self, argc, argv, keep_value, values);
	struct installer_job job = { .program = INSTALLER_SELF };
	struct user_hook hook = { .config = globals->config,
				  .user_patches = values[OPTION_USER_PATCHES] };

	folder = first < 0 ? NULL : take_folder(argc, argv, first, given);
	if (!folder)
		return EXIT_USAGE;
	job.folder = command_absolute(folder, room);
	hook.folder = values[OPTION_AT] ? values[OPTION_AT] : job.folder;
	if (!values[OPTION_NO_HOOK]) {
		if (!can_stand_in_hook(&hook))
			return EXIT_USAGE;
		job.hook = &hook;
	}
	return install(globals, &job);
}
