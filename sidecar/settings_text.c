/* SPDX-License-Identifier: MIT */
/* settings_text - a text for libconfuse, without what it counts wrongly. */
#include "settings_text.h"

#include <stdbool.h>
#include <string.h>

static char *blank_until(char *p, const char *end)
{
	for (; p < end; p++)
		if (*p != '\n')
			*p = ' ';
	return p;
}

/* Behind a variable of the environment, which may hold quotes and the rest. */
static char *skip_variable(char *p)
{
	char *end = strncmp(p, "${", 2) == 0 ? strchr(p, '}') : NULL;

	return end ? end + 1 : NULL;
}

/* Behind a string; a backslash takes the next byte along. */
static char *skip_string(char *p)
{
	char quote = *p++, *behind;

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
	return p == text || strchr(" \t\r\n{}(),=", p[-1]);
}

/* Behind a comment that begins here; NULL: none does, or one without an end. */
static char *skip_comment(const char *text, char *p)
{
	char *end;

	if (*p == '#' || (strncmp(p, "//", 2) == 0 && begins_word(text, p)))
		return blank_until(p, p + strcspn(p, "\n"));
	if (strncmp(p, "/*", 2) != 0 || !begins_word(text, p))
		return NULL;
	end = strstr(p + 2, "*/");
	return end ? blank_until(p, end + 2) : p + strlen(p);
}

void settings_text_blank_comments(char *text)
{
	char *p = text;

	while (*p) {
		char *behind = *p == '"' || *p == '\'' ? skip_string(p) : skip_variable(p);

		if (!behind)
			behind = skip_comment(text, p);
		p = behind ? behind : p + 1;
	}
}
