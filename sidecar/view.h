/* SPDX-License-Identifier: MIT */
/*
 * view - what commands print on standard output: tables for people, JSON for
 * programs.  Colours only on a terminal, and never when NO_COLOR is set.
 */
#ifndef SIDECAR_VIEW_H
#define SIDECAR_VIEW_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct probe_job;
struct survey;
struct settings;
struct twin;

/* The plan, what protects the twins, and every remark. */
int view_plan(const struct survey *r, const struct settings *settings, bool json,
	      struct error *err);

/* One row of a probe: which twin, and what its job found. */
struct view_probe_row {
	const char *server;
	const struct twin *twin;
	const struct probe_job *job;
};

int view_probe(const struct view_probe_row *rows, size_t n_rows, bool json, struct error *err);

#endif
