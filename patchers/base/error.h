/* SPDX-License-Identifier: MIT */
/*
 * error - why something failed, in a sentence that can be printed as it is.
 *
 * The message lives inside the struct, on the caller's stack: nothing is
 * allocated and nothing is released, so it works when memory has run out.
 * Functions that take a struct error last return 0 or a negative errno, leave
 * *err untouched on success, and accept NULL from a caller who needs no text.
 */
#ifndef PATCHERS_BASE_ERROR_H
#define PATCHERS_BASE_ERROR_H

#define ERROR_MSG_MAX 1024

struct error {
	int code;                /* negative errno */
	char msg[ERROR_MSG_MAX]; /* ends in "..." where it was too long */
};

/* Fill err with `code` (negative errno) and a text; returns code. */
int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As error_set() with -errno, and ": <strerror>" after the text. */
int error_errno(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As error_errno() with the given negative errno. */
int error_code(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "<text>: " before the message err already holds; returns code. */
int error_wrap(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Put "PATH:" before a message that begins with a line's number; returns code.
 * Does nothing when code is 0.
 */
int error_in_file(struct error *err, int code, const char *path);

#endif
