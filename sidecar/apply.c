/* SPDX-License-Identifier: MIT */
/*
 * apply - make a survey come true, or put everything back.
 *
 * What may fail without harm comes first, see judge.h.  Files are then written
 * one by one, each only if it still holds what was read, and the servers are
 * told last.
 */
#include "apply.h"

#include "apply_gate.h"
#include "follow.h"
#include "judge.h"
#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "pending.h"
#include "survey.h"
#include "textfile.h"

#include <errno.h>

enum { UNDO_TRIES_MAX = 20 };

static struct textfile_content content(bool exists, const struct buf *text)
{
	return (struct textfile_content){ .exists = exists, .text = buf_span(text) };
}

static struct textfile_content old_content(const struct file_change *change)
{
	return (struct textfile_content){ .exists = change->old_exists,
					  .text = buf_span(&change->old_text),
					  .age_s = change->age_s };
}

static struct textfile_content new_content(const struct file_change *change)
{
	return (struct textfile_content){ .exists = change->new_exists,
					  .text = buf_span(&change->new_text),
					  .age_s = change->age_s };
}

/* From one side of a change to the other, if the file still is as it was. */
static int swap_change(const struct survey_request *request, const struct file_change *change,
		       bool back, enum textfile_how *how, struct error *err)
{
	struct textfile_content from = back ? new_content(change) : old_content(change);
	struct textfile_content to = back ? old_content(change) : new_content(change);

	return textfile_swap(&request->host->root, change->path, from, to, how, err);
}

static int write_change(const struct survey_request *request, const struct file_change *change,
			struct error *err)
{
	enum textfile_how how = TEXTFILE_RENAMED;
	int rc = swap_change(request, change, false, &how, err);

	if (rc < 0)
		return rc;
	log_notice("%s: %s%s", change->path,
		   !change->new_exists  ? "removed"
		   : change->old_exists ? "changed"
					: "made",
		   how == TEXTFILE_IN_PLACE ? " (in place: it is a mount of its own)" : "");
	return 0;
}

/*
 * Take what is ours out of a file that somebody else has edited since we wrote
 * it.  1, or -ESTALE when it was edited again.
 */
static int undo_edited(const struct survey_request *request, const struct server *server,
		       const struct file_change *change, struct error *err)
{
	cleanup_buf struct buf now = BUF_INIT, stripped = BUF_INIT;
	enum textfile_how how;
	int rc = textfile_read(&request->host->root, change->path, &now, err);

	if (rc == 0)
		rc = server->kind->strip(buf_span(&now), &stripped, err);
	if (rc == 0)
		rc = textfile_swap(&request->host->root, change->path, content(true, &now),
				   content(true, &stripped), &how, err);
	if (rc < 0)
		return rc;
	log_warning("%s: edited by another program meanwhile: %s", change->path,
		    span_equal(buf_span(&now), buf_span(&stripped))
			    ? "it stays as it is now"
			    : "that edit stays, what is ours is taken out");
	return 1;
}

/*
 * Put a file back.  When somebody else edited it meanwhile, their edit stays,
 * and what can be told to be ours by its looks goes: 1.
 */
static int undo_change(const struct survey_request *request, const struct server *server,
		       const struct file_change *change, struct error *err)
{
	enum textfile_how how;
	int rc = swap_change(request, change, true, &how, err);

	for (int tries = 0; rc == -ESTALE && change->new_exists && tries < UNDO_TRIES_MAX; tries++)
		rc = undo_edited(request, server, change, err);
	return rc;
}

/* Which changes of which servers are in force on disk. */
struct written {
	bool record[SURVEY_SERVERS];
	size_t n_changes[SURVEY_SERVERS];
	bool reloaded[SURVEY_SERVERS];
	bool verified[SURVEY_SERVERS];
};

static int write_all(const struct survey_request *request, const struct survey *r,
		     struct written *w, struct error *err)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct server *server = &r->servers[i];
		int rc = 0;

		if (server->n_changes > 0)
			rc = pending_set(&request->host->root, server->kind->name, err);
		/*
		 * Before the files: what it says of a line that is not there yet is
		 * known to be void, while a line without a record could not be undone.
		 */
		if (rc == 0 && server->has_record) {
			enum textfile_how how;

			rc = swap_change(request, &server->record, false, &how, err);
			w->record[i] = rc == 0;
		}
		if (rc == 0 && server->made_directory && !request->revert && server->n_changes > 0)
			rc = rootfs_make_directory(&request->host->root, server->made_directory,
						   0755, err);
		for (size_t k = 0; k < server->n_changes && rc >= 0; k++) {
			rc = write_change(request, &server->changes[k], err);
			if (rc == 0)
				w->n_changes[i]++;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The folder that we made goes when nothing is in it any more. */
static void remove_made_directories(const struct survey_request *request, const struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		struct error err;

		if (r->servers[i].made_directory &&
		    rootfs_remove_directory(&request->host->root, r->servers[i].made_directory,
					    &err) < 0)
			log_warning("%s", err.msg);
	}
}

/*
 * Tell the servers, Dovecot first and only when it is done Postfix: Dovecot
 * makes the socket of its SASL service anew, and an smtpd that starts at that
 * moment ends for want of it, whereupon Postfix's master holds its port back
 * for a minute.
 */
static int reload_and_verify(struct survey *r, struct written *w, struct error *err)
{
	for (size_t i = SURVEY_SERVERS; i-- > 0;) {
		struct server *server = &r->servers[i];
		int rc;

		if (!survey_needs_work(server))
			continue;
		if (!server->running) {
			apply_gate_look_at_untold(r, server);
			continue;
		}
		rc = follow_reload(server, err);
		if (rc < 0)
			return error_wrap(err, rc, "%s: reload", server->kind->name);
		w->reloaded[i] = true;
		rc = follow_verify(server, err);
		if (rc < 0)
			return error_wrap(err, rc, "%s: verify", server->kind->name);
		w->verified[i] = true;
	}
	return 0;
}

/* What became of a server's files; the worst of them. */
enum undone { UNDONE_WHOLE, UNDONE_EDITED, UNDONE_NOT };

static enum undone undo_changes(const struct survey_request *request, const struct server *server,
				size_t n_changes)
{
	enum undone worst = UNDONE_WHOLE;
	struct error err;

	for (size_t k = n_changes; k-- > 0;) {
		int rc = undo_change(request, server, &server->changes[k], &err);

		if (rc == 0)
			log_notice("%s: the previous state is back", server->changes[k].path);
		else if (rc < 0)
			log_error("%s could not be put back: %s", server->changes[k].path, err.msg);
		if (rc < 0)
			worst = UNDONE_NOT;
		else if (rc > 0 && worst == UNDONE_WHOLE)
			worst = UNDONE_EDITED;
	}
	return worst;
}

/* Back to where we came from; says what could not be undone. */
static void roll_back(const struct survey_request *request, struct survey *r,
		      const struct written *w)
{
	bool is_whole = true;

	for (size_t i = SURVEY_SERVERS; i-- > 0;) {
		struct server *server = &r->servers[i];
		enum undone undone = undo_changes(request, server, w->n_changes[i]);
		enum textfile_how how;
		struct error err;

		is_whole = is_whole && undone != UNDONE_NOT;
		/* Overrides that stand there still are undone by the record of them. */
		if (w->record[i] && undone == UNDONE_WHOLE &&
		    swap_change(request, &server->record, true, &how, &err) < 0)
			log_error("%s could not be put back: %s", server->record.path, err.msg);

		/* Files that were there before stay, and so does what is to be proven. */
		if ((w->n_changes[i] > 0 && undone != UNDONE_NOT && !server->is_pending) ||
		    (w->n_changes[i] == 0 && w->verified[i]))
			pending_clear(&request->host->root, server->kind->name);
		if (!w->reloaded[i])
			continue;
		if (!master_process_is_alive(&server->master))
			log_error("%s: its master process ended; start it again",
				  server->kind->name);
		else if (w->n_changes[i] == 0)
			log_notice("%s: its files stay: they were there before",
				   server->kind->name);
		else if (follow_reload_back(server, &err) < 0) {
			is_whole = false;
			log_error("%s: %s", server->kind->name, err.msg);
		}
		is_whole = is_whole && !server->still_open;
	}
	if (!request->revert)
		remove_made_directories(request, r);
	if (is_whole) /* else the new ports may open still */
		apply_gate_restore(r);
}

/* What only an interruption would have needed is forgotten. */
static void settle_record(const struct survey_request *request, const struct server *server)
{
	struct textfile_content wanted = { .exists = server->settled.len > 0,
					   .text = buf_span(&server->settled) };
	enum textfile_how how;
	struct error err;

	if (server->has_record &&
	    textfile_swap(&request->host->root, server->record.path, new_content(&server->record),
			  wanted, &how, &err) < 0)
		log_warning("%s", err.msg);
}

/* It follows its files; or does not run, and will.  Who has ports of before has not yet. */
static void settle_server(const struct survey_request *request, const struct server *server)
{
	settle_record(request, server);
	if (survey_needs_work(server) &&
	    !(server->still_open && (request->revert || !server->running)))
		pending_clear(&request->host->root, server->kind->name);
}

/* All servers follow their files. */
static void settle(const struct survey_request *request, struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		settle_server(request, &r->servers[i]);
	apply_gate_settle(r);
}

int apply_patch(const struct survey_request *request, struct survey *r, struct error *err)
{
	struct written written = { 0 };
	int rc = request->no_reload ? 0 : judge_survey(request, r, err);

	if (rc < 0)
		return rc;
	rc = apply_gate_before(r, err);
	if (rc < 0)
		return rc;
	r->began = true;
	rc = write_all(request, r, &written, err);
	if (rc == 0 && !request->no_reload)
		rc = reload_and_verify(r, &written, err);
	if (rc < 0)
		roll_back(request, r, &written);
	else if (!request->no_reload)
		settle(request, r);
	return rc;
}

int apply_verify(struct survey *r, struct error *err)
{
	int rc = 0;

	for (size_t i = SURVEY_SERVERS; i-- > 0;) {
		struct server *server = &r->servers[i];
		struct error why;

		if (!server->running || server->left_out || server->verified ||
		    follow_verify(server, &why) == 0)
			continue;
		/* The other server is asked all the same. */
		rc = error_set(err, why.code, "%s: verify: %s", server->kind->name, why.msg);
	}
	return rc;
}

/* Whichever of the guarded ports are its own, unless it is to have them. */
static int add_unknown(const struct survey_request *request, const struct survey *r,
		       struct server *server, struct error *err)
{
	const struct gate_ports *standing = &r->gate.standing;
	int rc = 0;

	for (size_t i = 0; i < standing->n_items && rc == 0 && server->closing_is_unknown; i++)
		if (!server->kind->names_port(request->host, server, standing->items[i]))
			rc = server_add_closing(server, standing->items[i], err);
	return rc;
}

static int follow_reverted(const struct survey_request *request, const struct survey *r,
			   struct server *server, struct error *err)
{
	int rc = server->running ? judge_server(request, server, err) : 0;

	if (rc == 0 && server->running)
		rc = add_unknown(request, r, server, err);
	if (rc == 0 && server->running)
		rc = follow_reload(server, err);
	else if (rc == 0 && server->unseen)
		rc = error_set(err, server->unseen_because.code, "%s", server->unseen_because.msg);
	else if (rc == 0)
		apply_gate_look_at_untold(r, server);
	if (rc < 0)
		return error_wrap(err, rc, "%s is not reloaded", server->kind->name);
	settle_server(request, server);
	return 0;
}

/* Each, whatever becomes of the other; the first reason why one could not be told. */
static int follow_all_reverted(const struct survey_request *request, struct survey *r, bool running,
			       int rc, struct error *err)
{
	for (size_t i = SURVEY_SERVERS; i-- > 0;) {
		struct server *server = &r->servers[i];
		struct error why;

		if (server->running != running || !survey_needs_work(server) ||
		    follow_reverted(request, r, server, &why) == 0)
			continue;
		if (rc < 0)
			log_error("%s", why.msg);
		else
			rc = error_set(err, why.code, "the files are reverted, but %s", why.msg);
	}
	return rc;
}

/*
 * Revert takes away what is ours even when the owner's own configuration is
 * broken; a server is only told of it when its tool accepts what is left.
 */
int apply_revert(const struct survey_request *request, struct survey *r, struct error *err)
{
	struct written written = { 0 };
	int rc = write_all(request, r, &written, err);

	if (rc < 0) {
		roll_back(request, r, &written);
		return rc;
	}
	remove_made_directories(request, r);
	if (!request->no_reload) {
		/* What is open when these have followed is open with the others. */
		rc = follow_all_reverted(request, r, true, rc, err);
		rc = follow_all_reverted(request, r, false, rc, err);
	}
	if (rc == 0 && !r->failed)
		apply_gate_settle(r);
	return rc;
}
