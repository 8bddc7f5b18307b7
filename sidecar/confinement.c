/* SPDX-License-Identifier: MIT */
/* confinement - which system calls are allowed (seccomp(2), by libseccomp). */
#include "confinement.h"

#include "headroom.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "signal_state.h"

#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define LEAKS_ARE_SOUGHT
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_ARE_SOUGHT
#endif
#endif

enum {
	BUILD_LIMIT_S = 10,
	HEADROOM_BYTES = 1 << 20, /* thrice what the larger filter takes */
	SOCKET_TYPE_BITS = 0xf,   /* the rest are flags: SOCK_CLOEXEC, SOCK_NONBLOCK */
	FLAGS_OF_NAMESPACES = CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS |
			      CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWUTS,
};

/* An architecture that lacks a call has a negative number for it here. */
#define CALL SCMP_SYS

/* The formatter would have one a line, and fill a file. */
/* clang-format off */
static const int allowed[] = {
	/* files */
	CALL(access), CALL(chdir), CALL(chmod), CALL(chown), CALL(chroot), CALL(close),
	CALL(close_range), CALL(copy_file_range), CALL(creat), CALL(dup), CALL(dup2), CALL(dup3),
	CALL(faccessat), CALL(faccessat2), CALL(fadvise64), CALL(fallocate), CALL(fchdir),
	CALL(fchmod), CALL(fchmodat), CALL(fchown), CALL(fchownat), CALL(fcntl), CALL(fdatasync),
	CALL(fgetxattr), CALL(flistxattr), CALL(flock), CALL(fremovexattr), CALL(fsetxattr),
	CALL(fstat), CALL(fstatfs), CALL(fsync), CALL(ftruncate), CALL(futimesat), CALL(getcwd),
	CALL(getdents), CALL(getdents64), CALL(getxattr), CALL(lchown), CALL(lgetxattr), CALL(link),
	CALL(linkat), CALL(listxattr), CALL(llistxattr), CALL(lremovexattr), CALL(lseek),
	CALL(lsetxattr), CALL(lstat), CALL(mkdir), CALL(mkdirat), CALL(newfstatat), CALL(open),
	CALL(openat), CALL(openat2), CALL(pread64), CALL(preadv), CALL(preadv2), CALL(pwrite64),
	CALL(pwritev), CALL(pwritev2), CALL(read), CALL(readahead), CALL(readlink),
	CALL(readlinkat), CALL(readv), CALL(removexattr), CALL(rename), CALL(renameat),
	CALL(renameat2), CALL(rmdir), CALL(sendfile), CALL(setxattr), CALL(stat), CALL(statfs),
	CALL(statx), CALL(symlink), CALL(symlinkat), CALL(sync_file_range), CALL(syncfs),
	CALL(truncate), CALL(umask), CALL(unlink), CALL(unlinkat), CALL(utime), CALL(utimensat),
	CALL(utimes), CALL(write), CALL(writev),
	/* waiting, pipes and time */
	CALL(alarm), CALL(clock_getres), CALL(clock_gettime), CALL(clock_nanosleep),
	CALL(epoll_create), CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_pwait),
	CALL(epoll_pwait2), CALL(epoll_wait), CALL(eventfd), CALL(eventfd2), CALL(getitimer),
	CALL(gettimeofday), CALL(inotify_add_watch), CALL(inotify_init), CALL(inotify_init1),
	CALL(inotify_rm_watch), CALL(nanosleep), CALL(pause), CALL(pipe), CALL(pipe2), CALL(poll),
	CALL(ppoll), CALL(pselect6), CALL(restart_syscall), CALL(select), CALL(setitimer),
	CALL(signalfd), CALL(signalfd4), CALL(splice), CALL(time), CALL(timer_create),
	CALL(timer_delete), CALL(timer_getoverrun), CALL(timer_gettime), CALL(timer_settime),
	CALL(timerfd_create), CALL(timerfd_gettime), CALL(timerfd_settime), CALL(times),
	/* sockets; socket(2) itself is below */
	CALL(accept), CALL(accept4), CALL(bind), CALL(connect), CALL(getpeername),
	CALL(getsockname), CALL(getsockopt), CALL(listen), CALL(recvfrom), CALL(recvmmsg),
	CALL(recvmsg), CALL(sendmmsg), CALL(sendmsg), CALL(sendto), CALL(setsockopt),
	CALL(shutdown), CALL(socketpair),
	/* memory and threads */
	CALL(arch_prctl), CALL(brk), CALL(futex), CALL(futex_waitv), CALL(get_robust_list),
	CALL(getcpu), CALL(madvise), CALL(membarrier), CALL(mincore), CALL(mlock), CALL(mmap),
	CALL(mprotect), CALL(mremap), CALL(msync), CALL(munlock), CALL(munmap), CALL(rseq), CALL(sched_getaffinity),
	CALL(sched_get_priority_max), CALL(sched_get_priority_min), CALL(sched_getparam),
	CALL(sched_getscheduler), CALL(sched_yield), CALL(set_robust_list), CALL(set_tid_address),
	/* processes and signals; clone(2) is below */
	CALL(execve), CALL(exit), CALL(exit_group), CALL(fork), CALL(kill), CALL(pidfd_open),
	CALL(pidfd_send_signal), CALL(prctl), CALL(rt_sigaction), CALL(rt_sigpending),
	CALL(rt_sigprocmask), CALL(rt_sigqueueinfo), CALL(rt_sigreturn), CALL(rt_sigsuspend),
	CALL(rt_sigtimedwait), CALL(rt_tgsigqueueinfo), CALL(sigaltstack), CALL(tgkill),
	CALL(tkill), CALL(vfork), CALL(wait4), CALL(waitid),
	/* who and what we are */
	CALL(capget), CALL(capset), CALL(getegid), CALL(geteuid), CALL(getgid), CALL(getgroups),
	CALL(getpgid), CALL(getpgrp), CALL(getpid), CALL(getppid), CALL(getpriority),
	CALL(getrandom), CALL(getresgid), CALL(getresuid), CALL(getrlimit), CALL(getrusage),
	CALL(getsid), CALL(gettid), CALL(getuid), CALL(prlimit64), CALL(seccomp), CALL(setgid),
	CALL(setgroups), CALL(setpgid), CALL(setregid), CALL(setresgid), CALL(setresuid),
	CALL(setreuid), CALL(setrlimit), CALL(setsid), CALL(setuid), CALL(sysinfo), CALL(uname),
#ifdef LEAKS_ARE_SOUGHT /* for which we are traced, at the end */
	CALL(ptrace),
#endif
};

/* Kept apart from what is unknown, so that whoever tries is told that it may not. */
static const int refused[] = {
	/* mounts and roots */
	CALL(fsconfig), CALL(fsmount), CALL(fsopen), CALL(fspick), CALL(mount), CALL(mount_setattr),
	CALL(move_mount), CALL(open_tree), CALL(pivot_root), CALL(umount), CALL(umount2),
	/* namespaces; clone3(2) is unknown: its flags cannot be seen from here */
	CALL(setns), CALL(unshare),
	/* other processes */
	CALL(kcmp), CALL(pidfd_getfd), CALL(process_madvise), CALL(process_vm_readv),
	CALL(process_vm_writev),
#ifndef LEAKS_ARE_SOUGHT
	CALL(ptrace),
#endif
	/* the kernel's programs and queues, and what has often been a way into it */
	CALL(bpf), CALL(io_uring_enter), CALL(io_uring_register), CALL(io_uring_setup),
	CALL(lookup_dcookie), CALL(modify_ldt), CALL(perf_event_open), CALL(userfaultfd),
	CALL(vmsplice),
	/* keys */
	CALL(add_key), CALL(keyctl), CALL(request_key),
	/* files by handle, device files, who looks at all files */
	CALL(fanotify_init), CALL(fanotify_mark), CALL(mknod), CALL(mknodat),
	CALL(name_to_handle_at), CALL(open_by_handle_at), CALL(quotactl), CALL(quotactl_fd),
	/* the machine */
	CALL(acct), CALL(adjtimex), CALL(clock_adjtime), CALL(clock_settime), CALL(delete_module),
	CALL(finit_module), CALL(init_module), CALL(ioperm), CALL(iopl), CALL(kexec_file_load),
	CALL(kexec_load), CALL(personality), CALL(reboot), CALL(setdomainname), CALL(sethostname),
	CALL(settimeofday), CALL(swapoff), CALL(swapon), CALL(syslog), CALL(vhangup),
};
/* clang-format on */

/* What is asked of a terminal, an inotify descriptor, a socket or an interface: never TIOCSTI. */
static const unsigned requests[] = {
	FIONREAD,    FIONBIO,       FIOASYNC,    FIOCLEX,        FIONCLEX,
	TCGETS,      TIOCGPGRP,     TIOCSPGRP,   TIOCGWINSZ,     TIOCOUTQ,
	SIOCGIFCONF, SIOCGIFFLAGS,  SIOCGIFADDR, SIOCGIFNETMASK, SIOCGIFINDEX,
	SIOCGIFNAME, SIOCGIFHWADDR, SIOCGIFMTU,  SIOCGIFBRDADDR,
};

static const struct {
	int family, type, protocol; /* -1: any */
} sockets[] = {
	{ AF_UNIX, -1, -1 },
	{ AF_INET, SOCK_STREAM, 0 },
	{ AF_INET, SOCK_STREAM, IPPROTO_TCP }, /* as getaddrinfo(3) has it */
	{ AF_INET, SOCK_DGRAM, 0 },
	{ AF_INET, SOCK_DGRAM, IPPROTO_UDP },
	{ AF_INET6, SOCK_STREAM, 0 },
	{ AF_INET6, SOCK_STREAM, IPPROTO_TCP },
	{ AF_INET6, SOCK_DGRAM, 0 },
	{ AF_INET6, SOCK_DGRAM, IPPROTO_UDP },
	{ AF_NETLINK, -1, NETLINK_ROUTE },     /* getifaddrs(3) */
	{ AF_NETLINK, -1, NETLINK_SOCK_DIAG }, /* who holds a port */
	{ AF_NETLINK, -1, NETLINK_NETFILTER }, /* the gate */
};

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Of who shall be alone: no process but it, no signal to another, nothing of another. */
static const int refused_alone[] = {
	CALL(fork),
	CALL(vfork),
	CALL(pidfd_send_signal),
	CALL(pidfd_getfd),
	CALL(ptrace),
	CALL(process_vm_readv),
	CALL(process_vm_writev),
};

/* Whose first argument is to be its own number. */
static const int to_itself[] = {
	CALL(kill), CALL(tkill), CALL(tgkill), CALL(rt_sigqueueinfo), CALL(rt_tgsigqueueinfo),
};

static const struct {
	int call;
	unsigned argument;
	unsigned value;
} refused_values[] = {
	/* signals to whoever is named so */
	{ CALL(fcntl), 1, F_SETOWN },
	{ CALL(fcntl), 1, F_SETOWN_EX },
	{ CALL(ioctl), 1, FIOSETOWN },
	{ CALL(ioctl), 1, SIOCSPGRP },
	/* what is typed into a terminal */
	{ CALL(ioctl), 1, TIOCSTI },
	/* it ends when its parent does */
	{ CALL(prctl), 0, PR_SET_PDEATHSIG },
};

/* ---- the rules ---- */

static int add_calls(scmp_filter_ctx filter, uint32_t action, const int calls[], size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		if (calls[i] >= 0)
			rc = seccomp_rule_add(filter, action, calls[i], 0);
	return rc;
}

/* The kernel takes the lower half of the register: whatever is in the upper one must not matter. */
static struct scmp_arg_cmp argument(unsigned number, uint32_t bits, int value)
{
	return SCMP_CMP64(number, SCMP_CMP_MASKED_EQ, bits, (uint32_t)value);
}

static int add_sockets(scmp_filter_ctx filter)
{
	int rc = 0;

	for (size_t i = 0; i < N_OF(sockets) && rc == 0; i++) {
		struct scmp_arg_cmp wanted[3];
		unsigned n = 0;

		wanted[n++] = argument(0, UINT32_MAX, sockets[i].family);
		if (sockets[i].type >= 0)
			wanted[n++] = argument(1, SOCKET_TYPE_BITS, sockets[i].type);
		if (sockets[i].protocol >= 0)
			wanted[n++] = argument(2, UINT32_MAX, sockets[i].protocol);
		rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), n, wanted);
	}
	return rc;
}

static int add_requests(scmp_filter_ctx filter)
{
	int rc = 0;

	for (size_t i = 0; i < N_OF(requests) && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				      argument(1, UINT32_MAX, (int)requests[i]));
	return rc;
}

static int add_rules(scmp_filter_ctx filter)
{
	int rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (rc == 0)
		rc = add_calls(filter, SCMP_ACT_ALLOW, allowed, N_OF(allowed));
	if (rc == 0)
		rc = add_calls(filter, SCMP_ACT_ERRNO(EPERM), refused, N_OF(refused));
	if (rc == 0)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				      argument(0, FLAGS_OF_NAMESPACES, 0));
	if (rc == 0)
		rc = add_sockets(filter);
	return rc == 0 ? add_requests(filter) : rc;
}

/* A number with anything in the upper half is another's: then more is refused than need be. */
static int add_unless_first_is(scmp_filter_ctx filter, int call, pid_t number)
{
	const struct scmp_arg_cmp other = { .arg = 0,
					    .op = SCMP_CMP_NE,
					    .datum_a = (uint32_t)number };

	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 1, other);
}

/*
 * What is not named here is allowed.  A thread that calls by another architecture's numbers
 * is ended, which needs no seccomp(2): some engines refuse that, and not prctl(2).
 */
static int add_rules_alone(scmp_filter_ctx filter, pid_t self)
{
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	int rc = add_calls(filter, no, refused_alone, N_OF(refused_alone));

	for (size_t i = 0; i < N_OF(to_itself) && rc == 0; i++)
		rc = add_unless_first_is(filter, to_itself[i], self);
	for (size_t i = 0; i < N_OF(refused_values) && rc == 0; i++)
		rc = seccomp_rule_add(filter, no, refused_values[i].call, 1,
				      argument(refused_values[i].argument, UINT32_MAX,
					       (int)refused_values[i].value));
	if (rc == 0) /* 0 is itself */
		rc = add_unless_first_is(filter, SCMP_SYS(prlimit64), 0);
	if (rc == 0) /* threads end with it */
		rc = seccomp_rule_add(filter, no, SCMP_SYS(clone), 1, argument(0, CLONE_THREAD, 0));
	if (rc == 0) /* its flags cannot be seen from here; a C library takes clone(2) then */
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return rc;
}

/* ---- the filter ---- */

/*
 * libseccomp takes many a failed allocation for a success: it leaves rules out, says that
 * a filter is loaded where there is none, or never ends.
 */
static scmp_filter_ctx begin(uint32_t otherwise)
{
	return headroom_make(HEADROOM_BYTES, NULL) == 0 ? seccomp_init(otherwise) : NULL;
}

/* As the kernel wants it. */
static int build(int fd)
{
	scmp_filter_ctx filter = begin(SCMP_ACT_ERRNO(ENOSYS));
	int rc = filter ? add_rules(filter) : -ENOMEM;

	if (rc == 0)
		rc = seccomp_export_bpf(filter, fd);
	if (filter)
		seccomp_release(filter);
	return rc;
}

/* All of it; a program that is cut off, the kernel refuses. */
static ssize_t read_all(int fd, char *out, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t got = read(fd, out + n, size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

/*
 * By a child: the memory that libseccomp takes goes with it.  The number of bytes, or
 * why there are none.
 */
static ssize_t have_it_built(char *out, size_t size)
{
	cleanup_fd int ours = -1, theirs = -1;
	int fds[2], status = 0, rc = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	ours = fds[0];
	theirs = fds[1];
	pid = fork();
	if (pid == 0) {
		signal_state_fresh(); /* process 1 blocks them all */
		alarm(BUILD_LIMIT_S);
		_exit(-build(theirs));
	}
	if (pid < 0) /* no room for a process: then here.  The pipe has room for all of it */
		rc = build(theirs);
	close(steal_fd(&theirs));
	n = read_all(ours, out, size);
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (n < 0 || rc < 0)
		return n < 0 ? n : rc;
	if (WIFSIGNALED(status))
		return -EINTR;
	return status == 0 ? n : -WEXITSTATUS(status);
}

int confinement_enter(struct error *err)
{
	/* Static, so that only what is filled takes memory. */
	static union {
		struct sock_filter code[BPF_MAXINSNS];
		char bytes[BPF_MAXINSNS * sizeof(struct sock_filter)];
	} program;
	ssize_t n = have_it_built(program.bytes, sizeof(program.bytes));
	struct sock_fprog loaded = { .filter = program.code };

	if (n < 0)
		return error_code(err, (int)n, "make the filter of system calls");
	loaded.len = (unsigned short)((size_t)n / sizeof(program.code[0]));
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &loaded) < 0)
		return error_errno(err, "load the filter of system calls");
	return 0;
}

/* Made and loaded here: it has our number in it, and the memory goes when a program is executed. */
int confinement_enter_alone(struct error *err)
{
	scmp_filter_ctx filter = begin(SCMP_ACT_ALLOW);
	int rc = filter ? add_rules_alone(filter, getpid()) : -ENOMEM;

	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (rc == 0 && (rc = seccomp_load(filter)) == -EINVAL)
		rc = -ENOSYS; /* the kernel's word for it, see prctl(2) */
	if (filter)
		seccomp_release(filter);
	return rc < 0 ? error_code(err, rc, "load the filter of a tool's system calls") : 0;
}
