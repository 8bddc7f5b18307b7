/* SPDX-License-Identifier: MIT */
/*
 * unit - what every unit test stands on: cmocka, and expectations that also
 * hold when memory runs out.
 *
 * A test wraps the code under test in a body and says what it shall make or
 * how it shall fail.  The body then runs once undisturbed, and again with each
 * of its allocations failing, alone and with all after it: it must return
 * -ENOMEM with a text in err, or succeed as if nothing had happened.  What
 * leaks on the way is found by LeakSanitizer in the dev preset.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after those four, which it needs and does not include */
#include <cmocka.h>

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"

#include <errno.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* A span of a string literal, NUL bytes inside it kept; in static tables the second. */
#define SPAN_LITERAL(text) span_make((text), sizeof(text) - 1)
#define SPAN_INIT(text)                                                                            \
	{                                                                                          \
		(text), sizeof(text) - 1                                                           \
	}

/*
 * Run the code under test on ctx.  What it makes goes to out, as text; its
 * failure to err and the result.  Ends in buf_check(out, err), so that a
 * failure while the result is written down is a failure too.
 */
typedef int unit_body(const void *ctx, struct buf *out, struct error *err);

/* The body returns >= 0 and makes `text`. */
void unit_expect_text(unit_body *body, const void *ctx, const char *text);
void unit_expect_span(unit_body *body, const void *ctx, struct span text);

/* The body returns `code`, with each of `parts` (NULL ends them) in the message. */
#define unit_expect_error(body, ctx, code, ...)                                                    \
	unit_expect_error_parts(body, ctx, code, (const char *const[]){ __VA_ARGS__, NULL })
void unit_expect_error_parts(unit_body *body, const void *ctx, int code, const char *const parts[]);

/* As unit_expect_text() without failing allocations: for texts that hold notes. */
void unit_expect_once(unit_body *body, const void *ctx, const char *text);

/* Add "notice: TEXT\n" or "warning: TEXT\n" for each note. */
void unit_add_notes(struct buf *out, const struct notes *notes);

/* Fails the test, showing both, unless they are equal. */
void unit_assert_span(struct span got, struct span wanted);

/* Fails the test unless `part` stands in text. */
void unit_assert_contains(struct span text, const char *part);

#endif
