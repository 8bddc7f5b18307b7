/* SPDX-License-Identifier: MIT */
/*
 * user_hook - docker-mailserver's hook, user-patches.sh, that makes the twins
 * and then runs the script that a user has in its place.
 *
 * docker-mailserver runs it with /bin/bash as root when it has set everything
 * up, before any server runs, and ignores its exit status.  The user's script
 * may edit a service that has a twin by then: so the twins are made again after
 * it, which writes nothing when it did not.
 */
#ifndef PATCHERS_USER_HOOK_H
#define PATCHERS_USER_HOOK_H

#include "base/span.h"

struct buf;
struct error;

/* What is in the folder beside the hook. */
#define USER_HOOK_NAME "user-patches.sh"
#define USER_HOOK_OWN_NAME "user-patches.own.sh" /* the user's, which was there first */
#define USER_HOOK_PROGRAM_NAME "postern"

/* All of them paths in the mail container, which the hook looks up when it runs. */
struct user_hook {
	const char *folder;       /* where the program and the user's kept script are */
	const char *config;       /* for --config; NULL: not given */
	const char *user_patches; /* a script, or a folder with user-patches.sh; NULL: none */
};

/* Whether a path can stand in a hook: absolute, and without control characters. */
bool user_hook_takes_path(const char *path);

/* Add the hook's text to out; its paths are such as user_hook_takes_path() takes.  -ENOMEM. */
int user_hook_render(const struct user_hook *hook, struct buf *out, struct error *err);

/* Whether a script is a hook of ours, of whatever version. */
bool user_hook_is_ours(struct span script);

#endif
