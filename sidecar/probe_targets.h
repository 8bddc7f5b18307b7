/* SPDX-License-Identifier: MIT */
/* probe_targets - targets of any hosts, each address of them sent everything, and judged. */
#ifndef SIDECAR_PROBE_TARGETS_H
#define SIDECAR_PROBE_TARGETS_H

#include "patchers/cidr.h"
#include "probe_law.h"
#include "probe_target.h"
#include "resolver.h"

/* Connections at once, each of which is a descriptor. */
enum { PROBE_TARGETS_ROWS_MAX = 768 };

struct probe_targets_request {
	const struct probe_target *targets;
	size_t n_targets;
	bool by_address;                  /* a twin when we come from `trusted`, else shut */
	enum probe_law_expected expected; /* of all, otherwise */
	struct cidr_list trusted;
	bool headers[PROXY_HEADER_COUNT]; /* what may be sent */
	bool first_line_is_enough;
	int limit_ms; /* for names, and then for answers */
};

/* What was sent to an address of a target. */
struct probe_targets_row {
	const struct probe_target *target;
	char address[INET6_ADDRSTRLEN];
	char own_address[INET6_ADDRSTRLEN]; /* where the connection comes from; "" without a way */
	enum probe_law_expected expected;
	enum proxy_header header;
	enum probe_law_meaning meaning;
	const struct probe_job *job;
};

struct probe_targets {
	struct resolver_name *names; /* one a target */
	struct probe_job *jobs;
	struct probe_targets_row *rows;
	size_t n_rows;
	bool is_right; /* every name was found, every answer is right, and there is one */
};

#define PROBE_TARGETS_INIT                                                                         \
	{                                                                                          \
		0                                                                                  \
	}

void probe_targets_release(struct probe_targets *t);

/*
 * Try them.  0, and what was found is in *out: a name that has no address has no
 * row, and the reason is in `names`.  -ENOMEM, or -E2BIG with a reason.
 */
int probe_targets_run(const struct probe_targets_request *request, struct probe_targets *out,
		      struct error *err);

#endif
