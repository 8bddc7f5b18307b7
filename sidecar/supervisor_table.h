/* SPDX-License-Identifier: MIT */
/*
 * supervisor_table - what the supervisor does at which event: states, events,
 * and a table with a cell for each pair.
 *
 * Pure: it knows no process and no clock.  The supervisor turns what the
 * kernel tells into events, enters the next state, and carries the actions out
 * in the order in which they are declared here.
 */
#ifndef SIDECAR_SUPERVISOR_TABLE_H
#define SIDECAR_SUPERVISOR_TABLE_H

enum supervisor_state {
	SUPERVISOR_RUNNING, /* CMD runs */
	SUPERVISOR_STOPPED, /* CMD is stopped, by a terminal or SIGSTOP */
	SUPERVISOR_ENDING,  /* CMD has ended, what is left was told to end */
	SUPERVISOR_KILLING, /* what is left was killed */
	SUPERVISOR_DONE,    /* exit with CMD's status */
	SUPERVISOR_STATE_COUNT
};

enum supervisor_event {
	SUPERVISOR_CHILD_ENDED, /* CMD */
	SUPERVISOR_CHILD_STOPPED,
	SUPERVISOR_CHILD_CONTINUED,
	SUPERVISOR_ORPHAN_ENDED,
	SUPERVISOR_COMPANION_ENDED,
	SUPERVISOR_NOTHING_LEFT,   /* all that had ended are reaped: no child is left */
	SUPERVISOR_SOMETHING_LEFT, /* the same, and there are children */
	SUPERVISOR_SIGNAL,         /* any signal but those that follow */
	SUPERVISOR_SIGNAL_END,     /* SIGTERM, SIGINT, SIGQUIT */
	SUPERVISOR_SIGNAL_HUP,
	SUPERVISOR_SIGNAL_STOP, /* SIGTSTP, SIGTTIN, SIGTTOU */
	SUPERVISOR_SIGNAL_CONT,
	SUPERVISOR_COMPANION_DUE, /* its back-off is over */
	SUPERVISOR_TIME_OVER,     /* the grace period, or the wait for the killed */
	SUPERVISOR_EVENT_COUNT
};

/* Bits; carried out from the lowest to the highest. */
enum supervisor_action {
	SUPERVISOR_GIVE_TERMINAL = 1 << 0, /* to CMD, if it was given to us */
	SUPERVISOR_FORWARD = 1 << 1,
	SUPERVISOR_TELL_COMPANION = 1 << 2, /* to look again */
	SUPERVISOR_STOP_SELF = 1 << 3,
	SUPERVISOR_NOTE_CHILD = 1 << 4,  /* its new state, for others to see */
	SUPERVISOR_KEEP_STATUS = 1 << 5, /* what we shall exit with */
	SUPERVISOR_COUNT_REAPED = 1 << 6,
	SUPERVISOR_TAKE_TERMINAL = 1 << 7,  /* back from CMD */
	SUPERVISOR_FOLLOW_STOP = 1 << 8,    /* stop with CMD when a shell may look on */
	SUPERVISOR_PLAN_COMPANION = 1 << 9, /* start the back-off */
	SUPERVISOR_START_COMPANION = 1 << 10,
	SUPERVISOR_TERM_OTHERS = 1 << 11, /* and start the grace period */
	SUPERVISOR_KILL_OTHERS = 1 << 12,
	SUPERVISOR_LIMIT_KILLING = 1 << 13,  /* start the wait for the killed */
	SUPERVISOR_GIVE_UP = 1 << 14,        /* say that some would not die */
	SUPERVISOR_SAY_LOST = 1 << 15,       /* CMD is gone and its status unknown */
	SUPERVISOR_SAY_IMPOSSIBLE = 1 << 16, /* this cannot happen; ignore it */
	SUPERVISOR_ACTION_COUNT = 17
};

struct supervisor_cell {
	unsigned actions; /* of enum supervisor_action */
	enum supervisor_state next;
};

/* What to do; defined for every state and event. */
struct supervisor_cell supervisor_table_cell(enum supervisor_state state,
					     enum supervisor_event event);

/* The event that a signal is; it is not SIGCHLD. */
enum supervisor_event supervisor_table_event(int sig);

/* For messages: "running", "child ended". */
const char *supervisor_state_name(enum supervisor_state state);
const char *supervisor_event_name(enum supervisor_event event);

#endif
