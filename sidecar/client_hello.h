/* SPDX-License-Identifier: MIT */
/*
 * client_hello - the first bytes of TLS, as a client sends them.
 *
 * A TLS 1.3 ClientHello that every server can answer: with a ServerHello, a
 * HelloRetryRequest (no key share is offered), or an alert (RFC 8446, 4.1.2).
 */
#ifndef SIDECAR_CLIENT_HELLO_H
#define SIDECAR_CLIENT_HELLO_H

struct buf;

void client_hello_add(struct buf *out);

#endif
