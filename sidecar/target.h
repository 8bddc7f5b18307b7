/* SPDX-License-Identifier: MIT */
/*
 * target - the mail container, seen from a container of our own.
 *
 * In a pod with "shareProcessNamespace: true" /proc shows the processes of all
 * containers.  Those of one container share a mount namespace, and the oldest
 * of them leads to its files: /proc/PID/root.
 *
 * A container counts as a mail host when /etc/postfix/master.cf or
 * /etc/dovecot/dovecot.conf is a file in its root.  Of these
 *
 * 1. our own root is taken, if a master runs in it: then there is no other
 *    container to look for;
 * 2. else the one other in which a master runs.  Two such are an error;
 * 3. else the one other there is: its master will start.  While there are
 *    several, nobody is there yet: the master will tell;
 * 4. else our own root.
 *
 * A master is a process that runs a file named "master" or "dovecot" in the
 * same root.  These do not count, because anybody may have given them the root
 * that they have: a process whose root is no mount's top (chroot(2), as mail
 * servers do it with their users' sessions), and one in another user namespace
 * than ours.  To work on a container with a user namespace of its own, from its
 * host, name it with --pid.
 */
#ifndef SIDECAR_TARGET_H
#define SIDECAR_TARGET_H

#include "process.h"

struct error;

struct target {
	pid_t anchor; /* 0: the root is our own */
	int pidfd;    /* of the anchor; -1 with our own root */
	char root[PROCESS_PATH_MAX];
};

#define TARGET_INIT { .pidfd = -1 }

/*
 * 1 found; 0 nobody there yet: look again.  Or an error, which may pass, too:
 *
 *   -EEXIST  two containers run a mail server: the text names a process of each
 *   -EPERM   no mail host was seen, and there are processes that we may not
 *            look at: CAP_SYS_PTRACE is missing
 *   -ESRCH   no process of another container is visible at all
 *   -E2BIG   more processes or containers than a machine can have
 *
 * The anchor may end at any time, and its number be another's: open the root,
 * and then see target_is_alive().  Release with target_release().
 */
int target_find(struct target *out, struct error *err);
void target_release(struct target *target);

/* Whether what was opened under `root` is the target's.  Our own root always is. */
bool target_is_alive(const struct target *target);

#endif
