/* SPDX-License-Identifier: MIT */
/*
 * native_calls - two calls that Debian 13's valgrind does not know: pidfd_send_signal and seccomp.
 *
 * syscall(2), for the program and its libraries.  Under valgrind, those two are made on the real
 * processor, past it, so that it does not see what their arguments point at; it sees all others.
 */
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <valgrind/valgrind.h>

enum { ARGUMENTS_MAX = 6, LOWEST_ERROR = -4095 };

/* Perhaps on valgrind's own stack, without this program's thread: no errno, no stack protector. */
__attribute__((no_stack_protector)) static long enter_kernel(long thread, long number,
							     const long *a)
{
	(void)thread;
#ifdef __x86_64__
	register long fourth __asm__("r10") = a[3];
	register long fifth __asm__("r8") = a[4];
	register long sixth __asm__("r9") = a[5];
	long result = number;

	__asm__ volatile("syscall"
			 : "+a"(result)
			 : "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(fourth), "r"(fifth), "r"(sixth)
			 : "rcx", "r11", "memory");
	return result;
#else
	register long result __asm__("x0") = a[0];
	register long second __asm__("x1") = a[1];
	register long third __asm__("x2") = a[2];
	register long fourth __asm__("x3") = a[3];
	register long fifth __asm__("x4") = a[4];
	register long sixth __asm__("x5") = a[5];
	register long call __asm__("x8") = number;

	__asm__ volatile("svc 0"
			 : "+r"(result)
			 : "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth), "r"(call)
			 : "memory");
	return result;
#endif
}

__attribute__((visibility("default"))) long syscall(long number, ...)
{
	long a[ARGUMENTS_MAX], result;
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < ARGUMENTS_MAX; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (RUNNING_ON_VALGRIND && (number == SYS_pidfd_send_signal || number == SYS_seccomp))
		result = (long)VALGRIND_NON_SIMD_CALL2(enter_kernel, number, a);
	else
		result = enter_kernel(0, number, a);
	if (result >= 0 || result < LOWEST_ERROR)
		return result;
	errno = (int)-result;
	return -1;
}
