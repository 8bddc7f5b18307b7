/* SPDX-License-Identifier: MIT */
/* probe - to whom it connects, with which header, how often and for how long. */
#include "probing.h"
#include "sandbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

/* ---- the header that arrives ---- */

static void the_header_names_loopback_of_the_twins_family(void **state)
{
	static const struct probing_manners good = { "220 x\r\n", "221 x\r\n", "QUIT" };
	static const struct {
		const char *address;
		const char *begins;
	} families[] = { { "127.0.0.1", "PROXY TCP4 127.0.0.1 127.0.0.1 " },
			 { "127.0.0.5", "PROXY TCP4 127.0.0.1 127.0.0.5 " },
			 { "::1", "PROXY TCP6 ::1 ::1 " } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct talker talker = talker_start(families[i].address, 0, probing_greet, &good);
		struct probe_job job = probing_job(&talker, PROBE_SMTP);
		char heard[256], port[16];

		job.address = families[i].address;
		job.header = PROXY_HEADER_V1;
		probing_run(&job, PROBING_LONG_MS);
		probing_assert(&job, true, "220 x");
		talker_heard(&talker, heard, sizeof(heard));
		assert_memory_equal(heard, families[i].begins, strlen(families[i].begins));
		snprintf(port, sizeof(port), " %u\r\n", talker.port);
		unit_assert_contains(span_from(heard), port);
		talker_end(&talker);
	}
}

static void every_address_means_loopback(void **state)
{
	static const struct probing_manners good = { "220 x\r\n", "221 x\r\n", "QUIT" };
	struct talker talker = talker_start("0.0.0.0", 0, probing_greet, &good);
	struct probe_job job = probing_job(&talker, PROBE_SMTP);

	(void)state;
	job.address = "";
	for (int header = 0; header < PROXY_HEADER_PROPER_COUNT; header++) {
		job.header = (enum proxy_header)header;
		probing_run(&job, PROBING_LONG_MS);
		probing_assert(&job, true, "220 x");
	}
	talker_end(&talker);
}

static void what_is_no_address_is_said(void **state)
{
	struct probe_job job = { .address = "localhost", .port = 1 };

	(void)state;
	probing_run(&job, PROBING_LONG_MS);
	probing_assert(&job, false, "localhost");
}

/* ---- connections ---- */

static uint16_t free_port(void)
{
	struct talker talker = talker_start("127.0.0.1", 0, probing_be_silent, NULL);

	talker_end(&talker);
	return talker.port;
}

static void a_refused_connection_is_said_at_once(void **state)
{
	struct probe_job job = { .address = "127.0.0.1", .port = free_port() };
	long start = sandbox_now_ms();

	(void)state;
	probing_run(&job, PROBING_LONG_MS);
	probing_assert(&job, false, "refused");
	assert_true(sandbox_now_ms() - start < 5000);
}

static void a_refused_connection_is_tried_until_the_limit_when_asked(void **state)
{
	struct probe_job job = { .address = "127.0.0.1", .port = free_port() };
	long start = sandbox_now_ms();

	(void)state;
	assert_int_equal(probe_run(&job, 1, PROBING_SHORT_MS, true, -1, NULL), 0);
	probing_assert(&job, false, "refused");
	assert_true(sandbox_now_ms() - start >= PROBING_SHORT_MS - 5);
}

struct late {
	uint16_t port;
};

static void start_late(void *ctx)
{
	static const struct probing_manners good = { "220 late\r\n", "221 x\r\n", "QUIT" };
	const struct late *late = ctx;

	usleep(100000);
	talker_start("127.0.0.1", late->port, probing_greet, &good);
	pause();
}

static void a_server_that_comes_up_meanwhile_is_up(void **state)
{
	struct late late = { free_port() };
	struct probe_job job = { .address = "127.0.0.1", .port = late.port };
	pid_t pid = sandbox_spawn(start_late, &late);

	(void)state;
	assert_int_equal(probe_run(&job, 1, PROBING_LONG_MS, true, -1, NULL), 0);
	probing_assert(&job, true, "220 late");
	sandbox_end(pid);
}

/* Of the old generation, which waits for a ClientHello, and then of the new one. */
static void be_silent_once(int fd, const void *ctx)
{
	static const struct probing_manners good = { "220 new\r\n", "221 x\r\n", "QUIT" };
	static bool is_new; /* in the server's process */
	char byte;

	(void)ctx;
	while (!is_new && recv(fd, &byte, 1, 0) == 1)
		;
	if (is_new)
		probing_greet(fd, &good);
	is_new = true;
}

static void a_silent_first_connection_is_not_waited_for(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, be_silent_once, NULL);
	struct probe_job job = probing_job(&talker, PROBE_SMTP);

	(void)state;
	job.first_line_is_enough = true;
	assert_int_equal(probe_run(&job, 1, PROBING_LONG_MS, true, -1, NULL), 0);
	probing_assert(&job, true, "220 new");
	talker_end(&talker);
}

static void all_jobs_run_at_once(void **state)
{
	enum { JOBS = 8 };
	struct talker talkers[JOBS];
	struct probe_job jobs[JOBS];
	long start;

	(void)state;
	for (int i = 0; i < JOBS; i++) {
		talkers[i] = talker_start("127.0.0.1", 0, i % 2 ? probing_tease : probing_be_silent,
					  NULL);
		jobs[i] = probing_job(&talkers[i], PROBE_SMTP);
		jobs[i].first_line_is_enough = true;
	}
	start = sandbox_now_ms();
	assert_int_equal(probe_run(jobs, JOBS, 2 * PROBING_SHORT_MS, false, -1, NULL), 0);
	assert_true(sandbox_now_ms() - start < JOBS / 2 * 2 * PROBING_SHORT_MS);
	for (int i = 0; i < JOBS; i++) {
		probing_assert(&jobs[i], i % 2, i % 2 ? "220-" : "no answer in time");
		talker_end(&talkers[i]);
	}
	assert_int_equal(probe_run(NULL, 0, PROBING_LONG_MS, true, -1, NULL), 0);
}

static void all_ends_when_the_master_does(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, probing_be_silent, NULL);
	struct probe_job job = probing_job(&talker, PROBE_SMTP);
	int ended[2];
	long start = sandbox_now_ms();

	(void)state;
	assert_int_equal(pipe2(ended, O_CLOEXEC), 0);
	close(ended[1]); /* readable from now on */
	assert_int_equal(probe_run(&job, 1, PROBING_LONG_MS, true, ended[0], NULL), 0);
	probing_assert(&job, false, "ended");
	assert_true(sandbox_now_ms() - start < PROBING_LONG_MS / 2);
	close(ended[0]);
	talker_end(&talker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_names_loopback_of_the_twins_family),
		cmocka_unit_test(every_address_means_loopback),
		cmocka_unit_test(what_is_no_address_is_said),
		cmocka_unit_test(a_refused_connection_is_said_at_once),
		cmocka_unit_test(a_refused_connection_is_tried_until_the_limit_when_asked),
		cmocka_unit_test(a_server_that_comes_up_meanwhile_is_up),
		cmocka_unit_test(a_silent_first_connection_is_not_waited_for),
		cmocka_unit_test(all_jobs_run_at_once),
		cmocka_unit_test(all_ends_when_the_master_does),
	};

	sandbox_enter_private_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
