/* SPDX-License-Identifier: MIT */
/* callfault_registers - registers and memory of a process that stands still, by architecture. */
#ifndef TESTS_FAULTS_CALLFAULT_REGISTERS_H
#define TESTS_FAULTS_CALLFAULT_REGISTERS_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>

#if defined(__x86_64__)
#define RESULT_IS_IN_ARGUMENT(n) false
static inline void set_register(pid_t pid, size_t at, uint64_t value)
{
	ptrace(PTRACE_POKEUSER, pid, (void *)at, (void *)value);
}

static inline void skip_call(pid_t pid)
{
	set_register(pid, offsetof(struct user_regs_struct, orig_rax), (uint64_t)-1);
}

static inline void set_result(pid_t pid, int64_t value)
{
	set_register(pid, offsetof(struct user_regs_struct, rax), (uint64_t)value);
}

static inline void set_argument(pid_t pid, int n, uint64_t value)
{
	static const size_t at[] = { offsetof(struct user_regs_struct, rdi),
				     offsetof(struct user_regs_struct, rsi),
				     offsetof(struct user_regs_struct, rdx),
				     offsetof(struct user_regs_struct, r10) };

	set_register(pid, at[n], value);
}
#elif defined(__aarch64__)
#define RESULT_IS_IN_ARGUMENT(n) ((n) == 0)
static inline void set_register(pid_t pid, int n, uint64_t value)
{
	struct user_regs_struct regs;
	struct iovec room = { &regs, sizeof(regs) };

	ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &room);
	regs.regs[n] = value;
	ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &room);
}

static inline void skip_call(pid_t pid)
{
	int none = -1;
	struct iovec room = { &none, sizeof(none) };

	ptrace(PTRACE_SETREGSET, pid, (void *)NT_ARM_SYSTEM_CALL, &room);
}

static inline void set_result(pid_t pid, int64_t value)
{
	set_register(pid, 0, (uint64_t)value);
}

static inline void set_argument(pid_t pid, int n, uint64_t value)
{
	set_register(pid, n, value);
}
#else
#error "registers of this architecture are not known here"
#endif

static inline bool peek(pid_t pid, uint64_t at, void *out, size_t n)
{
	struct iovec here = { out, n }, there = { (void *)at, n };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)n;
}

static inline bool poke(pid_t pid, uint64_t at, const void *bytes, size_t n)
{
	struct iovec here = { (void *)(uintptr_t)bytes, n }, there = { (void *)at, n };

	return process_vm_writev(pid, &here, 1, &there, 1, 0) == (ssize_t)n;
}

/* Without the kernel's page of code, time is asked of the kernel itself. */
static inline void hide_vdso(pid_t pid)
{
	struct user_regs_struct regs;
	struct iovec room = { &regs, sizeof(regs) };
	uint64_t at, word, pair[2];

	ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &room);
#if defined(__x86_64__)
	at = regs.rsp;
#else
	at = regs.sp;
#endif
	for (int ends = 0; ends < 2 && (at += 8) && peek(pid, at, &word, 8);)
		ends += word == 0;
	for (at += 8; peek(pid, at, pair, sizeof(pair)) && pair[0] != AT_NULL; at += sizeof(pair))
		if (pair[0] == AT_SYSINFO_EHDR) {
			pair[0] = AT_IGNORE;
			poke(pid, at, pair, sizeof(pair));
		}
}

#endif
