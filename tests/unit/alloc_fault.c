/* SPDX-License-Identifier: MIT */
/* alloc_fault - let the n-th allocation of the code under test fail. */
#include "alloc_fault.h"

#include <errno.h>

static struct {
	bool armed;
	bool fired;
	enum alloc_fault_kind kind;
	unsigned long countdown;
} fault;

void alloc_fault_arm(unsigned long n, enum alloc_fault_kind kind)
{
	fault.armed = true;
	fault.fired = false;
	fault.kind = kind;
	fault.countdown = n;
}

bool alloc_fault_disarm(void)
{
	fault.armed = false;
	return fault.fired;
}

static bool must_fail(void)
{
	if (!fault.armed)
		return false;
	if (fault.countdown > 0)
		fault.countdown--;
	if (fault.countdown > 0 || (fault.fired && fault.kind == ALLOC_FAULT_ONE))
		return false;
	fault.fired = true;
	errno = ENOMEM;
	return true;
}

#include "tests/support/alloc_wraps.h"
