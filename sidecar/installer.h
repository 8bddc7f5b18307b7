/* SPDX-License-Identifier: MIT */
/*
 * installer - the program and docker-mailserver's hook put into a folder that
 * the mail container sees, too.
 *
 * Both are made ready before either is put in place: what fails for want of
 * room leaves the folder as it was.  A process that is killed leaves a folder
 * that the next one completes.
 */
#ifndef SIDECAR_INSTALLER_H
#define SIDECAR_INSTALLER_H

struct error;
struct notes;
struct rootfs;
struct user_hook;

/* The program that runs, even if its file has been replaced or removed since. */
#define INSTALLER_SELF "/proc/self/exe"

struct installer_job {
	const struct rootfs *root;    /* in which the folder is */
	const char *folder;           /* absolute; it exists */
	const char *program;          /* a file of this host: INSTALLER_SELF */
	const struct user_hook *hook; /* NULL: the program alone, and the user's script back */
};

/* 1 with what was done in notes; 0 when all was there; or the reason, with the path. */
int installer_run(const struct installer_job *job, struct notes *notes, struct error *err);

#endif
