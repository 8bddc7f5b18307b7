/* SPDX-License-Identifier: MIT */
/* span - a borrowed run of bytes; valid as long as the text it points into. */
#ifndef PATCHERS_BASE_SPAN_H
#define PATCHERS_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
	const char *data;
	size_t len;
};

/* printf arguments for "%.*s"; over-long spans are cut, for messages only. */
#define SPAN_SHOW_MAX 200
#define SPAN_ARG(s) (int)((s).len < SPAN_SHOW_MAX ? (s).len : SPAN_SHOW_MAX), (s).data

static inline struct span span_make(const char *data, size_t len)
{
	return (struct span){ .data = data, .len = len };
}

static inline struct span span_from(const char *text)
{
	return span_make(text, strlen(text));
}

/* The bytes from `start` up to, and not with, `end`: both in one text. */
static inline struct span span_between(const char *start, const char *end)
{
	return span_make(start, (size_t)(end - start));
}

static inline const char *span_end(struct span s)
{
	return s.data + s.len;
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool span_is(struct span s, const char *text)
{
	return span_equal(s, span_from(text));
}

static inline bool span_starts(struct span s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.len >= n && memcmp(s.data, prefix, n) == 0;
}

/* Whether `needle` stands anywhere in s. */
bool span_contains(struct span s, const char *needle);

/* Without the bytes of `blanks` at both ends. */
struct span span_trim(struct span s, const char *blanks);

/* Cut the next line, its newline included, off the front of *rest. */
struct span span_take_line(struct span *rest);

/* Cut the next word off the front of *rest; empty when only separators are left. */
struct span span_take_word(struct span *rest, const char *separators);

/* An unsigned decimal number, digits only; false if it is not, or > max. */
bool span_to_number(struct span s, unsigned long max, unsigned long *out);

#endif
