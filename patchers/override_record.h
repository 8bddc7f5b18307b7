/* SPDX-License-Identifier: MIT */
/*
 * override_record - what postern remembers of each setting that it changed
 * for an override file: the text that stood there before, and its own.
 *
 * A record is right for the files as they were when it was made and for the
 * files as they shall be: write the record first, then the files, and a crash
 * between the two loses nothing.  override_law.h says what follows from it.
 */
#ifndef PATCHERS_OVERRIDE_RECORD_H
#define PATCHERS_OVERRIDE_RECORD_H

#include "base/buf.h"

struct error;

/* A text that may be absent: a setting that is not set, a file that is not there. */
struct override_view {
	bool exists;
	struct span text; /* borrowed */
};

struct override_text {
	bool exists;
	struct buf bytes;
};

static inline struct override_view override_text_view(const struct override_text *text)
{
	return (struct override_view){ .exists = text->exists, .text = buf_span(&text->bytes) };
}

static inline bool override_view_equal(struct override_view a, struct override_view b)
{
	return a.exists == b.exists && (!a.exists || span_equal(a.text, b.text));
}

enum override_state {
	OVERRIDE_FOUND,   /* stood there as wanted when first looked at: nothing written */
	OVERRIDE_WRITTEN, /* `before` was replaced by `after` */
	OVERRIDE_CHANGED, /* the same, and `before` had been FOUND */
	OVERRIDE_UNDONE,  /* the line is gone: `after` was put back */
	OVERRIDE_STATE_COUNT
};

struct override_item {
	enum override_state state;
	char *place; /* "main.cf", "SERVICE/TYPE", or the name of a whole file; owned */
	char *name;  /* of the parameter; "" for a whole file; owned */
	struct override_text before;
	struct override_text after; /* what stands there once the files are written */
	struct override_text older; /* ours, replaced by `after`: what a crash leaves there */
};

struct override_record {
	struct override_item *items;
	size_t n_items;
};

#define OVERRIDE_RECORD_INIT                                                                       \
	{                                                                                          \
		0                                                                                  \
	}

/* More settings than that are refused. */
enum { OVERRIDE_ITEMS_MAX = 4096 };

/*
 * Read what override_record_print() wrote; an empty text is an empty record.
 * -EINVAL with "LINE: reason" for anything else; -E2BIG; -ENOMEM.  *out is untouched
 * on failure; release it with override_record_release().
 */
int override_record_parse(struct span text, struct override_record *out, struct error *err);

/* Add the record as text, one line an item.  0 or -ENOMEM. */
int override_record_print(const struct override_record *record, struct buf *out, struct error *err);

void override_record_release(struct override_record *record);

/* NULL when there is none.  Borrowed. */
const struct override_item *override_record_find(const struct override_record *record,
						 struct span place, struct span name);

/*
 * Add a new item with copies of place and name, and no texts.  *out is
 * borrowed, until the next item is added.  0, -ENOMEM, or -E2BIG.
 */
int override_record_add(struct override_record *record, struct span place, struct span name,
			struct override_item **out, struct error *err);

/*
 * Append all items of `from`, which is empty afterwards; on failure (-ENOMEM,
 * -E2BIG) both are as before.
 */
int override_record_move(struct override_record *from, struct override_record *to,
			 struct error *err);

/* The same, and add the text that goes with it to `out`; both, or on failure neither. */
int override_record_publish(struct override_record *from, struct span text,
			    struct override_record *to, struct buf *out, struct error *err);

/*
 * The files hold what was planned: forget what only a crash would have needed.
 * Planning again gives the same record.
 */
void override_record_settle(struct override_record *record);

#endif
