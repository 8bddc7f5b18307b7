/* SPDX-License-Identifier: MIT */
/* log - one line per event on standard error, as text or as JSON. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_MAX = 2048, LINE_MAX_BYTES = 6 * MESSAGE_MAX };

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };

_Static_assert(sizeof(level_names) / sizeof(level_names[0]) == LOG_LEVEL_COUNT,
	       "a name for each level");

static enum log_level lowest = LOG_LEVEL_NOTICE;
static bool as_json;

int log_level_parse(const char *name)
{
	for (int i = 0; i < LOG_LEVEL_COUNT; i++)
		if (strcmp(name, level_names[i]) == 0)
			return i;
	return -1;
}

void log_set_up(enum log_level level, bool json)
{
	lowest = level;
	as_json = json;
}

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

/*
 * Add text with control characters escaped, as RFC 8259 wants them in JSON,
 * and so what is no UTF-8.
 */
static size_t add_escaped(char *line, size_t at, const char *text, bool json)
{
	const unsigned char *p = (const unsigned char *)text;

	for (; *p && at < LINE_MAX_BYTES - 8; p++) {
		size_t length = character_length(p);
		unsigned char c = *p;

		if (length > 0) {
			memcpy(line + at, p, length);
			at += length;
			p += length - 1;
		} else if (c >= 0x80 && json) {
			at += (size_t)sprintf(line + at, "\\ufffd");
		} else if (c == '\n') {
			line[at++] = '\\';
			line[at++] = 'n';
		} else if (c < 0x20 || c >= 0x7f) {
			at += (size_t)sprintf(line + at, json ? "\\u%04x" : "\\x%02x", c);
		} else {
			if (json && (c == '"' || c == '\\'))
				line[at++] = '\\';
			line[at++] = (char)c;
		}
	}
	return at;
}

static size_t add_time(char *line)
{
	struct timespec now;
	struct tm utc;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	n = strftime(line, 32, "%Y-%m-%dT%H:%M:%S", &utc);
	return n + (size_t)sprintf(line + n, ".%03ldZ", now.tv_nsec / 1000000);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char message[MESSAGE_MAX], line[LINE_MAX_BYTES];
	int saved = errno;
	size_t at = 0;
	va_list ap;

	if (level > lowest)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (as_json) {
		at += (size_t)sprintf(line, "{\"time\":\"");
		at += add_time(line + at);
		at += (size_t)sprintf(line + at, "\",\"level\":\"%s\",\"message\":\"",
				      level_names[level]);
		at = add_escaped(line, at, message, true);
		at += (size_t)sprintf(line + at, "\"}");
	} else {
		at += (size_t)sprintf(line, "postern: %s: ", level_names[level]);
		at = add_escaped(line, at, message, false);
	}
	line[at++] = '\n';
	if (write(STDERR_FILENO, line, at) < 0) {
		/* Nowhere is left to say so. */
	}
	errno = saved;
}
