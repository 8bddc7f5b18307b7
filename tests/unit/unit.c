/* SPDX-License-Identifier: MIT */
/* unit - what every unit test stands on. */
#include "unit.h"

#include "alloc_fault.h"

/* No test body allocates more often; more means that it never ends. */
enum { ALLOCATIONS_MAX = 200000 };

/* In err before a call: stays when the call succeeds. */
enum { UNTOUCHED = 4242 };

struct wanted {
	int code;         /* of a failure, or 0 */
	struct span text; /* else */
	const char *const *parts;
};

void unit_assert_span(struct span got, struct span wanted)
{
	if (!span_equal(got, wanted))
		fail_msg("--- got (%zu bytes)\n%.*s\n--- wanted (%zu bytes)\n%.*s\n---", got.len,
			 (int)got.len, got.len ? got.data : "", wanted.len, (int)wanted.len,
			 wanted.len ? wanted.data : "");
}

void unit_assert_contains(struct span text, const char *part)
{
	if (!span_contains(text, part))
		fail_msg("\"%s\" is not in \"%.*s\"", part, (int)text.len,
			 text.len ? text.data : "");
}

static void check(const struct wanted *wanted, int rc, const struct buf *out,
		  const struct error *err)
{
	if (wanted->code == 0) {
		if (rc < 0)
			fail_msg("failed with %d: %s", rc, err->msg);
		assert_int_equal(err->code, UNTOUCHED);
		unit_assert_span(buf_span(out), wanted->text);
		return;
	}
	if (rc != wanted->code)
		fail_msg("returned %d, wanted %d: %s", rc, wanted->code,
			 rc < 0 ? err->msg : buf_text(out));
	assert_int_equal(err->code, wanted->code);
	for (const char *const *part = wanted->parts; *part; part++)
		unit_assert_contains(span_from(err->msg), *part);
}

/* Whether the fault came: false once n lies beyond the last allocation. */
static bool run(unit_body *body, const void *ctx, const struct wanted *wanted, unsigned long n,
		enum alloc_fault_kind kind)
{
	cleanup_buf struct buf out = BUF_INIT;
	struct error err = { .code = UNTOUCHED };
	bool fired;
	int rc;

	if (n > 0)
		alloc_fault_arm(n, kind);
	rc = body(ctx, &out, &err);
	fired = alloc_fault_disarm() && n > 0;
	if (fired && rc == -ENOMEM) {
		assert_int_equal(err.code, -ENOMEM);
		assert_string_not_equal(err.msg, "");
	} else {
		check(wanted, rc, &out, &err);
	}
	return fired;
}

static void run_with_faults(unit_body *body, const void *ctx, const struct wanted *wanted)
{
	run(body, ctx, wanted, 0, ALLOC_FAULT_ONE);
	for (unsigned long n = 1; run(body, ctx, wanted, n, ALLOC_FAULT_ONE); n++) {
		run(body, ctx, wanted, n, ALLOC_FAULT_FROM);
		assert_true(n < ALLOCATIONS_MAX);
	}
}

void unit_expect_span(unit_body *body, const void *ctx, struct span text)
{
	run_with_faults(body, ctx, &(struct wanted){ .text = text });
}

void unit_expect_text(unit_body *body, const void *ctx, const char *text)
{
	unit_expect_span(body, ctx, span_from(text));
}

void unit_expect_once(unit_body *body, const void *ctx, const char *text)
{
	run(body, ctx, &(struct wanted){ .text = span_from(text) }, 0, ALLOC_FAULT_ONE);
}

void unit_expect_error_parts(unit_body *body, const void *ctx, int code, const char *const parts[])
{
	run_with_faults(body, ctx, &(struct wanted){ .code = code, .parts = parts });
}

void unit_add_notes(struct buf *out, const struct notes *notes)
{
	for (size_t i = 0; i < notes->n_items; i++)
		buf_add_format(out, "%s: %s\n",
			       notes->items[i].level == NOTE_WARNING ? "warning" : "notice",
			       notes->items[i].text);
}
