/* SPDX-License-Identifier: MIT */
/*
 * listening - which TCP sockets of this network namespace listen on some ports.
 *
 * The kernel is asked by sock_diag(7), which looks at sockets that listen and
 * no others.  /proc/net/tcp tells the same, but goes through the table of every
 * connection of the machine for each read: milliseconds on a large one, however
 * few sockets this namespace has.  It is read where the former cannot be asked:
 * no tcp_diag module, or a filter on system calls.
 */
#ifndef SIDECAR_LISTENING_H
#define SIDECAR_LISTENING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { LISTENING_MAX = 256 };

struct listening_socket {
	unsigned long inode;
	uid_t user; /* who made it */
	uint16_t port;
	int family;                /* AF_INET or AF_INET6 */
	unsigned char address[16]; /* network byte order; IPv4 has the first four */
	bool is_owners;            /* for the caller's use; false */
};

struct listening {
	struct listening_socket items[LISTENING_MAX]; /* what is beyond is left out */
	size_t n;
};

/* Ports that are asked for, all at once. */
struct listening_ports {
	const uint16_t *items;
	size_t n;
};

/* All sockets of both families; none when the kernel tells nothing at all. */
void listening_find(struct listening_ports ports, struct listening *out);

/* The two ways, for those that compare them.  False when the kernel refuses. */
bool listening_find_by_diag(struct listening_ports ports, struct listening *out);
bool listening_find_by_proc(struct listening_ports ports, struct listening *out);

#endif
