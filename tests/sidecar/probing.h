/* SPDX-License-Identifier: MIT */
/* probing - jobs of a probe, their verdicts, and how the servers behave that are asked. */
#ifndef TESTS_SIDECAR_PROBING_H
#define TESTS_SIDECAR_PROBING_H

#include "talker.h"

#include "sidecar/probe.h"

#include <stdbool.h>

/* A limit that is not reached, and one that is. */
enum { PROBING_LONG_MS = 20000, PROBING_SHORT_MS = 300 };

/* Of a server on 127.0.0.1, with a header of PROXY_HEADER_LOCAL. */
struct probe_job probing_job(const struct talker *talker, enum probe_protocol protocol);

/* Run it alone, without a second try. */
void probing_run(struct probe_job *job, int limit_ms);

/* Fails the test unless the verdict is this, and `detail` stands in what was said. */
void probing_assert(const struct probe_job *job, bool up, const char *detail);

struct probing_manners {
	const char *greeting;
	const char *answer;   /* to the farewell; NULL: hangs up instead */
	const char *farewell; /* what it has to be; NULL: anything */
};

/* Read the header, pass it on to talker_heard(), and behave as the struct probing_manners says. */
void probing_greet(int fd, const void *manners);

/* As postscreen: read the header, say a first line that is not the last one, and wait. */
void probing_tease(int fd, const void *unused);

void probing_be_silent(int fd, const void *unused);

#endif
