/* SPDX-License-Identifier: MIT */
/*
 * survey - settings and files in, what differs out; nothing is written.
 */
#ifndef SIDECAR_SURVEY_H
#define SIDECAR_SURVEY_H

#include "gate.h"
#include "patchers/base/notes.h"
#include "server.h"

enum { SURVEY_SERVERS = 2 };

extern const struct server_kind *const survey_kinds[SURVEY_SERVERS];

struct survey_request {
	const struct host *host;
	const struct settings *settings;
	bool revert;      /* take away everything of ours */
	bool no_reload;   /* write only: nothing is judged, reloaded or verified */
	bool await_start; /* give a starting server a few seconds to get ready */
	/*
	 * For a running postern: the files of a server that does not run stay as
	 * they are, because whoever starts it may still be editing them.
	 */
	bool only_running;
	/* A server whose files cannot be read, or are refused, is left out, for the sake of the
	 * other. */
	bool each_alone;
	/* Even when nothing of this can be had: what the files open already is guarded. */
	bool guard_anyway;
	struct listening_ports guarded;    /* what the gate guarded before */
	const struct overrides *overrides; /* none of them when reverting */
	pid_t verified[SURVEY_SERVERS];    /* masters that were proven before */
	bool must_reload[SURVEY_SERVERS];  /* although no file of it differs */
	struct digest watched;             /* what the watched folders hold */
	const struct digest *refused;      /* what is not to be tried again; may be NULL */
	bool rehearse;                     /* judge, and come back with -ECANCELED */
	const struct digest *judged;       /* what was found good just before; may be NULL */
};

struct survey {
	struct server servers[SURVEY_SERVERS];
	struct gate gate;
	struct notes notes;
	bool failed; /* revert: a server could not be read; see notes */
	/* Of what would be done: the same digest, the same attempt. */
	struct digest attempt;
	bool attempted; /* it was tried in this run */
	bool began;     /* and not only judged: files were written, or servers told */
};

#define SURVEY_INIT                                                                                \
	{                                                                                          \
		.gate = GATE_INIT                                                                  \
	}

/*
 * Read and plan; nothing is written.  Which servers are absent or stopped
 * goes to notes.  -ENOENT when there is no server at all; else the first
 * reason why a plan cannot be made; what all servers are is known then, too.
 */
int survey_take(const struct survey_request *request, struct survey *out, struct error *err);
void survey_release(struct survey *r);

/* Whether any file would change, a server is to be told, or the gate is not as wanted. */
bool survey_differs(const struct survey *r);

/* Its files stay as they are, and nothing is asked of it, for this reason: see each_alone. */
void survey_leave_out(struct server *server, const struct error *why);

/* Whether a server has changes, or does not follow its files yet. */
bool survey_needs_work(const struct server *server);

/* The changes as a unified diff. */
int survey_diff(const struct survey *r, struct buf *out, struct error *err);

#endif
