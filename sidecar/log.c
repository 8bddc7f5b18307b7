/* SPDX-License-Identifier: MIT */
/* log - one line per event on standard error, as text or as JSON. */
#include "log.h"

#include "printable.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_MAX = 2048, LINE_MAX_BYTES = 6 * MESSAGE_MAX, PATIENCE_MS = 100 };

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };

_Static_assert(sizeof(level_names) / sizeof(level_names[0]) == LOG_LEVEL_COUNT,
	       "a name for each level");

static enum log_level lowest = LOG_LEVEL_NOTICE;
static bool as_json;
static bool waits_for_the_reader = true;
static bool reader_sleeps;
static bool is_silent;

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

void log_never_wait(void)
{
	waits_for_the_reader = false;
}

void log_silence(void)
{
	is_silent = true;
}

static size_t add_printable(char *line, size_t at, const char *text)
{
	while (*text && at < LINE_MAX_BYTES - PRINTABLE_BYTES - 3)
		at += printable_next(&text, as_json, line + at);
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

/* Whether PIPE_BUF bytes can be written at once; not waited for again until they could. */
static bool reader_is_ready(void)
{
	struct pollfd end = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (!waits_for_the_reader)
		reader_sleeps = poll(&end, 1, reader_sleeps ? 0 : PATIENCE_MS) <= 0;
	return !reader_sleeps;
}

/* One write(2), but for a line that a pipe does not take as one anyway (pipe(7)). */
static void write_line(const char *line, size_t n)
{
	while (n > 0 && reader_is_ready()) {
		size_t part = waits_for_the_reader || n < PIPE_BUF ? n : PIPE_BUF;

		if (write(STDERR_FILENO, line, part) != (ssize_t)part)
			return; /* Nowhere is left to say so. */
		line += part;
		n -= part;
	}
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char message[MESSAGE_MAX], line[LINE_MAX_BYTES];
	int saved = errno;
	size_t at = 0;
	va_list ap;

	if (is_silent || level > lowest)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (as_json) {
		at += (size_t)sprintf(line, "{\"time\":\"");
		at += add_time(line + at);
		at += (size_t)sprintf(line + at, "\",\"level\":\"%s\",\"message\":\"",
				      level_names[level]);
		at = add_printable(line, at, message);
		at += (size_t)sprintf(line + at, "\"}");
	} else {
		at += (size_t)sprintf(line, "postern: %s: ", level_names[level]);
		at = add_printable(line, at, message);
	}
	line[at++] = '\n';
	write_line(line, at);
	errno = saved;
}
