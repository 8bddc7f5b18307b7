/* SPDX-License-Identifier: MIT */
/* fuzz_diff - two texts, split at the first NUL: the diff applied to one gives the other. */
#include "fuzz.h"

#include "patchers/base/cleanup.h"
#include "patchers/diff.h"
#include "tests/support/diff_apply.h"

static void check_one_way(struct span from, struct span to)
{
	cleanup_buf struct buf diff = BUF_INIT;
	cleanup_buf struct buf got = BUF_INIT;

	fuzz_assert(diff_unified(from, to, "a", "b", &diff, NULL) == 0);
	fuzz_assert((diff.len == 0) == span_equal(from, to));
	fuzz_law(diff_apply(from, buf_span(&diff), &got));
	fuzz_assert(span_equal(buf_span(&got), to));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = fuzz_input(data, size);
	const char *middle = size > 0 ? memchr(text.data, '\0', size) : NULL;
	struct span a = middle ? span_between(text.data, middle) : text;
	struct span b = middle ? span_between(middle + 1, span_end(text)) : span_from("");

	check_one_way(a, b);
	check_one_way(b, a);
	return 0;
}
