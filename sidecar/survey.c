/* SPDX-License-Identifier: MIT */
/* survey - settings and files in, what differs out; nothing is written. */
#include "survey.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/diff.h"
#include "pending.h"
#include "ports.h"
#include "settings.h"

#include <errno.h>

static const struct server_kind *const kinds[SURVEY_SERVERS] = {
	&postfix_server,
	&dovecot_server,
};

void survey_release(struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		if (r->servers[i].kind)
			server_release(&r->servers[i]);
	notes_release(&r->notes);
	*r = (struct survey)SURVEY_INIT;
}

static void note_state(struct survey *r, const struct server *server)
{
	if (!server->enabled)
		return;
	if (!server->present)
		notes_add(&r->notes, NOTE_NOTICE, "%s: no configuration found here: left out",
			  server->kind->name);
	else if (!server->running)
		notes_add(&r->notes, NOTE_NOTICE, "%s: not running: nothing will be reloaded",
			  server->kind->name);
}

/* Does a running server do what its files say already? */
static void find_unproven(const struct host *host, struct server *server)
{
	if (!server->running || server->n_changes > 0)
		return;
	server->unproven = pending_is_set(&host->root, server->kind->name);
	for (size_t i = 0; i < server->n_twins; i++) {
		struct twin *twin = &server->twins[i];

		twin->is_closed = !ports_is_open(twin->port, server->master.pid);
		server->unproven = server->unproven || twin->is_closed;
	}
}

int survey_take(const struct survey_request *request, struct survey *out, struct error *err)
{
	bool any = false;

	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		struct server *server = &out->servers[i];
		int rc;

		*server = (struct server){ .kind = kinds[i], .master = MASTER_PROCESS_INIT };
		rc = kinds[i]->survey(request->host, request->settings, request->revert, server,
				      &out->notes, err);
		if (rc < 0 && request->revert) {
			/* The other server's files are reverted all the same. */
			out->failed = true;
			notes_add(&out->notes, NOTE_WARNING, "%s", err ? err->msg : "");
			any = true;
			continue;
		}
		if (rc < 0)
			return rc;
		note_state(out, server);
		find_unproven(request->host, server);
		any = any || server->present;
	}
	if (any)
		return 0;
	return error_set(err, -ENOENT,
			 "neither Postfix (%s/master.cf) nor Dovecot "
			 "(%s/dovecot.conf) is here",
			 request->settings->postfix.config_directory,
			 request->settings->dovecot.config_directory);
}

bool survey_needs_work(const struct server *server)
{
	return server->n_changes > 0 || server->unproven;
}

bool survey_differs(const struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		if (survey_needs_work(&r->servers[i]))
			return true;
	return false;
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
