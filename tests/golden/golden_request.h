/* SPDX-License-Identifier: MIT */
/*
 * golden_request - what a golden case asks for, in a small file of lines:
 *
 *	in-place
 *	adopt				for all listeners
 *	trust-mynetworks		for all listeners
 *	network CIDR			instead of 10.42.0.0/16 and fd00:42::/48
 *	listener NAME PORT		instead of all stock ones, ports + 10000
 */
#ifndef TESTS_GOLDEN_GOLDEN_REQUEST_H
#define TESTS_GOLDEN_GOLDEN_REQUEST_H

#include "patchers/cidr.h"
#include "patchers/dovecot_listeners.h"
#include "patchers/postfix_twins.h"

enum { GOLDEN_LISTENERS_MAX = 8 };

struct golden_request {
	bool in_place;
	struct cidr_list networks;
	struct postfix_listener postfix[GOLDEN_LISTENERS_MAX];
	size_t n_postfix;
	struct dovecot_listener dovecot[GOLDEN_LISTENERS_MAX];
	size_t n_dovecot;
};

/* false, said on stderr, for a line that is none of the above. */
bool golden_request_read(struct span text, struct golden_request *out);
void golden_request_release(struct golden_request *request);

#endif
