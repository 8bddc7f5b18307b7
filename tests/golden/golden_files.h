/* SPDX-License-Identifier: MIT */
/* golden_files - the files of a golden case. */
#ifndef TESTS_GOLDEN_GOLDEN_FILES_H
#define TESTS_GOLDEN_GOLDEN_FILES_H

#include "patchers/base/buf.h"

/* Add the bytes of DIRECTORY/NAME.SUFFIX to out; false when there is no such file. */
bool golden_read(const char *directory, const char *name, const char *suffix, struct buf *out);

/*
 * Compare with DIRECTORY/NAME.SUFFIX: no file stands for an empty text.
 * Prints a difference and returns false; with POSTERN_GOLDEN_UPDATE set the
 * file is written (or removed) instead.
 */
bool golden_compare(const char *directory, const char *name, const char *suffix, struct span got);

/* Call run for the name of each NAME.in in directory, sorted; returns how many failed. */
typedef bool golden_run(const char *directory, const char *name);
unsigned golden_each(const char *directory, golden_run *run, unsigned *out_n);

#endif
