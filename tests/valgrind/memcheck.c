/* SPDX-License-Identifier: MIT */
/*
 * memcheck - stands in for a program: runs it under valgrind, with the same arguments.
 *
 * Static, and for whatever root it is copied into: valgrind, the program and its libraries are in
 * FOLDER there, and the environment may be anything.  What valgrind finds goes to a file of this
 * start's own, which whoever the program forks writes to as well, also from another root.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { OPTIONS_MAX = 16, NAME_MAX_BYTES = 128, FAILED = 127 };

int main(int argc, char **argv)
{
	char findings[NAME_MAX_BYTES];
	char *words[OPTIONS_MAX + argc];
	struct timespec now;
	int n = 0;

	/* Process numbers are a namespace's own, and come again. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(findings, sizeof(findings), "--log-file=" FOLDER "/findings/%lld.%09ld.%d",
		 (long long)now.tv_sec, now.tv_nsec, (int)getpid());
	words[n++] = "valgrind";
	words[n++] = "-q";
	words[n++] = "--vgdb=no";
	words[n++] = "--leak-check=full";
	words[n++] = "--show-leak-kinds=definite";
	words[n++] = "--errors-for-leak-kinds=definite";
	words[n++] = "--track-fds=yes";
	words[n++] = "--num-callers=30";
	words[n++] = "--suppressions=" FOLDER "/suppressions";
	words[n++] = findings;
	words[n++] = FOLDER "/postern";
	for (int i = 1; i < argc; i++)
		words[n++] = argv[i];
	words[n] = NULL;
	/* As valgrind's own starter does; but the process shall have the program's name. */
	if (setenv("VALGRIND_LIB", FOLDER "/valgrind", 1) == 0 &&
	    setenv("VALGRIND_LAUNCHER", FOLDER "/valgrind/postern", 1) == 0)
		execv(FOLDER "/valgrind/postern", words);
	perror("memcheck: " FOLDER "/valgrind/postern");
	return FAILED;
}
