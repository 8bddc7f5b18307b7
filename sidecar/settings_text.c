/* SPDX-License-Identifier: MIT */
/* settings_text - a text for libconfuse, without what it counts wrongly. */
#include "settings_text.h"

#include <stdbool.h>
#include <string.h>

/* Behind a variable of the environment, which may hold quotes and the rest. */
static const char *skip_variable(const char *p)
{
	const char *end = strncmp(p, "${", 2) == 0 ? strchr(p, '}') : NULL;

	return end ? end + 1 : NULL;
}

/* Behind a string; a backslash takes the next byte along. */
static const char *skip_string(const char *p)
{
	const char quote = *p++, *behind;

	while (*p && *p != quote) {
		behind = quote == '"' ? skip_variable(p) : NULL;
		if (behind)
			p = behind;
		else
			p += *p == '\\' && p[1] ? 2 : 1;
	}
	return *p ? p + 1 : p;
}

/* A slash within a word begins no comment. */
static bool begins_word(const char *text, const char *p)
{
	return p == text || strchr(" \t\r\n{}(),=\"'", p[-1]);
}

/* Behind a comment that begins here, be it ended or not; NULL: none does. */
static const char *skip_comment(const char *text, const char *p, bool *is_ended)
{
	const char *end;

	*is_ended = true;
	if (*p == '#' || (strncmp(p, "//", 2) == 0 && begins_word(text, p)))
		return p + strcspn(p, "\n");
	if (strncmp(p, "/*", 2) != 0 || !begins_word(text, p))
		return NULL;
	end = strstr(p + 2, "*/");
	*is_ended = end != NULL;
	return end ? end + 2 : p + strlen(p);
}

/* Behind a string or variable that begins here; NULL: none does. */
static const char *skip_quoted(const char *p)
{
	return *p == '"' || *p == '\'' ? skip_string(p) : skip_variable(p);
}

void settings_text_blank_comments(char *text)
{
	for (char *p = text; *p;) {
		const char *behind = skip_quoted(p), *end;
		bool is_ended;

		end = behind ? NULL : skip_comment(text, p, &is_ended);
		for (char *byte = p; end && is_ended && byte < end; byte++)
			if (*byte != '\n')
				*byte = ' ';
		if (end)
			behind = end;
		p = behind ? text + (behind - text) : p + 1;
	}
}

/* A variable with a newline in its name, between a quoted thing's start and its end. */
static const char *find_torn_variable(const char *from, const char *to)
{
	if (*from == '\'') /* there are none */
		return NULL;
	for (const char *p = from; p < to;) {
		const char *behind = skip_variable(p);

		if (behind && memchr(p, '\n', (size_t)(behind - p)))
			return p;
		if (behind)
			p = behind;
		else
			p += *p == '\\' && p[1] ? 2 : 1;
	}
	return NULL;
}

const char *settings_text_find_misread(const char *text, const char **why)
{
	for (const char *p = text; *p;) {
		const char *behind = skip_quoted(p), *torn;
		bool is_ended;

		torn = behind ? find_torn_variable(p, behind) : NULL;
		if (torn) {
			*why = "\"${\" without \"}\" on its line";
			return torn;
		}
		if (!behind)
			behind = skip_comment(text, p, &is_ended);
		if (!behind && (*p == '*' || (*p == '+' && p[1] != '='))) {
			*why = *p == '*' ? "\"*\" outside of quotes" : "\"+\" outside of quotes";
			return p;
		}
		p = behind ? behind : p + 1;
	}
	return NULL;
}
