/* SPDX-License-Identifier: MIT */
/* status_client - ask a running postern over its status socket (endpoint.h). */
#ifndef SIDECAR_STATUS_CLIENT_H
#define SIDECAR_STATUS_CLIENT_H

#include "patchers/base/buf.h"

struct error;

/* Where it is unless --socket says otherwise. */
#define STATUS_SOCKET_DEFAULT "/run/postern/status.sock"

enum { STATUS_CLIENT_LIMIT_S = 5 };

/*
 * GET `path` over the socket; the body is added to `body`.  The HTTP status
 * (200, 503), or -ECONNREFUSED or -ENOENT when no postern runs there, -ETIMEDOUT
 * when it does not answer in STATUS_CLIENT_LIMIT_S, -EPROTO for nonsense.
 */
int status_client_get(const char *socket_path, const char *path, struct buf *body,
		      struct error *err);

#endif
