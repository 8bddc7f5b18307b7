/* SPDX-License-Identifier: MIT */
/* survey - settings and files in, what differs out; nothing is written. */
#include "survey.h"

#include "patchers/base/error.h"
#include "patchers/diff.h"
#include "pending.h"
#include "ports.h"
#include "settings.h"

#include <errno.h>

const struct server_kind *const survey_kinds[SURVEY_SERVERS] = {
	&postfix_server,
	&dovecot_server,
};

void survey_release(struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		if (r->servers[i].kind)
			server_release(&r->servers[i]);
	gate_release(&r->gate);
	notes_release(&r->notes);
	*r = (struct survey)SURVEY_INIT;
}

static void note_state(struct survey *r, const struct server *server, bool live)
{
	if (!server->enabled)
		return;
	if (!server->present)
		notes_add(&r->notes, NOTE_NOTICE, "%s: no configuration found here: left out",
			  server->kind->name);
	else if (server->unseen)
		notes_add(&r->notes, NOTE_WARNING, "%s: it cannot be told whether it runs: %s",
			  server->kind->name, server->unseen_because.msg);
	else if (server->starting)
		notes_add(&r->notes, NOTE_NOTICE, "%s: still starting: %s", server->kind->name,
			  live ? "waiting for it" : "nothing will be reloaded");
	else if (!server->running)
		notes_add(&r->notes, NOTE_NOTICE, "%s: not running: %s", server->kind->name,
			  live ? "waiting for it" : "nothing will be reloaded");
}

/* Does a server do what its files say already? */
static void find_unproven(const struct survey_request *request, size_t which, struct server *server)
{
	struct listening seen;

	if (!server->present || server->n_changes > 0)
		return;
	if (!server->running) {
		/* It was left with ports that its files do not name, and may have them still. */
		server->unproven = request->revert && !request->no_reload && server->is_pending;
		return;
	}
	server_look_at_twins(server, &seen);
	server->unproven = request->must_reload[which] || server->is_pending;
	for (size_t i = 0; i < server->n_twins; i++) {
		struct twin *twin = &server->twins[i];

		twin->is_closed = !ports_was_open(&seen, twin->port);
		server->unproven = server->unproven || twin->is_closed;
	}
	server->closing_is_unknown = request->revert && server->is_pending;
	server->verified = !server->unproven && request->verified[which] == server->master.pid;
}

static void attempt_digest(const struct survey_request *request, const struct survey *r,
			   struct digest *out)
{
	struct digest_maker d;

	digest_start(&d);
	digest_add_digest(&d, &request->watched);
	gate_digest(&r->gate, &d);
	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct server *server = &r->servers[i];

		digest_add_digest(&d, &server->read);
		digest_add_number(&d, (uint64_t)server->master.pid);
		digest_add_number(&d, survey_needs_work(server));
		for (size_t k = 0; k < server->n_changes; k++) {
			digest_add(&d, span_from(server->changes[k].path));
			digest_add(&d, buf_span(&server->changes[k].old_text));
			digest_add(&d, buf_span(&server->changes[k].new_text));
		}
	}
	digest_finish(&d, out);
}

static int survey_server(const struct survey_request *request, size_t i, struct survey *out,
			 struct error *err)
{
	const struct server_request server_request = {
		.host = request->host,
		.settings = request->settings,
		.overrides = request->overrides,
		.revert = request->revert,
	};
	struct server *server = &out->servers[i];
	int rc;

	*server = (struct server){ .kind = survey_kinds[i], .master = MASTER_PROCESS_INIT };
	server->is_pending = pending_is_set(&request->host->root, server->kind->name);
	rc = survey_kinds[i]->survey(&server_request, server, &out->notes, err);
	if (server->master.sight[0] != '\0')
		notes_add(&out->notes, NOTE_WARNING, "%s: %s: it is told nothing",
			  server->kind->name, server->master.sight);
	if (rc < 0 && rc != -ENOMEM && request->only_running && !server->running) {
		/* Whoever is about to start it may not be through with its files. */
		notes_add(&out->notes, NOTE_NOTICE, "%s: not running yet: %s", server->kind->name,
			  err ? err->msg : "");
		server_drop_changes(server);
		server->unread = true;
		return 0;
	}
	if (rc < 0 && rc != -ENOMEM && request->each_alone) {
		survey_leave_out(server, err);
		return 0;
	}
	if (rc < 0)
		return rc;
	if (server->starting && request->await_start && master_process_await(&server->master)) {
		server->starting = false;
		server->running = true;
	}
	if (request->only_running && !server->running)
		server_drop_changes(server);
	note_state(out, server, request->only_running);
	find_unproven(request, i, server);
	return 0;
}

/* How far the gate is not what one would expect of it. */
static void note_gate(struct survey *r)
{
	const struct gate *gate = &r->gate;

	if (gate->mode == SETTINGS_GATE_OFF || gate->is_seen || gate->then.n_items == 0)
		return;
	notes_add(&r->notes, NOTE_WARNING,
		  "gate: not in force: %s: let only the balancer reach the twins, by a "
		  "NetworkPolicy or a firewall",
		  gate->unseen_because.msg);
}

static int survey_gate(const struct survey_request *request, struct survey *r, struct error *err)
{
	const struct gate_request gate_request = {
		.host = request->host,
		.settings = request->settings,
		.servers = r->servers,
		.n_servers = SURVEY_SERVERS,
		.guarded = request->guarded,
		.revert = request->revert,
		.no_reload = request->no_reload,
	};
	struct error why;
	int rc = gate_look(&gate_request, &r->gate, &why);

	if (rc == 0 && !request->revert)
		note_gate(r);
	if (rc < 0 && request->revert) {
		r->failed = true;
		notes_add(&r->notes, NOTE_WARNING, "%s", why.msg);
		return 0;
	}
	if (rc < 0 && err)
		*err = why;
	return rc;
}

/* All of them; the first reason why one cannot be planned comes back when all were looked at. */
static int survey_servers(const struct survey_request *request, struct survey *out, bool *any,
			  struct error *err)
{
	struct error why;
	int first = 0;

	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		int rc = survey_server(request, i, out, &why);

		if (rc < 0 && request->revert) {
			/* The other server's files are reverted all the same. */
			out->failed = true;
			notes_add(&out->notes, NOTE_WARNING, "%s", why.msg);
			*any = true;
			continue;
		}
		if (rc < 0 && first == 0) {
			first = rc;
			if (err)
				*err = why;
		}
		*any = *any || out->servers[i].present;
	}
	return first;
}

int survey_take(const struct survey_request *request, struct survey *out, struct error *err)
{
	bool any = false;
	int rc = survey_servers(request, out, &any, err);

	if (rc < 0)
		return rc;
	if (any || request->revert) {
		rc = survey_gate(request, out, err);
		if (rc < 0)
			return rc;
	}
	attempt_digest(request, out, &out->attempt);
	if (any)
		return 0;
	return error_set(err, -ENOENT,
			 "neither Postfix (%s/master.cf) nor Dovecot "
			 "(%s/dovecot.conf) is here",
			 request->settings->postfix.config_directory,
			 request->settings->dovecot.config_directory);
}

void survey_leave_out(struct server *server, const struct error *why)
{
	server->left_out = true;
	if (why)
		server->left_out_because = *why;
	server->unproven = false;
	server_drop_changes(server);
}

bool survey_needs_work(const struct server *server)
{
	return server->n_changes > 0 || server->unproven;
}

bool survey_differs(const struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		if (survey_needs_work(&r->servers[i]) || r->servers[i].has_record)
			return true;
	return gate_differs(&r->gate);
}

int survey_diff(const struct survey *r, struct buf *out, struct error *err)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		for (size_t k = 0; k < r->servers[i].n_changes; k++) {
			const struct file_change *c = &r->servers[i].changes[k];
			int rc = diff_unified(buf_span(&c->old_text), buf_span(&c->new_text),
					      c->old_exists ? c->path : "/dev/null",
					      c->new_exists ? c->path : "/dev/null", out, err);

			if (rc < 0)
				return rc;
		}
	}
	return 0;
}
