/* SPDX-License-Identifier: MIT */
/* orphans - the processes that descend from us, found in /proc. */
#include "orphans.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/span.h"
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { FOLDER_BYTES = 4096 };

struct process {
	pid_t pid;
	pid_t parent;
	bool zombie;
};

/* By pid, upwards.  Static: it must be there when memory has run out. */
static struct process found[ORPHANS_PROCESSES_MAX];

/* Whether /proc counts processes as we do. */
static bool proc_is_ours(void)
{
	char target[16];
	ssize_t n = readlink("/proc/self", target, sizeof(target));
	unsigned long pid;

	return n > 0 && span_to_number(span_make(target, (size_t)n), INT_MAX, &pid) &&
	       (pid_t)pid == getpid();
}

/* "PID PID ... ", as many as fit; false when the kernel does not tell. */
static bool read_children(char *out, size_t size)
{
	cleanup_fd int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 && proc_is_ours() ? read(fd, out, size - 1) : -1;

	if (n < 0)
		return false;
	out[n] = '\0';
	return true;
}

bool orphans_exist(pid_t except)
{
	char text[64]; /* the first two are enough */
	struct span rest, word;
	unsigned long pid;

	if (!read_children(text, sizeof(text)))
		return true;
	rest = span_from(text);
	for (word = span_take_word(&rest, " "); word.len > 0; word = span_take_word(&rest, " "))
		if (!span_to_number(word, INT_MAX, &pid) || (pid_t)pid != except)
			return true;
	return false;
}

static bool read_process(pid_t pid, struct process *out)
{
	struct process_stat stat;

	if (process_read_stat(pid, &stat) < 0)
		return false;
	*out = (struct process){ .pid = pid, .parent = stat.parent, .zombie = stat.state == 'Z' };
	return true;
}

/* Add the processes among n_bytes of getdents64(2); how many there are now. */
static size_t add_entries(const char *entries, size_t n_bytes, size_t n)
{
	for (size_t at = 0; at < n_bytes && n < ORPHANS_PROCESSES_MAX;) {
		const struct dirent64 *entry = (const void *)(entries + at);
		unsigned long pid;

		/* The kernel lists them by number; what breaks that could not be found. */
		if (span_to_number(span_from(entry->d_name), INT_MAX, &pid) &&
		    (n == 0 || (pid_t)pid > found[n - 1].pid) &&
		    read_process((pid_t)pid, &found[n]))
			n++;
		at += entry->d_reclen;
	}
	return n;
}

/* All processes into `found`; false when /proc cannot be read. */
static bool look(size_t *n)
{
	_Alignas(struct dirent64) char entries[FOLDER_BYTES];
	cleanup_fd int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t got;

	*n = 0;
	if (fd < 0 || !proc_is_ours())
		return false;
	/* Ends when the folder does, or `found` is full. */
	while ((got = getdents64(fd, entries, sizeof(entries))) > 0)
		*n = add_entries(entries, (size_t)got, *n);
	return got == 0;
}

static int by_pid(const void *key, const void *element)
{
	pid_t pid = *(const pid_t *)key, other = ((const struct process *)element)->pid;

	return (pid > other) - (pid < other);
}

/* Whether the way up from `process` leads to `self` and not through `except`. */
static bool descends(const struct process *process, size_t n, pid_t self, pid_t except)
{
	for (size_t steps = 0; steps < n && process && process->pid != except; steps++) {
		if (process->parent == self)
			return true;
		process = bsearch(&process->parent, found, n, sizeof(found[0]), by_pid);
	}
	return false;
}

int orphans_signal(int sig, pid_t except, pid_t group)
{
	pid_t self = getpid();
	int living = 0;
	size_t n;

	if (!look(&n)) {
		(void)kill(self == 1 ? -1 : -group, sig);
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		if (!descends(&found[i], n, self, except))
			continue;
		(void)kill(found[i].pid, sig); /* it may just have ended */
		living += !found[i].zombie;
	}
	return living;
}

void orphans_kill(pid_t group)
{
	char text[FOLDER_BYTES];
	unsigned long pid;

	/*
	 * First what is nearest, as quickly as can be: who forks and exits, again and
	 * again, is a child of ours each time, and has another number before all of
	 * /proc is read.
	 */
	if (read_children(text, sizeof(text))) {
		const char *blank, *at = text;

		/* A number without a blank after it may be cut off, and another process's. */
		for (; (blank = strchr(at, ' ')); at = blank + 1)
			if (span_to_number(span_between(at, blank), INT_MAX, &pid) && pid > 0)
				(void)kill((pid_t)pid, SIGKILL);
	}
	(void)orphans_signal(SIGKILL, 0, group);
}
