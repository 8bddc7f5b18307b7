/* SPDX-License-Identifier: MIT */
/*
 * postfix_value - the value of a parameter as a service sees it: its own -o
 * options, then main.cf, then Postfix's default, with $name expanded
 * (postconf(5), "The general format of the main.cf file").
 */
#ifndef PATCHERS_POSTFIX_VALUE_H
#define PATCHERS_POSTFIX_VALUE_H

#include "base/buf.h"

struct error;
struct main_cf;
struct master_cf_entry;

/*
 * Add the expanded value of `name` to out.  `entry` may be NULL.  Returns 1
 * when something sets it, 0 when neither a file nor our table of defaults
 * knows it (nothing is added), -ELOOP when it refers to itself, -EINVAL for an
 * unbalanced ${, -ENOMEM.
 */
int postfix_value_get(const struct main_cf *main_cf, const struct master_cf_entry *entry,
		      struct span name, struct buf *out, struct error *err);

#endif
