/* SPDX-License-Identifier: MIT */
/* report - what one look at the mail host found and did. */
#include "report.h"

#include "name_list.h"
#include "pack.h"
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

void report_keep_folders(struct report *report, const struct report *other)
{
	for (size_t i = 0; i < other->n_folders; i++) {
		const struct report_folder *folder = &other->folders[i];

		if (!folder->is_watch)
			report_want_folder(report, folder->path, name_list_view(folder->names),
					   folder->is_own, folder->pid_file);
	}
}

/* ---- printing ---- */

static void pack_digest(struct buf *out, const struct digest *digest)
{
	buf_add(out, span_make((const char *)digest->bytes, sizeof(digest->bytes)));
}

static void pack_server(struct buf *out, const struct report_server *server)
{
	pack_number(out, server->enabled);
	pack_number(out, server->present);
	pack_number(out, server->running);
	pack_number(out, server->starting);
	pack_number(out, server->was_seen);
	pack_number(out, (uint64_t)server->pid);
	pack_number(out, server->verified);
	pack_number(out, server->reloads);
}

static void pack_twin(struct buf *out, const struct report_twin *twin)
{
	pack_text(out, twin->listener);
	pack_text(out, twin->stock);
	pack_text(out, twin->detail);
	pack_number(out, twin->stock_port);
	pack_number(out, twin->port);
	pack_number(out, twin->server);
	pack_number(out, twin->tls);
	pack_number(out, twin->up);
}

static void pack_folder(struct buf *out, const struct report_folder *folder)
{
	pack_text(out, folder->path);
	pack_number(out, folder->names != NULL);
	pack_number(out, name_list_count(name_list_view(folder->names)));
	for (char *const *name = folder->names; name && *name; name++)
		pack_text(out, *name);
	pack_number(out, folder->is_own);
	pack_number(out, folder->pid_file);
	pack_number(out, folder->is_watch);
	pack_digest(out, &folder->digest);
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		pack_digest(out, &folder->told[i]);
}

int report_print(const struct report *report, struct buf *out, struct error *err)
{
	buf_add_text(out, magic);
	pack_number(out, report->outcome);
	pack_number(out, report->changed);
	pack_number(out, report->rolled_back);
	pack_number(out, report->uses_good);
	pack_digest(out, &report->inputs);
	pack_digest(out, &report->refused);
	pack_digest(out, &report->refused_good);
	pack_digest(out, &report->judged);
	pack_text(out, report->reason);
	pack_number(out, report->resync_s);
	pack_text(out, report->listen);
	pack_text(out, report->mynetworks);
	pack_text(out, report->gate);
	pack_number(out, report->gate_in_force);
	pack_number(out, report->n_guarded);
	for (size_t i = 0; i < report->n_guarded; i++)
		pack_number(out, report->guarded[i]);
	pack_bytes(out, buf_span(&report->good));
	pack_number(out, report->micros);
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		pack_server(out, &report->servers[i]);
	pack_number(out, report->n_twins);
	for (size_t i = 0; i < report->n_twins; i++)
		pack_twin(out, &report->twins[i]);
	pack_number(out, report->n_folders);
	for (size_t i = 0; i < report->n_folders; i++)
		pack_folder(out, &report->folders[i]);
	pack_number(out, report->notes.n_items);
	for (size_t i = 0; i < report->notes.n_items; i++) {
		pack_number(out, report->notes.items[i].level);
		pack_text(out, report->notes.items[i].text);
	}
	pack_text(out, "end");
	return buf_check(out, err);
}

/* ---- parsing ---- */

static void unpack_digest(struct unpacker *u, struct digest *out)
{
	struct span run = unpack_run(u, sizeof(out->bytes));

	if (run.len == sizeof(out->bytes))
		memcpy(out->bytes, run.data, sizeof(out->bytes));
}

static void unpack_server(struct unpacker *u, struct report_server *out)
{
	out->enabled = unpack_bool(u);
	out->present = unpack_bool(u);
	out->running = unpack_bool(u);
	out->starting = unpack_bool(u);
	out->was_seen = unpack_bool(u);
	out->pid = (pid_t)unpack_number(u);
	out->verified = unpack_bool(u);
	out->reloads = (uint32_t)unpack_number(u);
}

static void unpack_twin(struct unpacker *u, struct report *out)
{
	struct report_twin twin = { 0 };

	twin.listener = unpack_text(u);
	twin.stock = unpack_text(u);
	twin.detail = unpack_text(u);
	twin.stock_port = (uint16_t)unpack_number_below(u, UINT16_MAX + 1);
	twin.port = (uint16_t)unpack_number_below(u, UINT16_MAX + 1);
	twin.server = (uint8_t)unpack_number_below(u, REPORT_SERVERS);
	twin.tls = unpack_bool(u);
	twin.up = unpack_bool(u);
	if (!u->failed && !report_add_twin(out, &twin))
		u->no_memory = u->failed = true;
	release_twin(&twin);
}

static void unpack_folder(struct unpacker *u, struct report *out)
{
	struct report_folder folder = { .path = unpack_text(u) };
	bool has_names = unpack_bool(u);
	size_t n = unpack_number_below(u, LIST_MAX);

	if (has_names && !u->failed) {
		folder.names = calloc(n + 1, sizeof(*folder.names));
		if (!folder.names)
			u->no_memory = u->failed = true;
	}
	for (size_t i = 0; folder.names && i < n && !u->failed; i++)
		folder.names[i] = unpack_text(u);
	folder.is_own = unpack_bool(u);
	folder.pid_file = unpack_bool(u);
	folder.is_watch = unpack_bool(u);
	unpack_digest(u, &folder.digest);
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		unpack_digest(u, &folder.told[i]);
	if (!u->failed && !report_add_folder(out, &folder))
		u->no_memory = u->failed = true;
	release_folder(&folder);
}

static bool has_note(const struct notes *notes, const char *text)
{
	for (size_t i = 0; i < notes->n_items; i++)
		if (strcmp(notes->items[i].text, text) == 0)
			return true;
	return false;
}

static void unpack_note(struct unpacker *u, struct report *out)
{
	enum note_level level = (enum note_level)unpack_number_below(u, NOTE_WARNING + 1);
	cleanup_free char *text = unpack_text(u);
	size_t before = out->notes.n_items;

	if (!u->failed && has_note(&out->notes, text)) /* notes are never there twice */
		u->failed = true;
	if (u->failed)
		return;
	notes_add(&out->notes, level, "%s", text);
	if (out->notes.n_items == before)
		u->no_memory = u->failed = true;
}

static void unpack_report(struct unpacker *u, struct report *out)
{
	size_t n;

	out->outcome = (enum report_outcome)unpack_number_below(u, REPORT_FAILED + 1);
	out->changed = unpack_bool(u);
	out->rolled_back = unpack_bool(u);
	out->uses_good = unpack_bool(u);
	unpack_digest(u, &out->inputs);
	unpack_digest(u, &out->refused);
	unpack_digest(u, &out->refused_good);
	unpack_digest(u, &out->judged);
	out->reason = unpack_text(u);
	out->resync_s = (uint32_t)unpack_number(u);
	out->listen = unpack_text(u);
	out->mynetworks = unpack_text(u);
	out->gate = unpack_text(u);
	out->gate_in_force = unpack_bool(u);
	out->n_guarded = unpack_number_below(u, REPORT_GUARDED_MAX + 1);
	for (size_t i = 0; i < out->n_guarded; i++)
		out->guarded[i] = (uint16_t)unpack_number_below(u, UINT16_MAX + 1);
	buf_add(&out->good, unpack_bytes(u));
	out->micros = unpack_number(u);
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		unpack_server(u, &out->servers[i]);
	n = unpack_number_below(u, LIST_MAX);
	for (size_t i = 0; i < n && !u->failed; i++)
		unpack_twin(u, out);
	n = unpack_number_below(u, LIST_MAX);
	for (size_t i = 0; i < n && !u->failed; i++)
		unpack_folder(u, out);
	n = unpack_number_below(u, LIST_MAX);
	for (size_t i = 0; i < n && !u->failed; i++)
		unpack_note(u, out);
}

int report_parse(struct span bytes, struct report *out, struct error *err)
{
	CLEANUP(report_release) struct report report = REPORT_INIT;
	struct unpacker u = { .rest = bytes };
	cleanup_free char *end = NULL;

	u.failed = !span_is(unpack_run(&u, sizeof(magic) - 1), magic);
	unpack_report(&u, &report);
	end = unpack_text(&u);
	if (u.no_memory || report.good.failed)
		return error_set(err, -ENOMEM, "out of memory");
	if (u.failed || strcmp(end, "end") != 0 || u.rest.len > 0)
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

bool report_any_starts(const struct report *report)
{
	for (size_t i = 0; i < REPORT_SERVERS; i++)
		if (report->servers[i].starting)
			return true;
	return false;
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

bool report_misses_server(const struct report *report)
{
	for (size_t i = 0; i < REPORT_SERVERS; i++) {
		const struct report_server *server = &report->servers[i];

		if (server->enabled && server->present && server->was_seen && !server->running)
			return true;
	}
	return false;
}
