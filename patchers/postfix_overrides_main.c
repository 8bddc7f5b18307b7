/* SPDX-License-Identifier: MIT */
/* postfix_overrides_main - main.cf with the overrides of postfix-main.cf in force. */
#include "postfix_overrides.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "override_law.h"
#include "postfix_lines.h"

#include <errno.h>

#define PLACE "main.cf"

struct editor {
	struct buf text;    /* main.cf as far as it is edited */
	struct buf logical; /* a logical line unfolded */
	struct buf wanted;  /* what is to be written */
	const struct override_record *before;
	struct override_record after;
	struct notes *notes;
	struct error *err;
};

static void release_editor(struct editor *e)
{
	buf_release(&e->text);
	buf_release(&e->logical);
	buf_release(&e->wanted);
	override_record_release(&e->after);
}

/* Where a parameter stands: its logical line without white space at the end. */
struct place {
	bool found;
	struct span raw;
	struct span value; /* in the editor's `logical`: unfolded and trimmed */
};

/* Take the logical line of `raw` apart: 1; 0 when it is no assignment; -ENOMEM. */
static int read_assignment(struct editor *e, struct span raw, struct span *name, struct span *value)
{
	const char *equals;
	struct span line;
	int rc;

	buf_clear(&e->logical);
	postfix_lines_unfold(&e->logical, raw);
	rc = buf_check(&e->logical, e->err);
	if (rc < 0)
		return rc;
	line = buf_span(&e->logical);
	equals = memchr(line.data, '=', line.len);
	if (!equals)
		return 0;
	*name = span_trim(span_between(line.data, equals), POSTFIX_SPACE);
	*value = span_trim(span_between(equals + 1, span_end(line)), POSTFIX_SPACE);
	return 1;
}

/* The last assignment counts. */
static int find(struct editor *e, struct span wanted, struct place *out)
{
	struct postfix_lines lines = postfix_lines_start(buf_span(&e->text));
	struct postfix_line line;
	struct span name;
	int rc = 0;

	*out = (struct place){ .found = false };
	while (rc >= 0 && postfix_lines_next(&lines, &line)) {
		rc = read_assignment(e, line.raw, &name, &out->value);
		if (rc == 1 && span_equal(name, wanted)) {
			out->found = true;
			out->raw = span_trim(line.raw, POSTFIX_SPACE);
		}
	}
	if (rc >= 0 && out->found)
		rc = read_assignment(e, out->raw, &name, &out->value);
	return rc < 0 ? rc : 0;
}

/* The bytes between `from` and `to` become `text`. */
static int splice(struct editor *e, const char *from, const char *to, struct span text)
{
	cleanup_buf struct buf next = BUF_INIT;
	struct span whole = buf_span(&e->text);
	int rc;

	buf_add(&next, span_between(whole.data, from));
	buf_add(&next, text);
	buf_add(&next, span_between(to, span_end(whole)));
	rc = buf_check(&next, e->err);
	if (rc < 0)
		return rc;
	buf_release(&e->text);
	e->text = next;
	next = (struct buf)BUF_INIT;
	return 0;
}

/* A line of its own at the end; a file without a newline there stays so. */
static int append(struct editor *e, struct span text)
{
	bool unended = e->text.len > 0 && e->text.data[e->text.len - 1] != '\n';

	if (unended)
		buf_add_char(&e->text, '\n');
	buf_add(&e->text, text);
	if (!unended)
		buf_add_char(&e->text, '\n');
	return buf_check(&e->text, e->err);
}

/* What append() did, undone: the newline before the line goes with it. */
static int cut(struct editor *e, struct span raw)
{
	const char *from = raw.data, *to = span_end(raw);

	if (from > e->text.data)
		from--;
	else if (to < span_end(buf_span(&e->text)) && *to == '\n')
		to++;
	return splice(e, from, to, span_make("", 0));
}

/* What comes from the record is an assignment to the parameter and no more, or -EINVAL. */
static int check_assignment(struct editor *e, struct span name, struct span text)
{
	struct postfix_lines lines = postfix_lines_start(text);
	struct postfix_line line;
	struct span found, value;
	int rc = 0;

	if (postfix_lines_check(text, NULL) == 0 && postfix_lines_next(&lines, &line) &&
	    span_equal(span_trim(line.raw, POSTFIX_SPACE), text))
		rc = read_assignment(e, text, &found, &value);
	if (rc < 0)
		return rc;
	if (rc == 1 && span_equal(found, name))
		return 0;
	return error_set(e->err, -EINVAL, "the record is damaged: no setting of %.*s: \"%.*s\"",
			 SPAN_ARG(name), SPAN_ARG(text));
}

static int act(struct editor *e, const struct override_sight *sight, const struct place *place,
	       const struct override_decision *decision)
{
	int rc;

	if (decision->step == OVERRIDE_LEAVE)
		return 0;
	if (decision->step == OVERRIDE_REMOVE)
		return cut(e, place->raw);
	rc = check_assignment(e, sight->name, decision->text);
	if (rc < 0)
		return rc;
	return place->found ? splice(e, place->raw.data, span_end(place->raw), decision->text)
			    : append(e, decision->text);
}

/* Whether the two read the same: white space is as good as one blank. */
static bool same_value(struct span a, struct span b)
{
	for (;;) {
		struct span left = span_take_word(&a, POSTFIX_BLANKS);
		struct span right = span_take_word(&b, POSTFIX_BLANKS);

		if (!span_equal(left, right))
			return false;
		if (left.len == 0)
			return true;
	}
}

/* `override` is NULL when no line asks for the setting any more. */
static int apply(struct editor *e, struct span name, const struct postfix_override *override)
{
	struct override_sight sight = { .place = span_from(PLACE), .name = name };
	struct override_decision decision;
	struct place place;
	int rc = find(e, name, &place);

	if (rc < 0)
		return rc;
	sight.now = (struct override_view){ .exists = place.found, .text = place.raw };
	if (override) {
		buf_clear(&e->wanted);
		buf_add(&e->wanted, name);
		buf_add_text(&e->wanted, override->value.len > 0 ? " = " : " =");
		buf_add(&e->wanted, override->value);
		rc = buf_check(&e->wanted, e->err);
		sight.wanted = (struct override_view){ true, buf_span(&e->wanted) };
		sight.as_wanted = place.found && same_value(place.value, override->value);
	}
	if (rc == 0)
		rc = override_decide(&sight, e->before, &decision, &e->after, e->notes, e->err);
	return rc == 0 ? act(e, &sight, &place, &decision) : rc;
}

/* The last line for the name, or NULL. */
static const struct postfix_override *find_override(const struct postfix_overrides *overrides,
						    struct span name)
{
	for (size_t i = overrides->n_items; i-- > 0;)
		if (span_equal(overrides->items[i].name, name))
			return &overrides->items[i];
	return NULL;
}

static int apply_all(struct editor *e, const struct postfix_overrides *overrides)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < e->before->n_items; i++) {
		const struct override_item *item = &e->before->items[i];
		struct span name = span_from(item->name);

		if (strcmp(item->place, PLACE) == 0 && !find_override(overrides, name))
			rc = apply(e, name, NULL);
	}
	for (size_t i = 0; rc == 0 && i < overrides->n_items; i++) {
		const struct postfix_override *override = &overrides->items[i];

		if (find_override(overrides, override->name) == override)
			rc = apply(e, override->name, override);
	}
	return rc;
}

int postfix_overrides_main(const struct postfix_overrides_request *request, struct buf *out,
			   struct override_record *after, struct notes *notes, struct error *err)
{
	CLEANUP(release_editor)
	struct editor e = {
		.before = request->before,
		.notes = notes,
		.err = err,
	};
	int rc = postfix_lines_check(request->text, err);

	if (rc < 0)
		return rc;
	buf_add(&e.text, request->text);
	rc = buf_check(&e.text, err);
	if (rc == 0)
		rc = apply_all(&e, request->overrides);
	return rc < 0 ? rc : override_record_publish(&e.after, buf_span(&e.text), after, out, err);
}
