/* SPDX-License-Identifier: MIT */
/* span - a borrowed run of bytes; valid as long as the text it points into. */
#include "span.h"

bool span_contains(struct span s, const char *needle)
{
	return s.len > 0 && memmem(s.data, s.len, needle, strlen(needle)) != NULL;
}

struct span span_trim(struct span s, const char *blanks)
{
	size_t n = strlen(blanks);

	while (s.len > 0 && memchr(blanks, s.data[0], n)) {
		s.data++;
		s.len--;
	}
	while (s.len > 0 && memchr(blanks, s.data[s.len - 1], n))
		s.len--;
	return s;
}

struct span span_take_line(struct span *rest)
{
	const char *newline = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
	size_t n = newline ? (size_t)(newline - rest->data) + 1 : rest->len;
	struct span line = span_make(rest->data, n);

	if (n > 0)
		rest->data += n;
	rest->len -= n;
	return line;
}

struct span span_take_word(struct span *rest, const char *separators)
{
	size_t n_separators = strlen(separators), n = 0;
	struct span word;

	*rest = span_trim(*rest, separators);
	/* Not strchr(3): it would take a NUL byte for a separator. */
	while (n < rest->len && !memchr(separators, rest->data[n], n_separators))
		n++;
	word = span_make(rest->data, n);
	rest->data += n;
	rest->len -= n;
	return word;
}

bool span_to_number(struct span s, unsigned long max, unsigned long *out)
{
	unsigned long value = 0;

	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned)(unsigned char)s.data[i] - '0';

		if (digit > 9 || digit > max || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}
