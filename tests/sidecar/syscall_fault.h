/* SPDX-License-Identifier: MIT */
/*
 * syscall_fault - let the n-th system call of the code under test fail, or be
 * the last thing that the process does.
 *
 * The linker sends the calls listed in CMakeLists.txt through here (--wrap).
 */
#ifndef TESTS_SIDECAR_SYSCALL_FAULT_H
#define TESTS_SIDECAR_SYSCALL_FAULT_H

#include <stdbool.h>

enum syscall_fault_kind {
	SYSCALL_FAULT_ERROR,		/* it does nothing and fails with `code` */
	SYSCALL_FAULT_END_BEFORE,	/* the process ends before it */
	SYSCALL_FAULT_END_AMID,		/* a write gets half of its bytes out, then the end */
	SYSCALL_FAULT_END_AFTER,	/* the process ends when it is done */
};

/* What a process ends with by a fault. */
enum { SYSCALL_FAULT_STATUS = 99 };

/* Count calls from now on; the n-th (from 1) has the fault. */
void syscall_fault_arm(unsigned n, enum syscall_fault_kind kind, int code);

/* Let all succeed again; the name of the call that had the fault, or NULL. */
const char *syscall_fault_disarm(void);

#endif
