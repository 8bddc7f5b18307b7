/* SPDX-License-Identifier: MIT */
/*
 * callfault - run a program, and let one of its system calls fail, or be the
 * last thing that a process of it does; or tell of all of them; or let its
 * clock jump.
 *
 *   callfault [OPTION...] PROGRAM [ARGUMENT...]
 *
 *   --log FILE         a line a call: PROCESS CALL NAME ACCESS = RESULT ARGUMENTS [TEXT]
 *   --control FILE     a struct control (below), mapped; made when it is not there
 *   --at PROCESS.CALL  which call: both counted from 0
 *   --of NAME          or the first of that name after it: a run that makes one call more
 *                      than the last would have a fault that this call cannot have
 *   --do ACTION        errno:N  the call is not made and fails with that number
 *                      done:N   it is made and fails all the same
 *                      short    half of what a read or write was to move is moved
 *                      before, after  the process is killed
 *                      amid     killed, half of a write having been written
 *   --clock            CLOCK_REALTIME is the machine's plus control.clock_ns
 *   --hurry            while no child lives, what the program waits for in
 *                      epoll_wait(2) is over soon, and CLOCK_MONOTONIC says so
 *
 * Processes are counted as they are born; the program is number 0, its calls
 * counted from its first instruction.  What a child executes is let go: it is
 * another program.  The exit status is the program's, 128 + its signal, or 125.
 *
 * A program that keeps running is told through the control file: when `armed`
 * is set, the next child of process 0 that comes to call `call` has the fault
 * there, or to the first one `of` a name after it, if `role` is empty or its name by
 * then, or it has none of its own yet; `armed` is 0 again then.  `hit` counts faults.
 */
#include "callfault.h"

#include "callfault_registers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const action_names[] = { "none",   "errno", "done", "short",
					    "before", "after", "amid" };

static struct {
	pid_t first;
	bool first_has_begun;
	int n_born;
	struct task tasks[TASKS_MAX];
	/* --at and --do */
	int at_process;
	unsigned at_call;
	const char *of;
	enum action action;
	int code;
	bool is_hit;
	bool clock, hurry;
	int64_t hurried_ns; /* how far CLOCK_MONOTONIC is ahead */
	FILE *log;
	struct control *control;
} t = { .at_process = -1 };

static void fail(const char *what)
{
	fprintf(stderr, "callfault: %s: %s\n", what, strerror(errno));
	exit(FAILED);
}

/* ---- tasks ---- */

static struct task *find_task(pid_t pid)
{
	for (size_t i = 0; i < TASKS_MAX; i++)
		if (t.tasks[i].pid == pid)
			return &t.tasks[i];
	return NULL;
}

/* The child of a fork may be seen before its parent's event, or after it. */
static struct task *get_task(pid_t pid)
{
	struct task *task = find_task(pid);

	if (task)
		return task;
	task = find_task(0);
	if (!task) {
		fprintf(stderr, "callfault: more than %d processes\n", TASKS_MAX);
		exit(FAILED);
	}
	*task = (struct task){ .pid = pid, .number = t.n_born++ };
	return task;
}

static pid_t parent_of(pid_t pid)
{
	char path[64], text[512];
	FILE *file;
	long parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fgets(text, sizeof(text), file) && strrchr(text, ')'))
		parent = strtol(strrchr(text, ')') + 4, NULL, 10);
	fclose(file);
	return (pid_t)parent;
}

static void consider(struct task *task)
{
	task->is_child = task->pid != t.first && parent_of(task->pid) == t.first;
	if (task->is_child && t.control)
		t.control->children++;
}

static void read_name(pid_t pid, char out[NAME_BYTES])
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	out[0] = '\0';
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(out, NAME_BYTES, file))
		out[strcspn(out, "\n")] = '\0';
	fclose(file);
}

/* Whether a call is number `at`, or, of that name, the first one from there on. */
static bool is_call(const struct task *task, unsigned at, const char *of)
{
	return !of || !*of ? task->n == at
			   : task->n >= at &&
				     strcmp(callfault_call_name(task->entry.entry.nr), of) == 0;
}

/* Whether the control file's fault is for it. */
static bool is_meant(const struct task *task)
{
	const struct control *c = t.control;
	char name[NAME_BYTES], inherited[NAME_BYTES];

	if (!c || !c->armed || !task->is_child || !is_call(task, (unsigned)c->call, c->of))
		return false;
	if (!c->role[0])
		return true;
	read_name(task->pid, name);
	read_name(t.first, inherited);
	return strcmp(name, c->role) == 0 || strcmp(name, inherited) == 0;
}

/* ---- a call begins ---- */

static bool moves_bytes(uint64_t nr)
{
	return nr == SYS_read || nr == SYS_write || nr == SYS_pread64 || nr == SYS_pwrite64 ||
	       nr == SYS_recvfrom || nr == SYS_sendto;
}

/* Until the call is over: the program counts on finding its registers as they were. */
static void change_argument(struct task *task, int n, uint64_t value)
{
	set_argument(task->pid, n, value);
	task->changed = n;
}

static void kill_task(struct task *task)
{
	kill(task->pid, SIGKILL);
}

static void note_hit(const struct task *task)
{
	if (!t.control)
		return;
	t.control->hit++;
	t.control->hit_nr = (int32_t)task->entry.entry.nr;
	read_name(task->pid, t.control->hit_name);
}

/* The fault that this call is to have. */
static enum action action_of(struct task *task)
{
	struct control *c = t.control;

	if (is_meant(task)) {
		c->armed = 0;
		note_hit(task);
		t.code = c->code;
		return (enum action)c->action;
	}
	if (t.is_hit || task->number != t.at_process || !is_call(task, t.at_call, t.of))
		return ACTION_NONE;
	t.is_hit = true;
	note_hit(task);
	return t.action;
}

static bool has_children(void)
{
	for (size_t i = 0; i < TASKS_MAX; i++)
		if (t.tasks[i].pid != 0 && t.tasks[i].pid != t.first)
			return true;
	return false;
}

static bool is_wait(uint64_t nr)
{
#ifdef SYS_epoll_wait
	if (nr == SYS_epoll_wait)
		return true;
#endif
	return nr == SYS_epoll_pwait;
}

static void begin_call(struct task *task)
{
	const uint64_t nr = task->entry.entry.nr;

	if (t.hurry && is_wait(nr) && task->pid == t.first && !has_children() &&
	    (int)task->entry.entry.args[3] > HURRIED_MS) {
		set_argument(task->pid, 3, HURRIED_MS);
		task->is_hurried = true;
	}

	task->changed = -1;
	task->due = action_of(task);
	if (task->due == ACTION_BEFORE) {
		skip_call(task->pid);
		kill_task(task);
	} else if (task->due == ACTION_ERRNO && nr == SYS_brk) {
		change_argument(task, 0, 0); /* what is there is told, and nothing moves */
		task->due = ACTION_NONE;
	} else if (task->due == ACTION_ERRNO) {
		skip_call(task->pid);
	} else if ((task->due == ACTION_SHORT || task->due == ACTION_AMID) && moves_bytes(nr) &&
		   task->entry.entry.args[2] > 1) {
		change_argument(task, 2, task->entry.entry.args[2] / 2);
	}
}

/* ---- a call ends ---- */

/* The rest of a wait that nothing has ended is over at once. */
static void end_hurried(struct task *task, int64_t result)
{
	const uint64_t asked_ms = task->entry.entry.args[3];

	set_argument(task->pid, 3, asked_ms);
	task->is_hurried = false;
	if (result == 0)
		t.hurried_ns += (int64_t)(asked_ms - HURRIED_MS) * 1000000;
}

static void add_ns(struct timespec *time, int64_t ns)
{
	ns += time->tv_nsec;
	time->tv_sec += ns / 1000000000;
	time->tv_nsec = ns % 1000000000;
	if (time->tv_nsec < 0) {
		time->tv_nsec += 1000000000;
		time->tv_sec--;
	}
}

/* The machine's time and what the clock is off. */
static void turn_clock(const struct task *task, int64_t result)
{
	const uint64_t *args = task->entry.entry.args;
	struct timespec now;

#ifdef SYS_time
	if (task->entry.entry.nr == SYS_time && t.clock)
		set_result(task->pid, result + t.control->clock_ns / 1000000000);
#endif
	(void)result;
	if (task->entry.entry.nr != SYS_clock_gettime ||
	    !peek(task->pid, args[1], &now, sizeof(now)))
		return;
	if (t.clock && (args[0] == CLOCK_REALTIME || args[0] == CLOCK_REALTIME_COARSE))
		add_ns(&now, t.control->clock_ns);
	else if (args[0] == CLOCK_MONOTONIC || args[0] == CLOCK_MONOTONIC_COARSE)
		add_ns(&now, t.hurried_ns);
	else
		return;
	poke(task->pid, args[1], &now, sizeof(now));
}

static void end_call(struct task *task)
{
	struct __ptrace_syscall_info info;

	if (task->changed >= 0 && !RESULT_IS_IN_ARGUMENT(task->changed))
		set_argument(task->pid, task->changed, task->entry.entry.args[task->changed]);
	if (task->due == ACTION_ERRNO || task->due == ACTION_DONE)
		set_result(task->pid, -t.code);
	else if (task->due == ACTION_AFTER || task->due == ACTION_AMID)
		kill_task(task);
	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->pid, sizeof(info), &info) <= 0)
		return;
	if (t.log)
		callfault_log_call(t.log, task, info.exit.rval);
	if (task->is_hurried)
		end_hurried(task, info.exit.rval);
	if (t.clock || t.hurry)
		turn_clock(task, info.exit.rval);
	task->due = ACTION_NONE;
	task->n++;
	if (task->is_child && t.control)
		t.control->last_call = (int32_t)task->n;
}

static void at_call(struct task *task)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->pid, sizeof(info), &info) <= 0)
		return; /* it was killed */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		task->entry = info;
		task->in_call = true;
		begin_call(task);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && task->in_call) {
		task->in_call = false;
		end_call(task);
	}
}

/* ---- the program ---- */

static void at_exec(struct task *task)
{
	if (task->pid != t.first || t.first_has_begun) {
		ptrace(PTRACE_DETACH, task->pid, NULL, NULL);
		*task = (struct task){ 0 };
		return;
	}
	t.first_has_begun = true;
	task->n = 0;
	task->in_call = false;
	if (t.clock || t.hurry)
		hide_vdso(task->pid);
	ptrace(PTRACE_SYSCALL, task->pid, NULL, NULL);
}

static void at_stop(struct task *task, int status)
{
	const int event = status >> 16, number = WSTOPSIG(status);

	if (event == PTRACE_EVENT_EXEC) {
		at_exec(task);
		return;
	}
	if (event == PTRACE_EVENT_STOP &&
	    (number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU)) {
		ptrace(PTRACE_LISTEN, task->pid, NULL, NULL);
		return;
	}
	if (number == (SIGTRAP | 0x80) && (task->pid != t.first || t.first_has_begun))
		at_call(task);
	ptrace(PTRACE_SYSCALL, task->pid, NULL,
	       event == 0 && number != (SIGTRAP | 0x80) ? (void *)(long)number : NULL);
}

static int follow(void)
{
	int status, result = FAILED;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		struct task *task;

		if (pid <= 0)
			continue;
		if (!WIFSTOPPED(status)) {
			task = find_task(pid);
			if (task)
				*task = (struct task){ 0 };
			if (pid == t.first)
				result = WIFEXITED(status) ? WEXITSTATUS(status)
							   : 128 + WTERMSIG(status);
			continue;
		}
		task = find_task(pid);
		if (!task) {
			task = get_task(pid);
			consider(task);
		}
		at_stop(task, status);
	}
	return result;
}

static void start(char **argv)
{
	int gate[2];
	char byte;

	if (pipe2(gate, O_CLOEXEC) < 0)
		fail("pipe");
	t.first = fork();
	if (t.first < 0)
		fail("fork");
	if (t.first == 0) {
		close(gate[1]);
		if (read(gate[0], &byte, 1) == 1)
			execvp(argv[0], argv);
		_exit(127);
	}
	if (ptrace(PTRACE_SEIZE, t.first, NULL,
		   (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
				  PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)) <
	    0)
		fail("ptrace");
	get_task(t.first);
	if (write(gate[1], "", 1) != 1)
		fail("write");
	close(gate[0]);
	close(gate[1]);
}

/* ---- options ---- */

static void map_control(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(struct control)) < 0)
		fail(path);
	t.control = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (t.control == MAP_FAILED)
		fail(path);
	close(fd);
}

static bool parse_action(const char *text)
{
	for (size_t i = 1; i < sizeof(action_names) / sizeof(action_names[0]); i++) {
		size_t n = strlen(action_names[i]);

		if (strncmp(text, action_names[i], n) == 0 && (!text[n] || text[n] == ':')) {
			t.action = (enum action)i;
			t.code = text[n] ? atoi(text + n + 1) : 0;
			return true;
		}
	}
	return false;
}

static bool parse_option(char ***argv)
{
	const char *name = *(*argv)++;

	if (strcmp(name, "--clock") == 0)
		return t.clock = true;
	if (strcmp(name, "--hurry") == 0)
		return t.hurry = true;
	if (!**argv)
		return false;
	if (strcmp(name, "--log") == 0)
		return (t.log = fopen(*(*argv)++, "we")) != NULL;
	if (strcmp(name, "--control") == 0) {
		map_control(*(*argv)++);
		return true;
	}
	if (strcmp(name, "--at") == 0)
		return sscanf(*(*argv)++, "%d.%u", &t.at_process, &t.at_call) == 2;
	if (strcmp(name, "--of") == 0)
		return (t.of = *(*argv)++) != NULL;
	return strcmp(name, "--do") == 0 && parse_action(*(*argv)++);
}

int main(int argc, char **argv)
{
	int result;
	(void)argc;
	for (argv++; *argv && strncmp(*argv, "--", 2) == 0;)
		if (!parse_option(&argv)) {
			fprintf(stderr, "callfault: wrong option\n");
			return FAILED;
		}
	if (!*argv || (t.clock && !t.control)) {
		fprintf(stderr, "callfault: no program, or --clock without --control\n");
		return FAILED;
	}
	start(argv);
	result = follow();
	if (t.log)
		fclose(t.log);
	return result;
}
