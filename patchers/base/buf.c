/* SPDX-License-Identifier: MIT */
/* buf - a growing run of bytes, always followed by a NUL that does not count. */
#include "buf.h"

#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_FIRST_CAPACITY = 256 };

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf)BUF_INIT;
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

bool buf_reserve(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : BUF_FIRST_CAPACITY;
	char *data;

	if (b->failed)
		return false;
	if (more < b->cap - b->len)
		return true;
	if (more >= SIZE_MAX / 2 - b->len) {
		b->failed = true;
		return false;
	}
	while (cap - b->len <= more)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, struct span s)
{
	if (!buf_reserve(b, s.len))
		return;
	if (s.len > 0)
		memcpy(b->data + b->len, s.data, s.len);
	b->len += s.len;
	b->data[b->len] = '\0';
}

void buf_add_text(struct buf *b, const char *text)
{
	buf_add(b, span_from(text));
}

void buf_add_char(struct buf *b, char c)
{
	buf_add(b, span_make(&c, 1));
}

void buf_add_format(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	if (!buf_reserve(b, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void buf_replace(struct buf *b, const char *from, const char *to)
{
	struct buf out = BUF_INIT;
	struct span rest = buf_span(b);

	if (b->failed || !span_contains(rest, from))
		return;
	while (rest.len > 0) {
		const char *at = memmem(rest.data, rest.len, from, strlen(from));

		buf_add(&out, at ? span_between(rest.data, at) : rest);
		if (!at)
			break;
		buf_add_text(&out, to);
		rest = span_between(at + strlen(from), span_end(rest));
	}
	buf_release(b);
	*b = out;
}

int buf_check(const struct buf *b, struct error *err)
{
	return b->failed ? error_set(err, -ENOMEM, "out of memory") : 0;
}
