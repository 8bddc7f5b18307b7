/* SPDX-License-Identifier: MIT */
/* dovecot_words - keys and values as Dovecot's configuration has them written. */
#include "dovecot_words.h"

#include "base/buf.h"

#include <string.h>

bool dovecot_words_have(struct span text, const char *bytes)
{
	for (size_t i = 0; i < text.len; i++)
		if (strchr(bytes, text.data[i]))
			return true;
	return false;
}

void dovecot_words_add(struct buf *out, struct span text, bool quoted)
{
	if (quoted)
		buf_add_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (quoted && (text.data[i] == '"' || text.data[i] == '\\'))
			buf_add_char(out, '\\');
		buf_add_char(out, text.data[i]);
	}
	if (quoted)
		buf_add_char(out, '"');
}
