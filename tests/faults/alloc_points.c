/* SPDX-License-Identifier: MIT */
/*
 * alloc_points - the whole program, whose n-th allocation fails.
 *
 * The linker sends every call of malloc(3) and its kin through here (--wrap):
 * the program's own and those of the libraries, which are linked in as archives.
 * $FAULTS_ALLOC names a file with a struct plan, which all processes share; each
 * counts for itself from its birth, and how many forks it is away from the
 * first one tells which kind of process it is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#include <sanitizer/lsan_interface.h>

enum { DEPTHS = 4, NAME_BYTES = 16, LEAKED = 98, WAYS = 1 << 14, FRAMES = 64 };

/* Fixed: Python reads and writes it, too. */
struct plan {
	int32_t armed; /* 0: nothing fails */
	int32_t depth;
	int32_t n;    /* from 1; 0: nothing is to fail, and the ways are taken down */
	int32_t more; /* so many after the n-th, in that process, too */
	int32_t fired;
	int32_t most[DEPTHS];  /* of the processes that are meant */
	char name[NAME_BYTES]; /* of these, from prctl(2); empty: any */
	/* By which calls of functions the first of them that made so many came to the n-th. */
	uint32_t ways[WAYS];
};

static struct plan *plan;
static int32_t depth, count;
static int32_t more; /* to fail in this process, from now on */
static bool has_headroom;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAULTS_ALLOC");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *shared;

	if (fd < 0)
		return;
	shared = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (shared != MAP_FAILED)
		plan = shared;
}

static bool is_meant(void)
{
	char name[NAME_BYTES] = "";

	if (!plan->name[0])
		return true;
	prctl(PR_GET_NAME, name);
	return strncmp(name, plan->name, sizeof(name)) == 0;
}

/* ---- ways: two allocations on the same one differ in what is in memory only ---- */

extern const char __executable_start[], etext[];

struct way {
	uint32_t hash; /* FNV-1a */
	int frames;
};

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *arg)
{
	struct way *way = arg;
	const uintptr_t address = _Unwind_GetIP(context);
	uintptr_t offset = address - (uintptr_t)__executable_start;

	if (address < (uintptr_t)__executable_start || address > (uintptr_t)etext)
		return _URC_NO_REASON; /* the C library's, wherever that is */
	for (; offset; offset >>= 8)
		way->hash = (way->hash ^ (uint8_t)offset) * 16777619U;
	return ++way->frames < FRAMES ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void take_down_way(void)
{
	struct way way = { .hash = 2166136261U };

	if (!plan->armed || plan->n || plan->depth != depth || count >= WAYS || plan->ways[count] ||
	    !is_meant())
		return;
	(void)_Unwind_Backtrace(add_frame, &way);
	plan->ways[count] = way.hash;
}

static bool must_fail(void)
{
	if (!plan || has_headroom)
		return false;
	count++;
	take_down_way();
	if (depth < DEPTHS && plan->most[depth] < count && is_meant())
		plan->most[depth] = count;
	if (more > 0) {
		more--;
	} else {
		if (!plan->armed || plan->depth != depth || plan->n != count || !is_meant())
			return false;
		plan->armed = 0; /* one process has it, once */
		more = plan->more;
	}
	plan->fired++;
	errno = ENOMEM;
	return true;
}

/* ---- processes ---- */

pid_t __real_fork(void);
pid_t __wrap_fork(void);
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

pid_t __wrap_fork(void)
{
	pid_t pid = __real_fork();

	if (pid == 0) {
		depth++;
		count = 0;
		more = 0;
	}
	return pid;
}

/*
 * It asks for the alternative stack, which the filter of system calls does not let it: then it
 * would report that for ever.  Nothing here jumps over frames.
 */
void __wrap___asan_handle_no_return(void);

void __wrap___asan_handle_no_return(void)
{
}

/* A process that ends so would not be asked what it has lost. */
void __wrap__exit(int status)
{
	static const char *const asked[] = { "postern-look", "postern-judge", "postern-watch",
					     "postern-guard" };
	char name[NAME_BYTES] = "";

	more = 0;
	prctl(PR_GET_NAME, name);
	for (size_t i = 0; plan && i < sizeof(asked) / sizeof(asked[0]); i++)
		if (strcmp(name, asked[i]) == 0 && __lsan_do_recoverable_leak_check())
			status = LEAKED;
	__real__exit(status);
}

/* The first one ends as programs do; behind main(), where nothing on the stack is held any more. */
__attribute__((destructor)) static void end(void)
{
	more = 0;
	if (plan && depth == 0)
		(void)__lsan_do_recoverable_leak_check();
}

/* ---- what has headroom (sidecar/headroom.h): tests/faults/test_memory.py ---- */

typedef void *scmp_filter_ctx;

scmp_filter_ctx __real_seccomp_init(uint32_t action);
scmp_filter_ctx __wrap_seccomp_init(uint32_t action);
void __real_seccomp_release(scmp_filter_ctx filter);
void __wrap_seccomp_release(scmp_filter_ctx filter);

scmp_filter_ctx __wrap_seccomp_init(uint32_t action)
{
	has_headroom = true;
	return __real_seccomp_init(action);
}

void __wrap_seccomp_release(scmp_filter_ctx filter)
{
	__real_seccomp_release(filter);
	has_headroom = false;
}

#define WRAP_CONFUSE(type, name, parameters, arguments)                                            \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		type result;                                                                       \
                                                                                                   \
		has_headroom = true;                                                               \
		result = __real_##name arguments;                                                  \
		has_headroom = false;                                                              \
		return result;                                                                     \
	}

struct cfg_t;
struct cfg_opt_t;
typedef int (*validate)(struct cfg_t *cfg, struct cfg_opt_t *opt);

WRAP_CONFUSE(struct cfg_t *, cfg_init, (struct cfg_opt_t * keys, int flags), (keys, flags))
WRAP_CONFUSE(int, cfg_parse_fp, (struct cfg_t * cfg, FILE *file), (cfg, file))
WRAP_CONFUSE(validate, cfg_set_validate_func, (struct cfg_t * cfg, const char *key, validate check),
	     (cfg, key, check))

WRAP_CONFUSE(char *, cfg_getstr, (struct cfg_t * cfg, const char *key), (cfg, key))
WRAP_CONFUSE(char *, cfg_getnstr, (struct cfg_t * cfg, const char *key, unsigned i), (cfg, key, i))
WRAP_CONFUSE(long, cfg_getint, (struct cfg_t * cfg, const char *key), (cfg, key))
WRAP_CONFUSE(int, cfg_getbool, (struct cfg_t * cfg, const char *key), (cfg, key))
WRAP_CONFUSE(unsigned, cfg_size, (struct cfg_t * cfg, const char *key), (cfg, key))
WRAP_CONFUSE(struct cfg_t *, cfg_getsec, (struct cfg_t * cfg, const char *key), (cfg, key))
WRAP_CONFUSE(struct cfg_t *, cfg_getnsec, (struct cfg_t * cfg, const char *key, unsigned i),
	     (cfg, key, i))

/* ---- what allocates, and what opens ---- */

#include "tests/support/alloc_wraps.h"

ALLOC_WRAP(fopen, (const char *path, const char *mode), (path, mode))
ALLOC_WRAP(fdopen, (int fd, const char *mode), (fd, mode))
ALLOC_WRAP(opendir, (const char *path), (path))
ALLOC_WRAP(fdopendir, (int fd), (fd))
