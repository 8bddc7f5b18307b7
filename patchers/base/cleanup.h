/* SPDX-License-Identifier: MIT */
/*
 * cleanup - release a local variable when its scope ends.
 *
 * A failure is then one `return`.  Ownership that leaves the scope is taken
 * with steal_pointer() or steal_fd().
 */
#ifndef PATCHERS_BASE_CLEANUP_H
#define PATCHERS_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

static inline void cleanup_free_p(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close_p(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclose_p(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* `cleanup_free char *s = NULL;`, `cleanup_fd int fd = -1;`, `cleanup_file FILE *f = NULL;` */
#define cleanup_free CLEANUP(cleanup_free_p)
#define cleanup_fd CLEANUP(cleanup_close_p)
#define cleanup_file CLEANUP(cleanup_fclose_p)
#define cleanup_buf CLEANUP(buf_release)

static inline int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void *steal_pointer_p(void *pp)
{
	void **p = pp;
	void *taken = *p;

	*p = NULL;
	return taken;
}
#ifdef __cppcheck__ /* which stumbles over such a cast in an argument */
#define steal_pointer(pp) steal_pointer_p(pp)
#else
#define steal_pointer(pp) ((__typeof__(*(pp)))steal_pointer_p(pp))
#endif

#endif
