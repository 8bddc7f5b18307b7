/* SPDX-License-Identifier: MIT */
/* printable - nothing that a terminal obeys, and all that people write. */
#include "tests/unit/unit.h"

#include "sidecar/printable.h"
#include "sidecar/table.h"
#include "sidecar/view_status.h"

#include <fcntl.h>
#include <stdio.h>

static void assert_printed(const char *text, const char *wanted)
{
	cleanup_buf struct buf once = BUF_INIT, twice = BUF_INIT;

	printable_add(&once, text);
	assert_string_equal(buf_text(&once), wanted);
	printable_add(&twice, buf_text(&once));
	assert_string_equal(buf_text(&twice), wanted);
}

static void what_people_write_stays(void **state)
{
	(void)state;
	assert_printed("", "");
	assert_printed("plain \\ \"text\" ~", "plain \\ \"text\" ~");
	assert_printed("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xac",
		       "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x93\xac");
	assert_printed("\xc2\xa0", "\xc2\xa0");
}

static void what_a_terminal_obeys_is_spelt(void **state)
{
	(void)state;
	assert_printed("a\nb\r\t\x1b[31m\x7f", "a\\nb\\x0d\\x09\\x1b[31m\\x7f");
	assert_printed("\xc2\x9b", "\\xc2\\x9b");
	assert_printed("\x9b", "\\x9b");
}

static void what_is_no_utf_8_is_spelt(void **state)
{
	(void)state;
	assert_printed("\xc3", "\\xc3");
	assert_printed("\xe2\x82", "\\xe2\\x82");
	assert_printed("\xc0\xaf", "\\xc0\\xaf");
	assert_printed("\xed\xa0\x80", "\\xed\\xa0\\x80");
	assert_printed("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
}

/* Each pair of bytes: never more than there is room for, never a control character. */
static void every_step_fits(void **state)
{
	(void)state;
	for (unsigned pair = 0x100; pair <= 0xffff; pair++) {
		const char bytes[] = { (char)(pair >> 8), (char)pair, '\0' };

		for (int json = 0; json < 2; json++)
			for (const char *text = bytes; *text;) {
				const char *before = text;
				char out[PRINTABLE_BYTES];
				size_t n = printable_next(&text, json, out);

				assert_in_range(n, 1, PRINTABLE_BYTES);
				assert_true(text > before && text <= bytes + 2);
				assert_true((unsigned char)out[0] >= 0x20 && out[0] != 0x7f);
			}
	}
}

static void a_cell_is_printable_and_cut(void **state)
{
	struct table_row row = { .colour = "" };
	cleanup_free char *controls = calloc(2, TABLE_CELL_BYTES);

	(void)state;
	assert_non_null(controls);
	table_cell(&row, 0, "%s", "a\x1b[2J");
	assert_string_equal(row.cells[0], "a\\x1b[2J");
	memset(controls, '\x1b', 2 * TABLE_CELL_BYTES - 1);
	table_cell(&row, 0, "%s", controls);
	assert_in_range(strlen(row.cells[0]), TABLE_CELL_BYTES / 2, TABLE_CELL_BYTES - 1);
	assert_null(strchr(row.cells[0], '\x1b'));
}

/* Standard output of a function, in a file without a name. */
static void print_status(const char *json, char *out, size_t size)
{
	int kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	FILE *file = tmpfile();
	size_t n;

	fflush(stdout);
	assert_true(kept >= 0 && file);
	assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
	assert_int_equal(view_status_for_people(span_from(json), NULL), 0);
	fflush(stdout);
	dup2(kept, STDOUT_FILENO);
	close(kept);
	rewind(file);
	n = fread(out, 1, size - 1, file);
	out[n] = '\0';
	fclose(file);
}

static void every_text_of_a_status_is_printable(void **state)
{
	static const char evil[] = "\\u001b]0;x\\u0007\\u009b\\n";
	cleanup_buf struct buf json = BUF_INIT;
	char out[8192];

	(void)state;
	buf_add_format(&json,
		       "{\"root\":\"%s\",\"reason\":\"%s\",\"not_ready_because\":\"%s\","
		       "\"last_failure\":{\"at\":\"%s\",\"reason\":\"%s\"},"
		       "\"child\":{\"state\":\"%s\"},\"mode\":\"%s\",\"hash\":\"%s\","
		       "\"twins\":[{\"detail\":\"%s\",\"stock\":\"%s\",\"listener\":\"%s\"}],"
		       "\"notes\":[{\"level\":\"%s\",\"text\":\"%s\"}]}",
		       evil, evil, evil, evil, evil, evil, evil, evil, evil, evil, evil, evil,
		       evil);
	print_status(buf_text(&json), out, sizeof(out));
	assert_non_null(strstr(out, "reason        \\x1b]0;x\\x07\\xc2\\x9b\\n\n"));
	for (const char *p = out; *p; p++)
		assert_true(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_people_write_stays),
		cmocka_unit_test(what_a_terminal_obeys_is_spelt),
		cmocka_unit_test(what_is_no_utf_8_is_spelt),
		cmocka_unit_test(every_step_fits),
		cmocka_unit_test(a_cell_is_printable_and_cut),
		cmocka_unit_test(every_text_of_a_status_is_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
