/* SPDX-License-Identifier: MIT */
/*
 * dovecot_conf - read Dovecot's configuration as doveconf(1) does, 2.3 and 2.4.
 *
 * The order of work on a line (comment, trailing blanks, continuation) and the
 * rules for include were measured with doveconf: sections nest over the whole
 * stream, not per file, and a comment line ends a pending continuation.
 */
#include "dovecot_conf.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>

enum { SECTION_DEPTH_MAX = 32, INCLUDE_DEPTH_MAX = 32, FILES_MAX = 1000 };

struct section {
	char *prefix; /* path up to here, with a '/' at its end; owned */
	size_t file;
	unsigned line;
};

/*
 * Files of one include.  Dovecot holds all of them open while it reads the
 * first: naming one that is still to come is a circle to it, too.
 */
struct frame {
	const struct frame *outer;
	const struct dovecot_paths *paths;
	size_t at;
};

struct reader {
	const struct dovecot_source *source;
	const struct dovecot_overlay *overlays;
	size_t n_overlays;
	struct dovecot_conf *conf;
	struct section sections[SECTION_DEPTH_MAX];
	size_t n_sections;
	const struct frame *frame; /* the include being followed; NULL: the main file */
	unsigned n_frames;
	bool is_24;
	struct buf pending;        /* of a line that ended in a backslash */
	const char *pending_start; /* where its first piece stands; NULL: other file */
	/* where we are */
	size_t file;
	unsigned line;
	struct error *err;
};

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

static int refuse(struct reader *r, int code, const char *what, struct span text)
{
	return error_set(r->err, code, "%s:%u: %s: \"%.*s\"", r->conf->files[r->file].path, r->line,
			 what, SPAN_ARG(text));
}

/* Blanks are more in 2.4, which a stream shows by its first setting. */
static const char *blanks(const struct reader *r)
{
	return r->is_24 ? " \t\r\v\f" : " \t";
}

static bool is_blank(const struct reader *r, char c)
{
	return c != '\0' && strchr(blanks(r), c) != NULL;
}

static struct span trim(const struct reader *r, struct span s)
{
	return span_trim(s, blanks(r));
}

/* ---- storage ---- */

void dovecot_paths_release(struct dovecot_paths *paths)
{
	for (size_t i = 0; i < paths->n_items; i++)
		free(paths->items[i]);
	free(paths->items);
	*paths = (struct dovecot_paths){ 0 };
}

int dovecot_paths_add(struct dovecot_paths *paths, const char *path, struct error *err)
{
	char **items = reallocarray(paths->items, paths->n_items + 1, sizeof(*items));
	char *copy = strdup(path);

	if (items)
		paths->items = items;
	if (!items || !copy) {
		free(copy);
		return no_memory(err);
	}
	items[paths->n_items++] = copy;
	return 0;
}

static int add_file(struct reader *r, const char *path, size_t *out)
{
	struct dovecot_conf *conf = r->conf;
	struct dovecot_file *files;

	if (conf->n_files >= FILES_MAX)
		return error_set(r->err, -E2BIG, "%s: more than %d files included", path,
				 FILES_MAX);
	files = reallocarray(conf->files, conf->n_files + 1, sizeof(*files));
	if (!files)
		return no_memory(r->err);
	conf->files = files;
	files[conf->n_files] = (struct dovecot_file){ .path = strdup(path) };
	if (!files[conf->n_files].path)
		return no_memory(r->err);
	*out = conf->n_files++;
	return 0;
}

static int add_setting(struct reader *r, struct span key, struct span value)
{
	struct dovecot_conf *conf = r->conf;
	const char *prefix = r->n_sections ? r->sections[r->n_sections - 1].prefix : "";
	struct dovecot_setting *settings;
	size_t n = conf->n_settings;

	if ((n & (n - 1)) == 0) { /* room doubles at powers of two */
		settings = reallocarray(conf->settings, n ? n * 2 : 1, sizeof(*settings));
		if (!settings)
			return no_memory(r->err);
		conf->settings = settings;
	}
	settings = &conf->settings[n];
	*settings = (struct dovecot_setting){ .file = r->file, .line = r->line };
	if (asprintf(&settings->path, "%s%.*s", prefix, (int)key.len, key.data) < 0)
		return no_memory(r->err);
	settings->value = strndup(value.data, value.len);
	if (!settings->value) {
		free(settings->path);
		return no_memory(r->err);
	}
	conf->n_settings++;
	r->is_24 = r->is_24 || strcmp(settings->path, "dovecot_config_version") == 0;
	return 0;
}

static int add_place(struct reader *r, struct dovecot_place place)
{
	struct dovecot_file *file = &r->conf->files[r->file];
	struct dovecot_place *places =
		reallocarray(file->places, file->n_places + 1, sizeof(*places));

	if (!places) {
		free(place.replacement);
		return no_memory(r->err);
	}
	file->places = places;
	places[file->n_places++] = place;
	return 0;
}

static int add_child(struct reader *r, size_t file)
{
	size_t *children =
		reallocarray(r->conf->children, r->conf->n_children + 1, sizeof(*children));

	if (!children)
		return no_memory(r->err);
	r->conf->children = children;
	children[r->conf->n_children++] = file;
	return 0;
}

/* ---- files ---- */

static const struct dovecot_overlay *find_overlay(const struct reader *r, const char *path)
{
	for (size_t i = 0; i < r->n_overlays; i++)
		if (strcmp(r->overlays[i].path, path) == 0)
			return &r->overlays[i];
	return NULL;
}

static int fetch(struct reader *r, const char *path, struct buf *out, struct error *err)
{
	const struct dovecot_overlay *overlay = find_overlay(r, path);

	if (!overlay)
		return r->source->read(r->source->ctx, path, out, err);
	if (!overlay->text)
		return error_code(err, -ENOENT, "open %s", path);
	buf_add(out, buf_span(overlay->text));
	return buf_check(out, err);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Make the list say what it would if the overlays were in place. */
static int apply_overlays(struct reader *r, const char *pattern, struct dovecot_paths *paths)
{
	for (size_t i = 0; i < r->n_overlays; i++) {
		const struct dovecot_overlay *overlay = &r->overlays[i];
		size_t at = 0;
		int rc;

		while (at < paths->n_items && strcmp(paths->items[at], overlay->path) != 0)
			at++;
		if (at < paths->n_items && !overlay->text) {
			free(paths->items[at]);
			memmove(&paths->items[at], &paths->items[at + 1],
				(paths->n_items - at - 1) * sizeof(*paths->items));
			paths->n_items--;
		} else if (at == paths->n_items && overlay->text &&
			   fnmatch(pattern, overlay->path, FNM_PATHNAME | FNM_PERIOD) == 0) {
			rc = dovecot_paths_add(paths, overlay->path, r->err);
			if (rc < 0)
				return rc;
			qsort(paths->items, paths->n_items, sizeof(*paths->items), compare_paths);
		}
	}
	return 0;
}

/* A path given in the file being read: relative to that file's directory. */
static char *resolve(const struct reader *r, struct span path)
{
	const char *base = r->conf->files[r->file].path;
	const char *slash = strrchr(base, '/');
	char *out = NULL;
	int n;

	if (path.len > 0 && path.data[0] == '/')
		return strndup(path.data, path.len);
	n = asprintf(&out, "%.*s%.*s", slash ? (int)(slash + 1 - base) : 0, base, (int)path.len,
		     path.data);
	return n < 0 ? NULL : out;
}

static int read_file(struct reader *r, const char *path, bool may_lack);

static int include(struct reader *r, struct span pattern_text, bool may_lack, struct span place)
{
	cleanup_free char *pattern = resolve(r, pattern_text);
	CLEANUP(dovecot_paths_release) struct dovecot_paths paths = { 0 };
	struct dovecot_place here = { .line = place, .is_include = true };
	struct frame frame = { .outer = r->frame, .paths = &paths };
	size_t file = r->file;
	unsigned line = r->line;
	int rc = pattern ? 0 : no_memory(r->err);

	if (rc == 0)
		rc = r->source->list(r->source->ctx, pattern, &paths, r->err);
	if (rc == 0)
		rc = apply_overlays(r, pattern, &paths);
	if (rc < 0)
		return rc;
	if (paths.n_items == 0 && !may_lack)
		return refuse(r, -ENOENT, "no file matches the include", pattern_text);

	/* Reserve the children's places first: what they include comes after. */
	here.first_child = r->conf->n_children;
	here.n_children = paths.n_items;
	for (size_t i = 0; i < paths.n_items && rc == 0; i++)
		rc = add_child(r, 0);
	if (rc == 0)
		rc = add_place(r, here);
	r->frame = &frame;
	r->n_frames++;
	for (; frame.at < paths.n_items && rc == 0; frame.at++) {
		r->conf->children[here.first_child + frame.at] = r->conf->n_files;
		rc = read_file(r, paths.items[frame.at], may_lack);
		r->file = file;
		r->line = line;
	}
	r->frame = frame.outer;
	r->n_frames--;
	return rc;
}

/* ---- lines ---- */

/* Up to a '#' outside quotes; a backslash in quotes hides the next byte. */
static struct span cut_comment(struct span line)
{
	char quote = '\0';

	for (size_t i = 0; i < line.len; i++) {
		char c = line.data[i];

		if (quote != '\0') {
			if (c == '\\')
				i++;
			else if (c == quote)
				quote = '\0';
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '#') {
			return span_make(line.data, i);
		}
	}
	return line;
}

/* What stands in quotes, backslashes taken out; into scratch, which is empty. */
static int unquote(struct span inside, struct buf *scratch, struct span *out, struct error *err)
{
	for (size_t i = 0; i < inside.len; i++) {
		if (inside.data[i] == '\\' && i + 1 < inside.len)
			i++;
		buf_add_char(scratch, inside.data[i]);
	}
	*out = buf_span(scratch);
	return buf_check(scratch, err);
}

static int open_section(struct reader *r, struct span key, struct span name)
{
	const char *outer = r->n_sections ? r->sections[r->n_sections - 1].prefix : "";
	struct section *s = &r->sections[r->n_sections];
	int n;

	if (r->n_sections == SECTION_DEPTH_MAX)
		return refuse(r, -EINVAL, "sections nest too deeply", key);
	*s = (struct section){ .file = r->file, .line = r->line };
	if (name.data)
		n = asprintf(&s->prefix, "%s%.*s/%.*s/", outer, (int)key.len, key.data,
			     (int)name.len, name.data);
	else
		n = asprintf(&s->prefix, "%s%.*s/", outer, (int)key.len, key.data);
	if (n < 0)
		return no_memory(r->err);
	r->n_sections++;
	return 0;
}

/* Remember that the line names a file beside its own, see dovecot_conf_relocate(). */
static int add_relative_path(struct reader *r, struct span key, const char *before,
			     struct span path, struct span place)
{
	struct dovecot_place here = { .line = place };
	cleanup_free char *absolute = NULL;

	if (path.len == 0 || path.data[0] == '/' || !place.data)
		return 0;
	absolute = resolve(r, path);
	if (!absolute || asprintf(&here.replacement, "%.*s = %s%s", (int)key.len, key.data, before,
				  absolute) < 0)
		return no_memory(r->err);
	return add_place(r, here);
}

/* 2.4 has settings whose value is a path, relative to the file they stand in. */
static bool is_path_key(const struct reader *r, struct span key)
{
	static const char tail[] = "_file";

	return r->is_24 && key.len >= sizeof(tail) - 1 &&
	       memcmp(span_end(key) - (sizeof(tail) - 1), tail, sizeof(tail) - 1) == 0;
}

/* "key = value": the value's own syntax. */
static int read_value(struct reader *r, struct span key, struct span value, struct span place,
		      struct buf *scratch)
{
	int rc = 0;

	if (value.len > 0 && value.data[0] == '<') {
		rc = add_relative_path(r, key, "<",
				       trim(r, span_make(value.data + 1, value.len - 1)), place);
		return rc < 0 ? rc : add_setting(r, key, value);
	}
	if (value.len > 0 && (value.data[0] == '"' || value.data[0] == '\'') &&
	    value.data[value.len - 1] == value.data[0]) {
		size_t quotes = value.len > 1 ? 2 : 1; /* a lone one is both of them */

		rc = unquote(span_make(value.data + 1, value.len - quotes), scratch, &value,
			     r->err);
	}
	if (rc == 0 && is_path_key(r, key) && !span_contains(value, "$"))
		rc = add_relative_path(r, key, "", value, place);
	return rc < 0 ? rc : add_setting(r, key, value);
}

static struct span take_word(const struct reader *r, struct span *rest)
{
	struct span word = span_make(rest->data, 0);

	while (word.len < rest->len && !is_blank(r, rest->data[word.len]))
		word.len++;
	*rest = trim(r, span_between(span_end(word), span_end(*rest)));
	return word;
}

/* "key {", "key name {" or "key "name" {"; `rest` begins after the key. */
static int read_section(struct reader *r, struct span key, struct span rest, struct span whole,
			struct buf *scratch)
{
	struct span name = { 0 };

	if (rest.len > 0 && rest.data[0] == '"') {
		const char *quote = memchr(rest.data + 1, '"', rest.len - 1);
		int rc;

		if (!quote)
			return refuse(r, -EINVAL, "missing '\"'", whole);
		rc = unquote(span_between(rest.data + 1, quote), scratch, &name, r->err);
		if (rc < 0)
			return rc;
		rest = trim(r, span_between(quote + 1, span_end(rest)));
	} else if (rest.len > 0 && rest.data[0] != '{') {
		name = take_word(r, &rest);
		/* 2.4: "group @group_name name {" */
		if (span_is(key, "group") && rest.len > 0 && rest.data[0] != '{')
			name = span_between(name.data, span_end(take_word(r, &rest)));
	}
	if (rest.len == 0 || rest.data[0] != '{')
		return refuse(r, -EINVAL, "expecting '{' or '='", whole);
	if (rest.len > 1)
		return refuse(r, -EINVAL, "text after '{'", whole);
	return open_section(r, key, name);
}

static int close_section(struct reader *r, struct span whole)
{
	if (r->n_sections == 0)
		return refuse(r, -EINVAL, "unexpected '}'", whole);
	free(r->sections[--r->n_sections].prefix);
	return 0;
}

/* One logical line, comment and trailing blanks cut. */
static int read_logical(struct reader *r, struct span text, struct span place)
{
	cleanup_buf struct buf scratch = BUF_INIT;
	struct span key, rest;
	size_t n = 0;

	if (text.data[0] == '"') { /* 2.4: a quoted key */
		const char *quote = memchr(text.data + 1, '"', text.len - 1);

		if (!quote)
			return refuse(r, -EINVAL, "missing '\"'", text);
		key = span_between(text.data + 1, quote);
		rest = trim(r, span_between(quote + 1, span_end(text)));
	} else {
		while (n < text.len && !is_blank(r, text.data[n]) && text.data[n] != '=')
			n++;
		key = span_make(text.data, n);
		rest = trim(r, span_between(text.data + n, span_end(text)));
	}
	if (span_is(key, "!include") || span_is(key, "!include_try")) {
		if (n < text.len && text.data[n] == '=')
			return refuse(r, -EINVAL, "unknown setting", text);
		return include(r, rest, span_is(key, "!include_try"), place);
	}
	if (rest.len > 0 && rest.data[0] == '=') {
		if (key.len == 0)
			return refuse(r, -EINVAL, "missing key before '='", text);
		return read_value(r, key, trim(r, span_between(rest.data + 1, span_end(rest))),
				  place, &scratch);
	}
	if (span_is(text, "}"))
		return close_section(r, text);
	return read_section(r, key, rest, text, &scratch);
}

/* One physical line without its line end. */
static int read_physical(struct reader *r, struct span line)
{
	const char *nul = line.len > 0 ? memchr(line.data, '\0', line.len) : NULL;
	struct span text = nul ? span_between(line.data, nul) : line;
	const char *start;
	int rc;

	if (text.len > 0 && text.data[text.len - 1] == '\r')
		text.len--;
	text = trim(r, text);
	if (text.len == 0 || text.data[0] == '#') {
		buf_clear(&r->pending);
		return 0;
	}
	text = trim(r, cut_comment(text));
	if (r->pending.len == 0)
		r->pending_start = line.data;
	if (text.len > 0 && text.data[text.len - 1] == '\\') {
		text.len--;
		buf_add(&r->pending, trim(r, text));
		buf_add_char(&r->pending, ' ');
		return buf_check(&r->pending, r->err);
	}
	start = r->pending_start;
	if (r->pending.len > 0) {
		cleanup_buf struct buf logical = r->pending;

		r->pending = (struct buf)BUF_INIT;
		buf_add(&logical, text);
		rc = buf_check(&logical, r->err);
		text = trim(r, buf_span(&logical));
		if (rc < 0 || text.len == 0)
			return rc;
		return read_logical(
			r, text, start ? span_between(start, span_end(line)) : (struct span){ 0 });
	}
	if (text.len == 0)
		return 0;
	return read_logical(r, text, span_between(start, span_end(line)));
}

static int read_lines(struct reader *r, size_t file)
{
	/* The files array may move; the text's bytes do not. */
	struct span rest;
	unsigned number = 1;

	assert(file < r->conf->n_files && r->conf->files);
	rest = buf_span(&r->conf->files[file].text);
	r->pending_start = NULL;
	while (rest.len > 0) {
		struct span line = span_take_line(&rest);
		int rc;

		if (line.len > 0 && line.data[line.len - 1] == '\n')
			line.len--;
		r->file = file;
		r->line = number++;
		rc = read_physical(r, line);
		if (rc < 0)
			return rc;
	}
	/* What goes on in the including file is no line of either. */
	r->pending_start = NULL;
	return 0;
}

/* Whether the file is being read, or is another one of an include that is. */
static bool is_open(const struct reader *r, const char *path)
{
	for (const struct frame *f = r->frame; f; f = f->outer)
		for (size_t i = f == r->frame ? f->at + 1 : f->at; i < f->paths->n_items; i++)
			if (strcmp(f->paths->items[i], path) == 0)
				return true;
	return r->frame && strcmp(r->conf->files[0].path, path) == 0;
}

static int read_file(struct reader *r, const char *path, bool may_lack)
{
	struct error why;
	size_t file = 0;
	int rc;

	if (is_open(r, path))
		return error_set(r->err, -ELOOP, "%s:%u: recursive include of %s",
				 r->conf->files[r->file].path, r->line, path);
	if (r->n_frames == INCLUDE_DEPTH_MAX)
		return error_set(r->err, -ELOOP, "%s: includes nest too deeply", path);
	rc = add_file(r, path, &file);
	if (rc < 0)
		return rc;
	rc = fetch(r, path, &r->conf->files[file].text, &why);
	if (rc < 0 && may_lack && (rc == -ENOENT || rc == -EACCES))
		return 0;
	if (rc < 0) {
		if (r->err)
			*r->err = why;
		return rc;
	}
	return read_lines(r, file);
}

int dovecot_conf_read(const struct dovecot_source *source, const char *main_path,
		      const struct dovecot_overlay *overlays, size_t n_overlays,
		      struct dovecot_conf *out, struct error *err)
{
	struct dovecot_conf conf = { 0 };
	struct reader r = {
		.source = source,
		.overlays = overlays,
		.n_overlays = n_overlays,
		.conf = &conf,
		.err = err,
	};
	int rc = read_file(&r, main_path, false);

	if (rc == 0 && r.n_sections > 0) {
		const struct section *s = &r.sections[r.n_sections - 1];

		rc = error_set(err, -EINVAL, "%s:%u: missing '}': section \"%s\" is not closed",
			       conf.files[s->file].path, s->line, s->prefix);
	}
	while (r.n_sections > 0)
		free(r.sections[--r.n_sections].prefix);
	buf_release(&r.pending);
	if (rc < 0) {
		dovecot_conf_release(&conf);
		return rc;
	}
	*out = conf;
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
