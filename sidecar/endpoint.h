/* SPDX-License-Identifier: MIT */
/*
 * endpoint - tell what a running postern knows, over HTTP.
 *
 * A socket in the file system, for root alone, serves everything:
 *
 *   /status    JSON, see view_status.h
 *   /healthz   200 while the loop turns
 *   /readyz    200 when every enabled twin is proven, else 503 and why not
 *   /metrics   Prometheus text format 0.0.4
 *
 * With `listen` in postern.conf the last three are served there, too.
 */
#ifndef SIDECAR_ENDPOINT_H
#define SIDECAR_ENDPOINT_H

struct endpoint;
struct event_base;
struct state;

/*
 * One that is to serve at the socket `path`, and does not yet.  The state is
 * borrowed.  NULL when memory has run out.
 */
struct endpoint *endpoint_new(struct event_base *base, const struct state *state, const char *path);

/*
 * Serve at the socket, whose folder is made, unless it is done already: to be
 * called again while the folder is read-only, or another postern serves there.
 * Logs why it cannot, once, and when it can at last.
 */
void endpoint_open(struct endpoint *endpoint);

/*
 * Serve at "address:port" from now on instead of where it was; "": nowhere.
 * Logs, once, when it cannot, and tries again when called with the same.
 */
void endpoint_listen(struct endpoint *endpoint, const char *address);

/* NULL is no endpoint. */
void endpoint_free(struct endpoint *endpoint);

#endif
