/* SPDX-License-Identifier: MIT */
/* table - rows and columns for people, on standard output. */
#include "table.h"

#include "printable.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no && no[0]);
}

const char *table_colour(const char *colour)
{
	return wants_colour() ? colour : "";
}

void table_cell(struct table_row *row, size_t column, const char *fmt, ...)
{
	char raw[TABLE_CELL_BYTES], *cell = row->cells[column];
	const char *text = raw;
	size_t at = 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	while (*text && at < TABLE_CELL_BYTES - PRINTABLE_BYTES)
		at += printable_next(&text, false, cell + at);
	cell[at] = '\0';
}

void table_head(struct table_row *row, const char *const *titles)
{
	row->colour = "";
	for (size_t c = 0; titles[c]; c++)
		table_cell(row, c, "%s", titles[c]);
}

static void print_row(const struct table_row *row, const size_t *widths, size_t n_columns,
		      size_t painted, bool colour)
{
	for (size_t c = 0; c < n_columns; c++) {
		bool paint = colour && c == painted && row->colour[0] != '\0';
		bool last = c + 1 == n_columns;

		printf("%s%-*s%s%s", paint ? row->colour : "", last ? 0 : (int)widths[c],
		       row->cells[c], paint ? TABLE_PLAIN : "", last ? "\n" : "  ");
	}
}

void table_print(const struct table_row *rows, size_t n_rows, size_t n_columns, size_t painted)
{
	size_t widths[TABLE_COLUMNS_MAX] = { 0 };
	bool colour = wants_colour();

	for (size_t r = 0; r < n_rows; r++)
		for (size_t c = 0; c < n_columns; c++)
			if (strlen(rows[r].cells[c]) > widths[c])
				widths[c] = strlen(rows[r].cells[c]);
	for (size_t r = 0; r < n_rows; r++)
		print_row(&rows[r], widths, n_columns, painted, colour);
}
