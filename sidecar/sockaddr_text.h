/* SPDX-License-Identifier: MIT */
/* sockaddr_text - internet addresses as text, and as the kernel has them. */
#ifndef SIDECAR_SOCKADDR_TEXT_H
#define SIDECAR_SOCKADDR_TEXT_H

#include <arpa/inet.h>
#include <stdint.h>

struct sockaddr_storage;

/* An IPv4 or IPv6 address: its size in *out, or 0 when it is not one. */
socklen_t sockaddr_text_parse(const char *address, uint16_t port, struct sockaddr_storage *out);

/*
 * "127.0.0.1:9477" or "[::1]:9477", with or without brackets: its size in *out, or 0 when it is
 * not that.  The port is what comes after the last colon, and not 0.
 */
socklen_t sockaddr_text_parse_with_port(const char *text, struct sockaddr_storage *out);

/* The address without its port, "" when it is none of the internet; out. */
const char *sockaddr_text_print(const struct sockaddr_storage *address,
				char out[static INET6_ADDRSTRLEN]);

#endif
