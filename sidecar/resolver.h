/* SPDX-License-Identifier: MIT */
/*
 * resolver - the addresses of names, by /etc/hosts and by name servers.
 *
 * A static program cannot use the C library's own: that loads modules of the
 * very version it was built with, and the image has none.  Queries go by UDP; an
 * answer that is too long for it is an error.
 */
#ifndef SIDECAR_RESOLVER_H
#define SIDECAR_RESOLVER_H

#include <arpa/inet.h>
#include <stddef.h>

struct error;

enum { RESOLVER_ADDRESSES_MAX = 64, RESOLVER_REASON_MAX = 160 };

struct resolver_name {
	const char *name; /* or an address, which stands for itself */
	char addresses[RESOLVER_ADDRESSES_MAX][INET6_ADDRSTRLEN]; /* IPv4 before IPv6 */
	size_t n_addresses;
	char reason[RESOLVER_REASON_MAX]; /* why there is none, "" when there are */
};

struct resolver_files {
	const char *resolv_conf, *hosts;
};

/* Those of this host. */
extern const struct resolver_files resolver_files;

/*
 * Find all addresses of all names at once, for `limit_ms` at most.  A name of
 * which only one kind of address could be asked for has none, but a reason: its
 * other addresses would be passed over in silence.  0, or -ENOMEM.
 */
int resolver_run(const struct resolver_files *files, struct resolver_name *names, size_t n_names,
		 int limit_ms, struct error *err);

#endif
