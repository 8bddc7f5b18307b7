/* SPDX-License-Identifier: MIT */
/* cidr - IPv4 and IPv6 networks in prefix notation (RFC 4632, RFC 4291). */
#ifndef PATCHERS_CIDR_H
#define PATCHERS_CIDR_H

#include "base/buf.h"

#include <stdint.h>

struct error;
struct notes;

/* "xxxx:...:255.255.255.255/128" and a NUL. */
#define CIDR_TEXT_MAX 64

struct cidr {
	bool is_ipv6;
	uint8_t bytes[16]; /* network byte order; IPv4 uses the first four */
	unsigned prefix;   /* bits */
};

struct cidr_list {
	struct cidr *items;
	size_t n_items;
};

/*
 * "address/prefix", or an address alone for a single host.  An IPv4-mapped
 * IPv6 network becomes the IPv4 one.  *out_host_bits (may be NULL) tells
 * whether bits beyond the prefix were set; they are cleared.  -EINVAL with a
 * reason in err.
 */
int cidr_parse(struct span text, struct cidr *out, bool *out_host_bits, struct error *err);

/* Canonical text, valid until the caller's array goes. */
const char *cidr_print(const struct cidr *net, char out[CIDR_TEXT_MAX]);

/* Whether every address of `inner` is one of `outer`. */
bool cidr_contains(const struct cidr *outer, const struct cidr *inner);

/* 127.0.0.0/8 and ::1, and every network inside them. */
bool cidr_is_loopback(const struct cidr *net);

void cidr_list_release(struct cidr_list *list);

/*
 * Add a network unless one in the list covers it; networks that the new one
 * covers are dropped.  What was dropped and why goes to notes (may be NULL).
 */
int cidr_list_add(struct cidr_list *list, const struct cidr *net, struct notes *notes,
		  struct error *err);

bool cidr_list_covers(const struct cidr_list *list, const struct cidr *net);

/* The networks, separated by one blank. */
void cidr_list_print(const struct cidr_list *list, struct buf *out);

#endif
