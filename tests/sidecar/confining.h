/* SPDX-License-Identifier: MIT */
/*
 * confining - what becomes of system calls in processes that are confined.
 *
 * Who is confined stays so: each trial is a child's, which tells by its exit status.
 */
#ifndef TESTS_SIDECAR_CONFINING_H
#define TESTS_SIDECAR_CONFINING_H

#include "sandbox.h"

/* What the children tell. */
enum { FINE, NOT_CONFINED, WRONG_STATE, WRONG_PROGRAM, CASE = 32 };

/* For a child: in force from now on. */
void confining_enter(void);
void confining_enter_alone(void);

/* The exit status of a child that runs `run`, or 128 and the signal that ended it. */
int confining_status(void (*run)(void *), void *arg);

#define HIGH_BITS (1UL << 32)
#define AT_NO_ADDRESS 1
/* In the place of a process's number. */
#define SELF (~0UL - 1)
#define PARENT (~0UL - 2)

struct attempt {
	const char *name;
	long number;
	unsigned long arguments[4];
	int wanted; /* 0: it may be done, and whatever comes of it */
};

/* Make the call here; whether what was wanted came of it.  A child that it makes ends at once. */
bool confining_comes_out(const struct attempt *attempt);

/* Each in a child, for which `enter` is called before, when it is not NULL. */
int confining_attempt(void (*enter)(void), const struct attempt *attempt);
void confining_assert_each(void (*enter)(void), const struct attempt attempts[], size_t n);

#endif
