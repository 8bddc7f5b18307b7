/* SPDX-License-Identifier: MIT */
/* callfault_log - a line a call. */
#include "callfault.h"
#include "callfault_registers.h"

#include <inttypes.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "syscall_names.h" /* made of the compiler's own list: harness.py */

const char *callfault_call_name(uint64_t nr)
{
	for (size_t i = 0; i < sizeof(syscall_names) / sizeof(syscall_names[0]); i++)
		if (syscall_names[i].nr == (long)nr)
			return syscall_names[i].name;
	return "unknown";
}

static void print_text(FILE *log, pid_t pid, uint64_t at)
{
	char text[TEXT_BYTES + 1] = "";
	size_t n = TEXT_BYTES;

	while (n > 0 && !peek(pid, at, text, n))
		n /= 2;
	text[n] = '\0';
	fputs(" \"", log);
	for (const char *c = text; *c; c++)
		if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
			fprintf(log, "\\x%02x", (unsigned char)*c);
		else
			fputc(*c, log);
	fputc('"', log);
}

static void print_file(FILE *log, pid_t pid, int64_t fd)
{
	char path[64], target[512];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%" PRId64, (int)pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	fprintf(log, " <%s>", target);
}

/* Which of a call's arguments are texts: names, of files and of the process itself; bits. */
static unsigned texts_of(uint64_t nr)
{
	static const struct {
		long nr;
		unsigned arguments;
	} table[] = {
		{ SYS_openat, 2 },       { SYS_openat2, 2 },    { SYS_newfstatat, 2 },
		{ SYS_unlinkat, 2 },     { SYS_mkdirat, 2 },    { SYS_readlinkat, 2 },
		{ SYS_renameat, 2 | 8 }, { SYS_linkat, 2 | 8 }, { SYS_execve, 1 },
		{ SYS_statx, 2 },        { SYS_fchownat, 2 },   { SYS_fchmodat, 2 },
		{ SYS_prctl, 2 }, /* PR_SET_NAME */
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].nr == (long)nr)
			return table[i].arguments;
	return 0;
}

static uint64_t flags_of(const struct task *task)
{
	uint64_t flags = task->entry.entry.args[2];

	if (task->entry.entry.nr == SYS_openat2 && !peek(task->pid, flags, &flags, sizeof(flags)))
		flags = 0;
	return flags;
}

void callfault_log_call(FILE *log, const struct task *task, int64_t result)
{
	const uint64_t *args = task->entry.entry.args;
	const uint64_t nr = task->entry.entry.nr;
	const unsigned texts = texts_of(nr);
	bool opens = nr == SYS_openat || nr == SYS_openat2;

	fprintf(log, "%d %u %s %" PRIx64 " = %" PRId64, task->number, task->n,
		callfault_call_name(nr), opens ? flags_of(task) : args[1], result);
	/* Before the names, whose folders they are; a call of a descriptor has just that. */
	if (nr != SYS_execve && nr != SYS_brk && nr != SYS_mmap && (int64_t)args[0] >= -100 &&
	    args[0] < 4096)
		print_file(log, task->pid, (int64_t)args[0]);
	for (int i = 0; i < 4; i++) {
		if (i == 3 && texts & 8) /* in which folder the second name is */
			print_file(log, task->pid, (int64_t)args[2]);
		if (texts & 1U << i)
			print_text(log, task->pid, args[i]);
	}
	fprintf(log, " %" PRIx64 "\n", args[2]);
}
