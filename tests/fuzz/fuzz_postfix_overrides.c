/* SPDX-License-Identifier: MIT */
/*
 * fuzz_postfix_overrides - the laws of overrides over a main.cf and over a
 * master.cf.  Text after the first line "==> override" is the override file,
 * after the second the one that replaces it.
 */
#include "fuzz.h"

#include "patchers/base/cleanup.h"
#include "tests/support/override_laws.h"

#include <errno.h>

/* Cut the text before the next divider off the front of *rest. */
static struct span take_part(struct span *rest)
{
	static const char divider[] = "==> override\n";
	size_t n = sizeof(divider) - 1;
	const char *at = rest->len > 0 ? memmem(rest->data, rest->len, divider, n) : NULL;
	struct span part = at ? span_between(rest->data, at) : *rest;

	*rest = at ? span_between(at + n, span_end(*rest)) : span_from("");
	return part;
}

/* What is read as a record is printed as it was. */
static void check_record(struct span text)
{
	CLEANUP(override_record_release) struct override_record record = OVERRIDE_RECORD_INIT;
	cleanup_buf struct buf printed = BUF_INIT;
	int rc = override_record_parse(text, &record, NULL);

	fuzz_assert(rc == 0 || rc == -EINVAL || rc == -E2BIG);
	if (rc < 0 || text.len == 0)
		return;
	fuzz_assert(override_record_print(&record, &printed, NULL) == 0);
	fuzz_assert(span_equal(buf_span(&printed), text));
}

/* A record that we did not make loses nothing but what it speaks of. */
static void check_foreign_record(enum override_kind kind, struct span text, struct span override,
				 struct span record_text)
{
	CLEANUP(override_record_release) struct override_record record = OVERRIDE_RECORD_INIT;
	cleanup_buf struct buf out = BUF_INIT;

	if (override_record_parse(record_text, &record, NULL) < 0)
		return;
	if (override_laws_apply(kind, text, override, &record, &out, NULL, NULL) < 0)
		fuzz_assert(out.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = fuzz_input(data, size);
	struct span text = take_part(&rest);
	struct span first = take_part(&rest);
	struct span second = take_part(&rest);

	check_record(fuzz_input(data, size));
	for (int kind = OVERRIDE_MAIN_CF; kind <= OVERRIDE_MASTER_CF; kind++) {
		fuzz_law(override_laws_broken((enum override_kind)kind, text, first, second));
		check_foreign_record((enum override_kind)kind, text, first, second);
	}
	return 0;
}
