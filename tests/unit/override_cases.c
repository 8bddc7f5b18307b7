/* SPDX-License-Identifier: MIT */
/* override_cases - a file's life under overrides, as a body for tests. */
#include "override_cases.h"

struct life {
	struct buf text;
	struct override_record record;
	struct notes notes; /* of the last application */
};

static void release_life(struct life *life)
{
	buf_release(&life->text);
	override_record_release(&life->record);
	notes_release(&life->notes);
}

static int happen(struct life *life, enum override_kind kind, const struct override_event *event,
		  struct error *err)
{
	cleanup_buf struct buf next = BUF_INIT;
	int rc;

	if (!event->apply) {
		buf_replace(&life->text, event->from, event->to);
		return buf_check(&life->text, err);
	}
	notes_release(&life->notes);
	rc = override_laws_apply(kind, buf_span(&life->text), span_from(event->apply),
				 &life->record, &next, &life->notes, err);
	if (rc < 0 || event->crash)
		return rc;
	buf_clear(&life->text);
	buf_add(&life->text, buf_span(&next));
	return buf_check(&life->text, err);
}

static int live(const struct override_case *c, struct life *life, struct error *err)
{
	int rc;

	buf_add_text(&life->text, c->life.text);
	rc = buf_check(&life->text, err);
	for (size_t i = 0; rc == 0 && i < OVERRIDE_EVENTS_MAX; i++)
		if (c->life.events[i].apply || c->life.events[i].from)
			rc = happen(life, c->kind, &c->life.events[i], err);
	return rc;
}

int override_text_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(release_life) struct life life = { 0 };
	int rc = live(ctx, &life, err);

	buf_add(out, buf_span(&life.text));
	return rc < 0 ? rc : buf_check(out, err);
}

int override_notes_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(release_life) struct life life = { 0 };
	int rc = live(ctx, &life, err);

	unit_add_notes(out, &life.notes);
	return rc < 0 ? rc : buf_check(out, err);
}

int override_record_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(release_life) struct life life = { 0 };
	int rc = live(ctx, &life, err);

	return rc < 0 ? rc : override_record_print(&life.record, out, err);
}
