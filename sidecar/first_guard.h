/* SPDX-License-Identifier: MIT */
/*
 * first_guard - the gate before the servers start.
 *
 * A container that starts again has the files of before, with the twins in them, and a
 * network without a gate: the first look may come after the servers have opened their ports.
 */
#ifndef SIDECAR_FIRST_GUARD_H
#define SIDECAR_FIRST_GUARD_H

/*
 * Guard what asks for a header by the files as they are, in a process of its own, for two
 * seconds at most: then it is ended, a warning says so, and whoever waits goes on.  Nothing
 * is done without CAP_NET_ADMIN.  What is wrong with the configuration is not said: the first
 * look says it.  `globals` is a struct command_globals, for supervisor_job.
 */
void first_guard(void *globals);

#endif
