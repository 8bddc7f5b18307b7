/* SPDX-License-Identifier: MIT */
/*
 * ports - whether a server could listen on a port, before it tries.
 *
 * Postfix's master exits when it cannot bind one of its ports at a reload, and
 * Dovecot's does at its start: so it is asked before anything is written.
 */
#ifndef SIDECAR_PORTS_H
#define SIDECAR_PORTS_H

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
 * Where the process listens on the port: "" for every IPv4 address, "::1" for
 * every IPv6 address alone, or the one address.  False when it does not.
 */
bool ports_find_address(uint16_t port, pid_t owner, char out[PORTS_ADDRESS_MAX]);

/* Whether the process holds a socket that listens on the port. */
bool ports_is_open(uint16_t port, pid_t owner);

#endif
