/* SPDX-License-Identifier: MIT */
/* postfix_overrides - read docker-mailserver's override files for Postfix. */
#include "postfix_overrides.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/notes.h"
#include "postfix_lines.h"
#include "postfix_marks.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* What every option and parameter of postern's own begins with. */
#define OWN_PREFIX "postern_"

struct reader {
	struct postfix_overrides *overrides;
	size_t cap;
	struct notes *notes;
	struct error *err;
};

static int refuse(struct error *err, unsigned line, const char *reason, struct span text)
{
	return error_set(err, -EINVAL, "%u: %s: \"%.*s\"", line, reason, SPAN_ARG(text));
}

static bool is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

/*
 * Postfix takes some control characters for blanks, at some places; none has
 * a meaning in a setting.  A '\r' before a line's end is allowed.
 */
static int check_controls(struct span text, struct error *err)
{
	for (unsigned line = 1; text.len > 0; line++) {
		struct span body = span_take_line(&text);

		if (body.data[body.len - 1] == '\n')
			body.len--;
		if (body.len > 0 && body.data[body.len - 1] == '\r')
			body.len--;
		for (size_t i = 0; i < body.len; i++)
			if (is_control(body.data[i]))
				return error_set(err, -EINVAL, "%u: a control character (0x%02x)",
						 line, (unsigned)(unsigned char)body.data[i]);
	}
	return 0;
}

/* What is wrong with a parameter's name; NULL when nothing is. */
static const char *fault_of_name(struct span name)
{
	if (name.len == 0)
		return "no name before '='";
	if (!isalnum((unsigned char)name.data[0]) && name.data[0] != '_')
		return "not a parameter's name";
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.data[i];

		if (c >= 0x80 || (!isalnum(c) && !memchr("_-.:", c, 4)))
			return "not a parameter's name";
	}
	if (span_starts(name, OWN_PREFIX))
		return "the names that begin with " OWN_PREFIX " are postern's own";
	return NULL;
}

/* Add `text` to out, trimmed and with one blank for any white space, as postconf(1) does. */
static void add_flat(struct buf *out, struct span text)
{
	bool first = true;

	for (;;) {
		struct span word = span_take_word(&text, POSTFIX_BLANKS);

		if (word.len == 0)
			return;
		if (!first)
			buf_add_char(out, ' ');
		buf_add(out, word);
		first = false;
	}
}

/* Add one override; its texts are in no storage yet. */
static int add_override(struct reader *r, const struct postfix_override *override)
{
	struct postfix_overrides *all = r->overrides;
	struct postfix_override *o;
	size_t value_at;

	if (all->n_items == POSTFIX_OVERRIDES_MAX)
		return error_set(r->err, -EINVAL, "%u: more than %d settings", override->line,
				 POSTFIX_OVERRIDES_MAX);
	if (all->n_items == r->cap) {
		size_t wanted = r->cap ? r->cap * 2 : 16;

		o = reallocarray(all->items, wanted, sizeof(*o));
		if (!o)
			return error_set(r->err, -ENOMEM, "out of memory");
		all->items = o;
		r->cap = wanted;
	}
	o = &all->items[all->n_items++];
	*o = *override;
	buf_add(&all->storage, o->service);
	buf_add(&all->storage, o->type);
	buf_add(&all->storage, o->name);
	value_at = all->storage.len;
	add_flat(&all->storage, o->value);
	o->value.len = all->storage.len - value_at;
	return buf_check(&all->storage, r->err);
}

/* Let the texts point into the storage, which does not move any more. */
static void settle(struct postfix_overrides *all)
{
	const char *at = buf_text(&all->storage);

	for (size_t i = 0; i < all->n_items; i++) {
		struct span *texts[] = { &all->items[i].service, &all->items[i].type,
					 &all->items[i].name, &all->items[i].value };

		for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
			texts[k]->data = at;
			at += texts[k]->len;
		}
	}
}

typedef int read_text(struct reader *r, struct span text);

static int read_overrides(struct span text, read_text *read, struct postfix_overrides *out,
			  struct notes *notes, struct error *err)
{
	struct postfix_overrides overrides = POSTFIX_OVERRIDES_INIT;
	struct reader reader = { .overrides = &overrides, .notes = notes, .err = err };
	int rc = check_controls(text, err);

	if (rc == 0)
		rc = read(&reader, text);
	if (rc < 0) {
		postfix_overrides_release(&overrides);
		return rc;
	}
	settle(&overrides);
	*out = overrides;
	return 0;
}

void postfix_overrides_release(struct postfix_overrides *overrides)
{
	free(overrides->items);
	buf_release(&overrides->storage);
	*overrides = (struct postfix_overrides)POSTFIX_OVERRIDES_INIT;
}

/* ---- postfix-main.cf ---- */

/* docker-mailserver would make it a part of main.cf's last setting. */
static int check_start(struct span text, struct error *err)
{
	for (unsigned line = 1; text.len > 0; line++) {
		struct span body = span_take_line(&text);

		if (postfix_lines_is_ignored(body))
			continue;
		if (postfix_lines_is_space(body.data[0]))
			return refuse(err, line, "begins with a blank and continues nothing",
				      span_trim(body, POSTFIX_SPACE));
		return 0;
	}
	return 0;
}

static int read_assignment(struct reader *r, unsigned line, struct span text)
{
	struct postfix_override override = { .line = line };
	const char *equals = memchr(text.data, '=', text.len);
	const char *fault;

	if (text.len > POSTFIX_OVERRIDE_BYTES_MAX)
		return error_set(r->err, -EINVAL, "%u: longer than %d bytes", line,
				 POSTFIX_OVERRIDE_BYTES_MAX);
	if (!equals)
		return refuse(r->err, line, "no '='", span_trim(text, POSTFIX_SPACE));
	override.name = span_trim(span_between(text.data, equals), POSTFIX_SPACE);
	override.value = span_between(equals + 1, span_end(text));
	fault = fault_of_name(override.name);
	if (fault)
		return refuse(r->err, line, fault, span_trim(text, POSTFIX_SPACE));
	return add_override(r, &override);
}

static int read_main(struct reader *r, struct span text)
{
	cleanup_buf struct buf logical = BUF_INIT;
	struct postfix_lines lines = postfix_lines_start(text);
	struct postfix_line line;
	int rc = check_start(text, r->err);

	while (rc == 0 && postfix_lines_next(&lines, &line)) {
		buf_clear(&logical);
		postfix_lines_unfold(&logical, line.raw);
		rc = buf_check(&logical, r->err);
		if (rc == 0)
			rc = read_assignment(r, line.first_line, buf_span(&logical));
	}
	return rc;
}

int postfix_overrides_read_main(struct span text, struct postfix_overrides *out, struct error *err)
{
	return read_overrides(text, read_main, out, NULL, err);
}

/* ---- postfix-master.cf ---- */

/* Cut the part before the next '/' off. */
static struct span take_part(struct span *rest)
{
	const char *slash = rest->len > 0 ? memchr(rest->data, '/', rest->len) : NULL;
	struct span part = slash ? span_between(rest->data, slash) : *rest;

	*rest = slash ? span_between(slash + 1, span_end(*rest)) : span_make(span_end(*rest), 0);
	return part;
}

static bool braces_match(struct span value)
{
	size_t level = 0;

	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] == '{')
			level++;
		else if (value.data[i] == '}' && level-- == 0)
			return false;
	}
	return level == 0;
}

static bool has_blanks(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (postfix_lines_is_space(text.data[i]))
			return true;
	return false;
}

/* What is wrong with an option that "postconf -P" is to set; NULL when nothing is. */
static const char *fault_of_option(const struct postfix_override *o)
{
	if (o->service.len == 0 || o->type.len == 0 || o->name.len == 0 || has_blanks(o->service) ||
	    has_blanks(o->type))
		return "not SERVICE/TYPE/NAME=VALUE";
	if (has_blanks(o->value))
		return "blanks in the value, which postconf -P refuses";
	if (!braces_match(o->value))
		return "braces that do not match";
	if (span_contains(o->value, POSTFIX_TWIN_MARK) ||
	    span_contains(o->value, POSTFIX_IN_PLACE_MARK))
		return "the names that begin with " OWN_PREFIX " are postern's own";
	return fault_of_name(o->name);
}

/* docker-mailserver goes on with the next line when "postconf -P" fails. */
static int pass_over(struct reader *r, unsigned line, const char *fault, struct span text)
{
	notes_add(r->notes, NOTE_WARNING,
		  "postfix-master.cf:%u: %s: \"%.*s\": passed over, as docker-mailserver does",
		  line, fault, SPAN_ARG(text));
	return 0;
}

static int read_option(struct reader *r, unsigned line, struct span text)
{
	struct postfix_override override = { .line = line };
	const char *equals = memchr(text.data, '=', text.len);
	struct span target;
	const char *fault;

	if (text.len > POSTFIX_OVERRIDE_BYTES_MAX)
		return error_set(r->err, -EINVAL, "%u: longer than %d bytes", line,
				 POSTFIX_OVERRIDE_BYTES_MAX);
	if (!equals)
		return pass_over(r, line, "not SERVICE/TYPE/NAME=VALUE", text);
	target = span_trim(span_between(text.data, equals), POSTFIX_SPACE);
	override.value = span_trim(span_between(equals + 1, span_end(text)), POSTFIX_SPACE);
	override.service = take_part(&target);
	override.type = take_part(&target);
	override.name = target;
	fault = fault_of_option(&override);
	return fault ? pass_over(r, line, fault, text) : add_override(r, &override);
}

static bool is_applied(struct span text)
{
	return (text.data[0] >= '0' && text.data[0] <= '9') ||
	       (text.data[0] >= 'a' && text.data[0] <= 'z');
}

static int read_master(struct reader *r, struct span text)
{
	int rc = 0;

	for (unsigned line = 1; rc == 0 && text.len > 0; line++) {
		struct span body = span_take_line(&text);
		struct span trimmed = span_trim(body, POSTFIX_SPACE);

		if (postfix_lines_is_ignored(body))
			continue;
		if (is_applied(trimmed))
			rc = read_option(r, line, trimmed);
		else
			notes_add(
				r->notes, NOTE_NOTICE,
				"postfix-master.cf:%u: passed over, as docker-mailserver does: it "
				"begins with neither a digit nor a lower-case letter: \"%.*s\"",
				line, SPAN_ARG(trimmed));
	}
	return rc;
}

int postfix_overrides_read_master(struct span text, struct postfix_overrides *out,
				  struct notes *notes, struct error *err)
{
	return read_overrides(text, read_master, out, notes, err);
}
