/* SPDX-License-Identifier: MIT */
/* view_json - what the JSON of `check`, `probe` and `status` has in common. */
#include "view_json.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "printable.h"

#include <errno.h>

json_t *view_json_text(const char *text)
{
	json_t *json = json_string(text ? text : "");
	cleanup_buf struct buf quoted = BUF_INIT;
	char bytes[PRINTABLE_BYTES];

	if (json)
		return json;
	buf_add_char(&quoted, '"');
	while (text && *text) {
		size_t n = printable_next(&text, true, bytes);

		buf_add(&quoted, span_make(bytes, n));
	}
	buf_add_char(&quoted, '"');
	return quoted.failed ? NULL : json_loadb(quoted.data, quoted.len, JSON_DECODE_ANY, NULL);
}

json_t *view_json_notes(const struct notes *notes)
{
	json_t *list = json_array();

	for (size_t i = 0; i < notes->n_items; i++)
		json_array_append_new(
			list,
			json_pack("{s:s, s:o}", "level",
				  notes->items[i].level == NOTE_WARNING ? "warning" : "notice",
				  "text", view_json_text(notes->items[i].text)));
	return list;
}

int view_json_print(json_t *root, struct buf *out, struct error *err)
{
	char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;

	json_decref(root);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	buf_add_text(out, text);
	buf_add_char(out, '\n');
	free(text);
	return buf_check(out, err);
}
