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

/* ---- inputs ---- */

static void fill(struct report *r)
{
	char smtp[] = "smtp", said[] = "220 mail", imaps[] = "imaps", alert[] = "TLS alert 40";
	char main_cf[] = "main.cf", *names[] = { main_cf, NULL };
	char folder[] = "/etc/postfix", watched[] = "/tmp/ssl";
	const struct report_twin twins[] = {
		{ smtp, smtp, said, 25, 12525, 0, false, true },
		{ imaps, imaps, alert, 993, 10993, 1, true, false },
	};

	r->outcome = REPORT_REFUSED;
	r->resync_s = 60;
	r->servers[0] = (struct report_server){ .enabled = true, .running = true, .pid = 7 };
	r->inputs.bytes[0] = 1;
	buf_add_text(&r->good, "good");
	report_set_text(&r->reason, "why");
	report_set_text(&r->mynetworks, "kept");
	report_set_text(&r->gate, "off");
	report_add_twin(r, &twins[0]);
	report_add_twin(r, &twins[1]);
	report_add_folder(r, &(struct report_folder){ .path = folder, .names = names });
	report_add_folder(r, &(struct report_folder){ .path = watched, .is_watch = true });
	notes_add(&r->notes, NOTE_WARNING, "a");
	notes_add(&r->notes, NOTE_NOTICE, "b");
}

static struct span sample(void)
{
	static struct buf printed;
	CLEANUP(report_release) struct report r = REPORT_INIT;

	if (printed.len == 0) {
		fill(&r);
		fuzz_assert(report_print(&r, &printed, NULL) == 0);
	}
	return buf_span(&printed);
}

/* Three bytes are an edit: where, and what stands there now. */
static void add_damaged(struct buf *out, struct span edits, bool is_torn)
{
	const unsigned char *at = (const unsigned char *)edits.data;

	buf_add(out, sample());
	for (; edits.len >= 3 && !out->failed; at += 3, edits.len -= 3) {
		size_t where = (size_t)(at[0] << 8 | at[1]) % out->len;

		if (is_torn && edits.len < 6) /* by the last edit */
			out->len = where + 1;
		else
			out->data[where] = (char)at[2];
	}
}

/* First byte 0: the rest of a report.  Else edits of a good one, which an odd one tears. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_buf struct buf bytes = BUF_INIT;
	struct span rest;

	if (size == 0)
		return 0;
	rest = fuzz_input(data + 1, size - 1);
	if (data[0] == 0) {
		buf_add_text(&bytes, magic);
		buf_add(&bytes, rest);
	} else {
		add_damaged(&bytes, rest, data[0] % 2 == 1);
	}
	check(buf_span(&bytes));
	return 0;
}
