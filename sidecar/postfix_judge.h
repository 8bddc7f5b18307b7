/* SPDX-License-Identifier: MIT */
/* postfix_judge - whether Postfix would take a main.cf and a master.cf. */
#ifndef SIDECAR_POSTFIX_JUDGE_H
#define SIDECAR_POSTFIX_JUDGE_H

#include "patchers/base/span.h"

struct error;
struct host;
struct main_cf;

/* Borrowed.  The paths are those of the files in force, for messages. */
struct postfix_candidate {
	const struct main_cf *main_cf;
	struct span main_cf_text;
	const char *main_cf_path;
	struct span master_cf_text;
	const char *master_cf_path;
};

/*
 * By postconf(1), by postmap(1) as a program that reads the common parameters, and
 * by what both let pass that ends the daemons.  0; 1 when a tool is not there;
 * -EINVAL with the tool's words.  What it writes into HOST_JUDGE_DIRECTORY stays
 * there for server_remove_candidates().
 */
int postfix_judge(const struct host *host, const struct postfix_candidate *candidate,
		  struct error *err);

#endif
