/* SPDX-License-Identifier: MIT */
/* swaps - another process replaces a volume at full speed, and the test reads it meanwhile. */
#include "swaps.h"

#include <errno.h>

struct writing {
	const struct sandbox *s;
	swaps_write *write;
	int last;
};

static void write_all(void *ctx)
{
	const struct writing *w = ctx;

	for (int i = 1; i <= w->last; i++)
		w->write(w->s, i);
}

pid_t swaps_start(const struct sandbox *s, swaps_write *write, int last)
{
	write(s, 0);
	return sandbox_spawn(write_all, &(struct writing){ s, write, last });
}

void swaps_count_failure(struct swaps_tally *tally, int rc)
{
	tally->given_up += rc == -EAGAIN;
	tally->failed += rc != -EAGAIN;
}

void swaps_assert_whole(const struct sandbox *s, swaps_write *write, int last, swaps_read *read)
{
	struct swaps_tally tally = { 0 };
	pid_t child = swaps_start(s, write, last);

	while (!sandbox_has_ended(child))
		read(s, &tally);
	sandbox_end(child);
	read(s, &tally);
	print_message("%d whole, %d torn, %d given up\n", tally.whole, tally.torn, tally.given_up);
	assert_int_equal(tally.torn, 0);
	assert_int_equal(tally.failed, 0);
	assert_true(tally.whole > 1);
	assert_int_equal(tally.last, last);
}
