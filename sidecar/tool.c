/* SPDX-License-Identifier: MIT */
/* tool - run one of the servers' own programs, inside their root, for a while. */
#include "tool.h"

#include "confinement.h"
#include "monotonic.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "privileges.h"
#include "process.h"
#include "rootfs.h"
#include "signal_state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { SAID_BYTES_MAX = 8192, EXEC_FAILED = 127, SIGNALED = 128, END_MS = 2000 };

#define MEMORY_BYTES (1UL << 30)

static int limit_ms = TOOL_LIMIT_MS;

void tool_set_limit(int ms)
{
	limit_ms = ms;
}

/* Where Debian, software built by hand, and the image of Dovecot's makers put programs. */
static const char *const folders[] = { "/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin",
				       "/sbin",     "/bin",     "/dovecot/sbin",   "/dovecot/bin" };

static const char *const environment[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LC_ALL=C",
	NULL,
};

/*
 * The programs are the mail host's owner's, not ours: of what we may do they get no
 * more than to read what root may.
 */
static bool give_up_privileges(void)
{
	static const enum privilege kept[] = { PRIVILEGE_DAC_OVERRIDE };
	struct error err;

	return privileges_keep(kept, privileges_have(kept[0]) ? 1 : 0, true, &err) == 0;
}

/* From its root nothing is taken before this. */
static bool go_into(const struct rootfs *root)
{
	return fchdir(root->fd) == 0 && chroot(".") == 0;
}

/*
 * That root's programs are its owner's, and have our user: the kernel would let one
 * signal our processes, type into our terminal, and leave children behind.
 */
static bool be_alone(pid_t parent)
{
	const struct rlimit memory = { MEMORY_BYTES, MEMORY_BYTES }, none = { 0, 0 };
	struct error err;
	int rc;

	(void)setsid(); /* fails only when we lead a session already: then there is no terminal */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		return false;
	rc = confinement_enter_alone(&err); /* needs memory: before the limit */
	return (rc == 0 || rc == -ENOSYS) && setrlimit(RLIMIT_AS, &memory) == 0 &&
	       setrlimit(RLIMIT_CORE, &none) == 0;
}

/*
 * In the child: nothing of ours goes with it.  Before it has no more privileges than whoever is
 * root there, its memory and its descriptors are ours: nobody is to look into them, and the program
 * may be made to wait for long.  It is as any other again once it is executed.
 */
static void become(const struct rootfs *root, pid_t parent, const char *program,
		   const char *const argv[], int said_fd)
{
	union {
		const char *const *in;
		char *const *out;
	} args = { .in = argv }, env = { .in = environment };
	const bool is_foreign = !rootfs_is_own(root);
	int null_fd;

	signal_state_fresh();
	signal(SIGPIPE, SIG_DFL);
	null_fd = open("/dev/null", O_RDWR); /* ours: theirs may be anything */
	if (null_fd < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || (is_foreign && !go_into(root)))
		_exit(EXEC_FAILED);
	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	dup2(said_fd, STDERR_FILENO);
	close_range(STDERR_FILENO + 1, ~0U, 0); /* of whoever started us, too */
	if (!give_up_privileges() || (is_foreign && !be_alone(parent)) || chdir("/") < 0)
		_exit(EXEC_FAILED);
	execve(program, args.out, env.out);
	_exit(EXEC_FAILED);
}

static void keep(struct buf *said, size_t *room, const char *bytes, size_t n)
{
	if (n > *room)
		n = *room;
	*room -= n;
	if (said)
		buf_add(said, span_make(bytes, n));
}

/*
 * Read until the program has ended and all is read, or the time is over.  It
 * may close its end long before, or leave it open to a child that lives on.
 */
static bool listen_to(int fd, int pidfd, struct buf *said, int64_t deadline_ms)
{
	struct pollfd ready[] = { { .fd = fd, .events = POLLIN },
				  { .fd = pidfd, .events = POLLIN } };
	size_t room = SAID_BYTES_MAX;
	char bytes[1024];

	for (;;) {
		int64_t left = deadline_ms - monotonic_ms();
		int n = left > 0 ? poll(ready, 2, (int)left) : 0;
		ssize_t got;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		/* What it said last may have come when that end had been looked at. */
		if (!ready[0].revents && poll(ready, 1, 0) <= 0)
			return true;
		got = read(fd, bytes, sizeof(bytes));
		if (got > 0)
			keep(said, &room, bytes, (size_t)got);
		else if (got == 0 || errno != EINTR)
			ready[0].fd = -1;
	}
}

static int find_program(const struct rootfs *root, const char *name, char *out, size_t size,
			struct error *err)
{
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		int rc;

		snprintf(out, size, "%s/%s", folders[i], name);
		rc = rootfs_exists(root, out, err);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	return error_code(err, -ENOENT, "%s", name);
}

/* A process that was killed may wait for a file system that never answers: not for ever. */
static bool has_ended(int pidfd)
{
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	int n;

	do
		n = poll(&ended, 1, END_MS);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNALED + WTERMSIG(status);
}

int tool_start(const struct rootfs *root, const char *const argv[], struct tool *out,
	       struct error *err)
{
	const pid_t self = getpid();
	char program[128];
	cleanup_fd int ours = -1, theirs = -1, pidfd = -1;
	int pipe_fds[2], rc;
	pid_t pid;

	*out = (struct tool){ .name = argv[0], .pid = -1, .pidfd = -1, .said_fd = -1 };
	rc = find_program(root, argv[0], program, sizeof(program), err);
	if (rc < 0)
		return rc;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(err, "make a pipe for %s", argv[0]);
	ours = pipe_fds[0];
	theirs = pipe_fds[1];
	pid = fork();
	if (pid < 0)
		return error_errno(err, "start %s", argv[0]);
	if (pid == 0)
		become(root, self, program, argv, theirs);
	pidfd = process_open(pid);
	if (pidfd < 0) {
		kill(pid, SIGKILL);
		wait_for(pid);
		return error_code(err, pidfd, "open process %d", (int)pid);
	}
	out->pid = pid;
	out->pidfd = steal_fd(&pidfd);
	out->said_fd = steal_fd(&ours);
	out->deadline_ms = monotonic_ms() + limit_ms;
	return 0;
}

int tool_finish(struct tool *tool, struct buf *said, struct error *err)
{
	bool done;
	int rc;

	if (tool->pid < 0)
		return error_code(err, -ESRCH, "%s was not started", tool->name);
	done = listen_to(tool->said_fd, tool->pidfd, said, tool->deadline_ms);
	if (!done)
		kill(tool->pid, SIGKILL);
	close(tool->said_fd);
	rc = done || has_ended(tool->pidfd) ? wait_for(tool->pid) : 0;
	close(tool->pidfd);
	if (!done)
		return error_set(err, -ETIMEDOUT, "%s took longer than %d s", tool->name,
				 limit_ms / 1000);
	if (rc < 0)
		return error_code(err, rc, "wait for %s", tool->name);
	return rc;
}

int tool_verdict(const char *name, int rc, struct error *err)
{
	if (rc > SIGNALED)
		return error_set(err, -EINTR, "%s was ended by signal %d", name, rc - SIGNALED);
	if (rc == EXEC_FAILED)
		return error_set(err, -EAGAIN, "%s could not be started", name);
	return rc;
}

int tool_run(const struct rootfs *root, const char *const argv[], struct buf *said,
	     struct error *err)
{
	struct tool tool;
	int rc = tool_start(root, argv, &tool, err);

	return rc < 0 ? rc : tool_finish(&tool, said, err);
}
