/* SPDX-License-Identifier: MIT */
/* view_targets - what `probe` prints of targets. */
#include "view_targets.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "printable.h"
#include "probe_targets.h"
#include "table.h"
#include "view_json.h"

#include <errno.h>
#include <stdio.h>

static bool is_right(const struct probe_targets_row *row)
{
	return row->meaning == PROBE_LAW_RIGHT;
}

static void fill_row(const struct probe_targets_row *from, struct table_row *row)
{
	row->colour = is_right(from) ? TABLE_GREEN : TABLE_RED;
	table_cell(row, 0, "%s", from->target->listener);
	table_cell(row, 1, "%s", from->target->host);
	table_cell(row, 2, "%s", from->address);
	table_cell(row, 3, "%u", from->target->port);
	table_cell(row, 4, "%s", proxy_header_name(from->header));
	table_cell(row, 5, "%s", probe_law_name(from->expected));
	table_cell(row, 6, "%s", is_right(from) ? "right" : "wrong");
	table_cell(row, 7, "%s", from->job->detail);
}

static bool belong_together(const struct probe_targets_row *a, const struct probe_targets_row *b)
{
	return a->target == b->target && a->meaning == b->meaning &&
	       strcmp(a->address, b->address) == 0;
}

/* What was sent to an address with one and the same meaning: "v1, v2, LOCAL". */
static void add_headers(const struct probe_targets *targets, const struct probe_targets_row *of,
			struct buf *out)
{
	const char *comma = "";

	for (size_t i = 0; i < targets->n_rows; i++) {
		if (!belong_together(&targets->rows[i], of))
			continue;
		buf_add_format(out, "%s%s", comma, proxy_header_name(targets->rows[i].header));
		comma = ", ";
	}
}

static int print_sentence(const struct probe_targets *targets, const struct probe_targets_row *row,
			  struct error *err)
{
	cleanup_buf struct buf sentence = BUF_INIT, clean = BUF_INIT;

	buf_add_format(&sentence, "%s at %s port %u (", row->target->listener, row->address,
		       row->target->port);
	add_headers(targets, row, &sentence);
	buf_add_text(&sentence, "): ");
	probe_law_explain(row->meaning, row->own_address, &sentence);
	printable_add(&clean, buf_text(&sentence));
	puts(buf_text(&clean));
	return buf_check(&sentence, err) < 0 ? -ENOMEM : buf_check(&clean, err);
}

static bool was_said(const struct probe_targets *targets, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (belong_together(&targets->rows[i], &targets->rows[at]))
			return true;
	return false;
}

static int print_sentences(const struct probe_targets *targets, struct error *err)
{
	const char *gap = "\n";
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < targets->n_rows; i++) {
		if (is_right(&targets->rows[i]) || was_said(targets, i))
			continue;
		fputs(gap, stdout);
		gap = "";
		rc = print_sentence(targets, &targets->rows[i], err);
	}
	return rc;
}

static int targets_for_people(const struct probe_targets *targets, struct error *err)
{
	static const char *const titles[] = { "LISTENER", "HOST",   "ADDRESS", "PORT", "SENT",
					      "EXPECTED", "RESULT", "ANSWER",  NULL };
	cleanup_free struct table_row *table = calloc(targets->n_rows + 1, sizeof(*table));

	if (!table)
		return error_set(err, -ENOMEM, "out of memory");
	table_head(&table[0], titles);
	for (size_t i = 0; i < targets->n_rows; i++)
		fill_row(&targets->rows[i], &table[i + 1]);
	if (targets->n_rows > 0)
		table_print(table, targets->n_rows + 1, 8, 6);
	return print_sentences(targets, err);
}

static json_t *row_as_json(const struct probe_targets_row *row)
{
	cleanup_buf struct buf meaning = BUF_INIT;

	probe_law_explain(row->meaning, row->own_address, &meaning);
	return json_pack(
		"{s:s, s:s, s:s, s:i, s:s, s:b, s:s, s:s, s:b, s:s, s:o, s:o}", "listener",
		row->target->listener, "host", row->target->host, "address", row->address, "port",
		row->target->port, "from", row->own_address, "tls", row->target->tls, "header",
		proxy_header_name(row->header), "expected", probe_law_name(row->expected), "right",
		is_right(row), "outcome", probe_law_answer_name(row->job->answer), "answer",
		view_json_text(row->job->detail), "meaning", view_json_text(buf_text(&meaning)));
}

int view_targets(const struct probe_targets *targets, bool json, struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	json_t *list;
	int rc;

	if (!json)
		return targets_for_people(targets, err);
	list = json_array();
	for (size_t i = 0; i < targets->n_rows; i++)
		json_array_append_new(list, row_as_json(&targets->rows[i]));
	rc = view_json_print(list, &text, err);
	if (rc == 0)
		fputs(buf_text(&text), stdout);
	return rc;
}
