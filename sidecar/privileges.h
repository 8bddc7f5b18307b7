/* SPDX-License-Identifier: MIT */
/*
 * privileges - what this process may do (capabilities(7), by libcap-ng), and
 * what each way of running needs.
 */
#ifndef SIDECAR_PRIVILEGES_H
#define SIDECAR_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct error;

enum privilege {
	PRIVILEGE_CHOWN,
	PRIVILEGE_DAC_OVERRIDE,
	PRIVILEGE_FOWNER,
	PRIVILEGE_KILL,
	PRIVILEGE_NET_ADMIN,
	PRIVILEGE_NET_BIND_SERVICE,
	PRIVILEGE_SYS_CHROOT,
	PRIVILEGE_SYS_PTRACE,
	PRIVILEGE_COUNT
};

/* The ways of running, for a mask. */
enum privileges_way {
	PRIVILEGES_PATCH = 1 << 0, /* a command, in the mail container */
	PRIVILEGES_RUN = 1 << 1,   /* process 1 of the mail container */
	PRIVILEGES_WATCH = 1 << 2, /* in a container of its own */
};

/* What a privilege is needed for. */
struct privilege_use {
	enum privilege privilege;
	unsigned ways;         /* a mask of privileges_way */
	bool is_indispensable; /* without it, this way of running does nothing at all */
	const char *what_for;  /* after "it is needed to" */
};

/*
 * The uses of these ways (a mask), at most PRIVILEGE_COUNT: how many were put
 * into `out`.  A privilege that has several uses is there once.
 */
size_t privileges_uses(unsigned ways, const struct privilege_use *out[PRIVILEGE_COUNT]);

/* Whether the capability is in the effective set. */
bool privileges_have(enum privilege privilege);

/* Its name without "CAP_", upper case. */
const char *privileges_name(enum privilege privilege);

/*
 * Those of the list that are not in the effective set: how many, and
 * "CAP_KILL, CAP_CHOWN" added to `names`.
 */
size_t privileges_missing(const enum privilege list[], size_t n, struct buf *names);

/*
 * Keep what is in the list, and drop everything else from the effective, the
 * permitted, the inheritable and the ambient set.  What we do not have is not
 * gained.  A program that root executes afterwards gets everything back that is
 * in the bounding set, unless `no_new_privileges` is set: then it gets what we
 * have kept, and so it is for ever (prctl(2), PR_SET_NO_NEW_PRIVS).  The bounding
 * set, which means nothing then, goes too, where we may change it
 * (CAP_SETPCAP); otherwise it stays.
 *
 * The kernel is asked afterwards: -EPERM when more is left than was to be kept.
 * On any error the process is not to go on.  Of this thread alone.
 */
int privileges_keep(const enum privilege list[], size_t n, bool no_new_privileges,
		    struct error *err);

/*
 * No program that is executed from now on gains a privilege that we do not have
 * (prctl(2), PR_SET_NO_NEW_PRIVS), for ever.  0 or a negative errno.
 */
int privileges_gain_none(struct error *err);

/* Drop this one, and whatever is in no row of the table, in the same way. */
int privileges_give_up(enum privilege privilege, struct error *err);

#endif
