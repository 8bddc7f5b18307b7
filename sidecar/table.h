/* SPDX-License-Identifier: MIT */
/*
 * table - rows and columns for people, on standard output.
 *
 * Colours only on a terminal, and never when NO_COLOR is set.
 */
#ifndef SIDECAR_TABLE_H
#define SIDECAR_TABLE_H

#include <stddef.h>

enum { TABLE_COLUMNS_MAX = 8, TABLE_CELL_BYTES = 320 };

#define TABLE_GREEN "\033[32m"
#define TABLE_YELLOW "\033[33m"
#define TABLE_RED "\033[31m"
#define TABLE_PLAIN "\033[0m"

struct table_row {
	char cells[TABLE_COLUMNS_MAX][TABLE_CELL_BYTES];
	const char *colour; /* of the column that is painted, "" for none */
};

/* Put a text into a cell, printable; what is too long is cut. */
void table_cell(struct table_row *row, size_t column, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The first row; `titles` is ended by NULL. */
void table_head(struct table_row *row, const char *const *titles);

/* Columns as wide as their widest cell; `painted` is the column with the colour. */
void table_print(const struct table_row *rows, size_t n_rows, size_t n_columns, size_t painted);

/* The colour where colours are wanted, else "". */
const char *table_colour(const char *colour);

#endif
