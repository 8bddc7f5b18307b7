/* SPDX-License-Identifier: MIT */
/* alloc_fault - let the n-th allocation of the code under test fail. */
#include "alloc_fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	bool armed;
	bool fired;
	enum alloc_fault_kind kind;
	unsigned long countdown;
} fault;

void alloc_fault_arm(unsigned long n, enum alloc_fault_kind kind)
{
	fault.armed = true;
	fault.fired = false;
	fault.kind = kind;
	fault.countdown = n;
}

bool alloc_fault_disarm(void)
{
	fault.armed = false;
	return fault.fired;
}

static bool must_fail(void)
{
	if (!fault.armed)
		return false;
	if (fault.countdown > 0)
		fault.countdown--;
	if (fault.countdown > 0 || (fault.fired && fault.kind == ALLOC_FAULT_ONE))
		return false;
	fault.fired = true;
	errno = ENOMEM;
	return true;
}

/* The linker's names: calls of NAME come to __wrap_NAME, __real_NAME is the library's. */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
char *__wrap_strndup(const char *s, size_t n);
int __real_vasprintf(char **out, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
int __wrap_vasprintf(char **out, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
int __wrap_asprintf(char **out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void *__wrap_malloc(size_t size)
{
	return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return must_fail() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return must_fail() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
	return must_fail() ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
	return must_fail() ? NULL : __real_strndup(s, n);
}

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
