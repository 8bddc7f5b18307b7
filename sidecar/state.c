/* SPDX-License-Identifier: MIT */
/* state - what a running postern knows of itself. */
#include "state.h"

#include <stdlib.h>

const unsigned state_latency_bounds_ms[STATE_LATENCY_BUCKETS - 1] = {
	10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000,
};

void state_init(struct state *state, const char *mode)
{
	*state = (struct state){ .mode = mode, .started = time(NULL) };
}

void state_release(struct state *state)
{
	report_release(&state->report);
	free(state->failure);
	*state = (struct state){ 0 };
}

static void count_latency(struct state *state, uint64_t micros)
{
	size_t bucket = 0;

	while (bucket < STATE_LATENCY_BUCKETS - 1 &&
	       micros > (uint64_t)state_latency_bounds_ms[bucket] * 1000)
		bucket++;
	state->latency[bucket]++;
	state->latency_micros += micros;
}

static void set_failure(struct state *state, const char *why)
{
	state->failures++;
	state->failed_at = time(NULL);
	report_set_text(&state->failure, why);
}

void state_take_report(struct state *state, struct report *report, uint64_t event_micros)
{
	bool failed = report->outcome == REPORT_REFUSED || report->outcome == REPORT_FAILED;
	bool first = state->generation == 0 && report->outcome == REPORT_CURRENT;

	state->looks++;
	state->applies += report->changed;
	state->rollbacks += report->rolled_back;
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		state->reloads[i] += report->servers[i].reloads;
	state->dovecot_was_seen |= report->servers[1].running;
	if (report->changed) {
		state->apply_micros = report->micros;
		count_latency(state, event_micros);
	}
	if (first || (report->changed && !failed)) {
		state->generation++;
		state->applied_at = time(NULL);
	}
	if (failed)
		set_failure(state, report->reason);
	report_release(&state->report);
	state->report = *report;
	*report = (struct report)REPORT_INIT;
}

void state_take_failure(struct state *state, const char *why)
{
	state->looks++;
	set_failure(state, why);
	state->report.outcome = REPORT_FAILED;
	report_set_text(&state->report.reason, why);
}

void state_forget_master(struct state *state, size_t which)
{
	struct report *report = &state->report;
	struct report_server *server = &report->servers[which];

	server->pid = 0;
	server->running = server->starting = server->verified = false;
	for (size_t i = 0; i < report->n_twins; i++) {
		if (report->twins[i].server != which)
			continue;
		report->twins[i].up = false;
		report_set_text(&report->twins[i].detail, REPORT_NOT_RUNNING);
	}
}

void state_forget_host(struct state *state)
{
	struct report kept = REPORT_INIT;
	struct report *old = &state->report;

	kept.outcome = REPORT_WAITING;
	kept.inputs = old->inputs;
	kept.resync_s = old->resync_s;
	kept.listen = old->listen;
	old->listen = NULL;
	kept.good = old->good;
	old->good = (struct buf)BUF_INIT;
	report_release(old);
	*old = kept;
	state->root[0] = '\0';
}

bool state_is_ready(const struct state *state, struct buf *why)
{
	if (state->report.outcome == REPORT_NONE) {
		buf_add_text(why, "nobody has looked yet");
		return false;
	}
	return report_is_ready(&state->report, state->dovecot_was_seen, why);
}
