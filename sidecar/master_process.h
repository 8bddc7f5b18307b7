/* SPDX-License-Identifier: MIT */
/*
 * master_process - the process that a server's pid file names, if it really is
 * that server's master.
 */
#ifndef SIDECAR_MASTER_PROCESS_H
#define SIDECAR_MASTER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct error;
struct rootfs;

enum { MASTER_PROCESS_SIGHT_BYTES = 384 };

struct master_process {
	pid_t pid;
	int pidfd;
	/* What the file says that is no master, in words that begin with its path; "": nothing. */
	char sight[MASTER_PROCESS_SIGHT_BYTES];
};

#define MASTER_PROCESS_INIT                                                                        \
	{                                                                                          \
		.pidfd = -1                                                                        \
	}

enum master_process_state {
	MASTER_PROCESS_NONE,     /* nobody there */
	MASTER_PROCESS_READY,    /* runs, and may be told to reload */
	MASTER_PROCESS_STARTING, /* runs, but a SIGHUP would end it */
};

/*
 * The state, and unless it is NONE the process.  NONE when the file is missing,
 * empty, or names a process that is gone (a stale pid file); and, with a word on
 * what was seen, when it says something else, or names a thread, or a process that
 * runs another program than `program`, or that lives in another root, or is of a user
 * who is neither root, nor we, nor the pid file's owner.  The number in the file is taken for
 * the process's own, in the process namespace that it is in: that may be one
 * below ours.  Release with master_process_release().
 *
 * Postfix's master writes its pid file, opens its sockets, and only then
 * catches SIGHUP; Dovecot's catches it before it writes the file.
 */
int master_process_find(const struct rootfs *root, const char *pid_file, const char *program,
			struct master_process *out, struct error *err);

/* Wait until a starting master is ready, 5 s at most; whether it is. */
bool master_process_await(const struct master_process *master);

void master_process_release(struct master_process *master);

bool master_process_is_alive(const struct master_process *master);

/* SIGHUP through the pidfd: never to a process that took the number over. */
int master_process_reload(const struct master_process *master, struct error *err);

#endif
