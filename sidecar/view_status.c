/* SPDX-License-Identifier: MIT */
/* view_status - what a running postern knows, as JSON and as text. */
#include "view_status.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "printable.h"
#include "protection.h"
#include "state.h"
#include "supervisor.h"
#include "table.h"
#include "view_json.h"

#include <errno.h>
#include <stdio.h>

/* ---- as JSON ---- */

/* RFC 3339, in UTC; null for never. */
static json_t *time_as_json(time_t at)
{
	char text[32];
	struct tm tm;

	if (at == 0)
		return json_null();
	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *digest_as_json(const struct digest *digest)
{
	char text[DIGEST_TEXT_BYTES];

	return digest_is_none(digest) ? json_null() : json_string(digest_print(digest, text));
}

static json_t *servers_as_json(const struct state *s)
{
	json_t *object = json_object();

	for (size_t i = 0; i < REPORT_SERVERS; i++) {
		const struct report_server *server = &s->report.servers[i];

		json_object_set_new(object, report_server_names[i],
				    json_pack("{s:b, s:b, s:b, s:i, s:b, s:I}", "enabled",
					      server->enabled, "present", server->present,
					      "running", server->running, "pid", (int)server->pid,
					      "verified", server->verified, "reloads",
					      (json_int_t)s->reloads[i]));
	}
	return object;
}

static json_t *twins_as_json(const struct report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; i < report->n_twins; i++) {
		const struct report_twin *twin = &report->twins[i];

		json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:i, s:i, s:b, s:b, s:o}",
						      "server", report_server_names[twin->server],
						      "listener", view_json_text(twin->listener),
						      "stock", view_json_text(twin->stock),
						      "stock_port", twin->stock_port, "port",
						      twin->port, "tls", twin->tls, "up", twin->up,
						      "detail", view_json_text(twin->detail)));
	}
	return list;
}

static json_t *folders_as_json(const struct report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; i < report->n_folders; i++)
		json_array_append_new(list, view_json_text(report->folders[i].path));
	return list;
}

static json_t *child_as_json(const struct supervisor_shared *shared)
{
	int state;

	if (!shared)
		return json_null();
	state = atomic_load(&shared->child_state);
	return json_pack("{s:i, s:s, s:I, s:I}", "pid", atomic_load(&shared->child_pid), "state",
			 state >= 0 && state < SUPERVISOR_CHILD_STATES
				 ? supervisor_child_states[state]
				 : "unknown",
			 "reaped", (json_int_t)atomic_load(&shared->reaped), "watcher_starts",
			 (json_int_t)atomic_load(&shared->companion_starts));
}

static json_t *last_failure_as_json(const struct state *s)
{
	if (!s->failure)
		return json_null();
	return json_pack("{s:o, s:o}", "at", time_as_json(s->failed_at), "reason",
			 view_json_text(s->failure));
}

static json_t *counts_as_json(const struct state *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "looks", (json_int_t)s->looks, "applies",
			 (json_int_t)s->applies, "failures", (json_int_t)s->failures, "rollbacks",
			 (json_int_t)s->rollbacks, "inotify_overflows",
			 (json_int_t)s->watches.overflows);
}

/* Null before anything has been in force. */
static json_t *protection_as_json(const struct report *r)
{
	if (!r->gate || !r->gate[0])
		return json_null();
	return json_pack("{s:o, s:o, s:s}", "mynetworks", view_json_text(r->mynetworks), "gate",
			 view_json_text(r->gate), "network_policy", protection_of_policy());
}

static json_t *state_as_json(const struct state *s)
{
	const struct report *r = &s->report;
	cleanup_buf struct buf why = BUF_INIT;
	bool ready = state_is_ready(s, &why);
	bool failing = r->outcome == REPORT_REFUSED || r->outcome == REPORT_FAILED;

	return json_pack(
		"{s:s, s:s, s:o, s:o, s:b, s:o, s:s, s:o, s:b, s:I, s:o, s:o, s:f, s:o, "
		"s:o, s:o, s:o, s:{s:o, s:I, s:I}, s:o, s:o, s:o}",
		"version", POSTERN_VERSION, "mode", s->mode, "started", time_as_json(s->started),
		"root", s->root[0] ? view_json_text(s->root) : json_null(), "ready", ready,
		"not_ready_because", ready ? json_null() : view_json_text(buf_text(&why)),
		"outcome", report_outcome_name(r->outcome), "reason",
		failing ? view_json_text(r->reason) : json_null(), "uses_last_good", r->uses_good,
		"generation", (json_int_t)s->generation, "hash", digest_as_json(&r->inputs),
		"applied", time_as_json(s->applied_at), "last_apply_seconds",
		(double)s->apply_micros / 1e6, "last_failure", last_failure_as_json(s), "servers",
		servers_as_json(s), "twins", twins_as_json(r), "protection", protection_as_json(r),
		"watches", "folders", folders_as_json(r), "inotify", (json_int_t)s->watches.watches,
		"deaf", (json_int_t)s->watches.deaf, "counts", counts_as_json(s), "child",
		child_as_json(s->supervisor), "notes", view_json_notes(&r->notes));
}

int view_status_json(const struct state *state, struct buf *out, struct error *err)
{
	return view_json_print(state_as_json(state), out, err);
}

/* ---- for people ---- */

/* All texts within, however deep: what a terminal obeys could be in any of them. */
static bool make_printable(json_t *json)
{
	cleanup_buf struct buf clean = BUF_INIT;
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach(json, key, value)
	{
		if (!make_printable(value))
			return false;
	}
	json_array_foreach(json, i, value)
	{
		if (!make_printable(value))
			return false;
	}
	if (!json_is_string(json))
		return true;
	printable_add(&clean, json_string_value(json));
	return !clean.failed && json_string_set(json, buf_text(&clean)) == 0;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static int print_twins(const json_t *root, struct error *err)
{
	static const char *const titles[] = { "SERVER", "LISTENER", "STOCK",  "PORT",
					      "TLS",    "STATE",    "ANSWER", NULL };
	const json_t *twins = json_object_get(root, "twins");
	size_t n = json_array_size(twins);
	cleanup_free struct table_row *rows = calloc(n + 1, sizeof(*rows));

	if (!rows)
		return error_set(err, -ENOMEM, "out of memory");
	table_head(&rows[0], titles);
	for (size_t i = 0; i < n; i++) {
		const json_t *twin = json_array_get(twins, i);
		struct table_row *row = &rows[i + 1];
		bool up = is_true(twin, "up");

		row->colour = up ? TABLE_GREEN : TABLE_RED;
		table_cell(row, 0, "%s", text_of(twin, "server"));
		table_cell(row, 1, "%s", text_of(twin, "listener"));
		table_cell(row, 2, "%lld", number_of(twin, "stock_port"));
		table_cell(row, 3, "%lld", number_of(twin, "port"));
		table_cell(row, 4, "%s", is_true(twin, "tls") ? "yes" : "no");
		table_cell(row, 5, "%s", up ? "up" : "down");
		table_cell(row, 6, "%s", text_of(twin, "detail"));
	}
	table_print(rows, n + 1, 7, 5);
	return 0;
}

static void print_servers(const json_t *servers)
{
	for (size_t i = 0; i < REPORT_SERVERS; i++) {
		const json_t *server = json_object_get(servers, report_server_names[i]);

		if (!is_true(server, "enabled"))
			printf("%-13s switched off\n", report_server_names[i]);
		else if (!is_true(server, "present"))
			printf("%-13s not installed\n", report_server_names[i]);
		else if (!is_true(server, "running"))
			printf("%-13s not running\n", report_server_names[i]);
		else
			printf("%-13s process %lld, %s, reloaded %lld times\n",
			       report_server_names[i], number_of(server, "pid"),
			       is_true(server, "verified") ? "verified" : "not verified",
			       number_of(server, "reloads"));
	}
}

static void print_summary(const json_t *root)
{
	const json_t *failure = json_object_get(root, "last_failure");
	const json_t *child = json_object_get(root, "child");
	const json_t *watches = json_object_get(root, "watches");
	const json_t *protection = json_object_get(root, "protection");
	bool ready = is_true(root, "ready");

	printf("%s%s%s%s%s\n", table_colour(ready ? TABLE_GREEN : TABLE_RED),
	       ready ? "ready" : "not ready", table_colour(TABLE_PLAIN), ready ? "" : ": ",
	       text_of(root, "not_ready_because"));
	printf("configuration %s, generation %lld, %.12s, applied %s\n", text_of(root, "outcome"),
	       number_of(root, "generation"), text_of(root, "hash"), text_of(root, "applied"));
	if (text_of(root, "reason")[0])
		printf("reason        %s\n", text_of(root, "reason"));
	if (is_true(root, "uses_last_good"))
		puts("in force      the last good configuration");
	if (json_is_object(failure))
		printf("last failure  %s: %s\n", text_of(failure, "at"),
		       text_of(failure, "reason"));
	printf("mail host     %s (postern %s, %s, since %s)\n", text_of(root, "root"),
	       text_of(root, "version"), text_of(root, "mode"), text_of(root, "started"));
	print_servers(json_object_get(root, "servers"));
	if (json_is_object(protection))
		printf("protection    empty mynetworks: %s; gate: %s; NetworkPolicy: %s\n",
		       text_of(protection, "mynetworks"), text_of(protection, "gate"),
		       text_of(protection, "network_policy"));
	printf("watching      %zu folders, %lld deaf\n",
	       json_array_size(json_object_get(watches, "folders")), number_of(watches, "deaf"));
	if (json_is_object(child))
		printf("child         process %lld, %s; %lld processes reaped\n",
		       number_of(child, "pid"), text_of(child, "state"),
		       number_of(child, "reaped"));
}

int view_status_for_people(struct span json, struct error *err)
{
	json_error_t why;
	json_t *root = json_loadb(json.data, json.len, 0, &why);
	const json_t *notes;
	int rc;

	if (!root)
		return error_set(err, -EINVAL, "the answer is not JSON: %s", why.text);
	if (!make_printable(root)) {
		json_decref(root);
		return error_set(err, -ENOMEM, "out of memory");
	}
	print_summary(root);
	puts("");
	rc = print_twins(root, err);
	notes = json_object_get(root, "notes");
	for (size_t i = 0; i < json_array_size(notes); i++)
		printf("%s%s: %s\n", i == 0 ? "\n" : "", text_of(json_array_get(notes, i), "level"),
		       text_of(json_array_get(notes, i), "text"));
	json_decref(root);
	return rc;
}
