/* SPDX-License-Identifier: MIT */
/* dovecot_conf - Dovecot's configuration, as dovecot_reader.h reads it. */
#include "dovecot_conf.h"

#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILES_MAX = 1000 };

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

/* ---- adding ---- */

int dovecot_conf_add_file(struct dovecot_conf *conf, const char *path, size_t *out,
			  struct error *err)
{
	struct dovecot_file *files;

	if (conf->n_files >= FILES_MAX)
		return error_set(err, -E2BIG, "%s: more than %d files included", path, FILES_MAX);
	files = reallocarray(conf->files, conf->n_files + 1, sizeof(*files));
	if (!files)
		return no_memory(err);
	conf->files = files;
	files[conf->n_files] = (struct dovecot_file){ .path = strdup(path) };
	if (!files[conf->n_files].path)
		return no_memory(err);
	*out = conf->n_files++;
	return 0;
}

int dovecot_conf_add_setting(struct dovecot_conf *conf, const char *prefix, struct span key,
			     struct span value, size_t file, unsigned line, struct error *err)
{
	struct dovecot_setting *settings;
	size_t n = conf->n_settings;

	if ((n & (n - 1)) == 0) { /* room doubles at powers of two */
		settings = reallocarray(conf->settings, n ? n * 2 : 1, sizeof(*settings));
		if (!settings)
			return no_memory(err);
		conf->settings = settings;
	}
	settings = &conf->settings[n];
	*settings = (struct dovecot_setting){ .file = file, .line = line };
	if (asprintf(&settings->path, "%s%.*s", prefix, (int)key.len, key.data) < 0)
		return no_memory(err);
	settings->value = strndup(value.data, value.len);
	if (!settings->value) {
		free(settings->path);
		return no_memory(err);
	}
	conf->n_settings++;
	return 0;
}

int dovecot_conf_add_place(struct dovecot_conf *conf, size_t index, struct dovecot_place place,
			   struct error *err)
{
	struct dovecot_file *file = &conf->files[index];
	struct dovecot_place *places =
		reallocarray(file->places, file->n_places + 1, sizeof(*places));

	if (!places) {
		free(place.replacement);
		return no_memory(err);
	}
	file->places = places;
	places[file->n_places++] = place;
	return 0;
}

int dovecot_conf_add_child(struct dovecot_conf *conf, size_t file, struct error *err)
{
	size_t *children = reallocarray(conf->children, conf->n_children + 1, sizeof(*children));

	if (!children)
		return no_memory(err);
	conf->children = children;
	children[conf->n_children++] = file;
	return 0;
}

void dovecot_conf_release(struct dovecot_conf *conf)
{
	for (size_t i = 0; i < conf->n_files; i++) {
		for (size_t k = 0; k < conf->files[i].n_places; k++)
			free(conf->files[i].places[k].replacement);
		free(conf->files[i].places);
		free(conf->files[i].path);
		buf_release(&conf->files[i].text);
	}
	for (size_t i = 0; i < conf->n_settings; i++) {
		free(conf->settings[i].path);
		free(conf->settings[i].value);
	}
	free(conf->files);
	free(conf->children);
	free(conf->settings);
	*conf = (struct dovecot_conf){ 0 };
}

/* ---- questions ---- */

const struct dovecot_setting *dovecot_conf_find(const struct dovecot_conf *conf, const char *path)
{
	for (size_t i = conf->n_settings; i-- > 0;)
		if (strcmp(conf->settings[i].path, path) == 0)
			return &conf->settings[i];
	return NULL;
}

const char *dovecot_conf_get(const struct dovecot_conf *conf, const char *path,
			     const char *otherwise)
{
	const struct dovecot_setting *setting = dovecot_conf_find(conf, path);

	return setting ? setting->value : otherwise;
}

bool dovecot_conf_is_yes(const char *value)
{
	return strcasecmp(value, "yes") == 0 || strcasecmp(value, "y") == 0 ||
	       strcmp(value, "1") == 0;
}

void dovecot_conf_relocate(const struct dovecot_conf *conf, size_t index, const char *directory,
			   struct buf *out)
{
	const struct dovecot_file *file = &conf->files[index];
	struct span text = buf_span(&file->text);
	const char *at = text.data;

	for (size_t i = 0; i < file->n_places; i++) {
		const struct dovecot_place *place = &file->places[i];

		buf_add(out, span_between(at, place->line.data));
		if (!place->is_include)
			buf_add_text(out, place->replacement);
		for (size_t k = 0; k < place->n_children; k++)
			buf_add_format(out, "%s!include %s/%zu.conf", k > 0 ? "\n" : "", directory,
				       conf->children[place->first_child + k]);
		at = span_end(place->line);
	}
	buf_add(out, span_between(at, span_end(text)));
}
