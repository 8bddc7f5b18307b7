/* SPDX-License-Identifier: MIT */
/* confinement - what is refused fails, whoever is root and has all capabilities. */
#include "confining.h"

#include "sidecar/confinement.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static void look_at_state(void *arg)
{
	void (*const *enter)(void) = arg;
	char line[256];
	FILE *file;
	int seen = 0;

	(*enter)();
	file = fopen("/proc/self/status", "re");
	while (file && fgets(line, sizeof(line), file))
		seen += strcmp(line, "Seccomp:\t2\n") == 0 || strcmp(line, "NoNewPrivs:\t1\n") == 0;
	_exit(seen == 2 ? FINE : WRONG_STATE);
}

static void the_kernel_says_that_it_is_in_force(void **state)
{
	void (*ways[])(void) = { confining_enter, confining_enter_alone };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		assert_int_equal(confining_status(look_at_state, &ways[i]), FINE);
}

/* ---- attempts ---- */

/* Without the filter root may do all of these, or has the arguments refused. */
static const struct attempt attempts[] = {
	{ "mount", SYS_mount, { AT_NO_ADDRESS, AT_NO_ADDRESS }, EPERM },
	{ "umount2", SYS_umount2, { AT_NO_ADDRESS }, EPERM },
	{ "pivot_root", SYS_pivot_root, { AT_NO_ADDRESS, AT_NO_ADDRESS }, EPERM },
	{ "move_mount", SYS_move_mount, { 0 }, EPERM },
	{ "fsopen", SYS_fsopen, { AT_NO_ADDRESS }, EPERM },
	{ "unshare", SYS_unshare, { CLONE_NEWUSER }, EPERM },
	{ "unshare nothing", SYS_unshare, { 0 }, EPERM },
	{ "setns", SYS_setns, { 0 }, EPERM },
	{ "clone into a namespace", SYS_clone, { CLONE_NEWUSER | SIGCHLD }, ENOSYS },
	{ "clone with high bits", SYS_clone, { HIGH_BITS | CLONE_NEWNET | SIGCHLD }, ENOSYS },
	{ "clone3", SYS_clone3, { AT_NO_ADDRESS }, ENOSYS },
	{ "process_vm_readv", SYS_process_vm_readv, { 1 }, EPERM },
	{ "process_vm_writev", SYS_process_vm_writev, { 1 }, EPERM },
	{ "pidfd_getfd", SYS_pidfd_getfd, { 0 }, EPERM },
	{ "bpf", SYS_bpf, { 0 }, EPERM },
	{ "perf_event_open", SYS_perf_event_open, { AT_NO_ADDRESS }, EPERM },
	{ "io_uring_setup", SYS_io_uring_setup, { 1, AT_NO_ADDRESS }, EPERM },
	{ "io_uring_enter", SYS_io_uring_enter, { 0 }, EPERM },
	{ "userfaultfd", SYS_userfaultfd, { 0 }, EPERM },
	{ "keyctl", SYS_keyctl, { 0 }, EPERM },
	{ "add_key", SYS_add_key, { AT_NO_ADDRESS }, EPERM },
	{ "request_key", SYS_request_key, { AT_NO_ADDRESS }, EPERM },
	{ "open_by_handle_at", SYS_open_by_handle_at, { 0 }, EPERM },
	{ "mknodat", SYS_mknodat, { 0 }, EPERM },
	{ "personality", SYS_personality, { 0xffffffff }, EPERM },
	{ "reboot", SYS_reboot, { 0 }, EPERM },
	{ "kexec_load", SYS_kexec_load, { 0, ~0UL }, EPERM },
	{ "init_module", SYS_init_module, { AT_NO_ADDRESS }, EPERM },
	{ "finit_module", SYS_finit_module, { ~0UL }, EPERM },
	{ "delete_module", SYS_delete_module, { AT_NO_ADDRESS }, EPERM },
	{ "swapon", SYS_swapon, { AT_NO_ADDRESS }, EPERM },
	{ "settimeofday", SYS_settimeofday, { AT_NO_ADDRESS }, EPERM },
	{ "clock_settime", SYS_clock_settime, { 0, AT_NO_ADDRESS }, EPERM },
	{ "sethostname", SYS_sethostname, { AT_NO_ADDRESS, 1 }, EPERM },
	{ "syslog", SYS_syslog, { 3 }, EPERM },
	{ "acct", SYS_acct, { AT_NO_ADDRESS }, EPERM },
	{ "fanotify_init", SYS_fanotify_init, { 0 }, EPERM },
	/* a call that nobody needs, and one of a kernel to come */
	{ "memfd_create", SYS_memfd_create, { AT_NO_ADDRESS }, ENOSYS },
	{ "number 1023", 1023, { 0 }, ENOSYS },
	{ "number -1", -1, { 0 }, ENOSYS }, /* as a tracer has it who makes a call fail */
	/* sockets */
	{ "packets", SYS_socket, { AF_PACKET, SOCK_RAW }, ENOSYS },
	{ "raw IPv4", SYS_socket, { AF_INET, SOCK_RAW, IPPROTO_ICMP }, ENOSYS },
	{ "raw IPv6", SYS_socket, { AF_INET6, SOCK_RAW | SOCK_CLOEXEC, 58 }, ENOSYS },
	{ "cryptography", SYS_socket, { AF_ALG, SOCK_SEQPACKET }, ENOSYS },
	{ "SCTP", SYS_socket, { AF_INET, SOCK_STREAM, IPPROTO_SCTP }, ENOSYS },
	{ "multipath TCP", SYS_socket, { AF_INET6, SOCK_STREAM, 262 }, ENOSYS },
	{ "ping", SYS_socket, { AF_INET, SOCK_DGRAM, IPPROTO_ICMP }, ENOSYS },
	{ "hypervisor", SYS_socket, { AF_VSOCK, SOCK_STREAM }, ENOSYS },
	{ "keys", SYS_socket, { AF_KEY, SOCK_RAW, 2 }, ENOSYS },
	{ "audit", SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_AUDIT }, ENOSYS },
	{ "devices", SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT }, ENOSYS },
	{ "TCP", SYS_socket, { AF_INET, SOCK_STREAM | SOCK_CLOEXEC }, 0 },
	{ "TCP by its name", SYS_socket, { AF_INET6, SOCK_STREAM, IPPROTO_TCP }, 0 },
	{ "UDP by its name", SYS_socket, { AF_INET, SOCK_DGRAM, IPPROTO_UDP }, 0 },
	{ "TCP with high bits", SYS_socket, { HIGH_BITS | AF_INET6, SOCK_STREAM }, 0 },
	{ "UDP", SYS_socket, { AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK }, 0 },
	{ "local", SYS_socket, { AF_UNIX, SOCK_DGRAM }, 0 },
	{ "interfaces", SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_ROUTE }, 0 },
	{ "sockets", SYS_socket, { AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG }, 0 },
	{ "packet filter", SYS_socket, { AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER }, 0 },
	/* terminals */
	{ "TIOCSTI", SYS_ioctl, { 0, TIOCSTI, AT_NO_ADDRESS }, ENOSYS },
	{ "TIOCSTI with high bits", SYS_ioctl, { 0, HIGH_BITS | TIOCSTI, AT_NO_ADDRESS }, ENOSYS },
	{ "TIOCLINUX", SYS_ioctl, { 0, 0x541c, AT_NO_ADDRESS }, ENOSYS },
	/* what postern does with its rights */
	{ "chroot", SYS_chroot, { (unsigned long)"/" }, 0 },
	{ "kill", SYS_kill, { 1, 0 }, 0 },
	{ "capset", SYS_capset, { AT_NO_ADDRESS }, 0 },
	{ "fork", SYS_clone, { 0x7fffffff & SIGCHLD }, 0 },
};

static void what_is_refused_fails_and_what_is_needed_does_not(void **state)
{
	(void)state;
	confining_assert_each(confining_enter, attempts, ARRAY_SIZE(attempts));
}

static void trace(void *arg)
{
	confining_enter();
	_exit(ptrace(PTRACE_ATTACH, *(pid_t *)arg, NULL, NULL) == -1 && errno == EPERM ? FINE
										       : CASE);
}

/* Under AddressSanitizer it is allowed: the search for leaks is done by it. */
static void nobody_is_traced(void **state)
{
	pid_t self = getppid();

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	(void)self;
	(void)trace;
#else
	assert_int_equal(confining_status(trace, &self), FINE);
#endif
}

#ifdef __x86_64__
static void call_as_x32(void *arg)
{
	void (*const *enter)(void) = arg;

	(*enter)();
	(void)syscall(0x40000000 | SYS_getpid);
}

static void call_as_i386(void *arg)
{
	void (*const *enter)(void) = arg;
	long number = 20; /* getpid(2) */

	if (enter)
		(*enter)();
	__asm__ volatile("int $0x80" : "+a"(number) : : "memory");
}

static void calls_of_other_architectures_end_the_process(void **state)
{
	void (*ways[])(void) = { confining_enter, confining_enter_alone };
	int here = confining_status(call_as_i386, NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		assert_int_equal(confining_status(call_as_x32, &ways[i]), 128 + SIGSYS);
		/* A kernel without these calls ends it in any case, by another signal. */
		assert_int_equal(confining_status(call_as_i386, &ways[i]),
				 here == FINE ? 128 + SIGSYS : here);
	}
}
#endif

/* ---- programs ---- */

static void start_program(void *arg)
{
	(void)arg;
	confining_enter();
	if (system("grep -q '^Seccomp:.*2$' /proc/self/status && ! unshare --user true 2>&1 && "
		   "test \"$(ls / | sort | head -n 1)\" && date >/dev/null") != 0)
		_exit(WRONG_PROGRAM);
}

static void programs_work_and_are_confined_too(void **state)
{
	(void)state;
	assert_int_equal(confining_status(start_program, NULL), FINE);
}

static void enter_twice(void *arg)
{
	(void)arg;
	confining_enter();
	confining_enter();
}

static void twice_does_no_harm(void **state)
{
	(void)state;
	assert_int_equal(confining_status(enter_twice, NULL), FINE);
}

static void enter_without_a_right_to(void *arg)
{
	struct error err = { 0 };

	(void)arg;
	if (setuid(65534) < 0)
		_exit(NOT_CONFINED);
	if (confinement_enter(&err) != -EACCES ||
	    strcmp(err.msg, "load the filter of system calls: Permission denied") != 0)
		_exit(WRONG_STATE);
	if (syscall(SYS_personality, 0xffffffff) < 0)
		_exit(CASE);
}

static void what_cannot_be_done_is_said_and_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(confining_status(enter_without_a_right_to, NULL), FINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_says_that_it_is_in_force),
		cmocka_unit_test(what_is_refused_fails_and_what_is_needed_does_not),
		cmocka_unit_test(nobody_is_traced),
#ifdef __x86_64__
		cmocka_unit_test(calls_of_other_architectures_end_the_process),
#endif
		cmocka_unit_test(programs_work_and_are_confined_too),
		cmocka_unit_test(twice_does_no_harm),
		cmocka_unit_test(what_cannot_be_done_is_said_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
