/* SPDX-License-Identifier: MIT */
/* probing - jobs of a probe, their verdicts, and how the servers behave that are asked. */
#include "probing.h"

#include "tests/unit/unit.h"

#include <string.h>
#include <unistd.h>

struct probe_job probing_job(const struct talker *talker, enum probe_protocol protocol)
{
	return (struct probe_job){ .address = "127.0.0.1",
				   .port = talker->port,
				   .protocol = protocol,
				   .header = PROXY_HEADER_LOCAL };
}

void probing_run(struct probe_job *job, int limit_ms)
{
	strcpy(job->detail, "of an earlier run");
	job->up = !job->up;
	assert_int_equal(probe_run(job, 1, limit_ms, false, -1, NULL), 0);
}

void probing_assert(const struct probe_job *job, bool up, const char *detail)
{
	if (job->up != up)
		fail_msg("%s: \"%s\"", job->up ? "up" : "down", job->detail);
	if (detail[0])
		unit_assert_contains(span_from(job->detail), detail);
}

void probing_greet(int fd, const void *ctx)
{
	const struct probing_manners *m = ctx;
	char header[256], line[64];

	talker_pass_on(header, talker_read_header(fd, header, sizeof(header)));
	talker_say(fd, m->greeting);
	if (!m->answer)
		return;
	talker_read_line(fd, line, sizeof(line));
	talker_say(fd, m->farewell && strcmp(line, m->farewell) != 0 ? "999 what?\r\n" : m->answer);
}

void probing_tease(int fd, const void *ctx)
{
	char header[256];

	(void)ctx;
	talker_read_header(fd, header, sizeof(header));
	talker_say(fd, "220-please wait\r\n");
	pause();
}

void probing_be_silent(int fd, const void *ctx)
{
	(void)fd;
	(void)ctx;
	pause();
}
