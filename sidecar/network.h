/* SPDX-License-Identifier: MIT */
/* network - what kind of network namespace this is. */
#ifndef SIDECAR_NETWORK_H
#define SIDECAR_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Whether the namespace has hardware or a bridge of its own, as a node's has
 * and a pod's has not.  The first such interface's name goes to `out`.
 */
bool network_is_of_a_node(char *out, size_t size);

/*
 * Whether this network namespace is that process's, too: 1, or 0, also when it may not be seen;
 * -ESRCH when the process is gone, or another negative errno.
 */
int network_is_of(pid_t pid);

#endif
