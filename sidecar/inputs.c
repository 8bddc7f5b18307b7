/* SPDX-License-Identifier: MIT */
/* inputs - postern.conf and the override files, as they were at one moment. */
#include "inputs.h"

#include "pack.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "rootfs.h"
#include "server.h"
#include "volume.h"

#include <errno.h>
#include <stdlib.h>

/* As often as a ConfigMap may be swapped between two of its keys. */
enum { READS_MAX = 64 };

void inputs_release(struct inputs *inputs)
{
	buf_release(&inputs->config);
	settings_release(&inputs->settings);
	inputs->has_settings = false;
	overrides_release(&inputs->overrides);
}

struct settings_request inputs_request(const struct host *host, const char *config)
{
	return (struct settings_request){
		.path = config,
		.root = &host->root,
		.networks = getenv(SETTINGS_NETWORKS_VARIABLE),
		.port_names = &host->port_names,
		.networks_needed = true,
	};
}

/* A postern.conf that can never change is worth a word. */
static void note_stale(const struct settings_request *request, struct notes *notes)
{
	CLEANUP(rootfs_release) struct rootfs own = ROOTFS_INIT;
	const struct rootfs *root = request->root;
	char *folder = strdupa(request->path ? request->path : SETTINGS_DEFAULT_PATH);
	char *name = strrchr(folder, '/');

	if (!name || name == folder)
		return;
	*name++ = '\0';
	if (request->path) {
		if (rootfs_init(&own, "/", NULL) < 0)
			return;
		root = &own;
	}
	volume_note_stale(root, folder, name, notes);
}

/* Whether postern.conf is what was read, still. */
static bool config_stands(const struct settings_request *request, const struct inputs *inputs)
{
	cleanup_buf struct buf now = BUF_INIT;

	return settings_fetch(request, &now, NULL) == 0 &&
	       span_equal(buf_span(&now), buf_span(&inputs->config));
}

static int read_once(const struct settings_request *request, struct inputs *out,
		     struct notes *notes, struct error *err)
{
	int rc = settings_fetch(request, &out->config, err);

	if (rc == 0)
		rc = settings_parse(request, buf_text(&out->config), &out->settings, notes, err);
	out->has_settings = rc == 0;
	if (rc == 0)
		rc = overrides_read(request->root, &out->settings, &out->overrides, notes, err);
	return rc;
}

static void add_notes(struct notes *to, const struct notes *from)
{
	for (size_t i = 0; i < from->n_items; i++)
		notes_add(to, from->items[i].level, "%s", from->items[i].text);
}

int inputs_read(const struct settings_request *request, struct inputs *out, struct notes *notes,
		struct error *err)
{
	note_stale(request, notes);
	for (int i = 0; i < READS_MAX; i++) {
		CLEANUP(notes_release) struct notes said = NOTES_INIT;
		int rc;

		inputs_release(out);
		rc = read_once(request, out, &said, err);

		/* postern.conf may be a key of the same ConfigMap as the override files. */
		if (rc < 0 || config_stands(request, out)) {
			add_notes(notes, &said);
			return rc;
		}
	}
	return error_set(err, -EAGAIN, "postern.conf was replaced each of the %d times it was read",
			 READS_MAX);
}

void inputs_digest(const struct inputs *inputs, struct digest *out)
{
	struct digest_maker maker;

	digest_start(&maker);
	digest_add(&maker, buf_span(&inputs->config));
	overrides_digest(&inputs->overrides, &maker);
	digest_finish(&maker, out);
}

int inputs_print(const struct inputs *inputs, struct buf *out, struct error *err)
{
	pack_bytes(out, buf_span(&inputs->config));
	for (size_t i = 0; i < OVERRIDE_COUNT; i++) {
		const struct override_source *file = &inputs->overrides.files[i];

		pack_number(out, file->exists);
		pack_text(out, file->path);
		pack_bytes(out, buf_span(&file->text));
	}
	return buf_check(out, err);
}

static void unpack_source(struct unpacker *u, struct override_source *out)
{
	out->exists = unpack_bool(u);
	out->path = unpack_text(u);
	buf_add(&out->text, unpack_bytes(u));
	u->no_memory = u->no_memory || out->text.failed;
	if (!out->exists) {
		free(out->path);
		out->path = NULL;
	}
}

int inputs_parse(const struct settings_request *request, struct span bytes, struct inputs *out,
		 struct error *err)
{
	struct unpacker u = { .rest = bytes };
	int rc;

	buf_add(&out->config, unpack_bytes(&u));
	for (size_t i = 0; i < OVERRIDE_COUNT; i++)
		unpack_source(&u, &out->overrides.files[i]);
	if (u.no_memory || out->config.failed)
		return error_set(err, -ENOMEM, "out of memory");
	if (u.failed || u.rest.len > 0)
		return error_set(err, -EINVAL, "the last good configuration is damaged");
	rc = settings_parse(request, buf_text(&out->config), &out->settings, NULL, err);
	out->has_settings = rc == 0;
	return rc;
}

static int check_directory(const char *server, const char *now, const char *known,
			   struct error *err)
{
	if (strcmp(now, known) == 0)
		return 0;
	return error_set(err, -EINVAL,
			 "%s: config-directory: \"%s\" is in use: for \"%s\" stop postern, run "
			 "\"postern revert\" with the old one, and start it anew",
			 server, known, now);
}

int inputs_check_directories(const struct settings *now, const struct settings *before,
			     struct error *err)
{
	int rc = 0;

	if (before->postfix.enabled)
		rc = check_directory("postfix", now->postfix.config_directory,
				     before->postfix.config_directory, err);
	if (rc == 0 && before->dovecot.enabled)
		rc = check_directory("dovecot", now->dovecot.config_directory,
				     before->dovecot.config_directory, err);
	return rc;
}
