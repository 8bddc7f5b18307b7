/* SPDX-License-Identifier: MIT */
/* view - what commands print: whatever bytes others have put into it. */
#include "tests/unit/unit.h"

#include "sidecar/probe.h"
#include "sidecar/probe_targets.h"
#include "sidecar/settings.h"
#include "sidecar/survey.h"
#include "sidecar/view.h"
#include "sidecar/view_status.h"
#include "sidecar/view_targets.h"

#include <fcntl.h>
#include <stdio.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static char printed[8192];

/* Standard output goes to a file without a name, from begin to end. */
struct capture {
	int kept;
	FILE *file;
};

static void capture_begin(struct capture *capture)
{
	fflush(stdout);
	capture->kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	capture->file = tmpfile();
	assert_true(capture->kept >= 0 && capture->file);
	assert_true(dup2(fileno(capture->file), STDOUT_FILENO) >= 0);
}

static void capture_end(struct capture *capture)
{
	size_t n;

	fflush(stdout);
	dup2(capture->kept, STDOUT_FILENO);
	close(capture->kept);
	rewind(capture->file);
	n = fread(printed, 1, sizeof(printed) - 1, capture->file);
	printed[n] = '\0';
	fclose(capture->file);
}

static void assert_shown(const char *text)
{
	if (!strstr(printed, text))
		fail_msg("no \"%s\" in: %s", text, printed);
}

/* Of the first server, which names all that it names in bytes that are no UTF-8. */
static void make_survey(struct survey *r)
{
	const struct twin twin = {
		.listener = (char[]){ "listener\xff" },
		.stock = (char[]){ "stock\xff" },
		.address = (char[]){ "address\xff" },
		.stock_port = 25,
		.port = 10025,
	};
	struct server *server = &r->servers[0];

	notes_add(&r->notes, NOTE_WARNING, "note \xc3\xbc \xff\"\n");
	*server = (struct server){ .kind = &postfix_server, .master = MASTER_PROCESS_INIT };
	r->servers[1] = (struct server){ .kind = &dovecot_server, .master = MASTER_PROCESS_INIT };
	assert_int_equal(server_add_twin(server, &twin, NULL), 0);
	server->changes[0].path = strdup("/etc/\xff/main.cf");
	assert_non_null(server->changes[0].path);
	server->n_changes = 1;
}

static void print_plan(bool json)
{
	CLEANUP(survey_release) struct survey r = SURVEY_INIT;
	const struct settings settings = { 0 };
	struct capture capture;
	struct error err;
	int rc;

	make_survey(&r);
	capture_begin(&capture);
	rc = view_plan(&r, &settings, json, &err);
	capture_end(&capture);
	assert_int_equal(rc, 0);
}

static void a_plan_with_any_bytes_is_json(void **state)
{
	(void)state;
	print_plan(true);
	assert_shown("\"text\": \"note \xc3\xbc " REPLACEMENT "\\\"\\n\"");
	assert_shown("\"listener" REPLACEMENT "\"");
	assert_shown("\"stock" REPLACEMENT "\"");
	assert_shown("\"address" REPLACEMENT "\"");
	assert_shown("\"/etc/" REPLACEMENT "/main.cf\"");
}

static void a_plan_with_any_bytes_is_for_people(void **state)
{
	(void)state;
	print_plan(false);
	assert_shown("listener\\xff");
	assert_shown("would change: /etc/\\xff/main.cf\n");
	assert_shown("warning: note \xc3\xbc \\xff\"\\n\n");
}

static void a_probe_with_any_bytes_is_json(void **state)
{
	const struct twin twin = { .listener = (char[]){ "listener\xff" }, .port = 10025 };
	struct probe_job job = { .detail = "220 \xff\x1b" };
	const struct view_probe_row row = { .server = "postfix", .twin = &twin, .job = &job };
	struct capture capture;
	struct error err;
	int rc;

	(void)state;
	capture_begin(&capture);
	rc = view_probe(&row, 1, true, &err);
	capture_end(&capture);
	assert_int_equal(rc, 0);
	assert_shown("\"listener" REPLACEMENT "\"");
	assert_shown("\"answer\": \"220 " REPLACEMENT "\\u001");
}

static void every_text_of_a_status_is_printable(void **state)
{
	static const char evil[] = "\\u001b]0;x\\u0007\\u009b\\n";
	cleanup_buf struct buf json = BUF_INIT;
	struct capture capture;
	int rc;

	(void)state;
	buf_add_format(&json,
		       "{\"root\":\"%s\",\"reason\":\"%s\",\"not_ready_because\":\"%s\","
		       "\"last_failure\":{\"at\":\"%s\",\"reason\":\"%s\"},"
		       "\"child\":{\"state\":\"%s\"},\"mode\":\"%s\",\"hash\":\"%s\","
		       "\"twins\":[{\"detail\":\"%s\",\"stock\":\"%s\",\"listener\":\"%s\"}],"
		       "\"notes\":[{\"level\":\"%s\",\"text\":\"%s\"}]}",
		       evil, evil, evil, evil, evil, evil, evil, evil, evil, evil, evil, evil,
		       evil);
	capture_begin(&capture);
	rc = view_status_for_people(buf_span(&json), NULL);
	capture_end(&capture);
	assert_int_equal(rc, 0);
	assert_shown("reason        \\x1b]0;x\\x07\\xc2\\x9b\\n\n");
	for (const char *p = printed; *p; p++)
		assert_true(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
}

static struct probe_targets one_target(struct probe_targets_row *row)
{
	static const struct probe_target target = { .listener = "smtp",
						    .host = "mail.test",
						    .port = 25 };
	static const struct probe_job job = { .detail = "220 \xff\x1b" };

	*row = (struct probe_targets_row){ .target = &target,
					   .address = "2001:db8::1",
					   .own_address = "2001:db8::2",
					   .expected = PROBE_LAW_SHUT,
					   .header = PROXY_HEADER_V2,
					   .meaning = PROBE_LAW_NOT_SHUT,
					   .job = &job };
	return (struct probe_targets){ .rows = row, .n_rows = 1 };
}

static void print_targets(const struct probe_targets *targets, bool json)
{
	struct capture capture;
	int rc;

	capture_begin(&capture);
	rc = view_targets(targets, json, NULL);
	capture_end(&capture);
	assert_int_equal(rc, 0);
}

static void targets_with_any_bytes_are_json(void **state)
{
	struct probe_targets_row row;
	struct probe_targets targets = one_target(&row);

	(void)state;
	print_targets(&targets, true);
	assert_shown("\"answer\": \"220 " REPLACEMENT "\\u001B\"");
	assert_shown("\"meaning\": \"it answers 2001:db8::2, which is not trusted");
	targets.n_rows = 0;
	print_targets(&targets, true);
	assert_string_equal(printed, "[]\n");
}

static void a_wrong_target_has_a_row_and_a_sentence_that_no_terminal_obeys(void **state)
{
	struct probe_targets_row row;
	struct probe_targets targets = one_target(&row);

	(void)state;
	print_targets(&targets, false);
	assert_shown("LISTENER  HOST       ADDRESS      PORT  SENT  EXPECTED  RESULT  ANSWER\n");
	assert_shown("smtp      mail.test  2001:db8::1  25    v2    shut      wrong   220 \\xff");
	assert_shown("\n\nsmtp at 2001:db8::1 port 25 (v2): it answers 2001:db8::2, which");
	assert_null(strchr(printed, '\x1b'));
	row.meaning = PROBE_LAW_RIGHT;
	print_targets(&targets, false);
	assert_null(strstr(printed, "\n\n"));
	targets.n_rows = 0;
	print_targets(&targets, false);
	assert_string_equal(printed, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_with_any_bytes_is_json),
		cmocka_unit_test(a_plan_with_any_bytes_is_for_people),
		cmocka_unit_test(a_probe_with_any_bytes_is_json),
		cmocka_unit_test(targets_with_any_bytes_are_json),
		cmocka_unit_test(a_wrong_target_has_a_row_and_a_sentence_that_no_terminal_obeys),
		cmocka_unit_test(every_text_of_a_status_is_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
