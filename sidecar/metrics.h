/* SPDX-License-Identifier: MIT */
/* metrics - the state in Prometheus' text format 0.0.4. */
#ifndef SIDECAR_METRICS_H
#define SIDECAR_METRICS_H

struct buf;
struct state;

void metrics_print(const struct state *state, struct buf *out);

#endif
