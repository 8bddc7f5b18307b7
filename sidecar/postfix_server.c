/* SPDX-License-Identifier: MIT */
/* postfix_server - Postfix: main.cf, master.cf, postconf(1), its master(8). */
#include "overrides.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "patchers/main_cf.h"
#include "patchers/master_cf.h"
#include "patchers/override_record.h"
#include "patchers/postfix_overrides.h"
#include "patchers/postfix_twins.h"
#include "patchers/postfix_value.h"
#include "postfix_judge.h"
#include "postfix_ports.h"
#include "server.h"
#include "settings.h"
#include "textfile.h"

#include <errno.h>
#include <stdio.h>

/* Its programs wait for a main.cf younger than two seconds. */
enum { MAIN_CF_AGE_S = 3 };

struct postfix {
	char *master_cf_path;
	char *main_cf_path;
	struct buf main_cf_text;
	struct main_cf main_cf;
	struct buf candidate; /* the master.cf wanted, also when it is there already */
};

static void release_own(void *own)
{
	struct postfix *postfix = own;

	free(postfix->master_cf_path);
	free(postfix->main_cf_path);
	buf_release(&postfix->main_cf_text);
	main_cf_release(&postfix->main_cf);
	buf_release(&postfix->candidate);
	free(postfix);
}

static struct postfix *make_own(const char *directory)
{
	struct postfix *postfix = calloc(1, sizeof(*postfix));

	if (!postfix)
		return NULL;
	if (asprintf(&postfix->master_cf_path, "%s/master.cf", directory) < 0)
		postfix->master_cf_path = NULL;
	if (asprintf(&postfix->main_cf_path, "%s/main.cf", directory) < 0)
		postfix->main_cf_path = NULL;
	if (!postfix->master_cf_path || !postfix->main_cf_path) {
		release_own(postfix);
		return NULL;
	}
	return postfix;
}

/* queue_directory/process_id_directory/master.pid, see master(8). */
static int add_pid_path(const struct postfix *postfix, struct buf *out, struct error *err)
{
	int rc = postfix_value_get(&postfix->main_cf, NULL, span_from("queue_directory"), out, err);

	if (rc >= 0) {
		buf_add_char(out, '/');
		rc = postfix_value_get(&postfix->main_cf, NULL, span_from("process_id_directory"),
				       out, err);
	}
	buf_add_text(out, "/master.pid");
	if (rc >= 0)
		rc = buf_check(out, err);
	return rc < 0 ? error_wrap(err, rc, "%s", postfix->main_cf_path) : 0;
}

static int find_master(const struct server_request *request, struct server *server,
		       struct error *err)
{
	cleanup_buf struct buf path = BUF_INIT;
	int rc = add_pid_path(server->own, &path, err);

	return rc < 0 ? rc : server_find_master(request, buf_text(&path), server, err);
}

/* Whether an entry of ours stands on that port. */
static bool stands_already(const struct host *host, const struct master_cf *cf, uint16_t port)
{
	for (size_t i = 0; i < cf->n_entries; i++)
		if (span_is(master_cf_get(&cf->entries[i], MASTER_CF_TYPE), "inet") &&
		    postfix_marks_entry_is_ours(&cf->entries[i]) &&
		    inet_service_parse(master_cf_get(&cf->entries[i], MASTER_CF_NAME),
				       &host->port_names)
				    .port == port)
			return true;
	return false;
}

/* `now` is the file as it is: the plan may have been made on another text. */
static int add_twins(const struct host *host, struct server *server, struct span now,
		     const struct postfix_plan *plan, struct error *err)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	int rc = master_cf_parse(now, &cf, err);

	for (size_t i = 0; i < plan->n_twins && rc == 0; i++) {
		const struct postfix_twin *t = &plan->twins[i];
		struct twin twin = {
			.listener = t->listener,
			.stock = t->stock,
			.address = t->address,
			.stock_port = t->stock_port,
			.port = t->port,
			.protocol = PROBE_SMTP,
			.tls = t->implicit_tls,
			.is_new = t->is_new && !stands_already(host, &cf, t->port),
		};

		rc = server_add_twin(server, &twin, err);
	}
	return rc;
}

static bool has_port(const struct host *host, const struct master_cf *cf, uint16_t port)
{
	for (size_t i = 0; i < cf->n_entries; i++)
		if (span_is(master_cf_get(&cf->entries[i], MASTER_CF_TYPE), "inet") &&
		    inet_service_parse(master_cf_get(&cf->entries[i], MASTER_CF_NAME),
				       &host->port_names)
				    .port == port)
			return true;
	return false;
}

/* Our ports in the present file that the candidate has no more. */
static int find_closing(const struct host *host, struct server *server, struct span now,
			struct error *err)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	CLEANUP(master_cf_release) struct master_cf wanted = { 0 };
	const struct postfix *postfix = server->own;
	int rc;

	if (!span_contains(now, POSTFIX_TWIN_MARK))
		return 0;
	rc = master_cf_parse(now, &cf, err);
	if (rc == 0)
		rc = master_cf_parse(buf_span(&postfix->candidate), &wanted, err);
	for (size_t i = 0; i < cf.n_entries && rc == 0; i++) {
		const struct master_cf_entry *entry = &cf.entries[i];
		struct inet_service name;

		if (!span_is(master_cf_get(entry, MASTER_CF_TYPE), "inet") ||
		    !postfix_marks_entry_is_ours(entry))
			continue;
		name = inet_service_parse(master_cf_get(entry, MASTER_CF_NAME), &host->port_names);
		if (!has_port(host, &wanted, name.port))
			rc = server_add_closing(server, name.port, err);
	}
	return rc;
}

/* The files as they are, and as they shall be. */
struct texts {
	struct buf main_now, main_wanted;
	struct buf master_now, master_wanted;
	struct override_record_texts record;
	bool overridden; /* overrides are in force, or are to be undone */
};

static void texts_release(struct texts *t)
{
	buf_release(&t->main_now);
	buf_release(&t->main_wanted);
	buf_release(&t->master_now);
	buf_release(&t->master_wanted);
	override_record_texts_release(&t->record);
}

static const struct override_source no_source;

static int read_overrides(const struct server_request *request, struct postfix_overrides *main_cf,
			  struct postfix_overrides *master_cf, struct notes *notes,
			  struct error *err)
{
	bool wanted = !request->revert && request->settings->postfix.enabled;
	const struct override_source *files = request->overrides->files;
	const struct override_source *main_source = wanted ? &files[OVERRIDE_MAIN_CF] : &no_source;
	const struct override_source *master_source =
		wanted ? &files[OVERRIDE_MASTER_CF] : &no_source;
	int rc = error_in_file(
		err, postfix_overrides_read_main(buf_span(&main_source->text), main_cf, err),
		main_source->path);

	if (rc == 0)
		rc = error_in_file(err,
				   postfix_overrides_read_master(buf_span(&master_source->text),
								 master_cf, notes, err),
				   master_source->path);
	return rc;
}

/*
 * The texts with the owner's overrides in force.  Of master.cf what is ours is
 * taken out before: the twins are planned on the result.
 */
static int apply_overrides(const struct server_request *request, const struct postfix *postfix,
			   struct texts *t, struct notes *notes, struct error *err)
{
	CLEANUP(postfix_overrides_release)
	struct postfix_overrides main_cf = POSTFIX_OVERRIDES_INIT;
	CLEANUP(postfix_overrides_release)
	struct postfix_overrides master_cf = POSTFIX_OVERRIDES_INIT;
	CLEANUP(override_record_release) struct override_record before = OVERRIDE_RECORD_INIT;
	CLEANUP(override_record_release) struct override_record after = OVERRIDE_RECORD_INIT;
	struct postfix_overrides_request of_main = { .overrides = &main_cf, .before = &before };
	struct postfix_overrides_request of_master = { .overrides = &master_cf, .before = &before };
	cleanup_buf struct buf stripped = BUF_INIT;
	int rc = override_record_texts_parse(&t->record, OVERRIDES_POSTFIX_RECORD, &before, err);

	if (rc == 0)
		rc = read_overrides(request, &main_cf, &master_cf, notes, err);
	t->overridden = main_cf.n_items > 0 || master_cf.n_items > 0 || before.n_items > 0;
	if (rc < 0 || !t->overridden)
		return rc;
	of_main.text = buf_span(&t->main_now);
	rc = error_in_file(err,
			   postfix_overrides_main(&of_main, &t->main_wanted, &after, notes, err),
			   postfix->main_cf_path);
	if (rc == 0)
		rc = postfix_twins_strip_loose(buf_span(&t->master_now), &stripped, err);
	of_master.text = buf_span(&stripped);
	if (rc == 0)
		rc = error_in_file(
			err,
			postfix_overrides_master(&of_master, &t->master_wanted, &after, notes, err),
			postfix->master_cf_path);
	if (rc < 0)
		return rc;
	return override_record_texts_plan(
		&t->record, &after,
		span_equal(buf_span(&t->main_now), buf_span(&t->main_wanted)) &&
			span_equal(buf_span(&stripped), buf_span(&t->master_wanted)),
		err);
}

/* The master.cf wanted, twins and all, over t->master_wanted. */
static int plan_master_cf(const struct server_request *request, struct server *server,
			  struct texts *t, struct notes *notes, struct error *err)
{
	const struct postfix *postfix = server->own;
	const struct settings *settings = request->settings;
	struct span base = buf_span(t->overridden ? &t->master_wanted : &t->master_now);
	const struct postfix_twins_request twins_request = {
		.master_cf = base,
		.main_cf = &postfix->main_cf,
		.port_names = &request->host->port_names,
		.listeners = settings->postfix.listeners,
		.n_listeners = settings->postfix.n_listeners,
		.in_place = settings->in_place,
	};
	struct postfix_plan plan = { 0 };
	struct buf wanted = BUF_INIT;
	int rc;

	if (request->revert || !settings->postfix.enabled) {
		rc = postfix_twins_strip_loose(base, &wanted, err);
	} else {
		rc = postfix_twins_plan(&twins_request, &plan, notes, err);
		if (rc == 0)
			rc = add_twins(request->host, server, buf_span(&t->master_now), &plan, err);
		wanted = plan.text;
		plan.text = (struct buf)BUF_INIT;
		postfix_plan_release(&plan);
	}
	buf_release(&t->master_wanted);
	t->master_wanted = wanted;
	return error_in_file(err, rc, postfix->master_cf_path);
}

static int read_texts(const struct host *host, const struct postfix *postfix, struct texts *t,
		      struct error *err)
{
	int rc = textfile_read(&host->root, postfix->main_cf_path, &t->main_now, err);

	if (rc < 0)
		return rc;
	return override_record_texts_read(&host->root, OVERRIDES_POSTFIX_RECORD, &t->record, err);
}

static void digest_texts(const struct server_request *request, const struct texts *t,
			 struct digest *out)
{
	struct digest_maker maker;

	digest_start(&maker);
	digest_add(&maker, buf_span(&t->main_now));
	digest_add(&maker, buf_span(&t->master_now));
	overrides_digest(request->overrides, &maker);
	digest_finish(&maker, out);
}

static int parse_main_cf(struct postfix *postfix, const struct buf *text, struct error *err)
{
	int rc;

	main_cf_release(&postfix->main_cf);
	buf_clear(&postfix->main_cf_text);
	buf_add(&postfix->main_cf_text, buf_span(text));
	rc = buf_check(&postfix->main_cf_text, err);
	if (rc == 0)
		rc = main_cf_parse(buf_span(&postfix->main_cf_text), &postfix->main_cf, err);
	return rc < 0 ? error_wrap(err, rc, "%s", postfix->main_cf_path) : 0;
}

/*
 * The main.cf with the overrides.  A running master stays in its queue directory
 * while its children go to the new one; and we would not find it again.
 */
static int parse_wanted(const struct server *server, struct postfix *postfix,
			const struct buf *text, struct error *err)
{
	cleanup_buf struct buf before = BUF_INIT, after = BUF_INIT;
	int rc = add_pid_path(postfix, &before, err);

	if (rc == 0)
		rc = parse_main_cf(postfix, text, err);
	if (rc == 0)
		rc = add_pid_path(postfix, &after, err);
	if (rc < 0 || !(server->running || server->starting || server->unseen) ||
	    span_equal(buf_span(&before), buf_span(&after)))
		return rc;
	return error_set(err, -EINVAL,
			 "%s: the overrides move Postfix from %s to %s: that needs a restart of "
			 "it, not a reload",
			 postfix->main_cf_path, buf_text(&before), buf_text(&after));
}

static int add_changes(struct server *server, struct texts *t, struct error *err)
{
	const struct postfix *postfix = server->own;
	int rc = server_add_change(server, postfix->master_cf_path, true, &t->master_now, true,
				   &t->master_wanted, err);

	if (rc < 0 || !t->overridden)
		return rc;
	rc = server_add_change(server, postfix->main_cf_path, true, &t->main_now, true,
			       &t->main_wanted, err);
	for (size_t i = 0; i < server->n_changes; i++)
		if (strcmp(server->changes[i].path, postfix->main_cf_path) == 0)
			server->changes[i].age_s = MAIN_CF_AGE_S;
	return rc < 0 ? rc : server_set_record(server, OVERRIDES_POSTFIX_RECORD, &t->record, err);
}

static const char *const files[] = { "main.cf", "master.cf", NULL };

static bool names_port(const struct host *host, const struct server *server, uint16_t port)
{
	CLEANUP(master_cf_release) struct master_cf wanted = { 0 };
	const struct postfix *postfix = server->own;

	return master_cf_parse(buf_span(&postfix->candidate), &wanted, NULL) == 0 &&
	       has_port(host, &wanted, port);
}

static const char *config_directory(const struct settings *settings)
{
	return settings->postfix.config_directory;
}

static int survey(const struct server_request *request, struct server *server, struct notes *notes,
		  struct error *err)
{
	const struct settings *settings = request->settings;
	const struct host *host = request->host;
	struct postfix *postfix = make_own(settings->postfix.config_directory);
	CLEANUP(texts_release) struct texts t = { 0 };
	int rc;

	server->kind = &postfix_server;
	server->enabled = settings->postfix.enabled;
	server->own = postfix;
	if (!postfix)
		return error_set(err, -ENOMEM, "out of memory");
	rc = server_add_folder(server, settings->postfix.config_directory, files, false, err);
	if (rc == 0)
		rc = textfile_read(&host->root, postfix->master_cf_path, &t.master_now, err);
	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0; /* no Postfix here */
	if (rc < 0)
		return rc;
	server->present = true;
	if (!server->enabled && !(request->revert && server->is_pending) &&
	    !span_contains(buf_span(&t.master_now), "postern") &&
	    rootfs_exists(&host->root, OVERRIDES_POSTFIX_RECORD, NULL) == 0)
		return 0; /* switched off, and nothing of ours: not to be read */
	rc = read_texts(host, postfix, &t, err);
	digest_texts(request, &t, &server->read);
	if (rc == 0)
		rc = parse_main_cf(postfix, &t.main_now, err);
	if (rc == 0)
		rc = find_master(request, server, err);
	if (rc == 0)
		rc = apply_overrides(request, postfix, &t, notes, err);
	if (rc == 0 && t.overridden)
		rc = parse_wanted(server, postfix, &t.main_wanted, err);
	if (rc == 0)
		rc = plan_master_cf(request, server, &t, notes, err);
	if (rc < 0 && request->revert)
		(void)find_closing(host, server, buf_span(&t.master_now), NULL); /* to be guarded */
	if (rc < 0)
		return rc;
	buf_add(&postfix->candidate, buf_span(&t.master_wanted));
	rc = buf_check(&postfix->candidate, err);
	if (rc < 0)
		return rc;
	rc = find_closing(host, server, buf_span(&t.master_now), err);
	server->closing_is_unknown = rc < 0 && request->revert;
	if (rc < 0 && !request->revert)
		return rc;
	return add_changes(server, &t, err);
}

static int judge(const struct host *host, const struct server *server, struct error *err)
{
	const struct postfix *postfix = server->own;
	const struct postfix_candidate candidate = {
		.main_cf = &postfix->main_cf,
		.main_cf_text = buf_span(&postfix->main_cf_text),
		.main_cf_path = postfix->main_cf_path,
		.master_cf_text = buf_span(&postfix->candidate),
		.master_cf_path = postfix->master_cf_path,
	};

	return postfix_judge(host, &candidate, err);
}

static int check_ports(const struct host *host, const struct server *server, struct error *err)
{
	const struct postfix *postfix = server->own;
	int rc = postfix_ports_check(buf_span(&postfix->candidate), &host->port_names,
				     server->running ? server->master.pid : 0, err);

	return rc < 0 ? error_wrap(err, rc, "%s", postfix->master_cf_path) : 0;
}

static const char *const programs[] = { "master", "smtpd", "postscreen", NULL };

const struct server_kind postfix_server = {
	.name = "postfix",
	.programs = programs,
	.greeters = programs + 1,
	.files = files,
	.config_directory = config_directory,
	.survey = survey,
	.judge = judge,
	.check_ports = check_ports,
	.names_port = names_port,
	.strip = postfix_twins_strip_loose,
	.release_own = release_own,
};
