/* SPDX-License-Identifier: MIT */
/* swaps - another process replaces a volume at full speed, and the test reads it meanwhile. */
#ifndef TESTS_SIDECAR_SWAPS_H
#define TESTS_SIDECAR_SWAPS_H

#include "sandbox.h"

/* Make the volume be this generation. */
typedef void swaps_write(const struct sandbox *s, int generation);

/* What the reads were like. */
struct swaps_tally {
	int whole, torn;
	int given_up; /* -EAGAIN: there was no time in which the volume stood still */
	int failed;
	long last; /* the number that the last one found */
};

typedef void swaps_read(const struct sandbox *s, struct swaps_tally *tally);

/*
 * Write generation 0, and from 1 to `last` in a child; its number, for
 * sandbox_has_ended() and sandbox_end().
 */
pid_t swaps_start(const struct sandbox *s, swaps_write *write, int last);

/* Count a read that was not successful, with its negative errno. */
void swaps_count_failure(struct swaps_tally *tally, int rc);

/*
 * Read as long as generations are written, and once more.  Fails the test when
 * a read was torn or failed, when there was but one, or when the last one was
 * not of the last generation.
 */
void swaps_assert_whole(const struct sandbox *s, swaps_write *write, int last, swaps_read *read);

#endif
