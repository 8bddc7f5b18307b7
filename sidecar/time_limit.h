/* SPDX-License-Identifier: MIT */
/*
 * time_limit - an end for what may hang in the kernel.
 *
 * A process that waits for a file system which does not answer runs no handler, and
 * cannot even be killed when the question has been taken.  So it is another one that
 * waits for it, and does nothing else.
 */
#ifndef SIDECAR_TIME_LIMIT_H
#define SIDECAR_TIME_LIMIT_H

struct error;

/*
 * Returns 0 in a new process, which is to do the work; the one that called waits for it,
 * never returns, and ends as the work does, by the same signal if by one.  When
 * `seconds` have passed, or a SIGALRM has come, the work is killed and not waited for,
 * and it says so and ends with EXIT_FAILED.  When the waiting one is killed, so is the
 * work.  -EAGAIN or -ENOMEM: there is no such process.
 */
int time_limit_begin(unsigned seconds, struct error *err);

#endif
