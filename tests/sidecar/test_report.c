/* SPDX-License-Identifier: MIT */
/* report - what a look found survives its way through a pipe, and nonsense does not. */
#include "tests/unit/unit.h"

#include "sidecar/report.h"

#include <stdio.h>
#include <stdlib.h>

static void fill(struct report *r)
{
	char first[] = "postern.conf", second[] = "";
	char *names[] = { first, second, NULL };
	char path[] = "/etc/postern", listener[] = "smtp", stock[] = "25", empty[] = "",
	     answer[] = "220-mail \"quoted\" \xff\n";
	const struct report_folder folders[] = {
		{ .path = path, .names = names, .is_own = true },
		{ .path = path,
		  .pid_file = true,
		  .is_watch = true,
		  .digest.bytes = { 1, 2, 255 },
		  .told = { [1].bytes = { 3 } } },
	};
	const struct report_twin twins[] = {
		{ .listener = listener,
		  .stock = stock,
		  .detail = answer,
		  .stock_port = 25,
		  .port = UINT16_MAX,
		  .server = 0,
		  .up = true },
		{ .listener = empty, .stock = empty, .detail = empty, .server = 1, .tls = true },
	};

	r->outcome = REPORT_REFUSED;
	r->changed = r->uses_good = true;
	r->inputs.bytes[31] = 7;
	r->refused.bytes[0] = 8;
	r->refused_good.bytes[1] = 9;
	r->judged.bytes[2] = 10;
	r->resync_s = 86400;
	r->micros = UINT64_MAX;
	r->servers[0] = (struct report_server){ .enabled = true,
						.present = true,
						.running = true,
						.was_seen = true,
						.pid = 4194304,
						.reloads = 3 };
	r->servers[1] = (struct report_server){ .starting = true, .verified = true };
	assert_true(report_set_text(&r->reason, "postern.conf:3: no"));
	assert_true(report_set_text(&r->listen, "[::1]:9477"));
	assert_true(report_set_text(&r->mynetworks, "in force"));
	assert_true(report_set_text(&r->gate, "off"));
	buf_add(&r->good, SPAN_LITERAL("bytes\0with NUL"));
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		assert_true(report_add_folder(r, &folders[i]));
	for (size_t i = 0; i < ARRAY_SIZE(twins); i++)
		assert_true(report_add_twin(r, &twins[i]));
	notes_add(&r->notes, NOTE_WARNING, "a remark");
	notes_add(&r->notes, NOTE_NOTICE, "%s", "");
}

static struct buf printed;

static int make_printed(void **state)
{
	CLEANUP(report_release) struct report r = REPORT_INIT;

	(void)state;
	fill(&r);
	return report_print(&r, &printed, NULL);
}

static int drop_printed(void **state)
{
	(void)state;
	buf_release(&printed);
	return 0;
}

/* Parse the bytes that ctx is, and print them again. */
static int reprint(const void *ctx, struct buf *out, struct error *err)
{
	const struct span *bytes = ctx;
	CLEANUP(report_release) struct report r = REPORT_INIT;
	int rc = report_parse(*bytes, &r, err);

	return rc < 0 ? rc : report_print(&r, out, err);
}

static void a_report_comes_through_as_it_was(void **state)
{
	struct span bytes = buf_span(&printed);

	(void)state;
	unit_expect_span(reprint, &bytes, bytes);
}

static void an_empty_report_comes_through_too(void **state)
{
	CLEANUP(report_release) struct report r = REPORT_INIT;
	cleanup_buf struct buf text = BUF_INIT;
	struct span bytes;

	(void)state;
	assert_int_equal(report_print(&r, &text, NULL), 0);
	bytes = buf_span(&text);
	unit_expect_span(reprint, &bytes, bytes);
}

static void every_truncation_is_refused(void **state)
{
	(void)state;
	for (size_t len = 0; len < printed.len; len++) {
		CLEANUP(report_release) struct report r = REPORT_INIT;
		struct error err = { 0 };

		assert_int_equal(report_parse(span_make(printed.data, len), &r, &err), -EINVAL);
		assert_null(r.twins);
	}
}

static void more_than_a_report_is_refused(void **state)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct span bytes;

	(void)state;
	buf_add(&text, buf_span(&printed));
	buf_add_char(&text, 'x');
	bytes = buf_span(&text);
	unit_expect_error(reprint, &bytes, -EINVAL, "not a report");
}

/* No report is printed so: it is no report, and memory has not run out. */
static void a_note_that_is_there_twice_is_refused(void **state)
{
	static const char note[] = "\x8\0\0\0\0\0\0\0"
				   "a remark",
			  other[] = "\x8\0\0\0\0\0\0\0"
				    "a reward";
	CLEANUP(report_release) struct report r = REPORT_INIT;
	cleanup_buf struct buf text = BUF_INIT;
	struct span bytes;
	char *at;

	(void)state;
	notes_add(&r.notes, NOTE_WARNING, "a remark");
	notes_add(&r.notes, NOTE_WARNING, "a reward");
	assert_int_equal(report_print(&r, &text, NULL), 0);
	at = memmem(text.data, text.len, other, sizeof(other) - 1);
	assert_non_null(at);
	memcpy(at, note, sizeof(note) - 1);
	bytes = buf_span(&text);
	unit_expect_error(reprint, &bytes, -EINVAL, "not a report");
}

/* Whatever is believed can be printed, and is then believed again. */
static void a_damaged_byte_does_no_harm(void **state)
{
	cleanup_buf struct buf text = BUF_INIT;

	(void)state;
	buf_add(&text, buf_span(&printed));
	for (size_t i = 0; i < text.len; i++) {
		char was = text.data[i];

		for (int bit = 0; bit < 8; bit++) {
			CLEANUP(report_release) struct report r = REPORT_INIT;
			cleanup_buf struct buf again = BUF_INIT;

			text.data[i] = (char)(was ^ (1 << bit));
			if (report_parse(buf_span(&text), &r, NULL) == 0)
				assert_int_equal(report_print(&r, &again, NULL), 0);
		}
		text.data[i] = was;
	}
}

/* ---- readiness ---- */

static const struct readiness {
	const char *what;
	struct report_server servers[REPORT_SERVERS];
	bool dovecot_was_seen;
	bool twin_is_down;
	bool ready;
	const char *why;
} cases[] = {
	{ "nothing there", { { 0 }, { 0 } }, false, false, false, "no mail server is running" },
	{ "both proven",
	  { { true, true, true, false, 1, true, 0, false },
	    { true, true, true, false, 2, true, 0, false } },
	  true,
	  false,
	  true,
	  "" },
	{ "one not proven",
	  { { true, true, true, false, 1, false, 0, false },
	    { true, true, true, false, 2, true, 0, false } },
	  true,
	  false,
	  false,
	  "postfix: its twins are not proven" },
	{ "Postfix stopped",
	  { { true, true, false, false, 0, false, 0, false },
	    { true, true, true, false, 2, true, 0, false } },
	  true,
	  false,
	  false,
	  "postfix: is not running" },
	{ "Dovecot never started (SMTP_ONLY)",
	  { { true, true, true, false, 1, true, 0, false },
	    { true, true, false, false, 0, false, 0, false } },
	  false,
	  false,
	  true,
	  "" },
	{ "Dovecot gone",
	  { { true, true, true, false, 1, true, 0, false },
	    { true, true, false, false, 0, false, 0, false } },
	  true,
	  false,
	  false,
	  "dovecot: is not running" },
	{ "Dovecot switched off",
	  { { true, true, true, false, 1, true, 0, false },
	    { false, true, false, false, 0, false, 0, false } },
	  true,
	  false,
	  true,
	  "" },
	{ "no Postfix here",
	  { { true, false, false, false, 0, false, 0, false },
	    { true, true, true, false, 2, true, 0, false } },
	  true,
	  false,
	  true,
	  "" },
	{ "a twin down",
	  { { true, true, true, false, 1, true, 0, false },
	    { false, false, false, false, 0, false, 0, false } },
	  false,
	  true,
	  false,
	  "smtp 12525: connection refused" },
};

static void ready_is_what_the_servers_make_of_it(void **state)
{
	char listener[] = "smtp", stock[] = "25", why_down[] = "connection refused";
	const struct report_twin down = {
		.listener = listener, .stock = stock, .detail = why_down, .port = 12525
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CLEANUP(report_release) struct report r = REPORT_INIT;
		cleanup_buf struct buf why = BUF_INIT;

		for (size_t k = 0; k < REPORT_SERVERS; k++)
			r.servers[k] = cases[i].servers[k];
		if (cases[i].twin_is_down)
			assert_true(report_add_twin(&r, &down));
		if (report_is_ready(&r, cases[i].dovecot_was_seen, &why) != cases[i].ready)
			fail_msg("%s: %s", cases[i].what, buf_text(&why));
		unit_assert_span(buf_span(&why), span_from(cases[i].why));
	}
}

static void a_server_that_was_seen_is_missed(void **state)
{
	struct report r = { .servers = { { .enabled = true, .present = true },
					 { .enabled = true,
					   .present = true,
					   .running = true,
					   .was_seen = true } } };

	(void)state;
	assert_false(report_misses_server(&r)); /* Postfix was never there */
	r.servers[1].running = false;
	assert_true(report_misses_server(&r));
	r.servers[1].enabled = false;
	assert_false(report_misses_server(&r));
}

static void folders_are_kept_but_those_of_a_watch(void **state)
{
	CLEANUP(report_release) struct report old = REPORT_INIT, new = REPORT_INIT;
	static const char *const names[] = { "main.cf", NULL };
	static const char *const others[] = { "master.cf", NULL };
	struct report_folder secret = { .path = (char[]){ "/secret" }, .is_watch = true };

	(void)state;
	assert_true(report_want_folder(&old, "/a", names, false, false));
	assert_true(report_want_folder(&old, "/own", NULL, true, false));
	assert_true(report_add_folder(&old, &secret));
	assert_true(report_want_folder(&new, "/a", others, false, true));
	for (int i = 0; i < 2; i++) {
		report_keep_folders(&new, &old);
		assert_int_equal(new.n_folders, 2);
		assert_string_equal(new.folders[0].path, "/a");
		assert_string_equal(new.folders[0].names[0], "master.cf");
		assert_string_equal(new.folders[0].names[1], "main.cf");
		assert_null(new.folders[0].names[2]);
		assert_true(new.folders[0].pid_file);
		assert_string_equal(new.folders[1].path, "/own");
		assert_true(new.folders[1].is_own);
		assert_null(new.folders[1].names);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_comes_through_as_it_was),
		cmocka_unit_test(an_empty_report_comes_through_too),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(more_than_a_report_is_refused),
		cmocka_unit_test(a_note_that_is_there_twice_is_refused),
		cmocka_unit_test(a_damaged_byte_does_no_harm),
		cmocka_unit_test(ready_is_what_the_servers_make_of_it),
		cmocka_unit_test(a_server_that_was_seen_is_missed),
		cmocka_unit_test(folders_are_kept_but_those_of_a_watch),
	};

	return cmocka_run_group_tests_name("report", tests, make_printed, drop_printed);
}
