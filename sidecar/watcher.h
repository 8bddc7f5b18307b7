/* SPDX-License-Identifier: MIT */
/*
 * watcher - the loop of a running postern: triggers in, looks out.
 *
 *   inotify, a master's end, a signal, time --> settle --> worker --> report
 *   report --> which folders and masters to follow, what status says
 *
 * It never works itself: a look is a process of its own (worker.h), so the loop
 * turns while a server is slow, and lives when a look dies.  Nothing wakes it
 * while nothing happens, but for the resync.
 */
#ifndef SIDECAR_WATCHER_H
#define SIDECAR_WATCHER_H

struct supervisor_shared;

struct watcher_job {
	const char *mode;        /* "run" or "watch", for status */
	const char *config;      /* of --config, absolute; NULL: the default file */
	const char *root;        /* of the mail host; NULL: it is to be found (target.h) */
	const char *socket_path; /* where status is asked for */
	const struct supervisor_shared *supervisor; /* NULL: there is none */
};

/* Until SIGTERM or SIGINT.  The exit status; what went wrong was logged. */
int watcher_run(const struct watcher_job *job);

#endif
