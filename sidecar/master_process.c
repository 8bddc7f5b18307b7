/* SPDX-License-Identifier: MIT */
/* master_process - the process that a server's pid file names. */
#include "master_process.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "rootfs.h"
#include "textfile.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

void master_process_release(struct master_process *master)
{
	if (master->pidfd >= 0)
		close(master->pidfd);
	*master = (struct master_process)MASTER_PROCESS_INIT;
}

/* The program's file name; after an upgrade the link says " (deleted)" too. */
static bool runs_program(pid_t pid, const char *program)
{
	char path[64], exe[PATH_MAX];
	size_t want = strlen(program);
	const char *name;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n < 0)
		return false;
	exe[n] = '\0';
	name = strrchr(exe, '/');
	name = name ? name + 1 : exe;
	return strncmp(name, program, want) == 0 &&
	       (name[want] == '\0' || strcmp(name + want, " (deleted)") == 0);
}

static bool lives_in(pid_t pid, const struct rootfs *root)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root/.", (int)pid);
	return fstat(root->fd, &ours) == 0 && stat(path, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

int master_process_find(const struct rootfs *root, const char *pid_file, const char *program,
			struct master_process *out, struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	unsigned long number;
	cleanup_fd int pidfd = -1;
	int rc = textfile_read(root, pid_file, &text, err);

	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	if (rc < 0)
		return rc;
	if (!span_to_number(span_trim(buf_span(&text), " \t\r\n"), INT_MAX, &number) || number < 1)
		return 0;
	/* The descriptor first: what is checked then is what will be signalled. */
	pidfd = (int)syscall(SYS_pidfd_open, (pid_t)number, 0);
	/* EINVAL, ENOENT: the number is a thread's by now. */
	if (pidfd < 0 && (errno == ESRCH || errno == EINVAL || errno == ENOENT))
		return 0;
	if (pidfd < 0)
		return error_errno(err, "open process %lu", number);
	if (!runs_program((pid_t)number, program) || !lives_in((pid_t)number, root))
		return 0;
	*out = (struct master_process){ .pid = (pid_t)number, .pidfd = pidfd };
	if (!master_process_is_alive(out)) {
		*out = (struct master_process)MASTER_PROCESS_INIT;
		return 0;
	}
	steal_fd(&pidfd);
	return 1;
}

bool master_process_is_alive(const struct master_process *master)
{
	struct pollfd ended = { .fd = master->pidfd, .events = POLLIN };

	return poll(&ended, 1, 0) == 0;
}

int master_process_reload(const struct master_process *master, struct error *err)
{
	if (syscall(SYS_pidfd_send_signal, master->pidfd, SIGHUP, NULL, 0) < 0)
		return error_errno(err, "send SIGHUP to process %d", (int)master->pid);
	return 0;
}
