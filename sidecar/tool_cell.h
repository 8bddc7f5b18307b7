/* SPDX-License-Identifier: MIT */
/*
 * tool_cell - a program of another root's, alone and out of reach of us.
 *
 * It is that root's owner's program, and has our user.  The kernel lets such a
 * one signal our processes, type into our terminal, and leave children behind.
 */
#ifndef SIDECAR_TOOL_CELL_H
#define SIDECAR_TOOL_CELL_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * For a new process, which has given up its privileges for good, before it
 * executes the program: a session without a terminal; no process but this one,
 * no signal to another; it ends when `parent` does, and takes no more than
 * TOOL_CELL_MEMORY bytes.  False when that is not to be had, but for a kernel
 * without seccomp(2), where it goes without.
 */
bool tool_cell_enter(pid_t parent);

#define TOOL_CELL_MEMORY (1UL << 30)

#endif
