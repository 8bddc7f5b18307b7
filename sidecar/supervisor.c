/* SPDX-License-Identifier: MIT */
/* supervisor - a small PID 1. */
#include "supervisor.h"

#include "log.h"
#include "monotonic.h"
#include "orphans.h"
#include "patchers/base/error.h"
#include "signal_state.h"
#include "spawn.h"
#include "supervisor_table.h"
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

const char *const supervisor_child_states[SUPERVISOR_CHILD_STATES] = {
	[SUPERVISOR_CHILD_RUNS] = "running",
	[SUPERVISOR_CHILD_IS_STOPPED] = "stopped",
	[SUPERVISOR_CHILD_HAS_ENDED] = "ended",
};

enum {
	KILLING_MS = 2000,        /* for the killed to be gone; one in a kernel call may never be */
	REAPED_AT_ONCE_MAX = 512, /* before other signals have their turn */
	CLOSED_ONE_BY_ONE_MAX = 65536,
	SIGNALED = 128, /* added to a signal's number in an exit status */
};

struct supervisor {
	const struct supervisor_job *job;
	enum supervisor_state state;
	struct supervisor_shared own;     /* used when no page can be had */
	struct supervisor_shared *shared; /* never NULL */
	pid_t child;                      /* 0 once it is reaped */
	pid_t group;                      /* CMD's; is its pid */
	pid_t companion;                  /* 0: none */
	bool is_init;                     /* PID 1 cannot be stopped, and inherits every orphan */
	bool on_terminal;                 /* standard input was one when CMD started */
	int status;
	int64_t end_at_ms; /* deadlines; 0: none */
	int64_t companion_at_ms;
	int64_t companion_since_ms;
	int companion_delay_ms; /* the last one */
};

static void step(struct supervisor *s, enum supervisor_event event, const siginfo_t *info);

/* -- actions; `info` is of the signal or of the child when the event is one */

static void give_terminal(struct supervisor *s, const siginfo_t *info)
{
	(void)info;
	if (s->on_terminal && terminal_is_ours())
		terminal_give(s->group);
}

static void take_terminal(struct supervisor *s, const siginfo_t *info)
{
	(void)info;
	if (s->on_terminal && terminal_is_of(s->group))
		terminal_give(getpgrp());
}

/* A value that came with sigqueue(3) goes on with it. */
static int send_signal(const struct supervisor *s, int sig, const siginfo_t *info)
{
	if (s->job->process_group)
		return kill(-s->group, sig);
	if (info->si_code == SI_QUEUE && sigqueue(s->child, sig, info->si_value) == 0)
		return 0;
	return kill(s->child, sig);
}

static void forward(struct supervisor *s, const siginfo_t *info)
{
	char came[SIGNAL_NAME_BYTES], goes[SIGNAL_NAME_BYTES];
	int sig = s->job->rewrites.to[info->si_signo];

	if (sig == 0) {
		log_debug("run: %s is dropped", signal_name(info->si_signo, came));
		return;
	}
	log_debug("run: %s goes to process %d as %s", signal_name(info->si_signo, came),
		  (int)s->child, signal_name(sig, goes));
	/* It may have ended: that is the next thing we are told. */
	if (send_signal(s, sig, info) < 0 && errno != ESRCH)
		log_warning("run: send %s to process %d: %s", signal_name(sig, goes), (int)s->child,
			    strerror(errno));
}

static void tell_companion(struct supervisor *s, const siginfo_t *info)
{
	(void)info;
	if (s->companion > 0)
		(void)kill(s->companion, SIGHUP);
}

/*
 * Stop, and return when somebody continues us.  SIGCONT is taken before
 * anything else: an older report that CMD was stopped would stop us again.
 */
static void stop_self(struct supervisor *s, const siginfo_t *unused)
{
	struct timespec at_once = { 0 };
	siginfo_t info;
	sigset_t set;

	(void)unused;
	if (s->is_init)
		return;
	(void)kill(getpid(), SIGSTOP);
	sigemptyset(&set);
	sigaddset(&set, SIGCONT);
	if (sigtimedwait(&set, &info, &at_once) == SIGCONT)
		step(s, SUPERVISOR_SIGNAL_CONT, &info);
}

static void follow_stop(struct supervisor *s, const siginfo_t *info)
{
	/* The shell that waits for us has to see it.  SIGSTOP came from elsewhere. */
	if (s->on_terminal && supervisor_table_event(info->si_status) == SUPERVISOR_SIGNAL_STOP)
		stop_self(s, NULL);
}

static void note_child(struct supervisor *s, const siginfo_t *info)
{
	enum supervisor_child_state state = SUPERVISOR_CHILD_HAS_ENDED;

	if (info->si_code == CLD_STOPPED)
		state = SUPERVISOR_CHILD_IS_STOPPED;
	else if (info->si_code == CLD_CONTINUED)
		state = SUPERVISOR_CHILD_RUNS;
	s->shared->child_state = (int)state;
}

static void keep_status(struct supervisor *s, const siginfo_t *info)
{
	char name[SIGNAL_NAME_BYTES];

	if (info->si_code == CLD_EXITED) {
		s->status = info->si_status & 0xff;
		log_info("run: %s ended with status %d", s->job->argv[0], s->status);
	} else {
		s->status = SIGNALED + info->si_status;
		log_info("run: %s was ended by %s", s->job->argv[0],
			 signal_name(info->si_status, name));
	}
	s->status = s->job->exits[s->status];
	s->child = 0;
}

static void count_reaped(struct supervisor *s, const siginfo_t *info)
{
	s->shared->reaped++;
	log_debug("run: reaped process %d", (int)info->si_pid);
}

static void wait_for_companion(struct supervisor *s, const char *why)
{
	int64_t now = monotonic_ms();

	s->companion = 0;
	s->companion_delay_ms = companion_delay(s->companion_delay_ms, now - s->companion_since_ms);
	s->companion_at_ms = now + s->companion_delay_ms;
	log_warning("run: the watching process %s; it is started in %d s", why,
		    s->companion_delay_ms / 1000);
}

static void plan_companion(struct supervisor *s, const siginfo_t *info)
{
	char why[64], name[SIGNAL_NAME_BYTES];

	if (info->si_code == CLD_EXITED)
		snprintf(why, sizeof(why), "ended with status %d", info->si_status & 0xff);
	else
		snprintf(why, sizeof(why), "was ended by %s", signal_name(info->si_status, name));
	wait_for_companion(s, why);
}

static void start_companion(struct supervisor *s, const siginfo_t *info)
{
	const struct supervisor_shared *page = s->shared == &s->own ? NULL : s->shared;
	char why[128];
	pid_t pid;

	(void)info;
	s->companion_at_ms = 0;
	s->companion_since_ms = monotonic_ms();
	s->shared->companion_starts++;
	pid = companion_start(s->job->companion, s->job->companion_arg, page);
	if (pid > 0) {
		s->companion = pid;
		return;
	}
	snprintf(why, sizeof(why), "cannot be made: %s", strerror(-pid));
	wait_for_companion(s, why);
}

/* SIGCONT is for those that are stopped.  The companion ends what it started by itself. */
static void term_others(struct supervisor *s, const siginfo_t *info)
{
	int n;

	(void)info;
	s->companion_at_ms = 0;
	s->end_at_ms = monotonic_ms() + s->job->grace_ms;
	if (s->companion > 0) {
		(void)kill(s->companion, SIGTERM);
		(void)kill(s->companion, SIGCONT);
	}
	if (!orphans_exist(s->companion))
		return;
	n = orphans_signal(SIGTERM, s->companion, s->group);
	(void)orphans_signal(SIGCONT, s->companion, s->group);
	if (n > 0)
		log_info("run: %d processes are left, and have %d s to end", n,
			 s->job->grace_ms / 1000);
	else if (n < 0)
		log_info("run: /proc is of no use: who is left is told by process group");
}

static void kill_others(struct supervisor *s, const siginfo_t *info)
{
	(void)info;
	orphans_kill(s->group);
	if (s->companion > 0)
		(void)kill(s->companion, SIGKILL);
}

static void limit_killing(struct supervisor *s, const siginfo_t *info)
{
	(void)info;
	s->end_at_ms = monotonic_ms() + KILLING_MS;
	log_notice("run: what is left is killed");
}

static void give_up(struct supervisor *s, const siginfo_t *info)
{
	(void)s;
	(void)info;
	log_warning("run: some processes cannot be killed and are left behind");
}

static void say_lost(struct supervisor *s, const siginfo_t *info)
{
	(void)info;
	log_error("run: %s has gone, and its status with it", s->job->argv[0]);
	s->status = SPAWN_FAILED;
}

/* In the order of enum supervisor_action; its last is step()'s own. */
static void (*const actions[])(struct supervisor *s, const siginfo_t *info) = {
	give_terminal, forward,       tell_companion, stop_self,      note_child,      keep_status,
	count_reaped,  take_terminal, follow_stop,    plan_companion, start_companion, term_others,
	kill_others,   limit_killing, give_up,        say_lost,
};

_Static_assert(sizeof(actions) / sizeof(actions[0]) == SUPERVISOR_ACTION_COUNT - 1,
	       "a function for each action");

static void step(struct supervisor *s, enum supervisor_event event, const siginfo_t *info)
{
	struct supervisor_cell cell = supervisor_table_cell(s->state, event);

	if (cell.actions & SUPERVISOR_SAY_IMPOSSIBLE)
		log_error("run: \"%s\" while %s: this cannot be", supervisor_event_name(event),
			  supervisor_state_name(s->state));
	s->state = cell.next;
	for (unsigned i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (cell.actions & (1U << i))
			actions[i](s, info);
}

/* -- what the kernel tells */

/* The event of a child's report; false for one that means nothing to us. */
static bool event_of(const struct supervisor *s, const siginfo_t *info,
		     enum supervisor_event *event)
{
	bool is_child = info->si_pid == s->child;

	switch (info->si_code) {
	case CLD_EXITED:
	case CLD_KILLED:
	case CLD_DUMPED:
		*event = is_child                       ? SUPERVISOR_CHILD_ENDED
			 : info->si_pid == s->companion ? SUPERVISOR_COMPANION_ENDED
							: SUPERVISOR_ORPHAN_ENDED;
		return true;
	case CLD_STOPPED:
		*event = SUPERVISOR_CHILD_STOPPED;
		return is_child;
	case CLD_CONTINUED:
		*event = SUPERVISOR_CHILD_CONTINUED;
		return is_child;
	default: /* CLD_TRAPPED: it asked to be traced, and its parent is no debugger */
		return false;
	}
}

/* One SIGCHLD may stand for many children: take all there are. */
static void reap(struct supervisor *s)
{
	enum supervisor_event event;

	for (int n = 0; n < REAPED_AT_ONCE_MAX; n++) {
		siginfo_t info = { 0 };

		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG) < 0) {
			step(s, SUPERVISOR_NOTHING_LEFT, NULL);
			return;
		}
		if (info.si_pid == 0) {
			step(s, SUPERVISOR_SOMETHING_LEFT, NULL);
			return;
		}
		if (event_of(s, &info, &event))
			step(s, event, &info);
	}
	(void)kill(getpid(), SIGCHLD); /* there may be more: come back */
}

static bool is_due(int64_t at_ms, int64_t now)
{
	return at_ms != 0 && now >= at_ms;
}

static void check_deadlines(struct supervisor *s)
{
	int64_t now;

	if (s->end_at_ms == 0 && s->companion_at_ms == 0)
		return;
	now = monotonic_ms();
	if (is_due(s->end_at_ms, now))
		step(s, SUPERVISOR_TIME_OVER, NULL);
	if (is_due(s->companion_at_ms, now))
		step(s, SUPERVISOR_COMPANION_DUE, NULL);
}

/* The next signal; negative when a deadline came first, or we were stopped or traced. */
static int wait_for_signal(const struct supervisor *s, siginfo_t *info)
{
	/* Never both: the companion is not started again once CMD has ended. */
	int64_t until = s->end_at_ms != 0 ? s->end_at_ms : s->companion_at_ms, left;
	struct timespec timeout;
	sigset_t all;

	/* All of them; sigfillset(3) leaves out the C library's own. */
	memset(&all, 0xff, sizeof(all));
	if (until == 0)
		return sigwaitinfo(&all, info);
	left = until - monotonic_ms();
	if (left < 0)
		left = 0;
	timeout = (struct timespec){ .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };
	return sigtimedwait(&all, info, &timeout);
}

/*
 * A write(2) of ours into a pipe that nobody reads any more, or beyond a limit
 * of file size: SIGPIPE, SIGXFSZ.  Ignoring them does not help, because they are
 * blocked.  They are no messages to CMD, which they would end.
 */
static bool is_our_own(const siginfo_t *info)
{
	return (info->si_signo == SIGPIPE || info->si_signo == SIGXFSZ) &&
	       info->si_code == SI_USER && info->si_pid == getpid();
}

static void run_until_done(struct supervisor *s)
{
	siginfo_t info;

	reap(s); /* who ended before our exec: nobody tells us of them */
	while (s->state != SUPERVISOR_DONE) {
		int sig = wait_for_signal(s, &info);

		if (sig == SIGCHLD)
			reap(s);
		else if (sig > 0 && !is_our_own(&info))
			step(s, supervisor_table_event(sig), &info);
		check_deadlines(s);
	}
}

/* -- the start */

static void prepare(struct supervisor *s)
{
	signal_state_block_all();
	s->is_init = getpid() == 1;
	if (!s->is_init && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		log_warning("run: neither PID 1 nor able to be a sub-reaper: orphans are not "
			    "reaped: %s",
			    strerror(errno));
	if (s->job->parent_death_signal != 0 &&
	    prctl(PR_SET_PDEATHSIG, s->job->parent_death_signal) < 0)
		log_warning("run: --parent-death-signal: %s", strerror(errno));
	s->on_terminal = terminal_is_there();
}

/* Nobody's pipe is to be held open by us, and no file system kept busy. */
static void let_go(void)
{
	struct rlimit limit = { 0 };

	(void)!chdir("/");
	if (close_range(STDERR_FILENO + 1, ~0U, 0) == 0)
		return;
	/* An old kernel, or a filter that does not know the call. */
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = STDERR_FILENO + 1; (rlim_t)fd < limit.rlim_cur && fd < CLOSED_ONE_BY_ONE_MAX;
	     fd++)
		close(fd);
}

static void share(struct supervisor *s)
{
	void *page = mmap(NULL, sizeof(*s->shared), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	s->shared = page == MAP_FAILED ? &s->own : page;
	s->shared->child_pid = s->child;
}

int supervisor_run(const struct supervisor_job *job)
{
	struct supervisor s = { .job = job, .state = SUPERVISOR_RUNNING };
	struct error err = { 0 };
	int status;

	prepare(&s);
	if (job->before_start)
		job->before_start(job->companion_arg);
	status = spawn_start(job->argv, s.on_terminal && terminal_is_ours(), &s.child, &err);
	if (status != 0) {
		log_error("run: %s", err.msg);
		return status;
	}
	/* CMD runs: no failure from here on may end us. */
	s.group = s.child;
	let_go();
	share(&s);
	log_info("run: %s is process %d", job->argv[0], (int)s.child);
	if (job->once_running)
		job->once_running();
	if (job->companion)
		start_companion(&s, NULL);
	run_until_done(&s);
	return s.status;
}
