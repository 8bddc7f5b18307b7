/* SPDX-License-Identifier: MIT */
/* settle - a burst is one, and is not waited for for ever. */
#include "tests/unit/unit.h"

#include "sidecar/settle.h"

enum { START = 1000000 };

/* One event every so often, until it is acted on; after how long that is. */
static unsigned long acted_after_ms(unsigned every_ms)
{
	struct settle settle = { 0 };
	uint64_t now = START;

	for (unsigned i = 0; i < 10 * SETTLE_MAX_MS; i++) {
		unsigned long wait;

		settle_note(&settle, now);
		wait = settle_wait_ms(&settle, now);
		if (wait <= every_ms) {
			now += wait * 1000;
			break;
		}
		now += every_ms * 1000UL;
	}
	assert_true(settle_is_pending(&settle));
	assert_int_equal(settle_take(&settle), START);
	assert_false(settle_is_pending(&settle));
	return (unsigned long)(now - START) / 1000;
}

static void it_waits_for_quiet_but_not_for_ever(void **state)
{
	(void)state;
	assert_int_equal(acted_after_ms(SETTLE_QUIET_MS), SETTLE_QUIET_MS);
	assert_int_equal(acted_after_ms(3 * SETTLE_QUIET_MS), SETTLE_QUIET_MS);
	for (unsigned every = 1; every < SETTLE_QUIET_MS; every++)
		assert_in_range(acted_after_ms(every), SETTLE_MAX_MS - SETTLE_QUIET_MS,
				SETTLE_MAX_MS);
}

static void what_could_not_be_acted_on_is_due_at_once(void **state)
{
	struct settle settle = { 0 };

	(void)state;
	settle_note(&settle, START);
	settle_note(&settle, START + 60000000);
	assert_int_equal(settle_wait_ms(&settle, START + 60000000), 0);
}

static void tries_are_further_and_further_apart(void **state)
{
	unsigned long before = 0;

	(void)state;
	assert_int_equal(settle_retry_ms(5000, 300000, 0), 5000);
	assert_int_equal(settle_retry_ms(5000, 300000, 1), 10000);
	assert_int_equal(settle_retry_ms(5000, 300000, 6), 300000);
	assert_int_equal(settle_retry_ms(5000, 300000, 4000000000U), 300000);
	for (unsigned tries = 0; tries < 20; tries++) {
		assert_true(settle_retry_ms(50, 2000, tries) >= before);
		before = settle_retry_ms(50, 2000, tries);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_waits_for_quiet_but_not_for_ever),
		cmocka_unit_test(what_could_not_be_acted_on_is_due_at_once),
		cmocka_unit_test(tries_are_further_and_further_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
