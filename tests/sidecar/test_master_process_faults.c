/* SPDX-License-Identifier: MIT */
/*
 * master_process - a master that runs is found or the reason is told: with whatever
 * failure nobody says that it does not run, and files would be changed behind its back.
 */
#include "sandbox.h"

#include "sidecar/master_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PID_FILE "/run/master.pid"
#define OWN_PROGRAM "test_master_process_faults"

enum { CALLS_MAX = 100 };

/* ---- the calls by which a process is looked at: one of them fails ---- */

static int fails_in; /* calls; 0: none */
static int fails_with;

static bool is_to_fail(void)
{
	if (fails_in == 0 || --fails_in > 0)
		return false;
	errno = fails_with;
	return true;
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
	return is_to_fail() ? NULL : __real_fopen(path, mode);
}

ssize_t __real_readlink(const char *path, char *out, size_t size);
ssize_t __wrap_readlink(const char *path, char *out, size_t size);
ssize_t __wrap_readlink(const char *path, char *out, size_t size)
{
	return is_to_fail() ? -1 : __real_readlink(path, out, size);
}

int __real_stat(const char *path, struct stat *out);
int __wrap_stat(const char *path, struct stat *out);
int __wrap_stat(const char *path, struct stat *out)
{
	return is_to_fail() ? -1 : __real_stat(path, out);
}

/* ---- */

static void ignore(int signal)
{
	(void)signal;
}

static void write_pid(const struct sandbox *s)
{
	char text[32];

	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	sandbox_write(s, PID_FILE, text);
}

static void a_master_is_found_or_the_reason_told(void **state)
{
	static const int codes[] = { ENOMEM, EMFILE, EIO };
	const struct sandbox *s = *state;

	signal(SIGHUP, ignore);
	write_pid(s);
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		int n = 0, rc;

		do {
			CLEANUP(master_process_release)
			struct master_process master = MASTER_PROCESS_INIT;
			struct error err = { 0 };

			fails_in = ++n;
			fails_with = codes[i];
			rc = master_process_find(&s->own, sandbox_path(s, PID_FILE), OWN_PROGRAM,
						 &master, &err);
			if (rc == -codes[i])
				assert_non_null(strstr(err.msg, "process "));
			else
				assert_int_equal(rc, MASTER_PROCESS_READY);
		} while (rc < 0 && n < CALLS_MAX);
		fails_in = 0;
		assert_in_range(n, 4 + 1, CALLS_MAX - 1); /* number, program, root, signals */
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sandbox_set_up, sandbox_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_master_is_found_or_the_reason_told),
	};

	sandbox_enter_private_mounts();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
