/* SPDX-License-Identifier: MIT */
/* settings_text - a text for libconfuse, without what it counts wrongly. */
#include "settings_text.h"

#include <stdbool.h>
#include <string.h>

enum kind { PLAIN, IN_STRING, VARIABLE, COMMENT, COMMENT_UNENDED };

/* Where we are in a text, where the last thing that is not plain ended, and which quote is open. */
struct scan {
	const char *at, *behind;
	char quote; /* 0: none */
};

/* A slash within a word begins no comment. */
static bool begins_word(const struct scan *s)
{
	return s->at == s->behind || strchr(" \t\r\n{}(),=", s->at[-1]);
}

/* Behind a variable of the environment, which may hold quotes and the rest; NULL: none is here. */
static const char *skip_variable(const struct scan *s)
{
	const char *end = NULL;

	if (s->quote != '\'' && strncmp(s->at, "${", 2) == 0)
		end = strchr(s->at, '}');
	return end ? end + 1 : NULL;
}

/* Behind a comment, *is_ended or not; NULL: none is here. */
static const char *skip_comment(const struct scan *s, bool *is_ended)
{
	const char *end;

	*is_ended = true;
	if (*s->at == '#' || (strncmp(s->at, "//", 2) == 0 && begins_word(s)))
		return s->at + strcspn(s->at, "\n");
	if (strncmp(s->at, "/*", 2) != 0 || !begins_word(s))
		return NULL;
	end = strstr(s->at + 2, "*/");
	*is_ended = end != NULL;
	return end ? end + 2 : s->at + strlen(s->at);
}

/* One byte; in a string a backslash takes the next one along. */
static enum kind step_over_byte(struct scan *s)
{
	const char byte = *s->at++;

	if (!s->quote && byte != '"' && byte != '\'')
		return PLAIN;
	if (!s->quote)
		s->quote = byte;
	else if (byte == s->quote)
		s->quote = '\0';
	else if (byte == '\\' && *s->at)
		s->at++;
	return IN_STRING;
}

static enum kind step_over_any(struct scan *s)
{
	const char *behind = skip_variable(s);
	bool is_ended;

	if (behind) {
		s->at = behind;
		return VARIABLE;
	}
	behind = s->quote ? NULL : skip_comment(s, &is_ended);
	if (!behind)
		return step_over_byte(s);
	s->at = behind;
	return is_ended ? COMMENT : COMMENT_UNENDED;
}

/* Step over what libconfuse takes as one here, which is not the text's end. */
static enum kind step(struct scan *s)
{
	enum kind kind = step_over_any(s);

	if (kind != PLAIN)
		s->behind = s->at;
	return kind;
}

void settings_text_blank_comments(char *text)
{
	struct scan s = { .at = text, .behind = text };

	while (*s.at) {
		char *byte = text + (s.at - text);

		if (step(&s) != COMMENT)
			continue;
		for (; byte < s.at; byte++)
			if (*byte != '\n')
				*byte = ' ';
	}
}

const char *settings_text_find_misread(const char *text, const char **why)
{
	struct scan s = { .at = text, .behind = text };

	*why = NULL;
	while (*s.at) {
		const char *from = s.at;
		enum kind kind = step(&s);

		if (kind == VARIABLE && memchr(from, '\n', (size_t)(s.at - from)))
			*why = "\"${\" without \"}\" on its line";
		if (kind == PLAIN && *from == '*')
			*why = "\"*\" outside of quotes";
		if (kind == PLAIN && *from == '+' && *s.at != '=')
			*why = "\"+\" outside of quotes";
		if (*why)
			return from;
	}
	return NULL;
}
