/* SPDX-License-Identifier: MIT */
/*
 * apply - make a survey come true, or put everything back.
 *
 * What may fail without harm comes first: judging and binding touch nothing.
 * Files are then written one by one, each only if it still holds what was
 * read, and the servers are told last.
 */
#include "apply.h"

#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "pending.h"
#include "ports.h"
#include "survey.h"
#include "textfile.h"

#include <errno.h>
#include <time.h>

enum { VERIFY_LIMIT_MS = 10000, FOLLOW_WAIT_MS = 3000, FOLLOW_STEP_MS = 2, UNDO_TRIES_MAX = 20 };

static struct textfile_content content(bool exists, const struct buf *text)
{
	return (struct textfile_content){ .exists = exists, .text = buf_span(text) };
}

static int judge(const struct survey_request *request, const struct server *server,
		 struct error *err)
{
	int rc = server->kind->judge(request->host, server, err);

	server_remove_candidates(request->host);
	if (rc == 1)
		log_notice(
			"%s: its own configuration tool is not here: the candidate is not judged",
			server->kind->name);
	return rc < 0 ? error_wrap(err, rc, "%s: judge", server->kind->name) : 0;
}

static int judge_all(const struct survey_request *request, const struct survey *r,
		     struct error *err)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct server *server = &r->servers[i];
		int rc = survey_needs_work(server) ? judge(request, server, err) : 0;

		if (rc < 0)
			return rc;
		if (survey_needs_work(server))
			rc = server->kind->check_ports(request->host, server, err);
		if (rc < 0)
			return error_wrap(err, rc, "%s: bind", server->kind->name);
	}
	return 0;
}

static int write_change(const struct survey_request *request, const struct file_change *change,
			struct error *err)
{
	enum textfile_how how = TEXTFILE_RENAMED;
	int rc = textfile_swap(&request->host->root, change->path,
			       content(change->old_exists, &change->old_text),
			       content(change->new_exists, &change->new_text), &how, err);

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
 * Put a file back.  When somebody else edited it meanwhile, their edit stays,
 * and what is ours goes.
 */
static int undo_change(const struct survey_request *request, const struct server *server,
		       const struct file_change *change, struct error *err)
{
	cleanup_buf struct buf now = BUF_INIT, stripped = BUF_INIT;
	enum textfile_how how;
	int rc = textfile_swap(&request->host->root, change->path,
			       content(change->new_exists, &change->new_text),
			       content(change->old_exists, &change->old_text), &how, err);

	for (int tries = 0; rc == -ESTALE && change->new_exists && tries < UNDO_TRIES_MAX;
	     tries++) {
		buf_clear(&now);
		buf_clear(&stripped);
		rc = textfile_read(&request->host->root, change->path, &now, err);
		if (rc == 0)
			rc = server->kind->strip(buf_span(&now), &stripped, err);
		if (rc < 0)
			return rc;
		rc = textfile_swap(&request->host->root, change->path, content(true, &now),
				   content(true, &stripped), &how, err);
		if (rc == 0)
			log_warning(
				"%s: edited by another program meanwhile: that edit stays, what "
				"is ours is taken out",
				change->path);
	}
	return rc;
}

/* Which changes of which servers are in force on disk. */
struct written {
	size_t n_changes[SURVEY_SERVERS];
	bool reloaded[SURVEY_SERVERS];
	bool verified[SURVEY_SERVERS];
	bool was_pending[SURVEY_SERVERS]; /* before this run */
};

static int write_all(const struct survey_request *request, const struct survey *r,
		     struct written *w, struct error *err)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct server *server = &r->servers[i];
		int rc = 0;

		w->was_pending[i] = pending_is_set(&request->host->root, server->kind->name);
		if (server->n_changes > 0)
			rc = pending_set(&request->host->root, server->kind->name, err);
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

static int reload(const struct server *server, struct error *err)
{
	int rc = master_process_reload(&server->master, err);

	if (rc == 0)
		log_notice("%s: reloaded (process %d)", server->kind->name,
			   (int)server->master.pid);
	return rc;
}

/*
 * Wait until the master listens for every twin, and keep the addresses it has
 * chosen: which they are hangs on more settings than the twin's own.
 */
static void await_open(const struct server *server, struct probe_job *jobs,
		       char (*addresses)[PORTS_ADDRESS_MAX])
{
	const struct timespec step = { .tv_nsec = FOLLOW_STEP_MS * 1000000L };
	size_t at = 0;

	for (int waited = 0; waited < FOLLOW_WAIT_MS && at < server->n_twins;
	     waited += FOLLOW_STEP_MS) {
		while (at < server->n_twins &&
		       ports_find_address(jobs[at].port, server->master.pid, addresses[at])) {
			jobs[at].address = addresses[at];
			at++;
		}
		if (at < server->n_twins && !master_process_is_alive(&server->master))
			break;
		if (at < server->n_twins)
			nanosleep(&step, NULL);
	}
}

static int verify(const struct server *server, struct error *err)
{
	cleanup_free struct probe_job *jobs = calloc(server->n_twins, sizeof(*jobs));
	cleanup_free char(*addresses)[PORTS_ADDRESS_MAX] =
		calloc(server->n_twins, sizeof(*addresses));
	cleanup_buf struct buf down = BUF_INIT;
	int rc;

	if (!jobs || !addresses)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < server->n_twins; i++)
		jobs[i] = (struct probe_job){
			.address = server->twins[i].address,
			.port = server->twins[i].port,
			.protocol = server->twins[i].protocol,
			.tls = server->twins[i].tls,
			.header = PROXY_HEADER_LOCAL,
			/*
			 * In place the old generation greets alike until it is gone:
			 * there postscreen has to come to the end of its greeting.
			 */
			.first_line_is_enough =
				server->twins[i].port != server->twins[i].stock_port,
		};
	await_open(server, jobs, addresses);
	rc = probe_run(jobs, server->n_twins, VERIFY_LIMIT_MS, true, server->master.pidfd, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < server->n_twins; i++)
		if (!jobs[i].up)
			buf_add_format(&down, "%sport %u (%s): %s", down.len > 0 ? "; " : "",
				       jobs[i].port, server->twins[i].listener, jobs[i].detail);
	if (down.len > 0)
		return error_set(err, -EIO, "%s", buf_text(&down));
	log_notice("%s: %zu twin%s answer%s", server->kind->name, server->n_twins,
		   server->n_twins == 1 ? "" : "s", server->n_twins == 1 ? "s" : "");
	return 0;
}

/*
 * Wait until the master no longer listens on ports that its files do not name
 * any more: then it has followed.  Not for ever, and not an error.
 */
static void await_closed(const struct server *server, const uint16_t *ports, size_t n_ports)
{
	const struct timespec step = { .tv_nsec = FOLLOW_STEP_MS * 1000000L };
	size_t at = 0;

	for (int waited = 0; waited < FOLLOW_WAIT_MS && at < n_ports; waited += FOLLOW_STEP_MS) {
		while (at < n_ports && !ports_is_open(ports[at], server->master.pid))
			at++;
		if (at < n_ports)
			nanosleep(&step, NULL);
	}
	if (at < n_ports)
		log_warning("%s: port %u is still open", server->kind->name, ports[at]);
}

/*
 * Tell the servers, Dovecot first and only when it is done Postfix: Dovecot
 * makes the socket of its SASL service anew, and an smtpd that starts at that
 * moment ends for want of it, whereupon Postfix's master holds its port back
 * for a minute.
 */
static int reload_and_verify(const struct survey *r, struct written *w, struct error *err)
{
	for (size_t i = SURVEY_SERVERS; i-- > 0;) {
		const struct server *server = &r->servers[i];
		int rc;

		if (!survey_needs_work(server) || !server->running)
			continue;
		rc = reload(server, err);
		if (rc < 0)
			return error_wrap(err, rc, "%s: reload", server->kind->name);
		w->reloaded[i] = true;
		await_closed(server, server->closing, server->n_closing);
		rc = server->n_twins > 0 ? verify(server, err) : 0;
		if (rc < 0)
			return error_wrap(err, rc, "%s: verify", server->kind->name);
		w->verified[i] = true;
	}
	return 0;
}

/* What the rollback takes away: the ports that were new. */
static void await_rolled_back(const struct server *server)
{
	for (size_t i = 0; i < server->n_twins; i++)
		if (server->twins[i].is_new)
			await_closed(server, &server->twins[i].port, 1);
}

/* One server's files back to what they were; whether all of them are. */
static bool undo_changes(const struct survey_request *request, const struct server *server,
			 size_t n_changes)
{
	struct error err;
	bool all = true;

	for (size_t k = n_changes; k-- > 0;) {
		if (undo_change(request, server, &server->changes[k], &err) < 0) {
			log_error("%s could not be put back: %s", server->changes[k].path, err.msg);
			all = false;
		} else {
			log_notice("%s: the previous state is back", server->changes[k].path);
		}
	}
	return all;
}

/* Back to where we came from; says what could not be undone. */
static void roll_back(const struct survey_request *request, const struct survey *r,
		      const struct written *w)
{
	for (size_t i = SURVEY_SERVERS; i-- > 0;) {
		const struct server *server = &r->servers[i];
		bool undone = undo_changes(request, server, w->n_changes[i]);
		struct error err;

		/* Files that were there before stay, and so does what is to be proven. */
		if ((w->n_changes[i] > 0 && undone && !w->was_pending[i]) ||
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
		else if (reload(server, &err) < 0)
			log_error("%s: %s", server->kind->name, err.msg);
		else
			await_rolled_back(server);
	}
	if (!request->revert)
		remove_made_directories(request, r);
}

/* All servers follow their files. */
static void settle(const struct survey_request *request, const struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		if (survey_needs_work(&r->servers[i]))
			pending_clear(&request->host->root, r->servers[i].kind->name);
}

int apply_patch(const struct survey_request *request, const struct survey *r, struct error *err)
{
	struct written written = { 0 };
	int rc = request->no_reload ? 0 : judge_all(request, r, err);

	if (rc < 0)
		return rc;
	rc = write_all(request, r, &written, err);
	if (rc == 0 && !request->no_reload)
		rc = reload_and_verify(r, &written, err);
	if (rc < 0)
		roll_back(request, r, &written);
	else if (!request->no_reload)
		settle(request, r);
	return rc;
}

static int tell_reverted(const struct survey_request *request, const struct server *server,
			 struct error *err)
{
	int rc = judge(request, server, err);

	if (rc == 0)
		rc = reload(server, err);
	if (rc < 0)
		return error_wrap(err, rc, "%s is not reloaded", server->kind->name);
	await_closed(server, server->closing, server->n_closing);
	return 0;
}

/*
 * Revert takes away what is ours even when the owner's own configuration is
 * broken; a server is only told of it when its tool accepts what is left.
 */
int apply_revert(const struct survey_request *request, const struct survey *r, struct error *err)
{
	struct written written = { 0 };
	int rc = write_all(request, r, &written, err);

	if (rc < 0) {
		roll_back(request, r, &written);
		return rc;
	}
	remove_made_directories(request, r);
	for (size_t i = SURVEY_SERVERS; i-- > 0 && !request->no_reload;) {
		const struct server *server = &r->servers[i];
		struct error why;

		if (!survey_needs_work(server))
			continue;
		if (server->running && tell_reverted(request, server, &why) < 0) {
			/* The other server is told all the same. */
			rc = error_set(err, why.code, "the files are reverted, but %s", why.msg);
			continue;
		}
		pending_clear(&request->host->root, server->kind->name);
	}
	return rc;
}
