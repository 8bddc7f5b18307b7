/* SPDX-License-Identifier: MIT */
/* generation - the processes that greet clients for a master. */
#include "generation.h"

#include "patchers/base/cleanup.h"
#include "process.h"

#include <stdio.h>
#include <time.h>

enum { STEP_MS = 2 };

void generation_take(pid_t master, const char *const *programs, struct generation *out)
{
	cleanup_file FILE *file = NULL;
	char path[PROCESS_PATH_MAX];
	int pid;

	out->n = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)master, (int)master);
	file = fopen(path, "re");
	while (file && out->n < GENERATION_MAX && fscanf(file, "%d", &pid) == 1)
		if (process_may_run_one_of(pid, programs)) /* at worst it is waited for */
			out->pids[out->n++] = pid;
}

/* Not by the list of children, which may lack some while others end. */
static bool is_child(pid_t pid, pid_t master)
{
	struct process_stat now;

	return process_read_stat(pid, &now) == 0 && now.parent == master && now.state != 'Z';
}

static bool is_gone(pid_t master, struct generation *generation)
{
	size_t left = 0;

	for (size_t i = 0; i < generation->n; i++)
		if (is_child(generation->pids[i], master))
			generation->pids[left++] = generation->pids[i];
	generation->n = left;
	return left == 0;
}

bool generation_await(pid_t master, struct generation *generation)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	size_t left = generation->n;

	/* Bounded: there are only so many that can end. */
	for (int quiet = 0; !is_gone(master, generation); quiet += STEP_MS) {
		if (generation->n < left)
			quiet = 0;
		left = generation->n;
		if (quiet >= GENERATION_QUIET_MS)
			return false;
		nanosleep(&step, NULL);
	}
	return true;
}
