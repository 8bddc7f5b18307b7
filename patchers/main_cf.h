/* SPDX-License-Identifier: MIT */
/*
 * main_cf - read the parameters of a Postfix main.cf.
 *
 * Lines fold as in master.cf; "name = value", the last of several wins
 * (postconf(5)).  Read-only: postern asks main.cf, it does not edit it here.
 */
#ifndef PATCHERS_MAIN_CF_H
#define PATCHERS_MAIN_CF_H

#include "base/buf.h"

struct error;

struct main_cf_parameter {
	struct span name;
	struct span value; /* unfolded and trimmed, not expanded */
	unsigned line;
};

struct main_cf {
	struct main_cf_parameter *parameters;
	size_t n_parameters;
	struct buf logical; /* storage of names and values */
};

/*
 * Read `text`; *out keeps its own copy of what it needs.  Lines without '=',
 * of which Postfix's programs die, are passed over here: postconf(1), which
 * judges, names them better.  0, -EINVAL for a NUL byte,
 * -ENOMEM; *out untouched on failure.  Release with main_cf_release().
 */
int main_cf_parse(struct span text, struct main_cf *out, struct error *err);
void main_cf_release(struct main_cf *cf);

/* The value as written, or false when main.cf does not set it.  Borrowed. */
bool main_cf_lookup(const struct main_cf *cf, struct span name, struct span *out);

#endif
