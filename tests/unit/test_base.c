/* SPDX-License-Identifier: MIT */
/* base - span, buf, error, notes, cleanup. */
#include "unit.h"

static void take_line_cuts_lines_with_their_newline(void **state)
{
	struct span rest = span_from("a\n\nlast");

	(void)state;
	unit_assert_span(span_take_line(&rest), span_from("a\n"));
	unit_assert_span(span_take_line(&rest), span_from("\n"));
	unit_assert_span(span_take_line(&rest), span_from("last"));
	assert_int_equal(rest.len, 0);
	unit_assert_span(span_take_line(&rest), span_from(""));
}

static void trim_takes_only_the_given_blanks_at_both_ends(void **state)
{
	(void)state;
	unit_assert_span(span_trim(span_from(" \ta b\n "), " \t"), span_from("a b\n"));
	unit_assert_span(span_trim(span_from("  "), " "), span_from(""));
	unit_assert_span(span_trim((struct span){ 0 }, " "), (struct span){ 0 });
}

static void number_is_digits_only_and_within_its_limit(void **state)
{
	static const struct {
		const char *text;
		unsigned long max;
		bool good;
		unsigned long value;
	} cases[] = {
		{ "0", 0, true, 0 },          { "65535", 65535, true, 65535 },
		{ "65536", 65535, false, 0 }, { "0025", 99, true, 25 },
		{ "", 10, false, 0 },         { "-1", 10, false, 0 },
		{ "+1", 10, false, 0 },       { " 1", 10, false, 0 },
		{ "1x", 10, false, 0 },       { "99999999999999999999", ~0UL, false, 0 },
		{ "7", 5, false, 0 },         { "18446744073709551615", ~0UL, true, ~0UL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned long value = 0;
		bool good = span_to_number(span_from(cases[i].text), cases[i].max, &value);

		if (good != cases[i].good || value != cases[i].value)
			fail_msg("\"%s\": %d, %lu", cases[i].text, good, value);
	}
}

static void contains_finds_a_needle_anywhere(void **state)
{
	(void)state;
	assert_true(span_contains(span_from("abc"), "bc"));
	assert_false(span_contains(span_from("abc"), "bd"));
	assert_false(span_contains((struct span){ 0 }, "a"));
}

static int add_in_every_way(const void *ctx, struct buf *out, struct error *err)
{
	const unsigned *n = ctx;

	for (unsigned i = 0; i < *n; i++) {
		buf_add(out, span_from("ab"));
		buf_add_text(out, "-");
		buf_add_char(out, 'c');
		buf_add_format(out, "%u|", i % 10);
	}
	return buf_check(out, err);
}

static void buffer_grows_and_ends_in_a_nul(void **state)
{
	cleanup_buf struct buf b = BUF_INIT;
	unsigned n = 5000;

	(void)state;
	assert_string_equal(buf_text(&b), "");
	assert_int_equal(add_in_every_way(&n, &b, NULL), 0);
	assert_int_equal(b.len, 6 * n);
	assert_int_equal(strlen(buf_text(&b)), b.len);
	buf_clear(&b);
	assert_string_equal(buf_text(&b), "");
}

static void buffer_says_once_at_the_end_that_memory_ran_out(void **state)
{
	unsigned n = 2;

	(void)state;
	unit_expect_text(add_in_every_way, &n, "ab-c0|ab-c1|");
}

static void reserve_refuses_sizes_that_overflow(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_false(buf_reserve(&b, SIZE_MAX));
	assert_int_equal(buf_check(&b, NULL), -ENOMEM);
	buf_release(&b);
	assert_int_equal(buf_check(&b, NULL), 0);
}

static void errors_carry_code_and_text_outwards(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(error_set(&err, -EINVAL, "bad %s", "word"), -EINVAL);
	assert_int_equal(error_wrap(&err, -EINVAL, "%s:%u", "file", 3u), -EINVAL);
	assert_string_equal(err.msg, "file:3: bad word");
	assert_int_equal(err.code, -EINVAL);
	assert_int_equal(error_code(&err, -ENOENT, "open %s", "x"), -ENOENT);
	assert_string_equal(err.msg, "open x: No such file or directory");
	errno = EACCES;
	assert_int_equal(error_errno(&err, "read"), -EACCES);
	assert_string_equal(err.msg, "read: Permission denied");
}

static void errors_may_be_nobodys(void **state)
{
	(void)state;
	errno = EIO;
	assert_int_equal(error_set(NULL, -EINVAL, "x"), -EINVAL);
	assert_int_equal(error_errno(NULL, "x"), -EIO);
	assert_int_equal(error_code(NULL, -ENOENT, "x"), -ENOENT);
	assert_int_equal(error_wrap(NULL, -ENOMEM, "x"), -ENOMEM);
}

static void too_long_a_message_ends_in_dots(void **state)
{
	char text[2 * ERROR_MSG_MAX];
	struct error err = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&err, -EINVAL, "%s", text);
	assert_int_equal(strlen(err.msg), ERROR_MSG_MAX - 1);
	assert_string_equal(err.msg + ERROR_MSG_MAX - 4, "...");
	error_wrap(&err, -EINVAL, "place");
	assert_memory_equal(err.msg, "place: xxx", 10);
	assert_string_equal(err.msg + ERROR_MSG_MAX - 4, "...");
	error_wrap(&err, -EINVAL, "%s", text);
	assert_int_equal(strlen(err.msg), ERROR_MSG_MAX - 1);
}

static void notes_keep_order_and_drop_repetitions(void **state)
{
	struct notes notes = NOTES_INIT;
	cleanup_buf struct buf text = BUF_INIT;

	(void)state;
	notes_add(&notes, NOTE_WARNING, "one %d", 1);
	notes_add(&notes, NOTE_NOTICE, "two");
	notes_add(&notes, NOTE_WARNING, "one 1");
	notes_add(NULL, NOTE_WARNING, "nobody reads this");
	unit_add_notes(&text, &notes);
	assert_string_equal(buf_text(&text), "warning: one 1\nnotice: two\n");
	notes_release(&notes);
	assert_int_equal(notes.n_items, 0);
}

static int add_a_note(const void *ctx, struct buf *out, struct error *err)
{
	struct notes notes = NOTES_INIT;

	notes_add(&notes, NOTE_WARNING, "%s", (const char *)ctx);
	notes_release(&notes);
	return buf_check(out, err);
}

static void a_note_lost_to_memory_harms_nobody(void **state)
{
	(void)state;
	unit_expect_text(add_a_note, "lost", "");
}

static void ownership_is_taken_out_of_a_scope(void **state)
{
	char *text = strdup("x");
	int fd = 7;

	(void)state;
	{
		cleanup_free char *mine = text;
		cleanup_fd int no_fd = -1;

		assert_ptr_equal(steal_pointer(&mine), text);
		assert_null(mine);
		(void)no_fd;
	}
	assert_string_equal(text, "x");
	free(text);
	assert_int_equal(steal_fd(&fd), 7);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(take_line_cuts_lines_with_their_newline),
		cmocka_unit_test(trim_takes_only_the_given_blanks_at_both_ends),
		cmocka_unit_test(number_is_digits_only_and_within_its_limit),
		cmocka_unit_test(contains_finds_a_needle_anywhere),
		cmocka_unit_test(buffer_grows_and_ends_in_a_nul),
		cmocka_unit_test(buffer_says_once_at_the_end_that_memory_ran_out),
		cmocka_unit_test(reserve_refuses_sizes_that_overflow),
		cmocka_unit_test(errors_carry_code_and_text_outwards),
		cmocka_unit_test(errors_may_be_nobodys),
		cmocka_unit_test(too_long_a_message_ends_in_dots),
		cmocka_unit_test(notes_keep_order_and_drop_repetitions),
		cmocka_unit_test(a_note_lost_to_memory_harms_nobody),
		cmocka_unit_test(ownership_is_taken_out_of_a_scope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
