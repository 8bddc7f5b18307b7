/* SPDX-License-Identifier: MIT */
/*
 * signal_state - the signal mask and the dispositions: as they came in, as the
 * supervisor keeps them, as they are handed on.
 *
 * A program inherits its mask and which signals are ignored (execve(2)), and
 * CMD shall find exactly what postern found.  The C library hides two signals,
 * 32 and 33, from its mask functions; the kernel's own call is used here, so
 * that they are blocked, forwarded and handed on like the others.
 */
#ifndef SIDECAR_SIGNAL_STATE_H
#define SIDECAR_SIGNAL_STATE_H

/* Remember what came in.  The first call of main(), before it changes anything. */
void signal_state_capture(void);

/* Block every signal: they wait for sigtimedwait(2).  A fault of our own still kills. */
void signal_state_block_all(void);

/*
 * Mask and dispositions as captured.  For a child before its exec: it makes
 * async-signal-safe calls only and changes no memory, so it may run in a
 * vfork(2) child.
 */
void signal_state_give_back(void);

/* Nothing blocked, everything at its default but SIGPIPE, which is ignored. */
void signal_state_fresh(void);

#endif
