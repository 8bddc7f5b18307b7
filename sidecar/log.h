/* SPDX-License-Identifier: MIT */
/*
 * log - one line per event on standard error, as text or as JSON.
 *
 * Only the command layer and the reconciler log; everything below returns a
 * struct error.  Each failure is said once.
 */
#ifndef SIDECAR_LOG_H
#define SIDECAR_LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_COUNT
};

/* The level of that name, or -1. */
int log_level_parse(const char *name);

/* Messages below `level` are dropped from now on.  Default: notice, text. */
void log_set_up(enum log_level level, bool json);

/*
 * From now on a line for which there is no room within 100 ms is lost, and so are
 * those after it while there is none: standard error may be a pipe that nobody
 * reads, and whoever runs for ever has more to do than to wait for that.
 */
void log_never_wait(void);

/* Nothing is written from now on: what this process does is only a rehearsal. */
void log_silence(void);

/* One write(2) a line; errno is kept; newlines in the text become "\n". */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
