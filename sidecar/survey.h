/* SPDX-License-Identifier: MIT */
/*
 * survey - settings and files in, what differs out; nothing is written.
 */
#ifndef SIDECAR_SURVEY_H
#define SIDECAR_SURVEY_H

#include "patchers/base/notes.h"
#include "server.h"

enum { SURVEY_SERVERS = 2 };

struct survey_request {
	const struct host *host;
	const struct settings *settings;
	bool revert;    /* take away everything of ours */
	bool no_reload; /* write only: nothing is judged, reloaded or verified */
};

struct survey {
	struct server servers[SURVEY_SERVERS];
	struct notes notes;
	bool failed; /* revert: a server could not be read; see notes */
};

#define SURVEY_INIT { 0 }

/*
 * Read and plan; nothing is written.  Which servers are absent or stopped
 * goes to notes.  -ENOENT when there is no server at all; else the first
 * reason why a plan cannot be made.
 */
int survey_take(const struct survey_request *request, struct survey *out, struct error *err);
void survey_release(struct survey *r);

/* Whether any file would change. */
bool survey_differs(const struct survey *r);

/* Whether a server has changes, or does not follow its files yet. */
bool survey_needs_work(const struct server *server);

/* The changes as a unified diff. */
int survey_diff(const struct survey *r, struct buf *out, struct error *err);

#endif
