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

struct master_process {
	pid_t pid;
	int pidfd;
};

#define MASTER_PROCESS_INIT { .pidfd = -1 }

/*
 * 1 and the process; 0 when the file is missing, or names a process that is
 * gone, runs another program than `program`, or lives in another root (a stale
 * pid file).  Release with master_process_release().
 */
int master_process_find(const struct rootfs *root, const char *pid_file, const char *program,
			struct master_process *out, struct error *err);
void master_process_release(struct master_process *master);

bool master_process_is_alive(const struct master_process *master);

/* SIGHUP through the pidfd: never to a process that took the number over. */
int master_process_reload(const struct master_process *master, struct error *err);

#endif
