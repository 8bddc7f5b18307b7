/* SPDX-License-Identifier: MIT */
/* printable - text of others, as it may be shown on a terminal. */
#include "printable.h"

#include "patchers/base/buf.h"

#include <stdio.h>

static bool is_between(unsigned char c, unsigned char low, unsigned char high)
{
	return c >= low && c <= high;
}

/*
 * Bytes of the UTF-8 character at p, which ends with a NUL; 0 when there is
 * none (RFC 3629, 4), or one of U+0080 to U+009F, which control a terminal.
 */
static size_t character_length(const unsigned char *p)
{
	if (is_between(p[0], 0xc2, 0xdf))
		return is_between(p[1], p[0] == 0xc2 ? 0xa0 : 0x80, 0xbf) ? 2 : 0;
	if (is_between(p[0], 0xe0, 0xef))
		return is_between(p[1], p[0] == 0xe0 ? 0xa0 : 0x80, p[0] == 0xed ? 0x9f : 0xbf) &&
				       is_between(p[2], 0x80, 0xbf)
			       ? 3
			       : 0;
	if (is_between(p[0], 0xf0, 0xf4))
		return is_between(p[1], p[0] == 0xf0 ? 0x90 : 0x80, p[0] == 0xf4 ? 0x8f : 0xbf) &&
				       is_between(p[2], 0x80, 0xbf) && is_between(p[3], 0x80, 0xbf)
			       ? 4
			       : 0;
	return 0;
}

static size_t put_number(char *out, const char *prefix, int digits, unsigned char c)
{
	char text[PRINTABLE_BYTES + 1];
	int n = snprintf(text, sizeof(text), "%s%0*x", prefix, digits, c);

	memcpy(out, text, (size_t)n);
	return (size_t)n;
}

static size_t put_pair(char *out, char first, char second)
{
	out[0] = first;
	out[1] = second;
	return 2;
}

size_t printable_next(const char **text, bool json, char out[static PRINTABLE_BYTES])
{
	size_t length = character_length((const unsigned char *)*text);
	unsigned char c = (unsigned char)**text;

	if (length > 0) {
		memcpy(out, *text, length);
		*text += length;
		return length;
	}
	(*text)++;
	if (c == '\n')
		return put_pair(out, '\\', 'n');
	if (json && (c == '"' || c == '\\'))
		return put_pair(out, '\\', (char)c);
	if (json && c >= 0x80) /* what it was cannot be said there */
		return put_number(out, "\\uff", 2, 0xfd);
	if (c < 0x20 || c >= 0x7f)
		return json ? put_number(out, "\\u", 4, c) : put_number(out, "\\x", 2, c);
	out[0] = (char)c;
	return 1;
}

void printable_add(struct buf *out, const char *text)
{
	char bytes[PRINTABLE_BYTES];

	while (*text) {
		size_t n = printable_next(&text, false, bytes);

		buf_add(out, span_make(bytes, n));
	}
}
