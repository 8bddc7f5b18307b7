/* SPDX-License-Identifier: MIT */
/* reading_dovecot - a tree of Dovecot's configuration, its listeners, and the plan. */
#include "reading.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "patchers/dovecot_reader.h"
#include "patchers/dovecot_listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>

enum { PATH_BYTES = 4096 };

/* ---- Dovecot: paths are looked up under a root ---- */

static int source_read(void *ctx, const char *path, struct buf *out, struct error *err)
{
	char full[PATH_BYTES];

	snprintf(full, sizeof(full), "%s%s", (const char *)ctx, path);
	return reading_file(full, out, err);
}

static int source_list(void *ctx, const char *pattern, struct dovecot_paths *out, struct error *err)
{
	const char *root = ctx;
	char full[PATH_BYTES];
	glob_t found;
	int rc = 0;

	snprintf(full, sizeof(full), "%s%s", root, pattern);
	switch (glob(full, GLOB_BRACE, NULL, &found)) {
	case 0:
		break;
	case GLOB_NOMATCH:
		return 0;
	default:
		return error_set(err, -EIO, "glob %s", pattern);
	}
	for (size_t i = 0; i < found.gl_pathc && rc == 0; i++)
		rc = dovecot_paths_add(out, found.gl_pathv[i] + strlen(root), err);
	globfree(&found);
	return rc;
}

static int read_dovecot(char **args, struct dovecot_conf *out, struct error *err)
{
	struct dovecot_source source = { args[0], source_read, source_list };

	return dovecot_conf_read(&source, args[1], NULL, 0, out, err);
}

int reading_dovecot_settings(char **args, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	int rc = read_dovecot(args, &conf, err);

	for (size_t i = 0; rc == 0 && i < conf.n_settings; i++) {
		const struct dovecot_setting *s = &conf.settings[i];

		if (dovecot_conf_find(&conf, s->path) == s)
			buf_add_format(out, "%s = %s\n", s->path, s->value);
	}
	return rc;
}

static const char *const trusted[] = { "10.42.0.0/16", "fd00:42::/48" };

static int plan_dovecot(const struct dovecot_conf *conf, bool in_place, struct dovecot_plan *out,
			struct notes *notes, struct error *err)
{
	CLEANUP(cidr_list_release) struct cidr_list networks = { 0 };
	struct dovecot_listener listeners[8];
	struct dovecot_request request = {
		.conf = conf,
		.current = conf,
		.listeners = listeners,
		.n_listeners = dovecot_n_stocks,
		.networks = &networks,
		.in_place = in_place,
	};
	struct cidr net;

	for (size_t i = 0; i < dovecot_n_stocks; i++)
		listeners[i] = (struct dovecot_listener){
			.stock = &dovecot_stocks[i],
			.port = (uint16_t)(dovecot_stocks[i].port + 10000),
		};
	for (size_t i = 0; i < sizeof(trusted) / sizeof(trusted[0]); i++)
		if (cidr_parse(span_from(trusted[i]), &net, NULL, err) < 0 ||
		    cidr_list_add(&networks, &net, NULL, err) < 0)
			return -EINVAL;
	return dovecot_listeners_plan(&request, out, notes, err);
}

/* ROOT DOVECOT.CONF: the stock listeners in force, as the plan has them. */
int reading_dovecot(char **args, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	CLEANUP(dovecot_plan_release) struct dovecot_plan plan = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	int rc = read_dovecot(args, &conf, err);

	if (rc == 0)
		rc = plan_dovecot(&conf, false, &plan, &notes, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < plan.n_twins; i++)
		buf_add_format(out, "listener %s %u %u %s\n", plan.twins[i].stock->name,
			       plan.twins[i].stock_port, plan.twins[i].port,
			       plan.twins[i].ssl ? "ssl" : "plain");
	buf_add_format(out, "networks %s\n", buf_text(&plan.networks));
	for (size_t i = 0; i < notes.n_items; i++)
		buf_add_format(out, "note %s\n", notes.items[i].text);
	return 0;
}

static int print_drop_in(char **args, bool in_place, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	CLEANUP(dovecot_plan_release) struct dovecot_plan plan = { 0 };
	int rc = read_dovecot(args, &conf, err);

	if (rc == 0)
		rc = plan_dovecot(&conf, in_place, &plan, NULL, err);
	if (rc == 0)
		buf_add(out, buf_span(&plan.drop_in));
	return rc;
}

int reading_drop_in(char **args, struct buf *out, struct error *err)
{
	return print_drop_in(args, false, out, err);
}

int reading_drop_in_in_place(char **args, struct buf *out, struct error *err)
{
	return print_drop_in(args, true, out, err);
}

/*
 * ROOT DOVECOT.CONF DROP-IN TEXT-FILE separate|in-place: whether the drop-in
 * (its text in another file), were it in place, would be in force.
 */
int reading_holds(char **args, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf without = { 0 }, with = { 0 };
	CLEANUP(dovecot_plan_release) struct dovecot_plan plan = { 0 };
	cleanup_buf struct buf text = BUF_INIT;
	struct dovecot_source source = { args[0], source_read, source_list };
	struct dovecot_overlay overlay = { .path = args[2] };
	const struct dovecot_setting *undoing = NULL;
	bool in_place = strcmp(args[4], "in-place") == 0;
	int rc = reading_file(args[3], &text, err);

	if (rc == 0)
		rc = dovecot_conf_read(&source, args[1], &overlay, 1, &without, err);
	overlay.text = &text;
	if (rc == 0)
		rc = dovecot_conf_read(&source, args[1], &overlay, 1, &with, err);
	if (rc == 0)
		rc = plan_dovecot(&without, in_place, &plan, NULL, err);
	if (rc < 0)
		return rc;
	if (dovecot_listeners_hold(&with, &plan, in_place, &undoing))
		buf_add_text(out, "holds\n");
	else
		buf_add_format(out, "undone %s\n", undoing ? undoing->path : "not read");
	return 0;
}

/* DOVECOT.CONF DROP-IN: the file with our include line. */
int reading_add_include(char **args, struct buf *out, struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	int rc = reading_file(args[0], &text, err);

	if (rc == 0)
		dovecot_listeners_add_include(buf_span(&text), args[1], out);
	return rc;
}

int reading_strip_include(char **args, struct buf *out, struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	int rc = reading_file(args[0], &text, err);

	if (rc == 0)
		dovecot_listeners_strip_include(buf_span(&text), out);
	return rc;
}

/* ROOT DOVECOT.CONF DIRECTORY: write copies of all files that mean the same there. */
int reading_relocate(char **args, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	int rc = read_dovecot(args, &conf, err);

	for (size_t i = 0; rc == 0 && i < conf.n_files; i++) {
		cleanup_buf struct buf text = BUF_INIT;
		cleanup_fd int fd = -1;
		char path[PATH_BYTES];

		dovecot_conf_relocate(&conf, i, args[2], &text);
		snprintf(path, sizeof(path), "%s%s/%zu.conf", args[0], args[2], i);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, buf_text(&text), text.len) != (ssize_t)text.len)
			return error_errno(err, "write %s", path);
		buf_add_format(out, "%s\n", conf.files[i].path);
	}
	return rc;
}
