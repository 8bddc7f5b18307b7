/* SPDX-License-Identifier: MIT */
/* tool_cell - a program of another root's, alone and out of reach of us. */
#include "tool_cell.h"

#include <asm/sockios.h>
#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum { RULES_MAX = 48, FILTER_MAX = 4 + RULES_MAX * 5, X32_BIT = 0x40000000 };

enum verdict {
	REFUSE,            /* EPERM */
	REFUSE_AS_UNKNOWN, /* ENOSYS: there is an older call for the same */
	ALLOW_SELF,        /* only with its own number, or 0 where that means itself */
	ALLOW_FLAG,        /* only with this bit set */
	REFUSE_VALUE,      /* with this value */
};

struct rule {
	unsigned call;
	enum verdict verdict;
	unsigned argument;
	unsigned value;
};

static const struct rule rules[] = {
	/* no other process; threads end with it */
	{ __NR_clone3, REFUSE_AS_UNKNOWN, 0, 0 },
	{ __NR_clone, ALLOW_FLAG, 0, CLONE_THREAD },
#ifdef __NR_fork
	{ __NR_fork, REFUSE, 0, 0 },
	{ __NR_vfork, REFUSE, 0, 0 },
#endif
	/* no signal, whatever it is sent by */
	{ __NR_kill, ALLOW_SELF, 0, 0 },
	{ __NR_tkill, ALLOW_SELF, 0, 0 },
	{ __NR_tgkill, ALLOW_SELF, 0, 0 },
	{ __NR_rt_sigqueueinfo, ALLOW_SELF, 0, 0 },
	{ __NR_rt_tgsigqueueinfo, ALLOW_SELF, 0, 0 },
	{ __NR_pidfd_send_signal, REFUSE, 0, 0 },
	{ __NR_fcntl, REFUSE_VALUE, 1, F_SETOWN },
	{ __NR_fcntl, REFUSE_VALUE, 1, F_SETOWN_EX },
	{ __NR_ioctl, REFUSE_VALUE, 1, FIOSETOWN },
	{ __NR_ioctl, REFUSE_VALUE, 1, SIOCSPGRP },
	/* nothing of another process, and of a terminal */
	{ __NR_prlimit64, ALLOW_SELF, 0, 0 },
	{ __NR_ptrace, REFUSE, 0, 0 },
	{ __NR_process_vm_readv, REFUSE, 0, 0 },
	{ __NR_process_vm_writev, REFUSE, 0, 0 },
	{ __NR_pidfd_getfd, REFUSE, 0, 0 },
	{ __NR_ioctl, REFUSE_VALUE, 1, TIOCSTI },
	/* it stays so */
	{ __NR_prctl, REFUSE_VALUE, 0, PR_SET_PDEATHSIG },
};

_Static_assert(sizeof(rules) / sizeof(rules[0]) <= RULES_MAX, "room for every rule");

/* ---- the filter, see seccomp(2) ---- */

struct filter {
	struct sock_filter code[FILTER_MAX];
	unsigned short n;
};

static void put(struct filter *f, struct sock_filter step)
{
	f->code[f->n++] = step;
}

static void load(struct filter *f, size_t offset)
{
	put(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* Go on when the number is this, else pass over so many steps. */
static void when(struct filter *f, uint32_t value, uint8_t else_over)
{
	put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, else_over));
}

static void answer(struct filter *f, uint32_t code)
{
	put(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, code));
}

/* The low half: no value of ours has another, and no process's number. */
static size_t offset_of(unsigned argument)
{
	const size_t low = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : sizeof(uint32_t);

	return offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t) + low;
}

/* The call's number is loaded before each rule, and again after it. */
static void add_rule(struct filter *f, const struct rule *rule, uint32_t self)
{
	const uint32_t refused = SECCOMP_RET_ERRNO | EPERM;

	switch (rule->verdict) {
	case REFUSE:
	case REFUSE_AS_UNKNOWN:
		when(f, rule->call, 1);
		answer(f, rule->verdict == REFUSE ? refused : SECCOMP_RET_ERRNO | ENOSYS);
		return;
	case ALLOW_SELF:
		when(f, rule->call, 5);
		load(f, offset_of(rule->argument));
		put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, self, 2, 0));
		put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						    rule->call == __NR_prlimit64 ? 0 : self, 1, 0));
		answer(f, refused);
		break;
	case ALLOW_FLAG:
		when(f, rule->call, 4);
		load(f, offset_of(rule->argument));
		put(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, rule->value, 1, 0));
		answer(f, refused);
		break;
	case REFUSE_VALUE:
		when(f, rule->call, 4);
		load(f, offset_of(rule->argument));
		when(f, rule->value, 1);
		answer(f, refused);
		break;
	}
	load(f, offsetof(struct seccomp_data, nr));
}

static bool forbid(void)
{
	struct filter f = { .n = 0 };
	struct sock_fprog program = { .filter = f.code };

	load(&f, offsetof(struct seccomp_data, arch));
	when(&f, ARCHITECTURE, 1);
	put(&f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
	answer(&f, SECCOMP_RET_KILL_PROCESS);
	load(&f, offsetof(struct seccomp_data, nr));
	put(&f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
	answer(&f, SECCOMP_RET_ERRNO | ENOSYS);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		add_rule(&f, &rules[i], (uint32_t)getpid());
	answer(&f, SECCOMP_RET_ALLOW);
	program.len = f.n;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0 || errno == EINVAL ||
	       errno == ENOSYS;
}

bool tool_cell_enter(pid_t parent)
{
	const struct rlimit memory = { TOOL_CELL_MEMORY, TOOL_CELL_MEMORY }, none = { 0, 0 };

	(void)setsid(); /* fails only when we lead a session already: then there is no terminal */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		return false;
	return setrlimit(RLIMIT_AS, &memory) == 0 && setrlimit(RLIMIT_CORE, &none) == 0 && forbid();
}
