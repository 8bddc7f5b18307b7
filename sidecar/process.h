/* SPDX-License-Identifier: MIT */
/*
 * process - what the kernel tells about another process, see proc(5).
 *
 * Some of it (exe, root, ns/, fd/) is only told to who could trace the process:
 * same user, no capability less than it has, and the process never changed its
 * user (ptrace(2), "access mode checking"); or to who has CAP_SYS_PTRACE.
 * Postfix's master changes its user all the time: in a container with an
 * engine's usual capabilities not even root may look at it.  What is asked here
 * is then answered from what everybody may read, where that is as good.
 *
 * A process may end, and its number be another's, between any two calls: hold a
 * pidfd, ask, and see that the process still lives.
 *
 * Whoever answers with an int says 1 for yes and 0 for no, also of a process that is
 * gone or hidden; when the kernel cannot say it now (no memory, no descriptor), a
 * negative errno: nobody takes a server for ended because of that.
 */
#ifndef SIDECAR_PROCESS_H
#define SIDECAR_PROCESS_H

#include <dirent.h>
#include <stdbool.h>
#include <sys/types.h>

struct error;
struct rootfs;

/* Room for "/proc/PID/..."; for a process's own name for itself, TASK_COMM_LEN. */
enum { PROCESS_PATH_MAX = 64, PROCESS_NAME_BYTES = 16 };

/* "/proc/PID/NAME"; returns out. */
const char *process_path(pid_t pid, const char *name, char out[PROCESS_PATH_MAX]);

/* What it calls itself, cut to fit; false when it is gone. */
bool process_name(pid_t pid, char out[PROCESS_NAME_BYTES]);

/* Fields of /proc/PID/stat, whatever the program calls itself. */
struct process_stat {
	char state; /* 'Z': ended, not waited for yet */
	pid_t parent;
	bool kernel_thread;
	unsigned long long start; /* clock ticks since the machine started */
};

/* 0 or a negative errno: -ENOENT, -ESRCH when it is gone, -EACCES when /proc hides it. */
int process_read_stat(pid_t pid, struct process_stat *out);

/* Its effective user, and its real one, whichever is not NULL. */
int process_users(pid_t pid, uid_t *effective, uid_t *real);

/*
 * Whether the file that it executes has this name, after an upgrade too, when
 * the file is deleted.  Who may not see it compares what the process calls
 * itself: 15 characters at most.
 */
int process_runs(pid_t pid, const char *program);

/* Whether it runs one of the programs, a list ended by NULL; who cannot be looked at now may. */
bool process_may_run_one_of(pid_t pid, const char *const *programs);

/* Whether it is there and executes no file: it is ending, or a thread of the kernel. */
bool process_executes_nothing(pid_t pid);

/* The process that a thread's number is of; 0 when it is no thread's, or a process's own. */
pid_t process_of_thread(pid_t tid);

/*
 * Whether its root folder is this one.  Who may not see it compares mounts,
 * which tells a root that is the top of a mount, as every container's is, and
 * says no to any other.
 */
int process_lives_in(pid_t pid, const struct rootfs *root);

/* Whether it has a handler for the signal. */
int process_catches(pid_t pid, int signal);

/* Its number in the innermost process namespace that it is in; 0 or a negative errno as above. */
pid_t process_inner_number(pid_t pid);

/* A descriptor of the process, or a negative errno; -ESRCH also for a thread's number. */
int process_open(pid_t pid);

/* Whether the process of a descriptor still runs. */
bool process_is_alive(int pidfd);

/* All processes that /proc shows. */
struct process_walk {
	DIR *proc;
};

#define PROCESS_WALK_INIT                                                                          \
	{                                                                                          \
		0                                                                                  \
	}

int process_walk_init(struct process_walk *walk, struct error *err);
void process_walk_release(struct process_walk *walk);

/* The next one; 0 at the end. */
pid_t process_walk_next(struct process_walk *walk);

#endif
