/* SPDX-License-Identifier: MIT */
/* override_cases - a file's life under overrides, as a body for tests. */
#ifndef TESTS_UNIT_OVERRIDE_CASES_H
#define TESTS_UNIT_OVERRIDE_CASES_H

#include "unit.h"

#include "tests/support/override_laws.h"

/* One thing that happens. */
struct override_event {
	const char *apply; /* the override file is this from now on, and postern applies it */
	bool crash;        /* ... and dies after it wrote the record */
	const char *from;  /* else somebody replaces these bytes of the file ... */
	const char *to;    /* ... by those */
};

#define APPLY(text)                                                                                \
	{                                                                                          \
		.apply = (text)                                                                    \
	}
#define CRASH(text)                                                                                \
	{                                                                                          \
		.apply = (text), .crash = true                                                     \
	}
#define EDIT(bytes, others)                                                                        \
	{                                                                                          \
		.from = (bytes), .to = (others)                                                    \
	}

enum { OVERRIDE_EVENTS_MAX = 8 };

struct override_life {
	const char *text;                                  /* of the file at first */
	struct override_event events[OVERRIDE_EVENTS_MAX]; /* an empty one ends them */
};

struct override_case {
	enum override_kind kind;
	struct override_life life;
};

/* What the file holds in the end.  Takes a struct override_case, as do the next two. */
int override_text_body(const void *ctx, struct buf *out, struct error *err);
/* The notes of the last application; for unit_expect_once(). */
int override_notes_body(const void *ctx, struct buf *out, struct error *err);
/* The record in the end. */
int override_record_body(const void *ctx, struct buf *out, struct error *err);

#endif
