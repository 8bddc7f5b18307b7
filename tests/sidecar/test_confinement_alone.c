/* SPDX-License-Identifier: MIT */
/* confinement - a program that shall be alone is, also when memory is short. */
#include "confining.h"

#include "sidecar/confinement.h"
#include "tests/unit/alloc_fault.h"

#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Without the filter none of these fails so. */
static const struct attempt attempts[] = {
/* processes */
#ifdef SYS_fork
	{ "fork", SYS_fork, { 0 }, EPERM },
	{ "vfork", SYS_vfork, { 0 }, EPERM },
#endif
	{ "clone", SYS_clone, { SIGCHLD }, EPERM },
	{ "clone with high bits", SYS_clone, { HIGH_BITS | SIGCHLD }, EPERM },
	{ "clone into a namespace", SYS_clone, { CLONE_NEWUSER | SIGCHLD }, EPERM },
	{ "clone3", SYS_clone3, { AT_NO_ADDRESS }, ENOSYS },
	{ "a thread that shares nothing", SYS_clone, { CLONE_THREAD }, 0 },
	/* signals */
	{ "kill", SYS_kill, { PARENT }, EPERM },
	{ "kill all", SYS_kill, { -1UL }, EPERM },
	{ "kill all, in 32 bits", SYS_kill, { UINT32_MAX }, EPERM },
	{ "kill the group", SYS_kill, { 0 }, EPERM },
	{ "kill with high bits", SYS_kill, { HIGH_BITS }, EPERM },
	{ "kill itself", SYS_kill, { SELF }, 0 },
	{ "tkill", SYS_tkill, { PARENT }, EPERM },
	{ "tkill itself", SYS_tkill, { SELF }, 0 },
	{ "tgkill", SYS_tgkill, { PARENT, PARENT }, EPERM },
	{ "tgkill itself", SYS_tgkill, { SELF, SELF }, 0 },
	{ "rt_sigqueueinfo", SYS_rt_sigqueueinfo, { PARENT }, EPERM },
	{ "rt_sigqueueinfo to itself", SYS_rt_sigqueueinfo, { SELF }, 0 },
	{ "rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, { PARENT, PARENT }, EPERM },
	{ "rt_tgsigqueueinfo to itself", SYS_rt_tgsigqueueinfo, { SELF, SELF }, 0 },
	{ "pidfd_send_signal", SYS_pidfd_send_signal, { -1UL }, EPERM },
	{ "F_SETOWN", SYS_fcntl, { -1UL, F_SETOWN, PARENT }, EPERM },
	{ "F_SETOWN with high bits", SYS_fcntl, { -1UL, HIGH_BITS | F_SETOWN }, EPERM },
	{ "F_SETOWN_EX", SYS_fcntl, { -1UL, F_SETOWN_EX, AT_NO_ADDRESS }, EPERM },
	{ "F_GETFD", SYS_fcntl, { 0, F_GETFD }, 0 },
	{ "FIOSETOWN", SYS_ioctl, { -1UL, FIOSETOWN, AT_NO_ADDRESS }, EPERM },
	{ "SIOCSPGRP", SYS_ioctl, { -1UL, SIOCSPGRP, AT_NO_ADDRESS }, EPERM },
	{ "SIOCSPGRP with high bits", SYS_ioctl, { -1UL, HIGH_BITS | SIOCSPGRP }, EPERM },
	/* what others have, terminals, its own end */
	{ "TIOCSTI", SYS_ioctl, { -1UL, TIOCSTI, AT_NO_ADDRESS }, EPERM },
	{ "TIOCSTI with high bits", SYS_ioctl, { -1UL, HIGH_BITS | TIOCSTI }, EPERM },
	{ "TCGETS", SYS_ioctl, { 0, TCGETS, AT_NO_ADDRESS }, 0 },
	{ "prlimit64", SYS_prlimit64, { PARENT, RLIMIT_CORE }, EPERM },
	{ "prlimit64 with high bits", SYS_prlimit64, { HIGH_BITS, RLIMIT_CORE }, EPERM },
	{ "prlimit64 of itself", SYS_prlimit64, { 0, RLIMIT_CORE }, 0 },
	{ "ptrace", SYS_ptrace, { PTRACE_SEIZE, -1UL }, EPERM },
	{ "process_vm_readv", SYS_process_vm_readv, { PARENT }, EPERM },
	{ "process_vm_writev", SYS_process_vm_writev, { PARENT }, EPERM },
	{ "pidfd_getfd", SYS_pidfd_getfd, { -1UL }, EPERM },
	{ "PR_SET_PDEATHSIG", SYS_prctl, { PR_SET_PDEATHSIG, 0 }, EPERM },
	{ "PR_SET_PDEATHSIG with high bits", SYS_prctl, { HIGH_BITS | PR_SET_PDEATHSIG }, EPERM },
	{ "PR_GET_DUMPABLE", SYS_prctl, { PR_GET_DUMPABLE }, 0 },
	/* what a tool needs, or nobody minds */
	{ "execve", SYS_execve, { AT_NO_ADDRESS }, 0 },
	{ "memfd_create", SYS_memfd_create, { (unsigned long)"" }, 0 },
	{ "socket", SYS_socket, { AF_INET, SOCK_STREAM }, 0 },
};

static void who_shall_be_alone_is(void **state)
{
	(void)state;
	confining_assert_each(confining_enter_alone, attempts, ARRAY_SIZE(attempts));
}

/* Else it would be no wonder. */
static void who_is_not_alone_may_do_all_that(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		int wanted = attempts[i].wanted ? CASE : FINE;

#ifdef SYS_vfork
		if (attempts[i].number == SYS_vfork)
			continue; /* its child would go back over our stack */
#endif
		if (confining_attempt(NULL, &attempts[i]) != wanted)
			fail_msg("%s", attempts[i].name);
	}
}

static void *set(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

static void start_thread(void *arg)
{
	pthread_t thread;
	int is_set = 0;

	(void)arg;
	confining_enter_alone();
	if (pthread_create(&thread, NULL, set, &is_set) != 0 || pthread_join(thread, NULL) != 0)
		_exit(CASE);
	_exit(is_set ? FINE : CASE);
}

static void threads_are_no_company(void **state)
{
	(void)state;
	assert_int_equal(confining_status(start_thread, NULL), FINE);
}

/* libseccomp's own allocations do not fail: they are seen to be there (tests/faults). */
static void be_alone_with_little(void *arg)
{
	enum { FEWEST = 2, MOST = 1000 };
	const enum alloc_fault_kind *kind = arg;
	unsigned long n = 0;
	struct error err;
	bool is_short;

	do {
		int rc;

		alloc_fault_arm(++n, *kind);
		rc = confinement_enter_alone(&err);
		is_short = alloc_fault_disarm();
		if (rc != (is_short ? -ENOMEM : 0))
			_exit(CASE);
		/* All of the filter, or nothing of it. */
		if (is_short && kill(getppid(), 0) < 0)
			_exit(CASE + 1);
	} while (is_short && n < MOST);
	if (n < FEWEST || n >= MOST)
		_exit(CASE + 2);
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++)
		if (!confining_comes_out(&attempts[i]))
			_exit(CASE + 3);
}

static void with_no_memory_nobody_is_half_alone(void **state)
{
	static enum alloc_fault_kind kinds[] = { ALLOC_FAULT_ONE, ALLOC_FAULT_FROM };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		assert_int_equal(confining_status(be_alone_with_little, &kinds[i]), FINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_shall_be_alone_is),
		cmocka_unit_test(who_is_not_alone_may_do_all_that),
		cmocka_unit_test(threads_are_no_company),
		cmocka_unit_test(with_no_memory_nobody_is_half_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
