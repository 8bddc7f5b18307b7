/* SPDX-License-Identifier: MIT */
/*
 * buf - a growing run of bytes, always followed by a NUL that does not count.
 *
 * Adding never fails on the spot: when memory runs out the buffer remembers
 * it, ignores what is added from then on, and buf_check() says so once, when
 * the text is complete.
 */
#ifndef PATCHERS_BASE_BUF_H
#define PATCHERS_BASE_BUF_H

#include "span.h"

struct error;

struct buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
};

#define BUF_INIT { 0 }

/* Frees the bytes and leaves an empty, usable buffer. */
void buf_release(struct buf *b);

/* Empty it, keep the memory. */
void buf_clear(struct buf *b);

void buf_add(struct buf *b, struct span s);
void buf_add_text(struct buf *b, const char *text);
void buf_add_char(struct buf *b, char c);
void buf_add_format(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put `to` for each `from`, which is not empty. */
void buf_replace(struct buf *b, const char *from, const char *to);

/* Make room for `more` bytes beyond len; false when memory has run out. */
bool buf_reserve(struct buf *b, size_t more);

/* 0, or -ENOMEM when any addition was lost. */
int buf_check(const struct buf *b, struct error *err);

static inline struct span buf_span(const struct buf *b)
{
	return span_make(b->data ? b->data : "", b->len);
}

/* The text as a C string; "" when empty.  Borrowed. */
static inline const char *buf_text(const struct buf *b)
{
	return b->data ? b->data : "";
}

#endif
