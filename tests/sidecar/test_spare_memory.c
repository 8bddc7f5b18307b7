/* SPDX-License-Identifier: MIT */
/* spare_memory - libevent has memory when nobody has, and gives it back. */
#include "tests/unit/unit.h"

#include "event_memory.h"
#include "patchers/base/cleanup.h"
#include "sidecar/spare_memory.h"

#include <event2/buffer.h>
#include <event2/event.h>

/* There are so many pieces while all of malloc(3)'s fail, and no more. */
static void assert_all_are_there(void)
{
	struct evbuffer *made[SPARE_MEMORY_PIECES];

	event_memory_fail(1, true);
	for (size_t n = 0; n < SPARE_MEMORY_PIECES; n++) {
		assert_int_equal(spare_memory_is_short(), n > SPARE_MEMORY_PIECES / 2);
		made[n] = evbuffer_new();
		assert_non_null(made[n]);
	}
	assert_null(evbuffer_new());
	assert_true(event_memory_end());
	for (size_t n = 0; n < SPARE_MEMORY_PIECES; n++)
		evbuffer_free(made[n]);
	assert_false(spare_memory_is_short());
}

static void it_is_so_much_and_comes_back(void **state)
{
	(void)state;
	for (int again = 0; again < 3; again++)
		assert_all_are_there();
}

/* A line belongs to whoever has read it, and is no memory of malloc(3)'s. */
static void a_line_comes_back(void **state)
{
	struct evbuffer *text = evbuffer_new();

	(void)state;
	assert_non_null(text);
	for (int i = 0; i <= SPARE_MEMORY_PIECES; i++) {
		CLEANUP(spare_memory_release_p) char *line = NULL;

		assert_int_equal(evbuffer_add(text, "220 ready\r\n", 11), 0);
		event_memory_fail(1, true);
		line = evbuffer_readln(text, NULL, EVBUFFER_EOL_CRLF);
		assert_true(event_memory_end());
		assert_string_equal(line, "220 ready");
	}
	evbuffer_free(text);
	assert_all_are_there();
}

static void on_ring(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	++*(int *)arg;
}

/* libevent's heap of timers: into a piece, within it, no farther, and out of it. */
static void what_grows_keeps_what_it_holds(void **state)
{
	enum { TIMERS = 1000, BEFORE = 20, PIECE = SPARE_MEMORY_PIECE_BYTES / sizeof(void *) };
	const struct timeval now = { 0 };
	struct event_base *base = event_base_new();
	struct event *timers[TIMERS];
	int rung = 0, n = 0;

	(void)state;
	assert_non_null(base);
	for (int i = 0; i < TIMERS; i++)
		timers[i] = evtimer_new(base, on_ring, &rung);
	while (n < BEFORE)
		assert_int_equal(evtimer_add(timers[n++], &now), 0);
	event_memory_fail(1, true);
	while (n < TIMERS && evtimer_add(timers[n], &now) == 0)
		n++;
	assert_true(event_memory_end());
	assert_int_equal(n, PIECE);
	while (n < TIMERS)
		assert_int_equal(evtimer_add(timers[n++], &now), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(rung, TIMERS);
	for (int i = 0; i < TIMERS; i++)
		event_free(timers[i]);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_so_much_and_comes_back),
		cmocka_unit_test(a_line_comes_back),
		cmocka_unit_test(what_grows_keeps_what_it_holds),
	};

	spare_memory_for_libevent(event_memory_allocate, event_memory_reallocate);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
