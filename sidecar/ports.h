/* SPDX-License-Identifier: MIT */
/*
 * ports - whether a server could listen on a port, before it tries.
 *
 * Postfix's master exits when it cannot bind one of its ports at a reload, and
 * Dovecot's does at its start: so it is asked before anything is written.
 *
 * Which sockets the owner holds, the kernel may refuse to tell (see process.h).
 * Then those count that its user made and nobody else is seen to hold.
 */
#ifndef SIDECAR_PORTS_H
#define SIDECAR_PORTS_H

#include "listening.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/*
 * Can a TCP socket be bound to the port on `address` ("" for all of IPv4 and
 * IPv6)?  A port that `owner` (0: nobody) listens on is fine: it is the server
 * itself.  0; -EADDRINUSE, naming the holder where /proc tells; -EADDRNOTAVAIL
 * when the address is not this host's; -EACCES for a privileged port.
 */
int ports_check(const char *address, uint16_t port, pid_t owner, struct error *err);

/* Room for an address as text, its NUL too. */
enum { PORTS_ADDRESS_MAX = 64 };

/*
 * What listens on some ports at one moment, and which of it the owner holds.
 * To ask for all ports at once is hardly dearer than to ask for one of them.
 */
void ports_look(const uint16_t *ports, size_t n_ports, pid_t owner, struct listening *out);

/* Whether the owner listened on the port, one of those looked at. */
bool ports_was_open(const struct listening *seen, uint16_t port);

/*
 * One of the ports that a process of one of the programs (ended by NULL) holds, or 0.  Who cannot
 * be asked may be one of theirs.
 */
uint16_t ports_find_held(const uint16_t *ports, size_t n_ports, const char *const *programs);

/*
 * Where the owner listened: "" for every IPv4 address, "::1" for every IPv6
 * address alone, or the one address.  False when it did not.
 */
bool ports_address_of(const struct listening *seen, uint16_t port, char out[PORTS_ADDRESS_MAX]);

#endif
