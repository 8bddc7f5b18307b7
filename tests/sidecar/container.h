/* SPDX-License-Identifier: MIT */
/*
 * container - what stands for a container: a process with mounts of its own and
 * a tmpfs as root.
 */
#ifndef TESTS_SIDECAR_CONTAINER_H
#define TESTS_SIDECAR_CONTAINER_H

#include "sandbox.h"

/* Where a CONTAINER_LINKED one leads. */
#define CONTAINER_OUTSIDE "/etc/outside"

enum container_flag {
	CONTAINER_CHROOTED = 1,    /* its process's root is but a folder of the tmpfs */
	CONTAINER_OTHER_USERS = 2, /* it has a user namespace of its own */
	CONTAINER_LINKED = 4,      /* the file is a link */
};

/*
 * Start a container, in whose root there is nothing but `file`, which is empty;
 * NULL: nothing at all.  `program` is what its process runs as, a name in the
 * sandbox; NULL: as the test itself.  End it with sandbox_end().
 */
pid_t container_start(const struct sandbox *s, const char *program, const char *file,
		      unsigned flags);

/* Another process in the container of `pid`. */
pid_t container_join(pid_t pid);

/* What main() begins with when containers have programs: goes on as theirs, or returns. */
void container_continue(int argc, char **argv);

#endif
