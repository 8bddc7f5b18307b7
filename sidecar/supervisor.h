/* SPDX-License-Identifier: MIT */
/*
 * supervisor - a small PID 1: starts CMD, forwards signals, reaps, ends as CMD did.
 *
 * Every signal is blocked and taken with sigtimedwait(2), so nothing wakes it
 * while nothing happens, and once CMD runs it needs no memory, no descriptor
 * and no pipe.  The watching is done in a companion process, which is started
 * again when it dies.  What happens when is in supervisor_table.
 */
#ifndef SIDECAR_SUPERVISOR_H
#define SIDECAR_SUPERVISOR_H

#include "companion.h"
#include "signal_names.h"

#include <stdatomic.h>
#include <stdbool.h>

enum supervisor_child_state {
	SUPERVISOR_CHILD_RUNS,
	SUPERVISOR_CHILD_IS_STOPPED,
	SUPERVISOR_CHILD_HAS_ENDED,
	SUPERVISOR_CHILD_STATES
};

/* A word for each. */
extern const char *const supervisor_child_states[SUPERVISOR_CHILD_STATES];

/* What the companion may read at any time; written by the supervisor only. */
struct supervisor_shared {
	_Atomic int child_pid;
	_Atomic int child_state;                /* enum supervisor_child_state */
	_Atomic unsigned long reaped;           /* children whose end was taken note of */
	_Atomic unsigned long companion_starts; /* one more than its restarts */
};

/* Exit statuses are 0 to 255. */
enum { SUPERVISOR_STATUSES = 256 };

struct supervisor_job {
	char *const *argv; /* CMD; ended by NULL */

	struct signal_rewrites rewrites;          /* of what is forwarded */
	unsigned char exits[SUPERVISOR_STATUSES]; /* what we exit with, by CMD's status */
	int grace_ms;            /* between SIGTERM and SIGKILL for what CMD leaves behind */
	int parent_death_signal; /* we get it when our parent dies; 0: none */
	bool process_group;      /* forward to CMD's process group */

	/* Before CMD starts, with every signal blocked; given companion_arg.  NULL: nothing. */
	void (*before_start)(void *arg);

	/* Once CMD runs, before anything else: give up what only CMD needed.  NULL: nothing. */
	void (*once_running)(void);
	companion_main *companion; /* NULL: none */
	void *companion_arg;
};

/*
 * Do the job; logs.  After signal_state_capture(); SIGCHLD must be at its
 * default.  The exit status: job->exits of CMD's code or 128 + signal, or one
 * of spawn.h.  Leaves all signals blocked.
 */
int supervisor_run(const struct supervisor_job *job);

#endif
