/* SPDX-License-Identifier: MIT */
/*
 * look - one look of a running postern at the mail host: read, reconcile, and
 * report.
 *
 * The same function answers every trigger.  It writes, runs tools and waits for
 * servers, so it has a process of its own, see worker.h.
 */
#ifndef SIDECAR_LOOK_H
#define SIDECAR_LOOK_H

#include <stdbool.h>

struct digest;
struct report;

struct look_request {
	const char *config; /* of --config, absolute; NULL: the default file */
	const char *root;   /* of the mail host */
	const struct report *previous;
	const bool *touched; /* previous->n_folders of them; NULL: all may have changed */
	bool retry;          /* what failed, though not what was refused, is tried again */
	/* Nobody knows what the servers were told of folders that are not in `previous`. */
	bool watches_are_unknown;
	/*
	 * Only read and judge: nothing is changed, told or logged.  Of the report only
	 * `judged` says something then: what it would do, if that was found good.
	 */
	bool rehearse;
	const struct digest *judged; /* of a rehearsal just before: not judged again; or NULL */
};

/*
 * What was found and done is in `out`, failure too; it is logged here, each thing
 * once: what the previous report says already is not said again.
 */
void look_run(const struct look_request *request, struct report *out);

#endif
