/* SPDX-License-Identifier: MIT */
/* pack - what was packed is unpacked, and nothing else. */
#include "tests/unit/unit.h"

#include "sidecar/pack.h"

static void make(struct buf *out)
{
	pack_number(out, UINT64_MAX);
	pack_number(out, 6);
	pack_number(out, 1);
	pack_text(out, "text");
	pack_text(out, NULL);
	pack_bytes(out, span_make("a\0b", 3));
}

static void print_is_parsed(void **state)
{
	cleanup_buf struct buf bytes = BUF_INIT;
	struct unpacker u;
	cleanup_free char *text = NULL, *nothing = NULL;
	struct span run;

	(void)state;
	make(&bytes);
	u = (struct unpacker){ .rest = buf_span(&bytes) };
	assert_true(unpack_number(&u) == UINT64_MAX);
	assert_int_equal(unpack_number_below(&u, 7), 6);
	assert_true(unpack_bool(&u));
	text = unpack_text(&u);
	assert_string_equal(text, "text");
	nothing = unpack_text(&u);
	assert_string_equal(nothing, "");
	run = unpack_bytes(&u);
	assert_true(span_equal(run, span_make("a\0b", 3)));
	assert_false(u.failed);
	assert_int_equal(u.rest.len, 0);
}

static void what_is_too_short_fails_and_stays_so(void **state)
{
	cleanup_buf struct buf bytes = BUF_INIT;

	(void)state;
	make(&bytes);
	for (size_t len = 0; len < bytes.len; len++) {
		struct unpacker u = { .rest = span_make(bytes.data, len) };

		unpack_number(&u);
		unpack_number(&u);
		unpack_bool(&u);
		free(unpack_text(&u));
		free(unpack_text(&u));
		unpack_bytes(&u);
		assert_true(u.failed);
		assert_false(u.no_memory);
		assert_int_equal(unpack_number(&u), 0);
		assert_int_equal(unpack_run(&u, 0).len, 0);
		assert_true(u.failed);
	}
}

static void what_is_not_asked_for_fails(void **state)
{
	cleanup_buf struct buf bytes = BUF_INIT, huge = BUF_INIT;
	struct unpacker u;

	(void)state;
	pack_number(&bytes, 2);
	u = (struct unpacker){ .rest = buf_span(&bytes) };
	assert_int_equal(unpack_number_below(&u, 2), 0);
	assert_true(u.failed);
	u = (struct unpacker){ .rest = buf_span(&bytes) };
	assert_false(unpack_bool(&u));
	assert_true(u.failed);
	buf_clear(&bytes);
	pack_bytes(&bytes, span_make("a\0b", 3));
	u = (struct unpacker){ .rest = buf_span(&bytes) };
	free(unpack_text(&u));
	assert_true(u.failed);
	assert_false(u.no_memory);
	pack_number(&huge, UINT64_MAX);
	u = (struct unpacker){ .rest = buf_span(&huge) };
	assert_int_equal(unpack_bytes(&u).len, 0);
	assert_true(u.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(print_is_parsed),
		cmocka_unit_test(what_is_too_short_fails_and_stays_so),
		cmocka_unit_test(what_is_not_asked_for_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
