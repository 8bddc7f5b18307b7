/* SPDX-License-Identifier: MIT */
/* probe_law - every answer to everything that is sent, for everything that is expected. */
#include "tests/unit/unit.h"

#include "sidecar/probe_law.h"

#include <stdio.h>

#define BIT(n) (1u << (n))

/* What is right, as sets of answers; every other is wrong. */
static const struct {
	enum probe_law_expected expected;
	enum proxy_header header;
	unsigned right;
} right[] = {
	{ PROBE_LAW_TWIN, PROXY_HEADER_V1, BIT(PROBE_SERVED) },
	{ PROBE_LAW_TWIN, PROXY_HEADER_V2, BIT(PROBE_SERVED) },
	{ PROBE_LAW_TWIN, PROXY_HEADER_LOCAL, BIT(PROBE_SERVED) },
	{ PROBE_LAW_TWIN, PROXY_HEADER_GARBAGE,
	  BIT(PROBE_REFUSED) | BIT(PROBE_CLOSED) | BIT(PROBE_SILENT) },
	{ PROBE_LAW_TWIN, PROXY_HEADER_NONE,
	  BIT(PROBE_REFUSED) | BIT(PROBE_CLOSED) | BIT(PROBE_SILENT) },
	{ PROBE_LAW_TWIN, PROXY_HEADER_FORGED,
	  BIT(PROBE_SERVED) | BIT(PROBE_REFUSED) | BIT(PROBE_CLOSED) },
	{ PROBE_LAW_STOCK, PROXY_HEADER_V1, 0 },
	{ PROBE_LAW_STOCK, PROXY_HEADER_V2, 0 },
	{ PROBE_LAW_STOCK, PROXY_HEADER_LOCAL, 0 },
	{ PROBE_LAW_STOCK, PROXY_HEADER_GARBAGE, BIT(PROBE_SERVED) }, /* never sent */
	{ PROBE_LAW_STOCK, PROXY_HEADER_NONE, BIT(PROBE_SERVED) },
	{ PROBE_LAW_STOCK, PROXY_HEADER_FORGED, 0 },
	{ PROBE_LAW_SHUT, PROXY_HEADER_V1,
	  BIT(PROBE_CLOSED) | BIT(PROBE_SILENT) | BIT(PROBE_UNREACHED) },
	{ PROBE_LAW_SHUT, PROXY_HEADER_V2,
	  BIT(PROBE_CLOSED) | BIT(PROBE_SILENT) | BIT(PROBE_UNREACHED) },
	{ PROBE_LAW_SHUT, PROXY_HEADER_LOCAL,
	  BIT(PROBE_CLOSED) | BIT(PROBE_SILENT) | BIT(PROBE_UNREACHED) },
	{ PROBE_LAW_SHUT, PROXY_HEADER_GARBAGE,
	  BIT(PROBE_CLOSED) | BIT(PROBE_SILENT) | BIT(PROBE_UNREACHED) },
	{ PROBE_LAW_SHUT, PROXY_HEADER_NONE,
	  BIT(PROBE_CLOSED) | BIT(PROBE_SILENT) | BIT(PROBE_UNREACHED) },
	{ PROBE_LAW_SHUT, PROXY_HEADER_FORGED,
	  BIT(PROBE_CLOSED) | BIT(PROBE_SILENT) | BIT(PROBE_UNREACHED) },
};

/* Calls `visit` for each cell of the table with what it says. */
static size_t walk(void (*visit)(enum probe_law_expected expected, enum proxy_header header,
				 enum probe_answer answer, enum probe_law_meaning meaning))
{
	size_t n = 0;

	for (int e = 0; e < PROBE_LAW_EXPECTED_COUNT; e++)
		for (int h = 0; h < PROXY_HEADER_COUNT; h++)
			for (int a = 0; a < PROBE_ANSWER_COUNT; a++, n++)
				visit((enum probe_law_expected)e, (enum proxy_header)h,
				      (enum probe_answer)a,
				      probe_law_judge((enum probe_law_expected)e,
						      (enum proxy_header)h, (enum probe_answer)a));
	return n;
}

static unsigned right_answers(enum probe_law_expected expected, enum proxy_header header)
{
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		if (right[i].expected == expected && right[i].header == header)
			return right[i].right;
	fail_msg("%s, %s: in no row of this test", probe_law_name(expected),
		 proxy_header_name(header));
	return 0;
}

static void compare(enum probe_law_expected expected, enum proxy_header header,
		    enum probe_answer answer, enum probe_law_meaning meaning)
{
	bool wanted = (right_answers(expected, header) & BIT(answer)) != 0;

	if ((meaning == PROBE_LAW_RIGHT) != wanted)
		fail_msg("%s, %s, %s: means %d", probe_law_name(expected),
			 proxy_header_name(header), probe_law_answer_name(answer), (int)meaning);
}

static void each_answer_to_each_header_is_right_or_wrong(void **state)
{
	(void)state;
	assert_int_equal(ARRAY_SIZE(right), PROBE_LAW_EXPECTED_COUNT * PROXY_HEADER_COUNT);
	assert_int_equal(walk(compare), ARRAY_SIZE(right) * PROBE_ANSWER_COUNT);
}

static void find_sentence(enum probe_law_expected expected, enum proxy_header header,
			  enum probe_answer answer, enum probe_law_meaning meaning)
{
	cleanup_buf struct buf out = BUF_INIT;

	(void)expected;
	(void)header;
	(void)answer;
	probe_law_explain(meaning, "192.0.2.7", &out);
	assert_int_equal(buf_check(&out, NULL), 0);
	assert_int_equal(out.len == 0, meaning == PROBE_LAW_RIGHT);
	assert_false(span_contains(buf_span(&out), "ADDRESS"));
}

static void every_wrong_answer_is_explained_and_no_right_one(void **state)
{
	(void)state;
	walk(find_sentence);
}

static unsigned meanings_seen;

static void note_meaning(enum probe_law_expected expected, enum proxy_header header,
			 enum probe_answer answer, enum probe_law_meaning meaning)
{
	(void)expected;
	(void)header;
	(void)answer;
	meanings_seen |= BIT(meaning);
}

static void every_meaning_is_of_use(void **state)
{
	(void)state;
	walk(note_meaning);
	assert_int_equal(meanings_seen, BIT(PROBE_LAW_MEANING_COUNT) - 1);
}

static void what_could_not_be_tried_is_never_right(void **state)
{
	(void)state;
	for (int e = 0; e < PROBE_LAW_EXPECTED_COUNT; e++)
		for (int h = 0; h < PROXY_HEADER_COUNT; h++)
			assert_int_equal(probe_law_judge((enum probe_law_expected)e,
							 (enum proxy_header)h, PROBE_IMPOSSIBLE),
					 PROBE_LAW_NOT_JUDGED);
}

static void an_explanation_names_the_own_address_or_this_host(void **state)
{
	cleanup_buf struct buf with = BUF_INIT, without = BUF_INIT;

	(void)state;
	probe_law_explain(PROBE_LAW_NOT_SHUT, "2001:db8::7", &with);
	unit_assert_contains(buf_span(&with), "answers 2001:db8::7, which is not trusted");
	probe_law_explain(PROBE_LAW_NOT_SHUT, "", &without);
	unit_assert_contains(buf_span(&without), "answers this host, which");
}

static void a_stock_port_gets_nothing_and_only_open_smtp_a_forged_header(void **state)
{
	(void)state;
	for (int h = 0; h < PROXY_HEADER_COUNT; h++) {
		enum proxy_header header = (enum proxy_header)h;
		bool is_forged = header == PROXY_HEADER_FORGED;

		assert_int_equal(probe_law_sends(PROBE_LAW_STOCK, header, PROBE_SMTP, false),
				 header == PROXY_HEADER_NONE);
		for (int e = 0; e < PROBE_LAW_EXPECTED_COUNT; e++) {
			if (e == PROBE_LAW_STOCK)
				continue;
			assert_true(probe_law_sends((enum probe_law_expected)e, header, PROBE_SMTP,
						    false));
			assert_int_equal(probe_law_sends((enum probe_law_expected)e, header,
							 PROBE_SMTP, true),
					 !is_forged);
			assert_int_equal(probe_law_sends((enum probe_law_expected)e, header,
							 PROBE_IMAP, false),
					 !is_forged);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_answer_to_each_header_is_right_or_wrong),
		cmocka_unit_test(every_wrong_answer_is_explained_and_no_right_one),
		cmocka_unit_test(every_meaning_is_of_use),
		cmocka_unit_test(what_could_not_be_tried_is_never_right),
		cmocka_unit_test(an_explanation_names_the_own_address_or_this_host),
		cmocka_unit_test(a_stock_port_gets_nothing_and_only_open_smtp_a_forged_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
