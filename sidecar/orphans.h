/* SPDX-License-Identifier: MIT */
/*
 * orphans - the processes that descend from us, found in /proc (proc(5)).
 *
 * The kernel makes us the parent of what CMD leaves behind, when we are PID 1
 * or a sub-reaper (prctl(2), PR_SET_CHILD_SUBREAPER), so all of it hangs below
 * us.  Nothing is allocated.  Where /proc cannot be read, or is that of another
 * PID namespace, whose numbers mean other processes here, PID 1 signals all
 * processes and anyone else CMD's process group.
 */
#ifndef SIDECAR_ORPHANS_H
#define SIDECAR_ORPHANS_H

#include <stdbool.h>
#include <sys/types.h>

/* Processes that one look at /proc takes in.  What is beyond is seen by the next look. */
enum { ORPHANS_PROCESSES_MAX = 16384 };

/* Whether we have a child besides `except`; true when that cannot be told. */
bool orphans_exist(pid_t except);

/*
 * Send a signal to all our descendants but `except` and those below it (0:
 * leave out none).  `group` is CMD's process group, see above.  How many there
 * were, zombies aside, or -1 when that cannot be told.
 */
int orphans_signal(int sig, pid_t except, pid_t group);

/*
 * SIGKILL for all our descendants.  To be called again whenever one has ended,
 * until there are none: some may have been made meanwhile.
 */
void orphans_kill(pid_t group);

#endif
