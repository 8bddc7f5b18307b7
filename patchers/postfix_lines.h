/* SPDX-License-Identifier: MIT */
/*
 * postfix_lines - logical lines of main.cf and master.cf.
 *
 * A logical line starts at a line whose first character is not white space
 * and goes on over every line that begins with white space; blank lines and
 * comment lines inside it neither end it nor belong to its text (readlline(3)
 * in Postfix's util library, postconf(5), master(5)).  Lines that begin blank
 * before any logical line are ignored, as Postfix does with a warning.
 */
#ifndef PATCHERS_POSTFIX_LINES_H
#define PATCHERS_POSTFIX_LINES_H

#include "base/buf.h"

struct error;

/* isspace(3) in the C locale, and what separates words in master.cf, as sets... */
#define POSTFIX_SPACE " \t\r\n\v\f"
#define POSTFIX_BLANKS " \t\r\n"

/* ...and as questions. */
static inline bool postfix_lines_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline bool postfix_lines_is_space(char c)
{
	return postfix_lines_is_blank(c) || c == '\v' || c == '\f';
}

struct postfix_lines {
	struct span rest;
	unsigned line; /* number of the next physical line, from 1 */
};

struct postfix_line {
	struct span raw; /* whole physical lines, the last one's newline too */
	unsigned first_line;
	unsigned last_line;
};

/* -EINVAL with the line's number when the text has a NUL byte, else 0. */
int postfix_lines_check(struct span text, struct error *err);

struct postfix_lines postfix_lines_start(struct span text);

/* The next logical line; false at the end. */
bool postfix_lines_next(struct postfix_lines *lines, struct postfix_line *out);

/* A physical line that is blank or a comment. */
bool postfix_lines_is_ignored(struct span line);

/* Skip lines that are blank or comments at the front of rest. */
struct span postfix_lines_skip_ignored(struct span rest);

/*
 * Add what Postfix reads of `raw`, which begins inside a logical line: line
 * ends and ignored lines vanish, the white space that begins a continuation
 * line stays.
 */
void postfix_lines_unfold(struct buf *out, struct span raw);

/* Whether a text ends with a brace open: as a word it would swallow what follows. */
bool postfix_lines_leave_brace_open(struct span text);

#endif
