/* SPDX-License-Identifier: MIT */
/* fuzz_report - bytes that a look may have left: torn, or of a process gone wrong. */
#include "fuzz.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "sidecar/metrics.h"
#include "sidecar/report.h"
#include "sidecar/state.h"
#include "sidecar/view_status.h"

#include <errno.h>

enum { UNTOUCHED = 0x5a };

static const char magic[] = "postern report 1\n";

static void check_ranges(const struct report *r)
{
	fuzz_assert(r->outcome <= REPORT_FAILED);
	for (size_t i = 0; i < r->n_twins; i++) {
		fuzz_assert(r->twins[i].server < REPORT_SERVERS);
		fuzz_assert(r->twins[i].listener && r->twins[i].stock && r->twins[i].detail);
	}
	for (size_t i = 0; i < r->n_folders; i++)
		fuzz_assert(r->folders[i].path);
	for (size_t i = 0; i < r->notes.n_items; i++)
		fuzz_assert(r->notes.items[i].level <= NOTE_WARNING && r->notes.items[i].text);
}

/* Printed, it is what it was; torn anywhere, or with more behind it, it is none. */
static void check_print(const struct report *r)
{
	struct report again = REPORT_INIT;
	cleanup_buf struct buf first = BUF_INIT, second = BUF_INIT;
	struct span whole;

	fuzz_assert(report_print(r, &first, NULL) == 0);
	whole = buf_span(&first);
	fuzz_assert(report_parse(whole, &again, NULL) == 0);
	fuzz_assert(report_print(&again, &second, NULL) == 0);
	fuzz_assert(span_equal(whole, buf_span(&second)));
	report_release(&again);
	for (size_t n = 1; n < whole.len; n *= 2)
		fuzz_assert(report_parse(span_make(whole.data, whole.len - n), &again, NULL) ==
			    -EINVAL);
	buf_add_char(&first, '\0');
	fuzz_assert(report_parse(buf_span(&first), &again, NULL) == -EINVAL);
}

/* Whatever it says can be told on. */
static void check_views(struct report *r)
{
	CLEANUP(state_release) struct state state = { 0 };
	cleanup_buf struct buf json = BUF_INIT, metrics = BUF_INIT, why = BUF_INIT;

	state_init(&state, "watch");
	state_take_report(&state, r, 1);
	fuzz_assert(view_status_json(&state, &json, NULL) == 0);
	fuzz_assert(json.len > 0 && json.data[0] == '{');
	metrics_print(&state, &metrics);
	fuzz_assert(!metrics.failed && metrics.len > 0);
	fuzz_assert(state_is_ready(&state, &why) == (why.len == 0));
}

static void check(struct span bytes)
{
	struct report report, before;
	int rc;

	memset(&report, UNTOUCHED, sizeof(report));
	memset(&before, UNTOUCHED, sizeof(before));
	rc = report_parse(bytes, &report, NULL);
	if (rc < 0) {
		fuzz_assert(rc == -EINVAL);
		fuzz_assert(memcmp(&report, &before, sizeof(report)) == 0);
		return;
	}
	check_ranges(&report);
	check_print(&report);
	check_views(&report);
	report_release(&report);
}

/* The input is what follows the mark that every report begins with. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_buf struct buf bytes = BUF_INIT;

	buf_add_text(&bytes, magic);
	buf_add(&bytes, fuzz_input(data, size));
	check(buf_span(&bytes));
	return 0;
}
