/* SPDX-License-Identifier: MIT */
/*
 * report - what one look at the mail host found and did.
 *
 * The bytes never leave the machine, nor the program: numbers are eight bytes
 * in its own order, texts and lists follow their length.
 */
#include "report.h"

#include "name_list.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"

#include <errno.h>

const char *const report_server_names[REPORT_SERVERS] = { "postfix", "dovecot" };

static const char magic[] = "postern report 1\n";

enum { LIST_MAX = 100000 };

const char *report_outcome_name(enum report_outcome outcome)
{
	static const char *const names[] = {
		[REPORT_NONE] = "starting",   [REPORT_CURRENT] = "current",
		[REPORT_WAITING] = "waiting", [REPORT_REFUSED] = "refused",
		[REPORT_FAILED] = "failed",
	};

	return outcome <= REPORT_FAILED ? names[outcome] : "unknown";
}

static void release_twin(struct report_twin *twin)
{
	free(twin->listener);
	free(twin->stock);
	free(twin->detail);
}

static void release_folder(struct report_folder *folder)
{
	free(folder->path);
	name_list_release(folder->names);
}

void report_drop_twins(struct report *report)
{
	for (size_t i = 0; i < report->n_twins; i++)
		release_twin(&report->twins[i]);
	report->n_twins = 0;
}

void report_release(struct report *report)
{
	report_drop_twins(report);
	for (size_t i = 0; i < report->n_folders; i++)
		release_folder(&report->folders[i]);
	free(report->twins);
	free(report->folders);
	free(report->reason);
	free(report->listen);
	free(report->mynetworks);
	free(report->gate);
	buf_release(&report->good);
	notes_release(&report->notes);
	*report = (struct report)REPORT_INIT;
}

/* ---- adding ---- */

bool report_set_text(char **field, const char *text)
{
	char *copy = strdup(text ? text : "");

	if (!copy)
		return false;
	free(*field);
	*field = copy;
	return true;
}

bool report_add_twin(struct report *report, const struct report_twin *twin)
{
	struct report_twin copy = *twin, *twins;

	copy.listener = copy.stock = copy.detail = NULL;
	if (!report_set_text(&copy.listener, twin->listener) ||
	    !report_set_text(&copy.stock, twin->stock) ||
	    !report_set_text(&copy.detail, twin->detail)) {
		release_twin(&copy);
		return false;
	}
	twins = reallocarray(report->twins, report->n_twins + 1, sizeof(*twins));
	if (!twins) {
		release_twin(&copy);
		return false;
	}
	report->twins = twins;
	twins[report->n_twins++] = copy;
	return true;
}

bool report_add_folder(struct report *report, const struct report_folder *folder)
{
	struct report_folder copy = *folder, *folders;
	bool copied;

	copy.path = strdup(folder->path);
	copied = name_list_copy(name_list_view(folder->names), &copy.names);
	folders = reallocarray(report->folders, report->n_folders + 1, sizeof(*folders));
	if (folders)
		report->folders = folders;
	if (!folders || !copy.path || !copied) {
		release_folder(&copy);
		return false;
	}
	folders[report->n_folders++] = copy;
	return true;
}

static bool widen_folder(struct report_folder *folder, const char *const *names)
{
	bool good = true;

	if (!names) {
		name_list_release(folder->names);
		folder->names = NULL;
	}
	for (; folder->names && *names && good; names++)
		good = name_list_add(&folder->names, *names);
	return good;
}

bool report_want_folder(struct report *report, const char *path, const char *const *names,
			bool is_own, bool pid_file)
{
	const struct report_folder folder = {
		.path = strdupa(path),
		.is_own = is_own,
		.pid_file = pid_file,
	};

	for (size_t i = 0; i < report->n_folders; i++) {
		struct report_folder *known = &report->folders[i];

		if (known->is_watch || known->is_own != is_own || strcmp(known->path, path) != 0)
			continue;
		known->pid_file |= pid_file;
		return widen_folder(known, names);
	}
	/* Without memory for the names, all of them matter. */
	return report_add_folder(report, &folder) &&
	       name_list_copy(names, &report->folders[report->n_folders - 1].names);
}

/* ---- printing ---- */

static void put_number(struct buf *out, uint64_t number)
{
	char bytes[sizeof(number)];

	memcpy(bytes, &number, sizeof(number));
	buf_add(out, span_make(bytes, sizeof(bytes)));
}

static void put_bytes(struct buf *out, struct span bytes)
{
	put_number(out, bytes.len);
	buf_add(out, bytes);
}

static void put_text(struct buf *out, const char *text)
{
	put_bytes(out, span_from(text ? text : ""));
}

static void put_digest(struct buf *out, const struct digest *digest)
{
	buf_add(out, span_make((const char *)digest->bytes, sizeof(digest->bytes)));
}

static void put_server(struct buf *out, const struct report_server *server)
{
	put_number(out, server->enabled);
	put_number(out, server->present);
	put_number(out, server->running);
	put_number(out, server->starting);
	put_number(out, (uint64_t)server->pid);
	put_number(out, server->verified);
	put_number(out, server->reloads);
}

static void put_twin(struct buf *out, const struct report_twin *twin)
{
	put_text(out, twin->listener);
	put_text(out, twin->stock);
	put_text(out, twin->detail);
	put_number(out, twin->stock_port);
	put_number(out, twin->port);
	put_number(out, twin->server);
	put_number(out, twin->tls);
	put_number(out, twin->up);
}

static void put_folder(struct buf *out, const struct report_folder *folder)
{
	put_text(out, folder->path);
	put_number(out, folder->names != NULL);
	put_number(out, name_list_count(name_list_view(folder->names)));
	for (char *const *name = folder->names; name && *name; name++)
		put_text(out, *name);
	put_number(out, folder->is_own);
	put_number(out, folder->pid_file);
	put_number(out, folder->is_watch);
	put_digest(out, &folder->digest);
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		put_digest(out, &folder->told[i]);
}

int report_print(const struct report *report, struct buf *out, struct error *err)
{
	buf_add_text(out, magic);
	put_number(out, report->outcome);
	put_number(out, report->changed);
	put_number(out, report->rolled_back);
	put_number(out, report->uses_good);
	put_digest(out, &report->inputs);
	put_digest(out, &report->refused);
	put_digest(out, &report->refused_good);
	put_text(out, report->reason);
	put_number(out, report->resync_s);
	put_text(out, report->listen);
	put_text(out, report->mynetworks);
	put_text(out, report->gate);
	put_bytes(out, buf_span(&report->good));
	put_number(out, report->micros);
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		put_server(out, &report->servers[i]);
	put_number(out, report->n_twins);
	for (size_t i = 0; i < report->n_twins; i++)
		put_twin(out, &report->twins[i]);
	put_number(out, report->n_folders);
	for (size_t i = 0; i < report->n_folders; i++)
		put_folder(out, &report->folders[i]);
	put_number(out, report->notes.n_items);
	for (size_t i = 0; i < report->notes.n_items; i++) {
		put_number(out, report->notes.items[i].level);
		put_text(out, report->notes.items[i].text);
	}
	put_text(out, "end");
	return buf_check(out, err);
}

/* ---- parsing ---- */

struct reader {
	struct span rest;
	bool failed;
	bool no_memory;
};

static struct span get_run(struct reader *r, uint64_t len)
{
	struct span run = span_make(r->rest.data, (size_t)len);

	if (r->failed || len > r->rest.len) {
		r->failed = true;
		return span_make("", 0);
	}
	r->rest = span_make(r->rest.data + len, r->rest.len - (size_t)len);
	return run;
}

static uint64_t get_number(struct reader *r)
{
	uint64_t number = 0;
	struct span run = get_run(r, sizeof(number));

	if (run.len == sizeof(number))
		memcpy(&number, run.data, sizeof(number));
	return number;
}

static uint64_t get_number_below(struct reader *r, uint64_t limit)
{
	uint64_t number = get_number(r);

	if (number < limit)
		return number;
	r->failed = true;
	return 0;
}

static bool get_bool(struct reader *r)
{
	return get_number_below(r, 2) == 1;
}

static char *get_text(struct reader *r)
{
	struct span run = get_run(r, get_number(r));
	char *text = strndup(run.data, run.len);

	if (!text)
		r->no_memory = r->failed = true;
	else if (strlen(text) != run.len)
		r->failed = true;
	return text;
}

static void get_digest(struct reader *r, struct digest *out)
{
	struct span run = get_run(r, sizeof(out->bytes));

	if (run.len == sizeof(out->bytes))
		memcpy(out->bytes, run.data, sizeof(out->bytes));
}

static void get_server(struct reader *r, struct report_server *out)
{
	out->enabled = get_bool(r);
	out->present = get_bool(r);
	out->running = get_bool(r);
	out->starting = get_bool(r);
	out->pid = (pid_t)get_number(r);
	out->verified = get_bool(r);
	out->reloads = (uint32_t)get_number(r);
}

static void get_twin(struct reader *r, struct report *out)
{
	struct report_twin twin = {
		.listener = get_text(r),
		.stock = get_text(r),
		.detail = get_text(r),
		.stock_port = (uint16_t)get_number_below(r, UINT16_MAX + 1),
		.port = (uint16_t)get_number_below(r, UINT16_MAX + 1),
		.server = (uint8_t)get_number_below(r, REPORT_SERVERS),
		.tls = get_bool(r),
		.up = get_bool(r),
	};

	if (!r->failed && !report_add_twin(out, &twin))
		r->no_memory = r->failed = true;
	release_twin(&twin);
}

static void get_folder(struct reader *r, struct report *out)
{
	struct report_folder folder = { .path = get_text(r) };
	bool has_names = get_bool(r);
	size_t n = get_number_below(r, LIST_MAX);

	if (has_names && !r->failed) {
		folder.names = calloc(n + 1, sizeof(*folder.names));
		if (!folder.names)
			r->no_memory = r->failed = true;
	}
	for (size_t i = 0; folder.names && i < n && !r->failed; i++)
		folder.names[i] = get_text(r);
	folder.is_own = get_bool(r);
	folder.pid_file = get_bool(r);
	folder.is_watch = get_bool(r);
	get_digest(r, &folder.digest);
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		get_digest(r, &folder.told[i]);
	if (!r->failed && !report_add_folder(out, &folder))
		r->no_memory = r->failed = true;
	release_folder(&folder);
}

static void get_note(struct reader *r, struct report *out)
{
	enum note_level level = (enum note_level)get_number_below(r, NOTE_WARNING + 1);
	cleanup_free char *text = get_text(r);
	size_t before = out->notes.n_items;

	if (r->failed)
		return;
	notes_add(&out->notes, level, "%s", text);
	if (out->notes.n_items == before) /* notes are never there twice */
		r->no_memory = r->failed = true;
}

static void get_report(struct reader *r, struct report *out)
{
	size_t n;

	out->outcome = (enum report_outcome)get_number_below(r, REPORT_FAILED + 1);
	out->changed = get_bool(r);
	out->rolled_back = get_bool(r);
	out->uses_good = get_bool(r);
	get_digest(r, &out->inputs);
	get_digest(r, &out->refused);
	get_digest(r, &out->refused_good);
	out->reason = get_text(r);
	out->resync_s = (uint32_t)get_number(r);
	out->listen = get_text(r);
	out->mynetworks = get_text(r);
	out->gate = get_text(r);
	buf_add(&out->good, get_run(r, get_number(r)));
	out->micros = get_number(r);
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		get_server(r, &out->servers[i]);
	n = get_number_below(r, LIST_MAX);
	for (size_t i = 0; i < n && !r->failed; i++)
		get_twin(r, out);
	n = get_number_below(r, LIST_MAX);
	for (size_t i = 0; i < n && !r->failed; i++)
		get_folder(r, out);
	n = get_number_below(r, LIST_MAX);
	for (size_t i = 0; i < n && !r->failed; i++)
		get_note(r, out);
}

int report_parse(struct span bytes, struct report *out, struct error *err)
{
	CLEANUP(report_release) struct report report = REPORT_INIT;
	struct reader r = { .rest = bytes };
	cleanup_free char *end = NULL;

	r.failed = !span_is(get_run(&r, sizeof(magic) - 1), magic);
	get_report(&r, &report);
	end = get_text(&r);
	if (r.no_memory || report.good.failed)
		return error_set(err, -ENOMEM, "out of memory");
	if (r.failed || strcmp(end, "end") != 0 || r.rest.len > 0)
		return error_set(err, -EINVAL, "not a report");
	*out = report;
	report = (struct report)REPORT_INIT;
	return 0;
}

/* ---- what it means ---- */

static const char *why_not_ready(const struct report_server *server, bool is_waited_for)
{
	if (!server->enabled || !server->present)
		return NULL;
	if (!server->running)
		return is_waited_for ? "is not running" : NULL;
	return server->verified ? NULL : "its twins are not proven";
}

bool report_is_ready(const struct report *report, bool dovecot_was_seen, struct buf *why)
{
	bool waited_for[REPORT_SERVERS] = { true, dovecot_was_seen };
	bool any = false;

	for (size_t i = 0; i < REPORT_SERVERS; i++) {
		const struct report_server *server = &report->servers[i];
		const char *reason = why_not_ready(server, waited_for[i]);

		any = any || (server->enabled && server->running);
		if (reason)
			buf_add_format(why, "%s%s: %s", why->len > 0 ? "; " : "",
				       report_server_names[i], reason);
	}
	for (size_t i = 0; i < report->n_twins; i++)
		if (!report->twins[i].up && report->servers[report->twins[i].server].running)
			buf_add_format(why, "%s%s %u: %s", why->len > 0 ? "; " : "",
				       report->twins[i].listener, report->twins[i].port,
				       report->twins[i].detail);
	if (!any && why->len == 0)
		buf_add_text(why, "no mail server is running");
	return why->len == 0 && !why->failed;
}
