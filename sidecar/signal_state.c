/* SPDX-License-Identifier: MIT */
/* signal_state - the signal mask and the dispositions. */
#include "signal_state.h"

#include "signal_names.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's set: bit n - 1 is signal n. */
typedef uint64_t kernel_set;

_Static_assert(SIGNAL_MAX == 8 * sizeof(kernel_set), "a bit for each signal");

/* What main() changes; all other dispositions stay as they came in. */
static const int changed[] = { SIGCHLD, SIGPIPE };

enum { N_CHANGED = sizeof(changed) / sizeof(changed[0]) };

static struct {
	kernel_set mask;
	bool ignored[N_CHANGED];
} inherited;

static void set_mask(kernel_set mask)
{
	/* It cannot fail: the arguments are right. */
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
}

void signal_state_capture(void)
{
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &inherited.mask,
		      sizeof(inherited.mask));
	for (int i = 0; i < N_CHANGED; i++) {
		struct sigaction found = { 0 };

		(void)sigaction(changed[i], NULL, &found);
		inherited.ignored[i] = found.sa_handler == SIG_IGN;
	}
}

void signal_state_block_all(void)
{
	set_mask(~(kernel_set)0);
}

void signal_state_give_back(void)
{
	for (int i = 0; i < N_CHANGED; i++)
		signal(changed[i], inherited.ignored[i] ? SIG_IGN : SIG_DFL);
	set_mask(inherited.mask);
}

void signal_state_fresh(void)
{
	/* Refused for some (SIGKILL, 32, 33), which are at their default. */
	for (int sig = 1; sig <= SIGNAL_MAX; sig++)
		signal(sig, sig == SIGPIPE ? SIG_IGN : SIG_DFL);
	set_mask(0);
}
