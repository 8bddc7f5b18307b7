/* SPDX-License-Identifier: MIT */
/*
 * dovecot_words - keys and values as Dovecot's configuration has them written
 * (settings syntax of Dovecot 2.3 and 2.4: bare, or in double quotes).
 */
#ifndef PATCHERS_DOVECOT_WORDS_H
#define PATCHERS_DOVECOT_WORDS_H

#include "base/span.h"

struct buf;

/* Whether one of these bytes is in the text; so is a NUL, always. */
bool dovecot_words_have(struct span text, const char *bytes);

/* Add `text` as it is, or in quotes. */
void dovecot_words_add(struct buf *out, struct span text, bool quoted);

#endif
