/* SPDX-License-Identifier: MIT */
/* override_law - what becomes of one setting that an override file names. */
#include "override_law.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/notes.h"

#include <errno.h>

/* What we may say about the text that stands there; nothing when it is not ours, or no longer. */
struct claim {
	bool is_ours;                /* we wrote it, in the place of `before` */
	bool was_found;              /* it, or when it is ours its predecessor, was found there */
	struct override_view before; /* absent when it is not ours */
};

/* "main.cf: mynetworks", "master.cf: smtp/inet: myhostname", or "local.conf". */
#define LABEL_FORMAT "%s%.*s%s%.*s"
#define LABEL(sight)                                                                               \
	is_service((sight)->place) ? "master.cf: " : "", SPAN_ARG((sight)->place),                 \
		(sight)->name.len > 0 ? ": " : "", SPAN_ARG((sight)->name)

/* SERVICE/TYPE; files have no '/' in their names here. */
static bool is_service(struct span place)
{
	return place.len > 0 && memchr(place.data, '/', place.len);
}

static struct claim claim_of(const struct override_item *item)
{
	switch (item->state) {
	case OVERRIDE_FOUND:
		return (struct claim){ .was_found = true };
	case OVERRIDE_WRITTEN:
	case OVERRIDE_CHANGED:
		return (struct claim){
			.is_ours = true,
			.was_found = item->state == OVERRIDE_CHANGED,
			.before = override_text_view(&item->before),
		};
	case OVERRIDE_UNDONE: /* seen not yet undone, see judge() */
		return (struct claim){
			.is_ours = true,
			.before = override_text_view(&item->after),
		};
	case OVERRIDE_STATE_COUNT:
		break;
	}
	return (struct claim){ 0 };
}

static bool is_written(const struct override_item *item)
{
	return item->state == OVERRIDE_WRITTEN || item->state == OVERRIDE_CHANGED;
}

static void note_foreign(const struct override_sight *sight, const struct override_item *item,
			 struct notes *notes)
{
	bool applied_anew = sight->wanted.exists && !sight->as_wanted;

	if (item->state == OVERRIDE_UNDONE || (item->state == OVERRIDE_FOUND && !applied_anew))
		return;
	notes_add(notes, NOTE_NOTICE, LABEL_FORMAT ": somebody else has changed it: %s",
		  LABEL(sight),
		  applied_anew ? "the override is applied to what stands there now"
			       : "what stands there now is left alone");
}

/* What the record, if it has an item, lets us claim of the text that stands there. */
static struct claim judge(const struct override_sight *sight, const struct override_item *item,
			  struct notes *notes)
{
	static const struct claim none = { 0 };

	if (!item)
		return none;
	if (override_view_equal(sight->now, override_text_view(&item->after)))
		return item->state == OVERRIDE_UNDONE ? none : claim_of(item);
	if (item->older.exists && override_view_equal(sight->now, override_text_view(&item->older)))
		return claim_of(item);
	if (is_written(item) && override_view_equal(sight->now, override_text_view(&item->before)))
		return (struct claim){ .was_found = item->state == OVERRIDE_CHANGED };
	note_foreign(sight, item, notes);
	return none;
}

static void keep(struct override_text *text, struct override_view view)
{
	text->exists = view.exists;
	buf_clear(&text->bytes);
	if (view.exists)
		buf_add(&text->bytes, view.text);
}

/* What shall be remembered; absent texts are not. */
struct memory {
	enum override_state state;
	struct override_view before;
	struct override_view after;
	struct override_view older;
};

static int remember(const struct override_sight *sight, const struct memory *memory,
		    struct override_record *after, struct error *err)
{
	CLEANUP(override_record_release) struct override_record one = OVERRIDE_RECORD_INIT;
	struct override_item *item;
	int rc = override_record_add(&one, sight->place, sight->name, &item, err);

	if (rc < 0)
		return rc;
	item->state = memory->state;
	keep(&item->before, memory->before);
	keep(&item->after, memory->after);
	keep(&item->older, memory->older);
	rc = buf_check(&item->before.bytes, err);
	if (rc == 0)
		rc = buf_check(&item->after.bytes, err);
	if (rc == 0)
		rc = buf_check(&item->older.bytes, err);
	return rc == 0 ? override_record_move(&one, after, err) : rc;
}

/* A line asks for it, and what stands there is what it asks for. */
static int leave(const struct override_sight *sight, const struct claim *claim,
		 struct override_record *after, struct error *err)
{
	struct memory memory = { .state = OVERRIDE_FOUND, .after = sight->now };

	if (claim->is_ours) {
		memory.state = claim->was_found ? OVERRIDE_CHANGED : OVERRIDE_WRITTEN;
		memory.before = claim->before;
	}
	return remember(sight, &memory, after, err);
}

/* A line asks for something else than what stands there. */
static int put(const struct override_sight *sight, const struct claim *claim,
	       struct override_decision *out, struct override_record *after, struct error *err)
{
	struct memory memory = {
		.state = claim->was_found ? OVERRIDE_CHANGED : OVERRIDE_WRITTEN,
		.before = claim->is_ours ? claim->before : sight->now,
		.after = sight->wanted,
	};

	if (claim->is_ours)
		memory.older = sight->now;
	*out = (struct override_decision){ .step = OVERRIDE_PUT, .text = sight->wanted.text };
	return remember(sight, &memory, after, err);
}

/* The line of a setting of ours is gone. */
static int undo(const struct override_sight *sight, const struct claim *claim,
		struct override_decision *out, struct override_record *after, struct error *err)
{
	struct memory memory = {
		.state = OVERRIDE_UNDONE,
		.after = claim->before,
		.older = sight->now,
	};

	if (override_view_equal(sight->now, claim->before))
		return 0;
	*out = (struct override_decision){
		.step = claim->before.exists ? OVERRIDE_PUT : OVERRIDE_REMOVE,
		.text = claim->before.text,
	};
	return remember(sight, &memory, after, err);
}

static void note_stays(const struct override_sight *sight, const struct claim *claim,
		       struct notes *notes)
{
	if (!claim->was_found)
		return;
	notes_add(notes, NOTE_WARNING,
		  LABEL_FORMAT ": the override is gone, but docker-mailserver had read it at its "
			       "start: the value %s until the pod restarts",
		  LABEL(sight), claim->is_ours ? "from then is back, and stays" : "stays");
}

int override_decide(const struct override_sight *sight, const struct override_record *before,
		    struct override_decision *out, struct override_record *after,
		    struct notes *notes, struct error *err)
{
	struct claim claim =
		judge(sight, override_record_find(before, sight->place, sight->name), notes);

	*out = (struct override_decision){ .step = OVERRIDE_LEAVE };
	if (sight->wanted.exists)
		return sight->as_wanted ? leave(sight, &claim, after, err)
					: put(sight, &claim, out, after, err);
	note_stays(sight, &claim, notes);
	return claim.is_ours ? undo(sight, &claim, out, after, err) : 0;
}

/* A server reads up to it, and takes the rest of the line for nothing. */
static int check_nul(struct span text, struct error *err)
{
	unsigned line = 1;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\0')
			return error_set(err, -EINVAL, "%u: a NUL byte", line);
		line += text.data[i] == '\n';
	}
	return 0;
}

int override_file(const struct override_file_request *request, struct override_view *out,
		  struct override_record *after, struct notes *notes, struct error *err)
{
	struct override_sight sight = {
		.place = span_from(request->place),
		.name = span_from(""),
		.now = request->now,
		.wanted = request->wanted,
		.as_wanted = request->wanted.exists &&
			     override_view_equal(request->now, request->wanted),
	};
	struct override_decision decision;
	int rc = request->wanted.exists ? check_nul(request->wanted.text, err) : 0;

	if (rc < 0)
		return rc;
	rc = override_decide(&sight, request->before, &decision, after, notes, err);
	if (rc < 0)
		return rc;
	*out = request->now;
	if (decision.step == OVERRIDE_PUT)
		*out = (struct override_view){ .exists = true, .text = decision.text };
	else if (decision.step == OVERRIDE_REMOVE)
		*out = (struct override_view){ .exists = false };
	return 0;
}
