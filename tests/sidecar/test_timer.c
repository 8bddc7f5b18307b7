/* SPDX-License-Identifier: MIT */
/* timer - it rings when it is time, and rather too early than never. */
#include "tests/unit/unit.h"

#include "event_memory.h"
#include "sidecar/spare_memory.h"
#include "sidecar/timer.h"

/* Two of each of the endpoint's connections, and the loop's own: far more than there are. */
enum { AN_HOUR_MS = 3600 * 1000, TIMERS = 512 };

static void on_ring(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	++*(int *)arg;
}

/* How often a timer rings until nothing is left to do at once. */
static int rings(unsigned long ms, bool is_short)
{
	struct event_base *base = event_base_new();
	int count = 0;
	struct event *timer = evtimer_new(base, on_ring, &count);

	assert_non_null(timer);
	event_memory_fail(is_short, false);
	timer_set(timer, ms);
	assert_int_equal(event_memory_end(), is_short);
	event_base_loop(base, ms == 0 ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
	event_free(timer);
	event_base_free(base);
	return count;
}

static void it_rings_when_it_is_time(void **state)
{
	(void)state;
	assert_int_equal(rings(0, false), 1);
	assert_int_equal(rings(AN_HOUR_MS, false), 0);
}

static void without_memory_it_rings_at_once(void **state)
{
	(void)state;
	assert_int_equal(rings(0, true), 1);
	assert_int_equal(rings(AN_HOUR_MS, true), 1);
}

static void with_spare_memory_it_rings_when_it_is_time(void **state)
{
	struct event *timers[TIMERS];
	struct event_base *base;
	int count = 0;

	(void)state;
	spare_memory_for_libevent(event_memory_allocate, event_memory_reallocate);
	base = event_base_new();
	for (size_t i = 0; i < TIMERS; i++)
		timers[i] = evtimer_new(base, on_ring, &count);
	event_memory_fail(1, true);
	for (size_t i = 0; i < TIMERS; i++)
		timer_set(timers[i], AN_HOUR_MS);
	assert_true(event_memory_end());
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(count, 0);
	for (size_t i = 0; i < TIMERS; i++)
		event_free(timers[i]);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_rings_when_it_is_time),
		cmocka_unit_test(without_memory_it_rings_at_once),
		cmocka_unit_test(with_spare_memory_it_rings_when_it_is_time),
	};

	event_memory_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
