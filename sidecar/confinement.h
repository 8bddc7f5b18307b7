/* SPDX-License-Identifier: MIT */
/*
 * confinement - which system calls a process and all that it starts may make
 * (seccomp(2), by libseccomp).
 *
 * What postern and the servers' own tools need is allowed, for any C library.
 * What only breaks out, looks into others or changes the machine gets EPERM,
 * and what is not in either list ENOSYS, so that a C library takes an older way.
 * A call by the numbers of another architecture ends the process.
 */
#ifndef SIDECAR_CONFINEMENT_H
#define SIDECAR_CONFINEMENT_H

struct error;

/*
 * From now on and for ever, for this thread and what it starts.  It must have
 * forgone new privileges, or have CAP_SYS_ADMIN.  0, or a negative errno when the kernel,
 * or who runs us, does not offer it: then nothing has changed.
 */
int confinement_enter(struct error *err);

/*
 * For a process that is about to execute a program which has our user and is not ours: all
 * is allowed, but to start a process, to signal, trace, read or limit another one, to type
 * into a terminal, and to outlive its parent where it was not to (PR_SET_PDEATHSIG).  New
 * privileges are forgone.  0; -ENOSYS when the kernel has no such filters, or another
 * negative errno: then nothing is refused.
 */
int confinement_enter_alone(struct error *err);

#endif
