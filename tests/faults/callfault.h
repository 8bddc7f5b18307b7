/* SPDX-License-Identifier: MIT */
/* callfault - what its files have in common. */
#ifndef TESTS_FAULTS_CALLFAULT_H
#define TESTS_FAULTS_CALLFAULT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/types.h>

#include <linux/ptrace.h>

enum { TASKS_MAX = 256, FAILED = 125, TEXT_BYTES = 200, NAME_BYTES = 16, HURRIED_MS = 50 };
enum { CALL_NAME_BYTES = 32 };

enum action {
	ACTION_NONE,
	ACTION_ERRNO,
	ACTION_DONE,
	ACTION_SHORT,
	ACTION_BEFORE,
	ACTION_AFTER,
	ACTION_AMID,
};

/* Fixed: Python reads and writes it, too. */
struct control {
	int32_t armed;
	int32_t children; /* that process 0 has had */
	int32_t call;
	int32_t action;
	int32_t code;
	int32_t hit;
	int32_t hit_nr; /* the number of the call that was hit */
	int32_t last_call; /* calls that the last child made that was counted */
	int64_t clock_ns;
	char hit_name[NAME_BYTES]; /* what the process was called then */
	char role[NAME_BYTES];
	char of[CALL_NAME_BYTES]; /* the call's name, or "" */
};

struct task {
	pid_t pid;
	int number;
	bool is_child; /* of process 0 */
	bool in_call;
	bool is_hurried; /* in a wait that was made short */
	unsigned n; /* calls so far */
	enum action due;
	int changed; /* the argument that was changed for this call, or -1 */
	struct __ptrace_syscall_info entry;
};

/* As the headers of the C library have it; "unknown". */
const char *callfault_call_name(uint64_t nr);

/* A line about a call that has ended, while its process stands still. */
void callfault_log_call(FILE *log, const struct task *task, int64_t result);

#endif
