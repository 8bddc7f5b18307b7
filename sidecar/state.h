/* SPDX-License-Identifier: MIT */
/*
 * state - what a running postern knows of itself: the last report, and counts
 * of what has been since it started.
 *
 * `status`, `probe --ready` and the metrics are all printed from it.
 */
#ifndef SIDECAR_STATE_H
#define SIDECAR_STATE_H

#include "folder_watch.h"
#include "report.h"

#include <limits.h>
#include <time.h>

struct supervisor_shared;

/* Upper bounds of the latency histogram, in milliseconds; one more bucket for the rest. */
enum { STATE_LATENCY_BUCKETS = 11 };
extern const unsigned state_latency_bounds_ms[STATE_LATENCY_BUCKETS - 1];

struct state {
	const char *mode; /* "run" or "watch" */
	time_t started;
	char root[PATH_MAX]; /* of the mail host; "" while none is known */
	struct report report;
	bool dovecot_was_seen;
	uint64_t generation; /* how many configurations have been in force; 0: none yet */
	time_t applied_at;
	uint64_t looks;
	uint64_t applies;  /* looks that changed something */
	uint64_t failures; /* looks that failed or were refused */
	uint64_t rollbacks;
	uint64_t reloads[REPORT_SERVERS];
	uint64_t apply_micros; /* of the last one */
	/* From the first event to the proof, of looks that changed something. */
	uint64_t latency[STATE_LATENCY_BUCKETS];
	uint64_t latency_micros;
	time_t failed_at; /* 0: never */
	char *failure;    /* the last one; NULL: none */
	struct folder_watch_counts watches;
	const struct supervisor_shared *supervisor; /* NULL for `watch` */
};

void state_init(struct state *state, const char *mode);
void state_release(struct state *state);

/* Take over the report of a look; the first event that it was for was so long ago. */
void state_take_report(struct state *state, struct report *report, uint64_t event_micros);

/* A look that ended without a report. */
void state_take_failure(struct state *state, const char *why);

/*
 * A server's master process has ended: of it nothing stands.  A look that fails
 * tells of no other, and this one is not to be followed again.
 */
void state_forget_master(struct state *state, size_t server);

/* The mail host is gone, with all that was known of it; what people wrote stays. */
void state_forget_host(struct state *state);

/* As report_is_ready(). */
bool state_is_ready(const struct state *state, struct buf *why);

#endif
