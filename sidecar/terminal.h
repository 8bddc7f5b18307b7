/* SPDX-License-Identifier: MIT */
/*
 * terminal - which process group has the terminal on standard input.
 *
 * Signals of the keyboard go to the foreground group, and a process of another
 * one is stopped when it reads (termios(3), credentials(7)).  SIGTTOU has to be
 * blocked while it is given away.
 */
#ifndef SIDECAR_TERMINAL_H
#define SIDECAR_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether standard input is the terminal of our session. */
bool terminal_is_there(void);

/* Whether our own group, or the given one, is in the foreground. */
bool terminal_is_ours(void);
bool terminal_is_of(pid_t group);

/* Put a group of our session in the foreground.  Changes no memory: for vfork(2) children, too. */
void terminal_give(pid_t group);

#endif
