/* SPDX-License-Identifier: MIT */
/* process - what the kernel tells about another process, see proc(5). */
#include "process.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/span.h"
#include "rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum {
	STAT_BYTES_MAX = 1024,
	LINE_BYTES_MAX = 4096,
	/* PF_KTHREAD, in field 9 of /proc/PID/stat since Linux 2.6.17. */
	KERNEL_THREAD = 0x00200000,
	/* More lines than this no process's status or table of mounts has. */
	LINES_MAX = 200000,
};

const char *process_path(pid_t pid, const char *name, char out[PROCESS_PATH_MAX])
{
	snprintf(out, PROCESS_PATH_MAX, "/proc/%d/%s", (int)pid, name);
	return out;
}

/* The whole of a short file; its length or a negative errno. */
static ssize_t read_short(const char *path, char *out, size_t size)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, out, size - 1);
	if (n < 0)
		return -errno;
	out[n] = '\0';
	return n;
}

int process_read_stat(pid_t pid, struct process_stat *out)
{
	char path[PROCESS_PATH_MAX], text[STAT_BYTES_MAX];
	ssize_t n = read_short(process_path(pid, "stat", path), text, sizeof(text));
	const char *rest;
	unsigned flags;
	int parent;

	if (n < 0)
		return (int)n;
	/* The name may hold blanks and parentheses: it ends at the last one. */
	rest = strrchr(text, ')');
	if (!rest ||
	    sscanf(rest,
		   ") %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
		   "%*d %llu",
		   &out->state, &parent, &flags, &out->start) != 4)
		return -ESRCH;
	out->parent = parent;
	out->kernel_thread = flags & KERNEL_THREAD;
	return 0;
}

/* What a failed call says of a process: that nobody can be told of it is a no, 0. */
static int not_told(int error)
{
	return error == ENOENT || error == ESRCH || error == EACCES || error == EPERM ? 0 : -error;
}

/* The value of a field of /proc/PID/status into `out`: 1; 0 when there is none, or a negative
 * errno. */
static int read_status(pid_t pid, const char *field, char *out, size_t size)
{
	char path[PROCESS_PATH_MAX], line[LINE_BYTES_MAX];
	cleanup_file FILE *file = fopen(process_path(pid, "status", path), "re");
	size_t n = strlen(field);

	if (!file)
		return not_told(errno);
	for (int i = 0; i < LINES_MAX && fgets(line, sizeof(line), file); i++)
		if (strncmp(line, field, n) == 0 && line[n] == ':') {
			struct span value = span_trim(span_from(line + n + 1), " \t\n");

			snprintf(out, size, "%.*s", (int)value.len, value.data);
			return 1;
		}
	return ferror(file) ? not_told(errno) : 0;
}

int process_users(pid_t pid, uid_t *effective, uid_t *real)
{
	char value[LINE_BYTES_MAX];
	uid_t both[2];
	int rc = read_status(pid, "Uid", value, sizeof(value));

	if (rc <= 0 || sscanf(value, "%u %u", &both[0], &both[1]) != 2)
		return rc < 0 ? rc : 0;
	if (real)
		*real = both[0];
	if (effective)
		*effective = both[1];
	return 1;
}

pid_t process_of_thread(pid_t tid)
{
	char value[LINE_BYTES_MAX];
	unsigned long pid = 0;

	if (read_status(tid, "Tgid", value, sizeof(value)) <= 0 ||
	    !span_to_number(span_from(value), INT_MAX, &pid) || (pid_t)pid == tid)
		return 0;
	return (pid_t)pid;
}

int process_catches(pid_t pid, int signal)
{
	char value[LINE_BYTES_MAX];
	int rc = read_status(pid, "SigCgt", value, sizeof(value));

	if (rc <= 0)
		return rc;
	return strtoull(value, NULL, 16) >> (signal - 1) & 1 ? 1 : 0;
}

pid_t process_inner_number(pid_t pid)
{
	char value[LINE_BYTES_MAX];
	struct span numbers, number = { 0 };
	unsigned long inner = 0;
	int rc = read_status(pid, "NSpid", value, sizeof(value));

	if (rc <= 0)
		return rc;
	/* From the namespace of this /proc inwards. */
	numbers = span_from(value);
	while (numbers.len > 0)
		number = span_take_word(&numbers, " \t");
	return span_to_number(number, INT_MAX, &inner) ? (pid_t)inner : 0;
}

/* 0, or a negative errno. */
static int read_name(pid_t pid, char out[PROCESS_NAME_BYTES])
{
	char path[PROCESS_PATH_MAX], text[PROCESS_NAME_BYTES + 1]; /* and a newline */
	ssize_t n = read_short(process_path(pid, "comm", path), text, sizeof(text));

	if (n <= 0)
		return n < 0 ? (int)n : -ESRCH;
	snprintf(out, PROCESS_NAME_BYTES, "%.*s", (int)strcspn(text, "\n"), text);
	return 0;
}

bool process_name(pid_t pid, char out[PROCESS_NAME_BYTES])
{
	return read_name(pid, out) == 0;
}

static int calls_itself(pid_t pid, const char *program)
{
	char name[PROCESS_NAME_BYTES];
	int rc = read_name(pid, name);

	return rc < 0 ? not_told(-rc) : strncmp(name, program, PROCESS_NAME_BYTES - 1) == 0;
}

int process_runs(pid_t pid, const char *program)
{
	char path[PROCESS_PATH_MAX], exe[PATH_MAX];
	ssize_t n = readlink(process_path(pid, "exe", path), exe, sizeof(exe) - 1);
	size_t want = strlen(program);
	const char *name;

	if (n < 0 && (errno == EACCES || errno == EPERM))
		return calls_itself(pid, program);
	if (n < 0)
		return not_told(errno);
	exe[n] = '\0';
	name = strrchr(exe, '/');
	name = name ? name + 1 : exe;
	return strncmp(name, program, want) == 0 &&
	       (name[want] == '\0' || strcmp(name + want, " (deleted)") == 0);
}

bool process_may_run_one_of(pid_t pid, const char *const *programs)
{
	for (size_t i = 0; programs[i]; i++)
		if (process_runs(pid, programs[i]) != 0)
			return true;
	return false;
}

bool process_executes_nothing(pid_t pid)
{
	char path[PROCESS_PATH_MAX], exe[1];

	return readlink(process_path(pid, "exe", path), exe, sizeof(exe)) < 0 && errno == ENOENT;
}

/*
 * The mount whose top is the process's root stands in its own table under "/";
 * a process that was put into a folder further down has no such line.  Mount
 * numbers are the whole kernel's, not a namespace's.
 */
static int has_root_mount(pid_t pid, unsigned long long mount)
{
	char path[PROCESS_PATH_MAX], line[LINE_BYTES_MAX];
	cleanup_file FILE *file = fopen(process_path(pid, "mountinfo", path), "re");
	bool at_start = true;

	if (!file)
		return not_told(errno);
	for (int i = 0; i < LINES_MAX && fgets(line, sizeof(line), file); i++) {
		unsigned long long number;
		char point[3]; /* more than "/" needs: the rest of a longer one is left */

		if (at_start && sscanf(line, "%llu %*d %*s %*s %2s", &number, point) == 2 &&
		    number == mount && strcmp(point, "/") == 0)
			return 1;
		at_start = strchr(line, '\n') != NULL;
	}
	return ferror(file) ? not_told(errno) : 0;
}

int process_lives_in(pid_t pid, const struct rootfs *root)
{
	struct stat ours, theirs;
	char path[PROCESS_PATH_MAX];
	struct statx top;

	if (stat(process_path(pid, "root/.", path), &theirs) == 0)
		return fstat(root->fd, &ours) < 0
			       ? -errno
			       : ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
	if (errno != EACCES && errno != EPERM)
		return not_told(errno);
	if (statx(root->fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &top) < 0)
		return -errno;
	return (top.stx_mask & STATX_MNT_ID) && (top.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		       ? has_root_mount(pid, top.stx_mnt_id)
		       : 0;
}

int process_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd >= 0)
		return fd;
	/* EINVAL, ENOENT: the number is a thread's by now. */
	return errno == EINVAL || errno == ENOENT ? -ESRCH : -errno;
}

bool process_is_alive(int pidfd)
{
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	int n;

	do /* a signal of ours may interrupt even what does not wait */
		n = poll(&ended, 1, 0);
	while (n < 0 && errno == EINTR);
	return n <= 0; /* what cannot be asked has not been seen to end */
}

int process_walk_init(struct process_walk *walk, struct error *err)
{
	walk->proc = opendir("/proc");
	return walk->proc ? 0 : error_errno(err, "open /proc");
}

void process_walk_release(struct process_walk *walk)
{
	if (walk->proc)
		closedir(walk->proc);
	walk->proc = NULL;
}

pid_t process_walk_next(struct process_walk *walk)
{
	const struct dirent *entry;

	while ((entry = readdir(walk->proc))) {
		unsigned long number;

		if (span_to_number(span_from(entry->d_name), INT_MAX, &number) && number > 0)
			return (pid_t)number;
	}
	return 0;
}
