/* SPDX-License-Identifier: MIT */
/* digest: the library's SHA-256 is the standard's, and fields do not run into each other. */
#include "sidecar/digest.h"

#include "tests/unit/unit.h"

#include <stdio.h>

/* The digest of n texts, each a field. */
static struct digest digest_of(size_t n, const char *const fields[])
{
	struct digest_maker maker;
	struct digest digest;

	digest_start(&maker);
	for (size_t i = 0; i < n; i++)
		digest_add_text(&maker, fields[i]);
	digest_finish(&maker, &digest);
	return digest;
}

#define DIGEST(...)                                                                                \
	digest_of(ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })),                              \
		  (const char *const[]){ __VA_ARGS__ })

/* FIPS 180-4's value for the empty message; of eight bytes of length and "abc" by another program.
 */
static void it_is_sha_256(void **state)
{
	char text[DIGEST_TEXT_BYTES];
	struct digest digest = digest_of(0, NULL);

	(void)state;
	assert_string_equal(digest_print(&digest, text),
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest = DIGEST("abc");
	assert_string_equal(digest_print(&digest, text),
			    "c3494ca1a2cf8eeb8a11ded316fb55b83c3bbbedb6313cd50415251e5d09e12f");
}

static void fields_do_not_run_into_each_other(void **state)
{
	struct digest digests[] = {
		DIGEST("ab", "c"), DIGEST("a", "bc"), DIGEST("abc"),
		DIGEST("abc", ""), DIGEST("", "abc"), DIGEST("c", "ab"),
		DIGEST("", ""),    DIGEST(""),        digest_of(0, NULL),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(digests); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(digests); k++)
			assert_int_equal(digest_equal(&digests[i], &digests[k]), i == k);
	}
}

static void the_same_fields_make_the_same_digest(void **state)
{
	static const char nul[] = "a\0b";
	struct digest_maker maker;
	struct digest a = DIGEST("x", "yz"), b = DIGEST("x", "yz"), c, d;

	(void)state;
	assert_true(digest_equal(&a, &b));
	/* A maker can be used again, and a text is a span. */
	for (int i = 0; i < 2; i++) {
		digest_start(&maker);
		digest_add(&maker, SPAN_LITERAL("x"));
		digest_add(&maker, SPAN_LITERAL("yz"));
		digest_finish(&maker, &c);
		assert_true(digest_equal(&a, &c));
	}
	/* Bytes after a NUL count. */
	digest_start(&maker);
	digest_add(&maker, span_make(nul, 3));
	digest_finish(&maker, &c);
	digest_start(&maker);
	digest_add(&maker, span_make(nul, 2));
	digest_finish(&maker, &d);
	assert_false(digest_equal(&c, &d));
}

static void numbers_are_fields_too(void **state)
{
	struct digest_maker maker;
	struct digest a, b;

	(void)state;
	digest_start(&maker);
	digest_add_number(&maker, 0x0102030405060708);
	digest_finish(&maker, &a);
	digest_start(&maker);
	digest_add(&maker, SPAN_LITERAL("\1\2\3\4\5\6\7\10"));
	digest_finish(&maker, &b);
	assert_true(digest_equal(&a, &b));
	digest_start(&maker);
	digest_add_number(&maker, 0x0102030405060709);
	digest_finish(&maker, &b);
	assert_false(digest_equal(&a, &b));
}

/* Longer than the library's block, and than its buffer. */
static void long_fields_count_to_the_last_byte(void **state)
{
	enum { LONG_BYTES = 1000003 };
	cleanup_free char *bytes = calloc(LONG_BYTES, 1);
	struct digest_maker maker;
	struct digest digests[2];

	(void)state;
	assert_non_null(bytes);
	for (int i = 0; i < 2; i++) {
		bytes[LONG_BYTES - 1] = (char)i;
		digest_start(&maker);
		digest_add(&maker, span_make(bytes, LONG_BYTES));
		digest_finish(&maker, &digests[i]);
	}
	assert_false(digest_equal(&digests[0], &digests[1]));
}

static void it_is_printed_whole_and_short(void **state)
{
	struct digest digest = DIGEST_NONE;
	char whole[DIGEST_TEXT_BYTES], begin[DIGEST_SHORT_TEXT_BYTES];

	(void)state;
	for (unsigned i = 0; i < DIGEST_BYTES; i++)
		digest.bytes[i] = (unsigned char)(0xf0 + i);
	assert_string_equal(digest_print(&digest, whole), "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
							  "000102030405060708090a0b0c0d0e0f");
	assert_string_equal(digest_print_short(&digest, begin), "f0f1f2f3f4f5");
}

static void none_is_no_digest(void **state)
{
	struct digest none = DIGEST_NONE, of_nothing = digest_of(0, NULL);
	char whole[DIGEST_TEXT_BYTES], begin[DIGEST_SHORT_TEXT_BYTES];

	(void)state;
	assert_true(digest_is_none(&none));
	assert_false(digest_is_none(&of_nothing));
	assert_string_equal(digest_print(&none, whole), "none");
	assert_string_equal(digest_print_short(&none, begin), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_sha_256),
		cmocka_unit_test(fields_do_not_run_into_each_other),
		cmocka_unit_test(the_same_fields_make_the_same_digest),
		cmocka_unit_test(numbers_are_fields_too),
		cmocka_unit_test(long_fields_count_to_the_last_byte),
		cmocka_unit_test(it_is_printed_whole_and_short),
		cmocka_unit_test(none_is_no_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
