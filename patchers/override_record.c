/* SPDX-License-Identifier: MIT */
/* override_record - what stood there before postern applied an override. */
#include "override_record.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>

/*
 * The first line, then "STATE PLACE NAME BEFORE AFTER OLDER" for each item,
 * and their number at the end, by which a text that was cut off is known.
 * "-" is an absent text, "=BYTES" one that is there.
 */
static const char first_line[] = "postern-overrides 1";
static const char last_word[] = "end";

static const char *const state_names[OVERRIDE_STATE_COUNT] = {
	[OVERRIDE_FOUND] = "found",
	[OVERRIDE_WRITTEN] = "written",
	[OVERRIDE_CHANGED] = "changed",
	[OVERRIDE_UNDONE] = "undone",
};

static void release_item(struct override_item *item)
{
	free(item->place);
	free(item->name);
	buf_release(&item->before.bytes);
	buf_release(&item->after.bytes);
	buf_release(&item->older.bytes);
}

void override_record_release(struct override_record *record)
{
	for (size_t i = 0; i < record->n_items; i++)
		release_item(&record->items[i]);
	free(record->items);
	*record = (struct override_record)OVERRIDE_RECORD_INIT;
}

const struct override_item *override_record_find(const struct override_record *record,
						 struct span place, struct span name)
{
	for (size_t i = 0; i < record->n_items; i++)
		if (span_is(place, record->items[i].place) && span_is(name, record->items[i].name))
			return &record->items[i];
	return NULL;
}

/* Room for `more` items. */
static int reserve(struct override_record *record, size_t more, struct error *err)
{
	struct override_item *grown;

	if (record->n_items + more > OVERRIDE_ITEMS_MAX) {
		error_set(err, -E2BIG, "more than %d overridden settings", OVERRIDE_ITEMS_MAX);
		return -E2BIG;
	}
	if (more == 0)
		return 0;
	grown = reallocarray(record->items, record->n_items + more, sizeof(*grown));
	if (!grown) {
		error_set(err, -ENOMEM, "out of memory");
		return -ENOMEM;
	}
	record->items = grown;
	return 0;
}

int override_record_add(struct override_record *record, struct span place, struct span name,
			struct override_item **out, struct error *err)
{
	struct override_item item = { .state = OVERRIDE_FOUND };
	int rc = reserve(record, 1, err);

	if (rc < 0)
		return rc;
	item.place = strndup(place.data, place.len);
	item.name = strndup(name.data, name.len);
	if (!item.place || !item.name) {
		release_item(&item);
		error_set(err, -ENOMEM, "out of memory");
		return -ENOMEM;
	}
	record->items[record->n_items] = item;
	*out = &record->items[record->n_items++];
	return 0;
}

int override_record_move(struct override_record *from, struct override_record *to,
			 struct error *err)
{
	int rc = reserve(to, from->n_items, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < from->n_items; i++)
		to->items[to->n_items++] = from->items[i];
	from->n_items = 0;
	override_record_release(from);
	return 0;
}

int override_record_publish(struct override_record *from, struct span text,
			    struct override_record *to, struct buf *out, struct error *err)
{
	int rc = 0;

	if (!buf_reserve(out, text.len))
		rc = error_set(err, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = override_record_move(from, to, err);
	if (rc == 0)
		buf_add(out, text);
	return rc;
}

void override_record_settle(struct override_record *record)
{
	size_t kept = 0;

	for (size_t i = 0; i < record->n_items; i++) {
		struct override_item *item = &record->items[i];

		if (item->state == OVERRIDE_UNDONE) {
			release_item(item);
			continue;
		}
		buf_release(&item->older.bytes);
		item->older.exists = false;
		record->items[kept++] = *item;
	}
	record->n_items = kept;
}

/* ---- print ---- */

/* Bytes that stand for themselves. */
static bool is_plain(char c)
{
	return c > ' ' && c < 0x7f && c != '%';
}

static void print_bytes(struct buf *out, struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		if (is_plain(bytes.data[i]))
			buf_add_char(out, bytes.data[i]);
		else
			buf_add_format(out, "%%%02X", (unsigned)(unsigned char)bytes.data[i]);
	}
}

static void print_text(struct buf *out, const struct override_text *text)
{
	buf_add_text(out, text->exists ? " =" : " -");
	if (text->exists)
		print_bytes(out, buf_span(&text->bytes));
}

int override_record_print(const struct override_record *record, struct buf *out, struct error *err)
{
	buf_add_format(out, "%s\n", first_line);
	for (size_t i = 0; i < record->n_items; i++) {
		const struct override_item *item = &record->items[i];

		buf_add_format(out, "%s =", state_names[item->state]);
		print_bytes(out, span_from(item->place));
		buf_add_text(out, " =");
		print_bytes(out, span_from(item->name));
		print_text(out, &item->before);
		print_text(out, &item->after);
		print_text(out, &item->older);
		buf_add_char(out, '\n');
	}
	buf_add_format(out, "%s %zu\n", last_word, record->n_items);
	return buf_check(out, err);
}

/* ---- parse ---- */

static int damaged(struct error *err)
{
	return error_set(err, -EINVAL, "not a line that postern wrote");
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* -EINVAL for what print_bytes() does not make. */
static int parse_bytes(struct span word, struct buf *out, struct error *err)
{
	for (size_t i = 0; i < word.len; i++) {
		char c = word.data[i];

		if (c == '%') {
			bool whole = i + 2 < word.len;
			int high = whole ? hex_digit(word.data[i + 1]) : -1;
			int low = whole ? hex_digit(word.data[i + 2]) : -1;

			if (high < 0 || low < 0 || is_plain((char)(high * 16 + low)))
				return damaged(err);
			c = (char)(high * 16 + low);
			i += 2;
		} else if (!is_plain(c)) {
			return damaged(err);
		}
		buf_add_char(out, c);
	}
	return buf_check(out, err);
}

/* Cut the next word off; exactly one blank stands between two. */
static bool take_word(struct span *rest, struct span *out)
{
	const char *blank = rest->len > 0 ? memchr(rest->data, ' ', rest->len) : NULL;
	const char *end = blank ? blank : span_end(*rest);

	*out = span_between(rest->data, end);
	*rest = blank ? span_between(blank + 1, span_end(*rest)) : span_make(end, 0);
	return out->len > 0;
}

static int parse_text(struct span *rest, struct override_text *out, struct error *err)
{
	struct span word;

	if (!take_word(rest, &word))
		return damaged(err);
	if (span_is(word, "-"))
		return 0;
	if (word.data[0] != '=')
		return damaged(err);
	out->exists = true;
	return parse_bytes(span_between(word.data + 1, span_end(word)), &out->bytes, err);
}

/* A word that may hold no NUL byte. */
static int parse_name(struct span *rest, struct buf *out, struct error *err)
{
	struct override_text text = { 0 };
	int rc = parse_text(rest, &text, err);

	if (rc == 0 && (!text.exists || memchr(buf_text(&text.bytes), '\0', text.bytes.len)))
		rc = damaged(err);
	*out = text.bytes;
	return rc;
}

static bool parse_state(struct span word, enum override_state *out)
{
	for (int i = 0; i < OVERRIDE_STATE_COUNT; i++) {
		if (span_is(word, state_names[i])) {
			*out = (enum override_state)i;
			return true;
		}
	}
	return false;
}

static int parse_item(struct span line, struct override_record *record, struct error *err)
{
	cleanup_buf struct buf place = BUF_INIT, name = BUF_INIT;
	enum override_state state = OVERRIDE_FOUND;
	struct override_item *item;
	struct span word;
	int rc;

	if (!take_word(&line, &word) || !parse_state(word, &state))
		return damaged(err);
	rc = parse_name(&line, &place, err);
	if (rc == 0)
		rc = parse_name(&line, &name, err);
	if (rc < 0)
		return rc;
	if (place.len == 0 || override_record_find(record, buf_span(&place), buf_span(&name)))
		return damaged(err);
	rc = override_record_add(record, buf_span(&place), buf_span(&name), &item, err);
	if (rc < 0)
		return rc;
	item->state = state;
	rc = parse_text(&line, &item->before, err);
	if (rc == 0)
		rc = parse_text(&line, &item->after, err);
	if (rc == 0)
		rc = parse_text(&line, &item->older, err);
	return rc == 0 && line.len > 0 ? damaged(err) : rc;
}

static int parse_line(struct span line, unsigned number, struct override_record *record,
		      bool *ended, struct error *err)
{
	struct span word, rest = line;
	unsigned long count;

	if (line.len == 0 || line.data[line.len - 1] != '\n' || *ended)
		return damaged(err);
	rest.len--;
	if (rest.len == 0 || rest.data[rest.len - 1] == ' ')
		return damaged(err);
	if (number == 1)
		return span_is(rest, first_line) ? 0 : damaged(err);
	line = rest;
	if (!take_word(&rest, &word) || !span_is(word, last_word))
		return parse_item(line, record, err);
	if (!span_to_number(rest, OVERRIDE_ITEMS_MAX, &count) || count != record->n_items ||
	    (rest.data[0] == '0' && rest.len > 1))
		return damaged(err);
	*ended = true;
	return 0;
}

int override_record_parse(struct span text, struct override_record *out, struct error *err)
{
	struct override_record record = OVERRIDE_RECORD_INIT;
	bool ended = text.len == 0;
	unsigned number = 0;
	int rc = 0;

	while (rc == 0 && text.len > 0) {
		number++;
		rc = parse_line(span_take_line(&text), number, &record, &ended, err);
	}
	if (rc == 0 && !ended)
		rc = error_set(err, -EINVAL, "the end is missing");
	if (rc < 0) {
		override_record_release(&record);
		return rc == -EINVAL ? error_wrap(err, rc, "%u", number) : rc;
	}
	*out = record;
	return 0;
}
