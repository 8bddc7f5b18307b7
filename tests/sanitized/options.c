/* SPDX-License-Identifier: MIT */
/*
 * options - what the sanitizers do in a program that runs in roots of its own.
 *
 * The environment of the tests' hosts is fixed, so the options are in the program.  A finding
 * goes to a file beside the libraries, because standard error is often a test's, or nobody's;
 * tests/sanitized/run looks there.
 */
#define FINDINGS "log_path=" POSTERN_LIBRARIES_AT "/findings/by:log_exe_name=1"

/* A name of the sanitizers' runtime, which reads it before main(). */
const char *__asan_default_options(void); /* NOLINT(bugprone-reserved-identifier) */

/*
 * UBSan's own library writes to standard error whatever its options say, so that what it finds
 * is a trap here (-fsanitize-undefined-trap-on-error), and ASan tells of the SIGILL.
 *
 * strict_string_checks is the unit tests': it reads a text to its end whenever something is
 * looked for in it, which takes minutes for a file of a megabyte.
 */
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return FINDINGS ":exitcode=99:detect_stack_use_after_return=1:handle_sigill=1";
}
