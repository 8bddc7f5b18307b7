/* SPDX-License-Identifier: MIT */
/*
 * name_search - under which full names a short one is looked for: the words
 * `search`, `domain` and `ndots` of resolv.conf(5).
 *
 * The resolver library has a search of its own, which goes on for one kind of
 * address after it has found the other: under a wildcard of a later domain it
 * would mix the addresses of two hosts.
 */
#ifndef SIDECAR_NAME_SEARCH_H
#define SIDECAR_NAME_SEARCH_H

#include "patchers/base/span.h"

enum { NAME_SEARCH_DOMAINS_MAX = 32, NAME_SEARCH_BYTES = 512 };

struct name_search {
	struct span domains[NAME_SEARCH_DOMAINS_MAX]; /* borrowed from the file's text */
	size_t n_domains;
	unsigned long ndots;
};

void name_search_read(struct span resolv_conf, struct name_search *out);

/* The full name to be tried as number `i`, from 0 on; false when there is none. */
bool name_search_candidate(const struct name_search *search, const char *name, size_t i,
			   char out[static NAME_SEARCH_BYTES]);

#endif
