/* SPDX-License-Identifier: MIT */
/* supervisor_table - every cell, written down a second time, and laws over all of them. */
#include "tests/unit/unit.h"

#include "sidecar/supervisor_table.h"

#include <signal.h>
#include <stdio.h>

static const char *const action_names[] = {
	"give-terminal", "forward",        "tell-companion", "stop-self",   "note-child",
	"keep-status",   "count",          "take-terminal",  "follow-stop", "plan-companion",
	"start",         "term-others",    "kill-others",    "limit",       "give-up",
	"say-lost",      "say-impossible",
};

_Static_assert(ARRAY_SIZE(action_names) == SUPERVISOR_ACTION_COUNT, "a name for each action");

/* By state, by event, in the order of the enums. */
static const char *const cells[SUPERVISOR_STATE_COUNT][SUPERVISOR_EVENT_COUNT] = {
	{
		"running, child ended: note-child keep-status count take-terminal term-others -> "
		"ending",
		"running, child stopped: note-child follow-stop -> stopped",
		"running, child continued: note-child -> running",
		"running, orphan ended: count -> running",
		"running, companion ended: count plan-companion -> running",
		"running, nothing left: take-terminal say-lost -> done",
		"running, something left: -> running",
		"running, signal: forward -> running",
		"running, signal to end: forward -> running",
		"running, hangup: forward tell-companion -> running",
		"running, signal to stop: forward stop-self -> running",
		"running, signal to continue: give-terminal forward -> running",
		"running, companion due: start -> running",
		"running, time over: say-impossible -> running",
	},
	{
		"stopped, child ended: note-child keep-status count take-terminal term-others -> "
		"ending",
		"stopped, child stopped: note-child follow-stop -> stopped",
		"stopped, child continued: note-child -> running",
		"stopped, orphan ended: count -> stopped",
		"stopped, companion ended: count plan-companion -> stopped",
		"stopped, nothing left: take-terminal say-lost -> done",
		"stopped, something left: -> stopped",
		"stopped, signal: forward -> stopped",
		"stopped, signal to end: forward -> stopped",
		"stopped, hangup: forward tell-companion -> stopped",
		"stopped, signal to stop: forward stop-self -> stopped",
		"stopped, signal to continue: give-terminal forward -> stopped",
		"stopped, companion due: start -> stopped",
		"stopped, time over: say-impossible -> stopped",
	},
	{
		"ending, child ended: say-impossible -> ending",
		"ending, child stopped: say-impossible -> ending",
		"ending, child continued: say-impossible -> ending",
		"ending, orphan ended: count -> ending",
		"ending, companion ended: count -> ending",
		"ending, nothing left: -> done",
		"ending, something left: -> ending",
		"ending, signal: -> ending",
		"ending, signal to end: kill-others limit -> killing",
		"ending, hangup: -> ending",
		"ending, signal to stop: stop-self -> ending",
		"ending, signal to continue: -> ending",
		"ending, companion due: say-impossible -> ending",
		"ending, time over: kill-others limit -> killing",
	},
	{
		"killing, child ended: say-impossible -> killing",
		"killing, child stopped: say-impossible -> killing",
		"killing, child continued: say-impossible -> killing",
		"killing, orphan ended: count -> killing",
		"killing, companion ended: count -> killing",
		"killing, nothing left: -> done",
		"killing, something left: kill-others -> killing",
		"killing, signal: -> killing",
		"killing, signal to end: -> killing",
		"killing, hangup: -> killing",
		"killing, signal to stop: stop-self -> killing",
		"killing, signal to continue: -> killing",
		"killing, companion due: say-impossible -> killing",
		"killing, time over: give-up -> done",
	},
	{
		"done, child ended: say-impossible -> done",
		"done, child stopped: say-impossible -> done",
		"done, child continued: say-impossible -> done",
		"done, orphan ended: count -> done",
		"done, companion ended: count -> done",
		"done, nothing left: -> done",
		"done, something left: -> done",
		"done, signal: -> done",
		"done, signal to end: -> done",
		"done, hangup: -> done",
		"done, signal to stop: -> done",
		"done, signal to continue: -> done",
		"done, companion due: -> done",
		"done, time over: -> done",
	},
};

static void describe(enum supervisor_state state, enum supervisor_event event, char *out,
		     size_t size)
{
	struct supervisor_cell cell = supervisor_table_cell(state, event);
	int at = snprintf(out, size, "%s, %s:", supervisor_state_name(state),
			  supervisor_event_name(event));

	for (int i = 0; i < SUPERVISOR_ACTION_COUNT; i++)
		if (cell.actions & (1U << i))
			at += snprintf(out + at, size - (size_t)at, " %s", action_names[i]);
	snprintf(out + at, size - (size_t)at, " -> %s", supervisor_state_name(cell.next));
}

static void every_cell_says_what_is_written_here(void **unused)
{
	char text[256];

	(void)unused;
	for (int state = 0; state < SUPERVISOR_STATE_COUNT; state++)
		for (int event = 0; event < SUPERVISOR_EVENT_COUNT; event++) {
			describe((enum supervisor_state)state, (enum supervisor_event)event, text,
				 sizeof(text));
			assert_string_equal(text, cells[state][event]);
		}
}

typedef void law(enum supervisor_state state, enum supervisor_event event,
		 struct supervisor_cell cell);

static void for_every_cell(law *check)
{
	for (int state = 0; state < SUPERVISOR_STATE_COUNT; state++)
		for (int event = 0; event < SUPERVISOR_EVENT_COUNT; event++)
			check((enum supervisor_state)state, (enum supervisor_event)event,
			      supervisor_table_cell((enum supervisor_state)state,
						    (enum supervisor_event)event));
}

static bool has_child(enum supervisor_state state)
{
	return state == SUPERVISOR_RUNNING || state == SUPERVISOR_STOPPED;
}

static void check_way(enum supervisor_state state, enum supervisor_event event,
		      struct supervisor_cell cell)
{
	(void)event;
	assert_true(cell.next < SUPERVISOR_STATE_COUNT);
	assert_int_equal(cell.actions >> SUPERVISOR_ACTION_COUNT, 0);
	/* Once CMD has ended there is only one direction. */
	if (!has_child(state))
		assert_true(cell.next >= state);
}

static void there_is_no_way_back_from_the_end(void **unused)
{
	(void)unused;
	for_every_cell(check_way);
}

static void check_forward(enum supervisor_state state, enum supervisor_event event,
			  struct supervisor_cell cell)
{
	bool is_signal = event >= SUPERVISOR_SIGNAL && event <= SUPERVISOR_SIGNAL_CONT;

	assert_int_equal((cell.actions & SUPERVISOR_FORWARD) != 0, is_signal && has_child(state));
	if (cell.actions & (SUPERVISOR_START_COMPANION | SUPERVISOR_PLAN_COMPANION))
		assert_true(has_child(state));
}

static void signals_are_forwarded_exactly_while_there_is_a_child(void **unused)
{
	(void)unused;
	for_every_cell(check_forward);
}

static void check_entry(enum supervisor_state state, enum supervisor_event event,
			struct supervisor_cell cell)
{
	(void)event;
	assert_int_equal((cell.actions & SUPERVISOR_TERM_OTHERS) != 0,
			 cell.next == SUPERVISOR_ENDING && state != SUPERVISOR_ENDING);
	assert_int_equal((cell.actions & SUPERVISOR_LIMIT_KILLING) != 0,
			 cell.next == SUPERVISOR_KILLING && state != SUPERVISOR_KILLING);
	/* What cannot be changes nothing. */
	if (cell.actions & SUPERVISOR_SAY_IMPOSSIBLE) {
		assert_int_equal(cell.actions, SUPERVISOR_SAY_IMPOSSIBLE);
		assert_int_equal(cell.next, state);
	}
}

static void each_deadline_is_set_once(void **unused)
{
	(void)unused;
	for_every_cell(check_entry);
}

static void nothing_left_ends_in_every_state(void **unused)
{
	(void)unused;
	for (int state = 0; state < SUPERVISOR_STATE_COUNT; state++)
		assert_int_equal(
			supervisor_table_cell((enum supervisor_state)state, SUPERVISOR_NOTHING_LEFT)
				.next,
			SUPERVISOR_DONE);
}

static void signals_are_told_apart(void **unused)
{
	static const int end[] = { SIGTERM, SIGINT, SIGQUIT },
			 stop[] = { SIGTSTP, SIGTTIN, SIGTTOU };
	int others = 0;

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(end); i++)
		assert_int_equal(supervisor_table_event(end[i]), SUPERVISOR_SIGNAL_END);
	for (size_t i = 0; i < ARRAY_SIZE(stop); i++)
		assert_int_equal(supervisor_table_event(stop[i]), SUPERVISOR_SIGNAL_STOP);
	assert_int_equal(supervisor_table_event(SIGHUP), SUPERVISOR_SIGNAL_HUP);
	assert_int_equal(supervisor_table_event(SIGCONT), SUPERVISOR_SIGNAL_CONT);
	for (int sig = 1; sig <= 64; sig++)
		others += supervisor_table_event(sig) == SUPERVISOR_SIGNAL;
	assert_int_equal(others, 64 - 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_says_what_is_written_here),
		cmocka_unit_test(there_is_no_way_back_from_the_end),
		cmocka_unit_test(signals_are_forwarded_exactly_while_there_is_a_child),
		cmocka_unit_test(each_deadline_is_set_once),
		cmocka_unit_test(nothing_left_ends_in_every_state),
		cmocka_unit_test(signals_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
