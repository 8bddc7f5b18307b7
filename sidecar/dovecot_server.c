/* SPDX-License-Identifier: MIT */
/* dovecot_server - Dovecot: its configuration tree, doveconf(1), its master. */
#include "dovecot_files.h"
#include "dovecot_judge.h"
#include "overrides.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "patchers/dovecot_reader.h"
#include "patchers/dovecot_listeners.h"
#include "patchers/override_law.h"
#include "ports.h"
#include "server.h"
#include "settings.h"
#include "textfile.h"

#include <errno.h>
#include <stdio.h>

#define MAIN_NAME "dovecot.conf"
#define DROP_IN_FOLDER "conf.d"
#define DROP_IN_NAME DROP_IN_FOLDER "/95-postern.conf"
#define LOCAL_NAME "local.conf"

struct dovecot {
	char *main_path;
	char *directory; /* of the drop-in */
	char *drop_in_path;
	char *local_path;            /* what docker-mailserver makes of dovecot.cf */
	struct dovecot_conf current; /* as it is on disk */
	struct dovecot_conf wanted;  /* as it would be read */
};

static void release_own(void *own)
{
	struct dovecot *dovecot = own;

	free(dovecot->main_path);
	free(dovecot->directory);
	free(dovecot->drop_in_path);
	free(dovecot->local_path);
	dovecot_conf_release(&dovecot->current);
	dovecot_conf_release(&dovecot->wanted);
	free(dovecot);
}

static char *join(const char *directory, const char *name)
{
	char *out = NULL;

	return asprintf(&out, "%s/%s", directory, name) < 0 ? NULL : out;
}

static struct dovecot *make_own(const char *directory)
{
	struct dovecot *dovecot = calloc(1, sizeof(*dovecot));

	if (!dovecot)
		return NULL;
	dovecot->main_path = join(directory, MAIN_NAME);
	dovecot->directory = join(directory, DROP_IN_FOLDER);
	dovecot->drop_in_path = join(directory, DROP_IN_NAME);
	dovecot->local_path = join(directory, LOCAL_NAME);
	if (!dovecot->main_path || !dovecot->directory || !dovecot->drop_in_path ||
	    !dovecot->local_path) {
		release_own(dovecot);
		return NULL;
	}
	return dovecot;
}

static int find_master(const struct server_request *request, struct server *server,
		       struct error *err)
{
	const struct dovecot *dovecot = server->own;
	const char *directory = dovecot_conf_get(&dovecot->current, "base_dir", "/run/dovecot");
	cleanup_free char *path = join(directory, "master.pid");

	if (!path)
		return error_set(err, -ENOMEM, "out of memory");
	return server_find_master(request, path, server, err);
}

/* The files that are ours to change, as they are and as they shall be. */
struct texts {
	struct buf main_now, main_wanted;
	struct buf drop_in_now, drop_in_wanted;
	struct buf local_now, local_wanted;
	struct override_record_texts record;
	bool drop_in_exists, drop_in_is_wanted;
	bool local_exists, local_is_wanted;
	bool overridden; /* dovecot.cf is in force, or is to be undone */
};

static void texts_release(struct texts *t)
{
	buf_release(&t->main_now);
	buf_release(&t->main_wanted);
	buf_release(&t->drop_in_now);
	buf_release(&t->drop_in_wanted);
	buf_release(&t->local_now);
	buf_release(&t->local_wanted);
	override_record_texts_release(&t->record);
}

/* A file that need not be there. */
static int read_text(const struct host *host, const char *path, struct buf *out, bool *exists,
		     struct error *err)
{
	int rc = textfile_read(&host->root, path, out, err);

	*exists = rc == 0;
	return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc;
}

static int read_texts(const struct host *host, const struct dovecot *dovecot, struct texts *out,
		      struct error *err)
{
	int rc = textfile_read(&host->root, dovecot->main_path, &out->main_now, err);

	if (rc == 0)
		rc = read_text(host, dovecot->drop_in_path, &out->drop_in_now, &out->drop_in_exists,
			       err);
	if (rc == 0)
		rc = read_text(host, dovecot->local_path, &out->local_now, &out->local_exists, err);
	if (rc == 0)
		rc = override_record_texts_read(&host->root, OVERRIDES_DOVECOT_RECORD, &out->record,
						err);
	if (rc < 0)
		return rc;
	dovecot_listeners_strip_include(buf_span(&out->main_now), &out->main_wanted);
	return buf_check(&out->main_wanted, err);
}

/* Read the tree as if the wanted texts were in place. */
static int read_wanted(const struct host *host, struct dovecot *dovecot, const struct texts *t,
		       struct dovecot_conf *out, struct error *err)
{
	const struct dovecot_source source = dovecot_files_source(&host->root);
	const struct dovecot_overlay overlays[] = {
		{ .path = dovecot->main_path, .text = &t->main_wanted },
		{ .path = dovecot->drop_in_path,
		  .text = t->drop_in_is_wanted ? &t->drop_in_wanted : NULL },
		{ .path = dovecot->local_path,
		  .text = t->local_is_wanted ? &t->local_wanted : NULL },
	};

	return dovecot_conf_read(&source, dovecot->main_path, overlays, t->overridden ? 3 : 2, out,
				 err);
}

/* local.conf as dovecot.cf wants it, or as it was before there was one. */
static int apply_override(const struct server_request *request, struct texts *t,
			  struct notes *notes, struct error *err)
{
	CLEANUP(override_record_release) struct override_record before = OVERRIDE_RECORD_INIT;
	CLEANUP(override_record_release) struct override_record after = OVERRIDE_RECORD_INIT;
	const struct override_source *source = &request->overrides->files[OVERRIDE_DOVECOT_CF];
	bool wanted = !request->revert && request->settings->dovecot.enabled && source->exists;
	struct override_file_request file = {
		.place = LOCAL_NAME,
		.now = { .exists = t->local_exists, .text = buf_span(&t->local_now) },
		.wanted = { .exists = wanted, .text = buf_span(&source->text) },
		.before = &before,
	};
	struct override_view out;
	int rc = override_record_texts_parse(&t->record, OVERRIDES_DOVECOT_RECORD, &before, err);

	if (rc < 0)
		return rc;
	t->overridden = wanted || before.n_items > 0;
	if (!t->overridden)
		return 0;
	rc = override_file(&file, &out, &after, notes, err);
	if (rc < 0)
		return rc == -EINVAL ? error_in_file(err, rc, source->path) : rc;
	t->local_is_wanted = out.exists;
	buf_add(&t->local_wanted, out.exists ? out.text : span_from(""));
	rc = buf_check(&t->local_wanted, err);
	return rc < 0 ? rc
		      : override_record_texts_plan(&t->record, &after,
						   override_view_equal(file.now, out), err);
}

/* A dovecot.cf that nothing includes would be without effect. */
static void note_unread(const struct dovecot *dovecot, const struct texts *t, struct notes *notes)
{
	if (!t->overridden || !t->local_is_wanted)
		return;
	for (size_t i = 0; i < dovecot->wanted.n_files; i++)
		if (strcmp(dovecot->wanted.files[i].path, dovecot->local_path) == 0)
			return;
	notes_add(notes, NOTE_WARNING, "%s does not include %s: dovecot.cf has no effect",
		  dovecot->main_path, dovecot->local_path);
}

/* The drop-in must be read, and nothing after it may undo it. */
static int make_it_hold(const struct host *host, const struct settings *settings,
			struct dovecot *dovecot, const struct dovecot_plan *plan, struct texts *t,
			struct error *err)
{
	const struct dovecot_setting *undoing;
	int rc = read_wanted(host, dovecot, t, &dovecot->wanted, err);

	if (rc < 0 || dovecot_listeners_hold(&dovecot->wanted, plan, settings->in_place, &undoing))
		return rc;
	dovecot_conf_release(&dovecot->wanted);
	buf_clear(&t->main_wanted);
	{
		cleanup_buf struct buf stripped = BUF_INIT;

		dovecot_listeners_strip_include(buf_span(&t->main_now), &stripped);
		dovecot_listeners_add_include(buf_span(&stripped), DROP_IN_NAME, &t->main_wanted);
		rc = buf_check(&stripped, err);
	}
	if (rc == 0)
		rc = buf_check(&t->main_wanted, err);
	if (rc == 0)
		rc = read_wanted(host, dovecot, t, &dovecot->wanted, err);
	if (rc < 0 || dovecot_listeners_hold(&dovecot->wanted, plan, settings->in_place, &undoing))
		return rc;
	if (!undoing)
		return error_set(err, -EINVAL, "%s: the listeners of %s are not read",
				 dovecot->main_path, dovecot->drop_in_path);
	return error_set(err, -EINVAL, "%s:%u: \"%s = %s\" undoes what %s sets",
			 dovecot->wanted.files[undoing->file].path, undoing->line, undoing->path,
			 undoing->value, dovecot->drop_in_path);
}

static int add_twins(struct server *server, const struct dovecot_plan *plan, struct error *err)
{
	static const struct {
		const char *protocol;
		enum probe_protocol probe;
	} protocols[] = { { "imap", PROBE_IMAP },
			  { "pop3", PROBE_POP3 },
			  { "sieve", PROBE_SIEVE } };
	const struct dovecot *dovecot = server->own;
	int rc = 0;

	for (size_t i = 0; i < plan->n_twins && rc == 0; i++) {
		const struct dovecot_twin *t = &plan->twins[i];
		cleanup_free char *name = strdup(t->stock->name), *stock = strdup(t->stock->name);
		struct twin twin = {
			.listener = name,
			.stock = stock,
			.address = t->address,
			.stock_port = t->stock_port,
			.port = t->port,
			.tls = t->ssl,
			.is_new =
				t->is_new && !dovecot_in_force_has_port(&dovecot->current, t->port),
		};

		if (!name || !stock)
			return error_set(err, -ENOMEM, "out of memory");
		for (size_t k = 0; k < sizeof(protocols) / sizeof(protocols[0]); k++)
			if (strcmp(t->stock->protocol, protocols[k].protocol) == 0)
				twin.protocol = protocols[k].probe;
		rc = server_add_twin(server, &twin, err);
	}
	return rc;
}

static int plan_drop_in(const struct host *host, const struct settings *settings,
			struct server *server, struct texts *t, struct notes *notes,
			struct error *err)
{
	struct dovecot *dovecot = server->own;
	CLEANUP(dovecot_conf_release) struct dovecot_conf owner = { 0 };
	CLEANUP(dovecot_plan_release) struct dovecot_plan plan = { 0 };
	int has_directory = rootfs_exists(&host->root, dovecot->directory, err);
	struct dovecot_request request = {
		.conf = &owner,
		.current = &dovecot->current,
		.listeners = settings->dovecot.listeners,
		.n_listeners = settings->dovecot.n_listeners,
		.networks = &settings->networks,
		.in_place = settings->in_place,
		.made_directory = has_directory == 0 ||
				  dovecot_listeners_made_directory(buf_span(&t->drop_in_now)),
	};
	int rc = has_directory < 0 ? has_directory : 0;

	if (rc == 0)
		rc = read_wanted(host, dovecot, t, &owner, err); /* nothing yet: the owner's */
	if (rc == 0)
		rc = dovecot_listeners_plan(&request, &plan, notes, err);
	if (rc < 0 || plan.n_twins == 0)
		return rc;
	t->drop_in_is_wanted = true;
	buf_add(&t->drop_in_wanted, buf_span(&plan.drop_in));
	rc = buf_check(&t->drop_in_wanted, err);
	if (rc == 0)
		rc = make_it_hold(host, settings, dovecot, &plan, t, err);
	if (rc == 0)
		rc = add_twins(server, &plan, err);
	if (rc == 0 && has_directory == 0) {
		server->made_directory = strdup(dovecot->directory);
		if (!server->made_directory)
			return error_set(err, -ENOMEM, "out of memory");
	}
	return rc;
}

/* Nothing of ours: what revert writes, and a switched-off or bare Dovecot. */
static int plan_without(const struct server_request *request, struct server *server,
			struct texts *t, struct error *err)
{
	struct dovecot *dovecot = server->own;
	int rc = read_wanted(request->host, dovecot, t, &dovecot->wanted, err);

	if (t->drop_in_exists && dovecot_listeners_made_directory(buf_span(&t->drop_in_now)))
		server->made_directory = strdup(dovecot->directory);
	return request->revert ? 0 : rc; /* judge() will find no candidate, and say so */
}

/* Our ports in the present configuration that the plan has no more. */
static int find_closing(struct server *server, struct error *err)
{
	const struct dovecot *dovecot = server->own;
	int rc = 0;

	for (size_t i = 0; i < dovecot_n_stocks && rc == 0; i++) {
		uint16_t port = dovecot_listeners_twin_port(&dovecot->current, &dovecot_stocks[i]);

		if (port != 0 && !dovecot_in_force_has_port(&dovecot->wanted, port))
			rc = server_add_closing(server, port, err);
	}
	return rc;
}

/* All folders that files were read from; a glob may match more in them. */
static int add_folders(struct server *server, const struct dovecot_conf *conf, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; i < conf->n_files && rc == 0; i++)
		rc = server_add_folder_of(server, conf->files[i].path, err);
	return rc;
}

/* All that was read, also what only the plan includes. */
static void digest_texts(const struct server_request *request, const struct texts *t,
			 const struct dovecot *dovecot, struct digest *out)
{
	struct digest_maker maker;

	digest_start(&maker);
	digest_add(&maker, buf_span(&t->main_now));
	digest_add(&maker, buf_span(&t->drop_in_now));
	digest_add(&maker, buf_span(&t->local_now));
	dovecot_files_digest(&dovecot->current, &maker);
	dovecot_files_digest(&dovecot->wanted, &maker);
	overrides_digest(request->overrides, &maker);
	digest_finish(&maker, out);
}

static int add_changes(struct server *server, struct texts *t, struct error *err)
{
	const struct dovecot *dovecot = server->own;
	int rc = server_add_change(server, dovecot->drop_in_path, t->drop_in_exists,
				   &t->drop_in_now, t->drop_in_is_wanted, &t->drop_in_wanted, err);

	if (rc == 0)
		rc = server_add_change(server, dovecot->main_path, true, &t->main_now, true,
				       &t->main_wanted, err);
	if (rc < 0 || !t->overridden)
		return rc;
	rc = server_add_change(server, dovecot->local_path, t->local_exists, &t->local_now,
			       t->local_is_wanted, &t->local_wanted, err);
	return rc < 0 ? rc : server_set_record(server, OVERRIDES_DOVECOT_RECORD, &t->record, err);
}

static int survey(const struct server_request *request, struct server *server, struct notes *notes,
		  struct error *err)
{
	const struct host *host = request->host;
	const struct settings *settings = request->settings;
	const struct dovecot_source source = dovecot_files_source(&host->root);
	struct dovecot *dovecot = make_own(settings->dovecot.config_directory);
	CLEANUP(texts_release) struct texts t = { 0 };
	int rc, found;

	server->kind = &dovecot_server;
	server->enabled = settings->dovecot.enabled;
	server->own = dovecot;
	if (!dovecot)
		return error_set(err, -ENOMEM, "out of memory");
	rc = server_add_folder(server, settings->dovecot.config_directory, NULL, false, err);
	if (rc == 0)
		rc = server_add_folder(server, dovecot->directory, NULL, false, err);
	if (rc == 0)
		rc = read_texts(host, dovecot, &t, err);
	if ((rc == -ENOENT || rc == -ENOTDIR) &&
	    rootfs_exists(&host->root, dovecot->main_path, NULL) == 0)
		return 0; /* no Dovecot here */
	if (rc < 0)
		return rc;
	server->present = true;
	if (!server->enabled && !(request->revert && server->is_pending) && !t.drop_in_exists &&
	    !t.record.exists && span_equal(buf_span(&t.main_now), buf_span(&t.main_wanted)))
		return 0; /* switched off, and nothing of ours: not to be read */
	rc = dovecot_conf_read(&source, dovecot->main_path, NULL, 0, &dovecot->current, err);
	if (rc < 0 && request->revert) {
		/* What is ours goes, whatever state the owner's files are in. */
		notes_add(notes, NOTE_WARNING, "Dovecot's configuration: %s", err->msg);
		server->closing_is_unknown = true;
		rc = 0;
	}
	if (rc == 0)
		rc = add_folders(server, &dovecot->current, err);
	/* Whether it runs is asked, whatever state its files are in. */
	found = find_master(request, server, rc < 0 ? NULL : err);
	if (rc == 0)
		rc = found;
	if (rc == 0)
		rc = apply_override(request, &t, notes, err);
	if (rc == 0 && !request->revert && server->enabled)
		rc = plan_drop_in(host, settings, server, &t, notes, err);
	if (rc == 0 && !t.drop_in_is_wanted)
		rc = plan_without(request, server, &t, err);
	digest_texts(request, &t, dovecot, &server->read);
	if (rc < 0 && request->revert)
		(void)find_closing(server, NULL); /* to be guarded */
	if (rc == 0)
		rc = find_closing(server, err);
	if (rc < 0)
		return rc;
	note_unread(dovecot, &t, notes);
	return add_changes(server, &t, err);
}

static int judge(const struct host *host, const struct server *server, struct error *err)
{
	const struct dovecot *dovecot = server->own;

	return dovecot_judge(host, &dovecot->wanted, err);
}

static int check_ports(const struct host *host, const struct server *server, struct error *err)
{
	pid_t owner = server->running ? server->master.pid : 0;
	struct listening seen;

	(void)host;
	server_look_at_twins(server, &seen);
	for (size_t i = 0; i < server->n_twins; i++) {
		const struct twin *twin = &server->twins[i];
		int rc = 0;

		if (!ports_was_open(&seen, twin->port))
			rc = ports_check(twin->address, twin->port, owner, err);
		if (rc < 0)
			return error_wrap(err, rc, "listener %s", twin->listener);
	}
	return 0;
}

static int strip(struct span text, struct buf *out, struct error *err)
{
	dovecot_listeners_strip_include(text, out);
	return buf_check(out, err);
}

static const char *const programs[] = { "dovecot", "imap-login", "pop3-login", "managesieve-login",
					NULL };
static const char *const files[] = { MAIN_NAME, LOCAL_NAME, DROP_IN_NAME, NULL };

static bool names_port(const struct host *host, const struct server *server, uint16_t port)
{
	const struct dovecot_conf *wanted = &((const struct dovecot *)server->own)->wanted;
	struct dovecot_in_force stock;

	(void)host;
	for (size_t i = 0; i < dovecot_n_stocks; i++)
		if (dovecot_in_force_stock(wanted, &dovecot_stocks[i], &stock) &&
		    stock.port == port)
			return true;
	return dovecot_in_force_has_port(wanted, port);
}

static const char *config_directory(const struct settings *settings)
{
	return settings->dovecot.config_directory;
}

const struct server_kind dovecot_server = {
	.name = "dovecot",
	.programs = programs,
	.greeters = programs + 1,
	.files = files,
	.config_directory = config_directory,
	.survey = survey,
	.judge = judge,
	.check_ports = check_ports,
	.names_port = names_port,
	.strip = strip,
	.release_own = release_own,
};
