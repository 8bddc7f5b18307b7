/* SPDX-License-Identifier: MIT */
/* probe_target - a listener of any host, as LISTENER=HOST:PORT names it. */
#ifndef SIDECAR_PROBE_TARGET_H
#define SIDECAR_PROBE_TARGET_H

#include "dialect.h"

#include <stdbool.h>
#include <stdint.h>

struct error;

enum { PROBE_TARGET_HOST_MAX = 256 };

struct probe_target {
	const char *listener; /* gives the two that follow */
	enum probe_protocol protocol;
	bool tls;                         /* implicit */
	char host[PROBE_TARGET_HOST_MAX]; /* a name or an address, brackets taken off */
	uint16_t port;
};

/* -EINVAL with a reason. */
int probe_target_parse(const char *text, struct probe_target *out, struct error *err);

#endif
