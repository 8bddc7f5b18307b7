/* SPDX-License-Identifier: MIT */
/*
 * proxy_header - what a balancer sends before the client's first byte (the
 * PROXY protocol, versions 1 and 2, HAProxy's proxy-protocol.txt), and what is
 * sent in its place to see whether a server can do without.
 */
#ifndef SIDECAR_PROXY_HEADER_H
#define SIDECAR_PROXY_HEADER_H

#include "patchers/base/buf.h"

struct sockaddr;

enum proxy_header {
	PROXY_HEADER_V1,      /* "PROXY TCP4 ...", section 2.1 */
	PROXY_HEADER_V2,      /* binary, command PROXY, section 2.2 */
	PROXY_HEADER_LOCAL,   /* binary, command LOCAL: a health check of the proxy's own */
	PROXY_HEADER_GARBAGE, /* a line that is neither a header nor a command */
	PROXY_HEADER_NONE,    /* nothing */
	PROXY_HEADER_FORGED,  /* as v2, and claims that the client is the server's own host */
	PROXY_HEADER_COUNT
};

/* How many of them a balancer sends: the first ones. */
enum { PROXY_HEADER_PROPER_COUNT = PROXY_HEADER_LOCAL + 1 };

/* "v1", "v2", "LOCAL", "garbage", "none", "forged". */
const char *proxy_header_name(enum proxy_header kind);

/*
 * Add the header for a connection from `source` to `destination`, both of one
 * family (AF_INET or AF_INET6).  LOCAL, garbage and none carry no addresses; a
 * forged one has the family's loopback in place of the source's address.
 */
void proxy_header_add(enum proxy_header kind, const struct sockaddr *source,
		      const struct sockaddr *destination, struct buf *out);

#endif
