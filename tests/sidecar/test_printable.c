/* SPDX-License-Identifier: MIT */
/* printable - nothing that a terminal obeys, and all that people write. */
#include "tests/unit/unit.h"

#include "sidecar/printable.h"
#include "sidecar/table.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_people_write_stays),
		cmocka_unit_test(what_a_terminal_obeys_is_spelt),
		cmocka_unit_test(what_is_no_utf_8_is_spelt),
		cmocka_unit_test(every_step_fits),
		cmocka_unit_test(a_cell_is_printable_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
