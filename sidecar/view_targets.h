/* SPDX-License-Identifier: MIT */
/* view_targets - what `probe` prints of targets. */
#ifndef SIDECAR_VIEW_TARGETS_H
#define SIDECAR_VIEW_TARGETS_H

#include <stdbool.h>

struct error;
struct probe_targets;

/* A table and a sentence for each row that is wrong, or JSON with both. */
int view_targets(const struct probe_targets *targets, bool json, struct error *err);

#endif
