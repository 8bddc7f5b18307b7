/* SPDX-License-Identifier: MIT */
/* command - one table that dispatches commands and prints the help. */
#ifndef SIDECAR_COMMAND_H
#define SIDECAR_COMMAND_H

#include <limits.h>
#include <stdbool.h>

struct error;
struct host;
struct inputs;
struct notes;

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* The options that stand before the command. */
struct command_globals {
	const char *config; /* --config, as an absolute path; NULL: the default file */
	const char *root;   /* --root or --pid; "/" */
	bool root_is_given;
	const char *socket; /* where a running postern is asked, see endpoint.h */
};

struct command_option {
	const char *name;     /* long option, without its dashes */
	const char *argument; /* what it takes, for the help; NULL: nothing */
	const char *summary;
};

struct command {
	const char *name;
	const char *summary;
	const struct command_option *options; /* ended by a NULL name; may be NULL */
	/* argv[0] is the command's name.  Returns the exit status. */
	int (*run)(const struct command *self, const struct command_globals *globals, int argc,
		   char **argv);
};

int cmd_check(const struct command *self, const struct command_globals *globals, int argc,
	      char **argv);
int cmd_install(const struct command *self, const struct command_globals *globals, int argc,
		char **argv);
int cmd_patch(const struct command *self, const struct command_globals *globals, int argc,
	      char **argv);
int cmd_probe(const struct command *self, const struct command_globals *globals, int argc,
	      char **argv);
int cmd_revert(const struct command *self, const struct command_globals *globals, int argc,
	       char **argv);
int cmd_run(const struct command *self, const struct command_globals *globals, int argc,
	    char **argv);
int cmd_status(const struct command *self, const struct command_globals *globals, int argc,
	       char **argv);
int cmd_watch(const struct command *self, const struct command_globals *globals, int argc,
	      char **argv);

extern const struct command_option cmd_check_options[];
extern const struct command_option cmd_install_options[];
extern const struct command_option cmd_patch_options[];
extern const struct command_option cmd_probe_options[];
extern const struct command_option cmd_revert_options[];
extern const struct command_option cmd_run_options[];
extern const struct command_option cmd_status_options[];

/*
 * Take the options apart as `self` declares them.  values[i] is set to the
 * argument of option i, or to "" when it takes none; NULL when it is not
 * given.  False, after saying why, for what is not declared or for a word that
 * is no option.
 */
bool command_parse(const struct command *self, int argc, char **argv, const char **values);

/*
 * Is called for an option of the table, by its index, with its argument or "".
 * False, after saying why, when the argument is not one.
 */
typedef bool command_take(void *arg, int which, const char *value);

/*
 * For options that may be repeated, and for a command that takes operands:
 * every option in the order in which it is given, up to "--" or the first word
 * that is no option.  The index in argv of the first operand, argc when there
 * is none; or -1, after saying why.
 */
int command_parse_each(const struct command *self, int argc, char **argv, command_take *take,
		       void *arg);

/* The word that getopt_long(3) did not like; `room` is for a short option. */
const char *command_bad_option(char **argv, char room[3]);

enum { COMMAND_PATH_BYTES = 2 * PATH_MAX };

/* A path made absolute in `room`, or itself: a running postern leaves the folder it began in. */
const char *command_absolute(const char *path, char room[COMMAND_PATH_BYTES]);

/* How a command needs the settings. */
enum command_needs {
	COMMAND_NEEDS_NETWORKS, /* it makes twins */
	COMMAND_NEEDS_PORTS,    /* it looks at them */
	COMMAND_NEEDS_FOLDERS,  /* it takes them away: a broken file must not stop it */
};

/*
 * The host and the inputs that the globals name, the latter of one moment, and
 * without override files for COMMAND_NEEDS_FOLDERS; remarks on them are added to
 * notes.  Sheds the privileges that work on that host does not need.  0, or an exit
 * status after the reason was logged.
 */
int command_open(const struct command_globals *globals, enum command_needs needs, struct host *host,
		 struct inputs *inputs, struct notes *notes);

/*
 * For what keeps running: give up every privilege but those of `ways` (a mask
 * of enum privileges_way) and every system call that is not needed, for good;
 * and say once what is kept, and what is missing and what will not work for it.
 * 0, or -EPERM when the kernel does not let us, or one is missing without which
 * nothing works.  Where system calls cannot be filtered that is said, and no
 * failure.
 */
int command_keep_privileges(unsigned ways, struct error *err);

/*
 * Privileges alone, for what runs once, without a word: who lacks one hears of it when it
 * is needed.  None is given up without CAP_SYS_PTRACE, but for `ways` 0: the kernel shows a
 * process then only to who has all that it has, and the servers have much.  No program that
 * is executed from now on gains any.
 */
void command_shed_privileges(unsigned ways);

/* Log remarks at their level. */
void command_log_notes(const struct notes *notes);

/* Log a failure; the exit status that it means. */
int command_fail(const struct error *err);

#endif
