/* SPDX-License-Identifier: MIT */
/* metrics - the state in Prometheus' text format 0.0.4. */
#include "metrics.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "state.h"
#include "supervisor.h"

#include <inttypes.h>

static void describe(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_add_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct buf *out, const char *name, const char *type, const char *help,
		uint64_t value)
{
	describe(out, name, type, help);
	buf_add_format(out, "%s %" PRIu64 "\n", name, value);
}

static void seconds(struct buf *out, const char *name, uint64_t micros)
{
	buf_add_format(out, "%s %" PRIu64 ".%06" PRIu64 "\n", name, micros / 1000000,
		       micros % 1000000);
}

/* A label's value: backslash, quote and newline are escaped. */
static void label(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\\' || *text == '"')
			buf_add_char(out, '\\');
		if (*text == '\n')
			buf_add_text(out, "\\n");
		else
			buf_add_char(out, *text);
	}
}

static void print_servers(const struct state *s, struct buf *out)
{
	describe(out, "postern_reloads_total", "counter", "Reloads of a server.");
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		buf_add_format(out, "postern_reloads_total{server=\"%s\"} %" PRIu64 "\n",
			       report_server_names[i], s->reloads[i]);
	describe(out, "postern_server_running", "gauge", "Whether a server's master runs.");
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		buf_add_format(out, "postern_server_running{server=\"%s\"} %d\n",
			       report_server_names[i], s->report.servers[i].running);
}

static void print_twins(const struct state *s, struct buf *out)
{
	size_t up = 0;

	describe(out, "postern_twin_up", "gauge", "Whether a twin answered when last asked.");
	for (size_t i = 0; i < s->report.n_twins; i++) {
		const struct report_twin *twin = &s->report.twins[i];

		buf_add_format(out, "postern_twin_up{server=\"%s\",listener=\"",
			       report_server_names[twin->server]);
		label(out, twin->listener);
		buf_add_format(out, "\",port=\"%u\"} %d\n", twin->port, twin->up);
		up += twin->up;
	}
	one(out, "postern_twins_up", "gauge", "How many twins are up.", up);
	one(out, "postern_twins", "gauge", "How many twins there are.", s->report.n_twins);
}

static void print_latency(const struct state *s, struct buf *out)
{
	static const char name[] = "postern_event_to_verified_seconds";
	uint64_t sum = 0;

	describe(out, name, "histogram",
		 "From the first event to the proof, of changes that were applied.");
	for (size_t i = 0; i < STATE_LATENCY_BUCKETS - 1; i++) {
		sum += s->latency[i];
		buf_add_format(out, "%s_bucket{le=\"%u.%03u\"} %" PRIu64 "\n", name,
			       state_latency_bounds_ms[i] / 1000, state_latency_bounds_ms[i] % 1000,
			       sum);
	}
	sum += s->latency[STATE_LATENCY_BUCKETS - 1];
	buf_add_format(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, sum);
	seconds(out, "postern_event_to_verified_seconds_sum", s->latency_micros);
	buf_add_format(out, "%s_count %" PRIu64 "\n", name, sum);
}

static void print_supervisor(const struct state *s, struct buf *out)
{
	const struct supervisor_shared *shared = s->supervisor;

	if (!shared)
		return;
	one(out, "postern_children_reaped_total", "counter", "Processes that were waited for.",
	    atomic_load(&shared->reaped));
	one(out, "postern_watcher_starts_total", "counter", "Starts of the watching process.",
	    atomic_load(&shared->companion_starts));
	describe(out, "postern_child_state", "gauge", "1 for the state that CMD is in.");
	for (int i = 0; i < SUPERVISOR_CHILD_STATES; i++)
		buf_add_format(out, "postern_child_state{state=\"%s\"} %d\n",
			       supervisor_child_states[i], atomic_load(&shared->child_state) == i);
}

void metrics_print(const struct state *s, struct buf *out)
{
	cleanup_buf struct buf why = BUF_INIT;
	char hash[DIGEST_SHORT_TEXT_BYTES];

	describe(out, "postern_build_info", "gauge", "The version.");
	buf_add_text(out, "postern_build_info{version=\"" POSTERN_VERSION "\"} 1\n");
	one(out, "postern_start_time_seconds", "gauge", "When it started, since 1970.",
	    (uint64_t)s->started);
	one(out, "postern_ready", "gauge", "Whether every enabled twin is proven.",
	    state_is_ready(s, &why));
	describe(out, "postern_config_info", "gauge", "The configuration that is in force.");
	buf_add_format(out, "postern_config_info{hash=\"%s\"} 1\n",
		       digest_print_short(&s->report.inputs, hash));
	one(out, "postern_config_generation", "gauge",
	    "How many configurations have been in force.", s->generation);
	one(out, "postern_config_applied_timestamp_seconds", "gauge",
	    "When the last one was applied.", (uint64_t)s->applied_at);
	one(out, "postern_config_current", "gauge", "Whether what is written is what is in force.",
	    s->report.outcome == REPORT_CURRENT);
	one(out, "postern_looks_total", "counter", "Looks at the mail host.", s->looks);
	one(out, "postern_applies_total", "counter", "Looks that changed something.", s->applies);
	one(out, "postern_failures_total", "counter", "Looks that failed or were refused.",
	    s->failures);
	one(out, "postern_rollbacks_total", "counter", "Changes that were taken back.",
	    s->rollbacks);
	describe(out, "postern_last_apply_duration_seconds", "gauge",
		 "How long the last change took.");
	seconds(out, "postern_last_apply_duration_seconds", s->apply_micros);
	print_latency(s, out);
	print_servers(s, out);
	print_twins(s, out);
	one(out, "postern_watches", "gauge", "inotify watches.", s->watches.watches);
	one(out, "postern_deaf_folders", "gauge", "Folders whose changes may go unheard.",
	    s->watches.deaf);
	one(out, "postern_inotify_overflows_total", "counter", "Lost inotify events.",
	    s->watches.overflows);
	one(out, "postern_gate_in_force", "gauge", "Whether the gate guards the twins.",
	    s->report.gate_in_force);
	print_supervisor(s, out);
}
