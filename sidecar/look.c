/* SPDX-License-Identifier: MIT */
/*
 * look - one look of a running postern at the mail host.
 *
 *   inputs --reconcile--> servers' state --> report
 *
 * When the inputs are wrong, or cannot be put in force, the last good ones are
 * reconciled instead, so that a server that restarts meanwhile has its twins.
 */
#include "look.h"

#include "apply.h"
#include "command.h"
#include "inputs.h"
#include "log.h"
#include "monotonic.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "protection.h"
#include "reconcile.h"
#include "report.h"
#include "report_survey.h"
#include "server.h"
#include "survey.h"
#include "volume.h"

#include <errno.h>

struct look {
	const struct look_request *request;
	struct host host;
	struct settings_request settings_request;
	struct report *out;
	bool must_reload[SURVEY_SERVERS]; /* for a watched folder */
	bool is_told[SURVEY_SERVERS];     /* and it was */
	bool is_surveyed;                 /* what the servers are is in the report */
	/* The last good inputs are tried, because of this; NULL: the present ones. */
	const struct error *fallback_because;
};

static bool is_noted(const struct notes *notes, const char *text)
{
	for (size_t i = 0; i < notes->n_items; i++)
		if (strcmp(notes->items[i].text, text) == 0)
			return true;
	return false;
}

/* Keep the remarks of this look, and say those that are new. */
static void note_all(struct look *look, const struct notes *notes)
{
	for (size_t i = 0; i < notes->n_items; i++) {
		const struct note *note = &notes->items[i];

		if (!is_noted(&look->request->previous->notes, note->text) &&
		    !is_noted(&look->out->notes, note->text))
			log_write(note->level == NOTE_WARNING ? LOG_LEVEL_WARNING
							      : LOG_LEVEL_NOTICE,
				  "%s", note->text);
		notes_add(&look->out->notes, note->level, "%s", note->text);
	}
}

/* ---- folders ---- */

static const struct report_folder *find_folder(const struct report *report, const char *path,
					       bool is_watch)
{
	for (size_t i = 0; i < report->n_folders; i++)
		if (report->folders[i].is_watch == is_watch &&
		    strcmp(report->folders[i].path, path) == 0)
			return &report->folders[i];
	return NULL;
}

static void add_config_folder(struct look *look)
{
	const char *path = look->request->config ? look->request->config : SETTINGS_DEFAULT_PATH;
	char *directory = strdupa(path), *slash = strrchr(directory, '/');
	const char *names[] = { slash + 1, NULL };

	*slash = '\0';
	report_want_folder(look->out, slash == directory ? "/" : directory, names,
			   look->request->config != NULL, false);
}

static void add_settings_folders(struct look *look, const struct settings *settings)
{
	for (size_t i = 0; i < settings->n_overrides; i++)
		report_want_folder(look->out, settings->overrides[i], override_names, false, false);
}

/* What is known of a watched folder; NULL: nothing, so that the servers know what it holds. */
static const struct report_folder *find_watch(const struct look *look, const char *path)
{
	static const struct report_folder never_told = { .is_watch = true };
	const struct report_folder *known = find_folder(look->request->previous, path, true);

	return known || !look->request->watches_are_unknown ? known : &never_told;
}

/* What a watched folder holds; `known`, of the previous report, when nothing touched it. */
static struct digest read_watch(struct look *look, const char *path,
				const struct report_folder *known)
{
	const struct look_request *request = look->request;
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	struct digest digest = DIGEST_NONE;
	struct error err;

	if (known && request->touched && !request->touched[known - request->previous->folders])
		return known->digest;
	if (volume_digest(&look->host.root, path, &digest, &err) == 0)
		return digest;
	notes_add(&notes, NOTE_WARNING, "watch: %s", err.msg);
	note_all(look, &notes);
	return known ? known->digest : (struct digest)DIGEST_NONE;
}

/* What watched folders hold, against what the servers were told of. */
static void look_at_watches(struct look *look, const struct settings *settings)
{
	bool may_have_changed = false;

	for (size_t i = 0; i < settings->n_watches; i++) {
		const struct settings_watch *watch = &settings->watches[i];
		const bool is_for[REPORT_SERVERS] = { watch->reload_postfix,
						      watch->reload_dovecot };
		const struct report_folder *seen =
			find_folder(look->request->previous, watch->directory, true);
		const struct report_folder *known = find_watch(look, watch->directory);
		struct report_folder folder = { .path = strdupa(watch->directory),
						.is_watch = true };

		if (find_folder(look->out, watch->directory, true))
			continue;
		folder.digest = read_watch(look, watch->directory, seen);
		for (size_t k = 0; k < REPORT_SERVERS; k++) {
			folder.told[k] = known && is_for[k] ? known->told[k] : folder.digest;
			if (digest_equal(&folder.told[k], &folder.digest))
				continue;
			look->must_reload[k] = true;
			may_have_changed |= !seen;
		}
		if (seen && !digest_equal(&seen->digest, &folder.digest))
			log_notice("%s: changed", watch->directory);
		report_add_folder(look->out, &folder);
	}
	if (may_have_changed)
		log_notice("watched folders may have changed while nobody watched: their servers "
			   "are to be told");
}

/* What all watched folders hold. */
static struct digest digest_watches(const struct report *report)
{
	struct digest_maker maker;
	struct digest digest;

	digest_start(&maker);
	for (size_t i = 0; i < report->n_folders; i++)
		if (report->folders[i].is_watch)
			digest_add_digest(&maker, &report->folders[i].digest);
	digest_finish(&maker, &digest);
	return digest;
}

/*
 * A server that was not told will be, the next time.  One that was told in vain
 * has read what is there: then what was before is new to it, too.
 */
static void remember_told(struct look *look)
{
	for (size_t i = 0; i < look->out->n_folders; i++) {
		struct report_folder *folder = &look->out->folders[i];

		for (size_t k = 0; folder->is_watch && k < REPORT_SERVERS; k++) {
			if (look->is_told[k])
				folder->told[k] = folder->digest;
			else if (look->out->servers[k].reloads > 0 &&
				 !digest_equal(&folder->told[k], &folder->digest))
				folder->told[k] = (struct digest)DIGEST_NONE;
		}
	}
}

/* ---- attempts ---- */

/*
 * Whether trying again without a change of the inputs can help.  What the inputs
 * say is not a matter of time; what a file system, a kernel or a server says may be.
 */
static bool is_transient(int rc, bool attempted)
{
	static const int lasting[] = { EINVAL,       E2BIG,        EFBIG,   EEXIST,
				       EADDRINUSE,   EDESTADDRREQ, EXDEV,   ELOOP,
				       ENAMETOOLONG, ENOENT,       ENOTDIR, EISDIR };

	if (attempted)
		return rc != -EINVAL;
	for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++)
		if (rc == -lasting[i])
			return false;
	return true;
}

static bool any_runs(const struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		if (r->servers[i].running)
			return true;
	return false;
}

static void report_found(struct look *look, const struct survey *r)
{
	report_survey(look->out, look->request->previous, r);
	look->is_surveyed = true;
}

static bool is_same_text(const char *known, const char *text)
{
	return known && strcmp(known, text) == 0;
}

static const char of_fallback[] = "the last good configuration: ";

/* What keeps the last good inputs from being in force, unless it is what keeps the present ones. */
static void note_fallback(struct look *look, const struct error *err)
{
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;

	if (is_same_text(look->fallback_because->msg, err->msg))
		return;
	notes_add(&notes, NOTE_WARNING, "%s%s", of_fallback, err->msg);
	note_all(look, &notes);
}

/* They were not tried again: what was said of them stands. */
static void keep_fallback_notes(struct look *look)
{
	const struct notes *notes = &look->request->previous->notes;

	for (size_t i = 0; i < notes->n_items; i++)
		if (strncmp(notes->items[i].text, of_fallback, sizeof(of_fallback) - 1) == 0)
			notes_add(&look->out->notes, notes->items[i].level, "%s",
				  notes->items[i].text);
}

static void note_left_out(struct look *look, const struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		if (r->servers[i].left_out)
			note_fallback(look, &r->servers[i].left_out_because);
}

/* What of `inputs` is to be put in force, and what is known of the servers. */
static struct survey_request survey_of(const struct look *look, const struct inputs *inputs)
{
	struct survey_request request = {
		.host = &look->host,
		.settings = &inputs->settings,
		.overrides = &inputs->overrides,
		.only_running = true,
		.each_alone = look->fallback_because != NULL,
		.guard_anyway = look->request->previous->good.len == 0,
		.guarded = { look->request->previous->guarded, look->request->previous->n_guarded },
		.watched = digest_watches(look->out),
		.rehearse = look->request->rehearse,
		.judged = look->fallback_because ? NULL : look->request->judged,
	};

	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct report_server *known = &look->request->previous->servers[i];

		/* After a rollback everything is to be proven again. */
		if (known->verified && !look->out->rolled_back)
			request.verified[i] = known->pid;
		request.must_reload[i] = look->must_reload[i];
	}
	return request;
}

/*
 * Put inputs in force.  `refused` is where the digest of an attempt that failed
 * is kept.  The outcome, or the reason in err.
 */
static enum report_outcome attempt(struct look *look, const struct inputs *inputs,
				   const struct digest *refused_before, struct digest *refused,
				   struct error *err)
{
	CLEANUP(survey_release) struct survey r = SURVEY_INIT;
	struct survey_request request = survey_of(look, inputs);
	int rc;

	request.refused = look->request->retry ? NULL : refused_before;
	rc = reconcile_run(&request, &r, err);
	if (rc == -ECANCELED)
		look->out->judged = r.attempt;
	if (look->request->rehearse)
		return REPORT_WAITING;
	note_all(look, &r.notes);
	note_left_out(look, &r);
	if (rc == -ENOENT && !r.attempted && !any_runs(&r)) {
		report_found(look, &r);
		for (size_t i = 0; i < SURVEY_SERVERS; i++)
			look->is_told[i] = true; /* whoever starts reads what is there */
		return REPORT_WAITING;
	}
	*refused = rc < 0 ? r.attempt : (struct digest)DIGEST_NONE;
	if (rc < 0) {
		/* The candidate is not in force: its twins are not what is there. */
		report_survey_folders(look->out, &r);
		if (look->request->previous->good.len == 0) {
			report_survey_servers(look->out, look->request->previous, &r);
			look->is_surveyed = true; /* what was before was nothing */
		}
		if (rc == -EALREADY)
			return REPORT_NONE; /* nothing new */
		look->out->rolled_back |= r.began;
		report_survey_reloads(look->out, &r);
		return is_transient(rc, r.attempted) ? REPORT_FAILED : REPORT_REFUSED;
	}
	look->out->changed |= rc == 1;
	report_set_text(&look->out->mynetworks, protection_of_mynetworks(&inputs->settings));
	report_survey_gate(look->out, &r.gate);
	for (size_t i = 0; i < SURVEY_SERVERS; i++) /* one that starts may have read too early */
		look->is_told[i] =
			look->must_reload[i] && !r.servers[i].starting && !r.servers[i].left_out;
	if (any_runs(&r))
		rc = apply_verify(&r, err);
	report_found(look, &r);
	if (rc < 0)
		return REPORT_FAILED;
	return any_runs(&r) ? REPORT_CURRENT : REPORT_WAITING;
}

/* What was written in another directory would be forgotten there. */
static int check_directories(struct look *look, const struct settings *now, struct error *err)
{
	CLEANUP(inputs_release) struct inputs good = INPUTS_INIT;
	const struct report *previous = look->request->previous;
	struct error unread;

	if (previous->good.len == 0 ||
	    inputs_parse(&look->settings_request, buf_span(&previous->good), &good, &unread) < 0)
		return 0;
	return inputs_check_directories(now, &good.settings, err);
}

/* The inputs as they are now. */
static enum report_outcome try_present(struct look *look, struct inputs *inputs, struct error *err)
{
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	enum report_outcome outcome;
	int rc = inputs_read(&look->settings_request, inputs, &notes, err);

	note_all(look, &notes);
	add_settings_folders(look, &inputs->settings);
	look_at_watches(look, &inputs->settings);
	if (rc < 0) {
		const struct survey_request request = survey_of(look, inputs);

		if (inputs->has_settings)
			reconcile_guard(&request, &look->out->notes);
		return is_transient(rc, false) ? REPORT_FAILED : REPORT_REFUSED;
	}
	if (check_directories(look, &inputs->settings, err) < 0)
		return REPORT_REFUSED;
	look->out->resync_s = inputs->settings.resync_s;
	report_set_text(&look->out->listen, inputs->settings.listen);
	outcome =
		attempt(look, inputs, &look->request->previous->refused, &look->out->refused, err);
	if (outcome != REPORT_NONE)
		return outcome;
	/* It failed before, and nothing has changed since. */
	error_set(err, -EALREADY, "%s", look->request->previous->reason);
	return look->request->previous->outcome;
}

/* Whether these are the inputs that were in force before. */
static bool were_in_force(const struct look *look, const struct inputs *inputs)
{
	struct digest digest;

	inputs_digest(inputs, &digest);
	return digest_equal(&digest, &look->request->previous->inputs);
}

/* Put the last inputs that were good in force, if they can be.  `why` the present ones cannot. */
static void try_good(struct look *look, const struct inputs *present, const struct error *why)
{
	CLEANUP(inputs_release) struct inputs good = INPUTS_INIT;
	const struct report *previous = look->request->previous;
	enum report_outcome outcome;
	struct error err = { 0 };

	if (previous->good.len == 0)
		return;
	if (inputs_parse(&look->settings_request, buf_span(&previous->good), &good, &err) < 0) {
		log_error("%s", err.msg);
		return;
	}
	look->fallback_because = why;
	add_settings_folders(look, &good.settings);
	look_at_watches(look, &good.settings);
	if (were_in_force(look, present)) /* what failed is to tell of a watched folder */
		look->must_reload[0] = look->must_reload[1] = false;
	outcome = attempt(look, &good, &previous->refused_good, &look->out->refused_good, &err);
	if (outcome == REPORT_REFUSED || outcome == REPORT_FAILED)
		note_fallback(look, &err);
	if (outcome == REPORT_NONE)
		keep_fallback_notes(look);
	/* Tried again, if that can help: its twins are not there, whatever is wrong now. */
	if (outcome == REPORT_FAILED ||
	    (outcome == REPORT_NONE && previous->outcome == REPORT_FAILED))
		look->out->outcome = REPORT_FAILED;
	if (outcome != REPORT_CURRENT && outcome != REPORT_WAITING)
		return;
	inputs_digest(&good, &look->out->inputs);
	look->out->uses_good = true;
}

static void keep_good(struct look *look, const struct inputs *inputs)
{
	struct error err;

	inputs_digest(inputs, &look->out->inputs);
	if (report_misses_server(look->out)) /* it has not been tried with them */
		return;
	buf_clear(&look->out->good);
	if (inputs_print(inputs, &look->out->good, &err) < 0)
		log_error("%s", err.msg);
}

static void say_failure(struct look *look, const struct error *err)
{
	const struct report *previous = look->request->previous;

	report_set_text(&look->out->reason, err->msg);
	if (is_same_text(previous->reason, err->msg))
		return;
	log_error("%s%s", err->msg,
		  look->out->uses_good ? "; the last good configuration stays in force" : "");
}

static void look_around(struct look *look, struct error *err)
{
	CLEANUP(inputs_release) struct inputs inputs = INPUTS_INIT;
	struct report *out = look->out;
	const struct report *previous = look->request->previous;

	if (look->request->rehearse) {
		try_present(look, &inputs, err);
		return;
	}
	buf_add(&out->good, buf_span(&previous->good));
	out->resync_s = previous->resync_s;
	report_set_text(&out->listen, previous->listen);
	report_keep_protection(out, previous);
	add_config_folder(look);
	out->outcome = try_present(look, &inputs, err);
	if (out->outcome == REPORT_CURRENT)
		keep_good(look, &inputs);
	if (out->outcome != REPORT_CURRENT && out->outcome != REPORT_WAITING) {
		if (!look->is_surveyed)
			try_good(look, &inputs, err);
		if (!look->is_surveyed)
			report_servers_of(out, previous);
		report_keep_folders(out, previous); /* what could not be read names none */
		say_failure(look, err);
	}
	remember_told(look);
}

void look_run(const struct look_request *request, struct report *out)
{
	struct look look = { .request = request, .host = HOST_INIT, .out = out };
	uint64_t start = monotonic_micros();
	struct error err = { 0 };

	if (host_init(&look.host, request->root, &err) < 0) {
		out->outcome = REPORT_FAILED;
		report_servers_of(out, request->previous);
		say_failure(&look, &err);
	} else {
		look.settings_request = inputs_request(&look.host, request->config);
		look_around(&look, &err);
	}
	host_release(&look.host);
	out->micros = monotonic_micros() - start;
}
