/* SPDX-License-Identifier: MIT */
/*
 * main - global options, then one command of the table.
 *
 * The way of the data: command -> settings + host -> reconcile -> survey, then
 * apply -> servers (postfix_server, dovecot_server) -> patchers for texts,
 * textfile for files, master_process for signals, probe for proof -> view, log.
 */
#include "command.h"
#include "log.h"
#include "patchers/base/span.h"
#include "settings.h"
#include "signal_state.h"
#include "spare_memory.h"
#include "status_client.h"

#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static int cmd_help(const struct command *self, const struct command_globals *globals, int argc,
		    char **argv);
static int cmd_version(const struct command *self, const struct command_globals *globals, int argc,
		       char **argv);

static const struct command commands[] = {
	{ "patch", "make the twins, reload what runs, prove that they answer", cmd_patch_options,
	  cmd_patch },
	{ "check", "read everything, change nothing: print the plan and every warning",
	  cmd_check_options, cmd_check },
	{ "run",
	  "be PID 1: start CMD, forward signals, reap, end as it did: run [OPTION...] -- CMD...",
	  cmd_run_options, cmd_run },
	{ "install",
	  "for init containers: put the program and DMS's hook into DIR: install [OPTION...] DIR",
	  cmd_install_options, cmd_install },
	{ "probe",
	  "speak PROXY v1, v2 and v2 LOCAL to each twin and say what answered, or judge targets",
	  cmd_probe_options, cmd_probe },
	{ "watch", "the same for a mail host that others start", NULL, cmd_watch },
	{ "status", "what the running postern last applied, verified, failed at",
	  cmd_status_options, cmd_status },
	{ "revert", "take away everything that postern wrote, and reload", cmd_revert_options,
	  cmd_revert },
	{ "version", "print the version", NULL, cmd_version },
	{ "help", "print this", NULL, cmd_help },
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

enum global {
	GLOBAL_CONFIG,
	GLOBAL_ROOT,
	GLOBAL_PID,
	GLOBAL_SOCKET,
	GLOBAL_LEVEL,
	GLOBAL_FORMAT,
	GLOBAL_HELP,
	GLOBAL_VERSION,
	GLOBAL_COUNT
};

static const struct command_option globals_table[] = {
	[GLOBAL_CONFIG] = { "config", "FILE", "instead of /etc/postern/postern.conf" },
	[GLOBAL_ROOT] = { "root", "DIR", "the mail host's root folder (default: /)" },
	[GLOBAL_PID] = { "pid", "PID", "the mail host is where this process lives" },
	[GLOBAL_SOCKET] = { "socket", "FILE",
			    "where a running postern is asked (default: " STATUS_SOCKET_DEFAULT
			    ")" },
	[GLOBAL_LEVEL] = { "log-level", "LEVEL", "error, warning, notice (default), info, debug" },
	[GLOBAL_FORMAT] = { "log-format", "text|json", "of the messages on standard error" },
	[GLOBAL_HELP] = { "help", NULL, "print this" },
	[GLOBAL_VERSION] = { "version", NULL, "print the version" },
	[GLOBAL_COUNT] = { 0 },
};

static void print_options(const struct command_option *options, const char *indent)
{
	for (; options && options->name; options++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", options->name,
			 options->argument ? " " : "", options->argument ? options->argument : "");
		printf("%s%-24s %s\n", indent, left, options->summary);
	}
}

static int cmd_help(const struct command *self, const struct command_globals *globals, int argc,
		    char **argv)
{
	(void)self;
	(void)globals;
	(void)argc;
	(void)argv;
	puts("usage: postern [OPTION...] COMMAND [OPTION...]\n\n"
	     "Gives Postfix and Dovecot a second set of ports that require the PROXY protocol.\n\n"
	     "commands:");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
		print_options(commands[i].options, "      ");
	}
	puts("\noptions before the command:");
	print_options(globals_table, "  ");
	puts("\nenvironment: " SETTINGS_NETWORKS_VARIABLE ", the trusted networks, when no file\n"
	     "names them: separated by blanks or commas\n\n"
	     "exit status: 0 done; 1 failed, --check found a difference, or a probed twin is "
	     "down;\n"
	     "2 usage or configuration; run: 125 CMD was not started, 126 it cannot be, 127 it is\n"
	     "not there, else CMD's own or 128 + its signal");
	return EXIT_DONE;
}

static int cmd_version(const struct command *self, const struct command_globals *globals, int argc,
		       char **argv)
{
	(void)self;
	(void)globals;
	(void)argc;
	(void)argv;
	puts("postern " POSTERN_VERSION);
	return EXIT_DONE;
}

static int usage_error(const char *what, const char *text)
{
	log_error("%s \"%s\"; see \"postern help\"", what, text);
	return EXIT_USAGE;
}

static int bad_value(const struct command_option *option, const char *value)
{
	log_error("--%s \"%s\": wanted %s: %s", option->name, value, option->argument,
		  option->summary);
	return EXIT_USAGE;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* What the global options say. */
struct parsed {
	struct command_globals globals;
	char pid_root[64];
	char config_path[COMMAND_PATH_BYTES];
	char root_path[COMMAND_PATH_BYTES];
	int level;
	bool json;
	const struct command *instead; /* --help, --version */
};

/* One option into *out; false when its value is not one. */
static bool take_global(enum global which, const char *value, struct parsed *out)
{
	unsigned long pid;

	switch (which) {
	case GLOBAL_CONFIG:
		out->globals.config = command_absolute(value, out->config_path);
		return value[0] != '\0'; /* a variable that is not set: not the folder we are in */
	case GLOBAL_ROOT:
		out->globals.root = command_absolute(value, out->root_path);
		out->globals.root_is_given = true;
		return value[0] != '\0';
	case GLOBAL_SOCKET:
		out->globals.socket = value;
		return value[0] == '/';
	case GLOBAL_PID:
		if (!span_to_number(span_from(value), INT_MAX, &pid) || pid == 0)
			return false;
		snprintf(out->pid_root, sizeof(out->pid_root), "/proc/%lu/root", pid);
		out->globals.root = out->pid_root;
		out->globals.root_is_given = true;
		return true;
	case GLOBAL_LEVEL:
		out->level = log_level_parse(value);
		return out->level >= 0;
	case GLOBAL_FORMAT:
		out->json = strcmp(value, "json") == 0;
		return out->json || strcmp(value, "text") == 0;
	case GLOBAL_HELP:
		out->instead = find_command("help");
		return true;
	case GLOBAL_VERSION:
		out->instead = find_command("version");
		return true;
	case GLOBAL_COUNT:
		break;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct parsed parsed = { .globals = { .root = "/", .socket = STATUS_SOCKET_DEFAULT },
				 .level = LOG_LEVEL_NOTICE };
	struct option longs[GLOBAL_COUNT + 1] = { 0 };
	const struct command *command;
	int which, found;
	char room[3];

	signal_state_capture();
	spare_memory_for_libevent(malloc, realloc);
	/* Whatever our parent had: children are waited for, a closed pipe is an error. */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < GLOBAL_COUNT; i++) {
		longs[i].name = globals_table[i].name;
		longs[i].has_arg = globals_table[i].argument ? required_argument : no_argument;
	}
	opterr = 0;
	while ((found = getopt_long(argc, argv, "+:", longs, &which)) != -1) {
		if (found != 0)
			return usage_error("unknown or incomplete option",
					   command_bad_option(argv, room));
		if (!take_global((enum global)which, optarg, &parsed))
			return bad_value(&globals_table[which], optarg);
	}
	log_set_up((enum log_level)parsed.level, parsed.json);
	if (parsed.instead)
		return parsed.instead->run(parsed.instead, &parsed.globals, argc, argv);
	if (optind >= argc) {
		log_error("no command is given; see \"postern help\"");
		return EXIT_USAGE;
	}
	command = find_command(argv[optind]);
	if (!command)
		return usage_error("unknown command", argv[optind]);
	return command->run(command, &parsed.globals, argc - optind, argv + optind);
}
