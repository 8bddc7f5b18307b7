/* SPDX-License-Identifier: MIT */
/*
 * reading - our reading of a file in the form of the server's own tool.  Each
 * function takes the arguments of its mode and adds its answer to out.
 */
#ifndef TESTS_ORACLE_READING_H
#define TESTS_ORACLE_READING_H

#include "patchers/base/buf.h"

struct error;

/* Add a file's bytes; a directory has none. */
int reading_file(const char *path, struct buf *out, struct error *err);

/* reading_postfix.c */
int reading_master(char **args, struct buf *out, struct error *err);
int reading_fields(char **args, struct buf *out, struct error *err);
int reading_options(char **args, struct buf *out, struct error *err);
int reading_value(char **args, struct buf *out, struct error *err);
int reading_assignments(char **args, struct buf *out, struct error *err);
int reading_twins(char **args, struct buf *out, struct error *err);
int reading_in_place(char **args, struct buf *out, struct error *err);
int reading_twin_table(char **args, struct buf *out, struct error *err);
int reading_strip(char **args, struct buf *out, struct error *err);
int reading_override_main(char **args, struct buf *out, struct error *err);
int reading_override_master(char **args, struct buf *out, struct error *err);

/* reading_dovecot.c */
int reading_dovecot_settings(char **args, struct buf *out, struct error *err);
int reading_dovecot(char **args, struct buf *out, struct error *err);
int reading_drop_in(char **args, struct buf *out, struct error *err);
int reading_drop_in_in_place(char **args, struct buf *out, struct error *err);
int reading_holds(char **args, struct buf *out, struct error *err);
int reading_add_include(char **args, struct buf *out, struct error *err);
int reading_strip_include(char **args, struct buf *out, struct error *err);
int reading_relocate(char **args, struct buf *out, struct error *err);

#endif
