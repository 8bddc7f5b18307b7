/* SPDX-License-Identifier: MIT */
/* override_record - the record as text, and whole files by the same law. */
#include "unit.h"

#include "patchers/override_law.h"

#define FIRST "postern-overrides 1\n"

/* Takes a text. */
static int round_trip_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(override_record_release) struct override_record record = OVERRIDE_RECORD_INIT;
	const struct span *text = ctx;
	int rc = override_record_parse(*text, &record, err);

	return rc < 0 ? rc : override_record_print(&record, out, err);
}

static void what_was_printed_is_read_the_same(void **state)
{
	static const char *const texts[] = {
		FIRST "end 0\n",
		FIRST "written =main.cf =a - =a%20=%2025%25 -\nend 1\n",
		FIRST "found =local.conf = - = -\nend 1\n",
		FIRST "changed =smtp/inet =a =a=1 =a=%00%0A%7F%FF =a=2\n"
		      "undone =smtp/unix =a - - =a=2\nend 2\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct span text = span_from(texts[i]);

		unit_expect_text(round_trip_body, &text, texts[i]);
	}
}

static void an_empty_file_is_an_empty_record(void **state)
{
	struct span text = span_from("");

	(void)state;
	unit_expect_text(round_trip_body, &text, FIRST "end 0\n");
}

static void a_damaged_record_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
		{ "\n", "1: " },
		{ FIRST, "1: the end is missing" },
		{ "postern-overrides 2\nend 0\n", "1: " },
		{ FIRST "end 1\n", "2: " },
		{ FIRST "end 00\n", "2: " },
		{ FIRST "end 0", "2: " },
		{ FIRST "end 0\n\n", "3: " },
		{ FIRST "written =a =b - - -\n", "2: the end is missing" },
		{ FIRST "written =a =b - -\nend 1\n", "2: " },
		{ FIRST "written =a =b - - - -\nend 1\n", "2: " },
		{ FIRST "written =a =b - - - \nend 1\n", "2: " },
		{ FIRST "written  =a =b - - -\nend 1\n", "2: " },
		{ FIRST "writen =a =b - - -\nend 1\n", "2: " },
		{ FIRST "written = =b - - -\nend 1\n", "2: " },
		{ FIRST "written =a - - - -\nend 1\n", "2: " },
		{ FIRST "written =a%00 =b - - -\nend 1\n", "2: " },
		{ FIRST "written =a =b x - -\nend 1\n", "2: " },
		{ FIRST "written =a =b =%4 - -\nend 1\n", "2: " },
		{ FIRST "written =a =b =%0g - -\nend 1\n", "2: " },
		{ FIRST "written =a =b =%0a - -\nend 1\n", "2: " },
		{ FIRST "written =a =b =%41 - -\nend 1\n", "2: " },
		{ FIRST "written =a =b =\t - -\nend 1\n", "2: " },
		{ FIRST "written =a =b - - -\nfound =a =b - - -\nend 2\n", "3: " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span text = span_from(cases[i].text);

		unit_expect_error(round_trip_body, &text, -EINVAL, cases[i].message);
	}
}

static void a_record_has_a_limit(void **state)
{
	CLEANUP(override_record_release) struct override_record record = OVERRIDE_RECORD_INIT;
	cleanup_buf struct buf text = BUF_INIT;
	struct error err;

	(void)state;
	buf_add_text(&text, FIRST);
	for (unsigned i = 0; i <= OVERRIDE_ITEMS_MAX; i++)
		buf_add_format(&text, "found =main.cf =a%u - - -\n", i);
	assert_int_equal(override_record_parse(buf_span(&text), &record, &err), -E2BIG);
	unit_assert_contains(span_from(err.msg), "more than 4096");
}

/* ---- whole files ---- */

struct file_event {
	const char *wanted; /* NULL: there is no override file */
	bool edited;        /* nothing is applied: the file becomes `wanted` */
};

#define APPLY(text)                                                                                \
	{                                                                                          \
		.wanted = (text)                                                                   \
	}
#define EDIT(text)                                                                                 \
	{                                                                                          \
		.wanted = (text), .edited = true                                                   \
	}

struct file_case {
	const char *now; /* NULL: there is no such file */
	struct file_event events[4];
	size_t n_events;
};

static struct override_view view_of(const char *text)
{
	return (struct override_view){ .exists = text != NULL,
				       .text = span_from(text ? text : "") };
}

/* "TEXT", or "(none)", and the notes of the last event. */
static int file_body(const void *ctx, struct buf *out, struct error *err)
{
	const struct file_case *c = ctx;
	CLEANUP(override_record_release) struct override_record record = OVERRIDE_RECORD_INIT;
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	cleanup_buf struct buf text = BUF_INIT;
	bool exists = c->now != NULL;
	int rc = 0;

	buf_add_text(&text, c->now ? c->now : "");
	rc = buf_check(&text, err);
	for (size_t i = 0; rc == 0 && i < c->n_events; i++) {
		CLEANUP(override_record_release)
		struct override_record after = OVERRIDE_RECORD_INIT;
		struct override_view made = view_of(c->events[i].wanted);
		struct override_file_request request = {
			.place = "local.conf",
			.now = { exists, buf_span(&text) },
			.wanted = made,
			.before = &record,
		};
		cleanup_buf struct buf next = BUF_INIT;

		notes_release(&notes);
		if (!c->events[i].edited)
			rc = override_file(&request, &made, &after, &notes, err);
		if (rc < 0)
			break;
		buf_add(&next, made.text);
		rc = buf_check(&next, err);
		exists = made.exists;
		buf_release(&text);
		text = next;
		next = (struct buf)BUF_INIT;
		if (!c->events[i].edited) {
			override_record_release(&record);
			record = after;
			after = (struct override_record)OVERRIDE_RECORD_INIT;
		}
	}
	buf_add(out, exists ? buf_span(&text) : span_from("(none)"));
	unit_add_notes(out, &notes);
	return rc < 0 ? rc : buf_check(out, err);
}

static int nul_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(override_record_release) struct override_record after = OVERRIDE_RECORD_INIT;
	const struct override_record before = OVERRIDE_RECORD_INIT;
	const struct override_file_request request = {
		.place = "local.conf",
		.wanted = { true, SPAN_LITERAL("a = b\nc = d\0e\n") },
		.before = &before,
	};
	struct override_view view = { 0 };
	int rc = override_file(&request, &view, &after, NULL, err);

	(void)ctx;
	(void)out;
	assert_false(view.exists);
	assert_int_equal(after.n_items, 0);
	return rc;
}

static void a_whole_file_with_a_nul_byte_is_refused(void **state)
{
	(void)state;
	unit_expect_error(nul_body, NULL, -EINVAL, "2: a NUL byte");
}

#define EVENTS(...)                                                                                \
	{ __VA_ARGS__ }, sizeof((struct file_event[]){ __VA_ARGS__ }) / sizeof(struct file_event)

static void a_whole_file_is_applied_and_put_back(void **state)
{
	static const struct {
		struct file_case life;
		const char *wanted;
	} rows[] = {
		{ { NULL, EVENTS(APPLY(NULL)) }, "(none)" },
		{ { "x", EVENTS(APPLY(NULL)) }, "x" },
		{ { NULL, EVENTS(APPLY("a")) }, "a" },
		{ { NULL, EVENTS(APPLY("")) }, "" },
		{ { NULL, EVENTS(APPLY("a"), APPLY(NULL)) }, "(none)" },
		{ { "", EVENTS(APPLY("a"), APPLY(NULL)) }, "" },
		{ { "x", EVENTS(APPLY("a"), APPLY("b"), APPLY(NULL)) }, "x" },
		{ { "x", EVENTS(APPLY("a"), APPLY("a")) }, "a" },
		{ { "x", EVENTS(APPLY("x"), APPLY("b")) }, "b" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		unit_expect_text(file_body, &rows[i].life, rows[i].wanted);
}

#define MERGED                                                                                     \
	"warning: local.conf: the override is gone, but docker-mailserver had read it at its "     \
	"start: the value "

static void a_whole_file_has_the_same_law(void **state)
{
	static const struct {
		struct file_case life;
		const char *wanted;
	} rows[] = {
		{ { "x", EVENTS(APPLY("x"), APPLY(NULL)) },
		  "x" MERGED "stays until the pod restarts\n" },
		{ { "x", EVENTS(APPLY("x"), APPLY("b"), APPLY(NULL)) },
		  "x" MERGED "from then is back, and stays until the pod restarts\n" },
		{ { "x", EVENTS(APPLY("a"), EDIT("theirs"), APPLY(NULL)) },
		  "theirsnotice: local.conf: somebody else has changed it: what stands there now "
		  "is left alone\n" },
		{ { "x", EVENTS(APPLY("a"), EDIT("theirs"), APPLY("a"), APPLY(NULL)) }, "theirs" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		unit_expect_once(file_body, &rows[i].life, rows[i].wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_printed_is_read_the_same),
		cmocka_unit_test(an_empty_file_is_an_empty_record),
		cmocka_unit_test(a_damaged_record_is_refused_with_its_line),
		cmocka_unit_test(a_record_has_a_limit),
		cmocka_unit_test(a_whole_file_is_applied_and_put_back),
		cmocka_unit_test(a_whole_file_with_a_nul_byte_is_refused),
		cmocka_unit_test(a_whole_file_has_the_same_law),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
