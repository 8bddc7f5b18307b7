/* SPDX-License-Identifier: MIT */
/*
 * dovecot_reader - read Dovecot's configuration as doveconf(1) does, 2.3 and 2.4.
 *
 * The order of work on a line (comment, trailing blanks, continuation) and the
 * rules for include were measured with doveconf: sections nest over the whole
 * stream, not per file, and a comment line ends a pending continuation.
 */
#include "dovecot_reader.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "dovecot_words.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

enum {
	SECTION_DEPTH_MAX = 32,
	INCLUDE_DEPTH_MAX = 32,
	SETTINGS_MAX = 20000,
	INCLUDE_BYTES_MAX = 4096, /* of a pattern */
	BYTES_MAX = 64 << 20,     /* of all files */
};

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
	struct dovecot_overlays overlays;
	struct dovecot_conf *conf;
	struct section sections[SECTION_DEPTH_MAX];
	size_t n_sections;
	const struct frame *frame; /* the include being followed; NULL: the main file */
	unsigned n_frames;
	bool is_24;
	size_t n_bytes;
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

/* Of a setting where we are. */
static int add_setting(struct reader *r, struct span key, struct span value)
{
	const char *prefix = r->n_sections ? r->sections[r->n_sections - 1].prefix : "";

	if (r->conf->n_settings == SETTINGS_MAX)
		return error_set(r->err, -E2BIG, "%s:%u: more than %d settings",
				 r->conf->files[r->file].path, r->line, SETTINGS_MAX);
	r->is_24 = r->is_24 || (r->n_sections == 0 && span_is(key, "dovecot_config_version"));
	return dovecot_conf_add_setting(r->conf, prefix, key, value, r->file, r->line, r->err);
}

/* ---- files ---- */

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

	if (rc == 0 && strlen(pattern) > INCLUDE_BYTES_MAX)
		return refuse(r, -ENAMETOOLONG, "the path is too long", pattern_text);
	if (rc == 0)
		rc = dovecot_source_list(r->source, &r->overlays, pattern, &paths, r->err);
	if (rc == -E2BIG)
		return error_wrap(r->err, rc, "%s:%u", r->conf->files[r->file].path, r->line);
	if (rc < 0)
		return rc;
	if (paths.n_items == 0 && !may_lack)
		return refuse(r, -ENOENT, "no file matches the include", pattern_text);

	/* Reserve the children's places first: what they include comes after. */
	here.first_child = r->conf->n_children;
	here.n_children = paths.n_items;
	for (size_t i = 0; i < paths.n_items && rc == 0; i++)
		rc = dovecot_conf_add_child(r->conf, 0, r->err);
	if (rc == 0)
		rc = dovecot_conf_add_place(r->conf, r->file, here, r->err);
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

/*
 * Remember that the line names a file beside its own, see dovecot_conf_relocate().
 * Nothing can be quoted after '<', and no quote in a key: what would read otherwise
 * when it is written out is refused.
 */
static int add_relative_path(struct reader *r, struct span key, const char *before,
			     struct span path, struct span place)
{
	static const char odd[] = " \t\r\v\f=#\"'\\";
	struct dovecot_place here = { .line = place };
	cleanup_free char *absolute = NULL;
	cleanup_buf struct buf line = BUF_INIT;
	bool plain = before[0] == '<';

	if (path.len == 0 || path.data[0] == '/' || !place.data)
		return 0;
	if (dovecot_words_have(key, "\"'\\") ||
	    (plain && (dovecot_words_have(path, "#") || path.data[path.len - 1] == '\r')))
		return refuse(r, -EINVAL, "a file's name that cannot be made absolute", path);
	absolute = resolve(r, path);
	dovecot_words_add(&line, key, dovecot_words_have(key, odd));
	buf_add_format(&line, " = %s", before);
	if (absolute)
		dovecot_words_add(&line, span_from(absolute), !plain && dovecot_words_have(path, odd));
	here.replacement = absolute && !line.failed ? strdup(buf_text(&line)) : NULL;
	if (!here.replacement)
		return no_memory(r->err);
	return dovecot_conf_add_place(r->conf, r->file, here, r->err);
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
	rc = dovecot_conf_add_file(r->conf, path, &file, r->err);
	if (rc < 0)
		return rc;
	rc = dovecot_source_read(r->source, &r->overlays, path, &r->conf->files[file].text, &why);
	if (rc < 0 && may_lack && (rc == -ENOENT || rc == -EACCES))
		return 0;
	if (rc < 0) {
		if (r->err)
			*r->err = why;
		return rc;
	}
	r->n_bytes += r->conf->files[file].text.len;
	if (r->n_bytes > BYTES_MAX)
		return error_set(r->err, -EFBIG, "%s: with this file more than %d MiB", path,
				 BYTES_MAX >> 20);
	return read_lines(r, file);
}

int dovecot_conf_read(const struct dovecot_source *source, const char *main_path,
		      const struct dovecot_overlay *overlays, size_t n_overlays,
		      struct dovecot_conf *out, struct error *err)
{
	struct dovecot_conf conf = { 0 };
	struct reader r = {
		.source = source,
		.overlays = { .items = overlays, .n_items = n_overlays },
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
