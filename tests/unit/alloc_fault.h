/* SPDX-License-Identifier: MIT */
/*
 * alloc_fault - let the n-th allocation of the code under test fail.
 *
 * The linker sends every call of malloc(3) and its kin in our own objects
 * through here (--wrap); libraries keep theirs.
 */
#ifndef TESTS_UNIT_ALLOC_FAULT_H
#define TESTS_UNIT_ALLOC_FAULT_H

#include <stdbool.h>

enum alloc_fault_kind {
	ALLOC_FAULT_ONE,  /* the n-th alone fails */
	ALLOC_FAULT_FROM, /* the n-th fails and all after it */
};

/* Count allocations from now on, and let the n-th (from 1) fail. */
void alloc_fault_arm(unsigned long n, enum alloc_fault_kind kind);

/* Let all succeed again; whether one was made to fail. */
bool alloc_fault_disarm(void);

#endif
