/* SPDX-License-Identifier: MIT */
/* error - why something failed, in a sentence that can be printed as it is. */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char ellipsis[] = "...";

/* Format into msg from `at`; a text that does not fit ends in an ellipsis. */
static size_t format_at(char *msg, size_t at, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

static size_t format_at(char *msg, size_t at, const char *fmt, va_list ap)
{
	int n = vsnprintf(msg + at, ERROR_MSG_MAX - at, fmt, ap);

	if (n < 0) {
		msg[at] = '\0';
		return at;
	}
	if ((size_t)n >= ERROR_MSG_MAX - at) {
		memcpy(msg + ERROR_MSG_MAX - sizeof(ellipsis), ellipsis, sizeof(ellipsis));
		return ERROR_MSG_MAX - 1;
	}
	return at + (size_t)n;
}

static void append(char *msg, size_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void append(char *msg, size_t at, const char *fmt, ...)
{
	va_list ap;

	if (at >= ERROR_MSG_MAX - 1)
		return;
	va_start(ap, fmt);
	format_at(msg, at, fmt, ap);
	va_end(ap);
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	format_at(err->msg, 0, fmt, ap);
	va_end(ap);
	err->code = code;
	return code;
}

static int set_with_reason(struct error *err, int code, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

static int set_with_reason(struct error *err, int code, const char *fmt, va_list ap)
{
	size_t at;

	if (!err)
		return code;
	at = format_at(err->msg, 0, fmt, ap);
	append(err->msg, at, ": %s", strerror(-code));
	err->code = code;
	return code;
}

int error_errno(struct error *err, const char *fmt, ...)
{
	int code = errno > 0 ? -errno : -EIO;
	va_list ap;

	va_start(ap, fmt);
	set_with_reason(err, code, fmt, ap);
	va_end(ap);
	return code;
}

int error_code(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_with_reason(err, code, fmt, ap);
	va_end(ap);
	return code;
}

int error_wrap(struct error *err, int code, const char *fmt, ...)
{
	char inner[ERROR_MSG_MAX];
	va_list ap;
	size_t at;

	if (!err)
		return code;
	memcpy(inner, err->msg, sizeof(inner));
	va_start(ap, fmt);
	at = format_at(err->msg, 0, fmt, ap);
	va_end(ap);
	append(err->msg, at, ": %s", inner);
	err->code = code;
	return code;
}

int error_in_file(struct error *err, int code, const char *path)
{
	char inner[ERROR_MSG_MAX];

	if (!err || code == 0)
		return code;
	memcpy(inner, err->msg, sizeof(inner));
	return error_set(err, code, "%s:%s", path, inner);
}
