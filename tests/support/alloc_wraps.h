/* SPDX-License-Identifier: MIT */
/*
 * alloc_wraps - the functions that allocate, by the linker's --wrap: calls of NAME come to
 * __wrap_NAME, __real_NAME is the library's.
 *
 * For one source file a program, behind its own
 *
 *	static bool must_fail(void);
 *
 * which is asked at each call, and sets errno when it says yes.
 */
#ifndef TESTS_SUPPORT_ALLOC_WRAPS_H
#define TESTS_SUPPORT_ALLOC_WRAPS_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of any function that returns a pointer. */
#define ALLOC_WRAP(name, parameters, arguments)                                                    \
	void *__real_##name parameters;                                                            \
	void *__wrap_##name parameters;                                                            \
	void *__wrap_##name parameters                                                             \
	{                                                                                          \
		return must_fail() ? NULL : __real_##name arguments;                               \
	}

ALLOC_WRAP(malloc, (size_t size), (size))
ALLOC_WRAP(calloc, (size_t n, size_t size), (n, size))
ALLOC_WRAP(realloc, (void *p, size_t size), (p, size))
ALLOC_WRAP(reallocarray, (void *p, size_t n, size_t size), (p, n, size))
ALLOC_WRAP(strdup, (const char *s), (s))
ALLOC_WRAP(strndup, (const char *s, size_t n), (s, n))

int __real_vasprintf(char **out, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
int __wrap_vasprintf(char **out, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
int __wrap_asprintf(char **out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* asprintf(3) leaves *out undefined when it fails: make that bite. */
static char not_a_pointer[1];

int __wrap_vasprintf(char **out, const char *fmt, va_list ap)
{
	if (!must_fail())
		return __real_vasprintf(out, fmt, ap);
	*out = not_a_pointer;
	return -1;
}

int __wrap_asprintf(char **out, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = __wrap_vasprintf(out, fmt, ap);
	va_end(ap);
	return n;
}

#endif
