/* SPDX-License-Identifier: MIT */
/* probe - what is said of good, bad, silent and endless servers. */
#include "sandbox.h"
#include "talker.h"

#include "sidecar/probe.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

/* A limit that is not reached, and one that is. */
enum { LONG_MS = 20000, SHORT_MS = 300 };

static struct probe_job job_for(const struct talker *talker, enum probe_protocol protocol)
{
	return (struct probe_job){ .address = "127.0.0.1",
				   .port = talker->port,
				   .protocol = protocol,
				   .header = PROXY_HEADER_LOCAL };
}

static void run_one(struct probe_job *job, int limit_ms)
{
	strcpy(job->detail, "of an earlier run");
	job->up = !job->up;
	assert_int_equal(probe_run(job, 1, limit_ms, false, -1, NULL), 0);
}

static void assert_verdict(const struct probe_job *job, bool up, const char *detail)
{
	if (job->up != up)
		fail_msg("%s: \"%s\"", job->up ? "up" : "down", job->detail);
	if (detail[0])
		unit_assert_contains(span_from(job->detail), detail);
}

/* ---- servers that read the header ---- */

struct manners {
	const char *greeting;
	const char *answer;   /* to the farewell; NULL: hangs up instead */
	const char *farewell; /* what it has to be */
};

static void read_header_and_greet(int fd, const void *ctx)
{
	const struct manners *m = ctx;
	char header[256], line[64];

	talker_pass_on(header, talker_read_header(fd, header, sizeof(header)));
	talker_say(fd, m->greeting);
	if (!m->answer)
		return;
	talker_read_line(fd, line, sizeof(line));
	talker_say(fd, m->farewell && strcmp(line, m->farewell) != 0 ? "999 what?\r\n" : m->answer);
}

static void greet_as(struct manners manners, enum probe_protocol protocol, bool up,
		     const char *detail)
{
	struct talker talker = talker_start("127.0.0.1", 0, read_header_and_greet, &manners);
	struct probe_job job = job_for(&talker, protocol);

	run_one(&job, LONG_MS);
	assert_verdict(&job, up, detail);
	talker_end(&talker);
}

static void a_server_of_each_protocol_that_greets_and_parts_is_up(void **state)
{
	(void)state;
	greet_as((struct manners){ "220 mail ESMTP\r\n", "221 bye\r\n", "QUIT" }, PROBE_SMTP, true,
		 "220 mail ESMTP");
	greet_as((struct manners){ "220-one\r\n220-two\r\n220 three\r\n", "221 bye\r\n", "QUIT" },
		 PROBE_SMTP, true, "220 three");
	greet_as((struct manners){ "* OK [CAPABILITY IMAP4rev1] ready.\r\n", "* BYE\r\na OK\r\n",
				   "a LOGOUT" },
		 PROBE_IMAP, true, "* OK");
	greet_as((struct manners){ "+OK ready\r\n", "+OK bye\r\n", "QUIT" }, PROBE_POP3, true,
		 "+OK");
	greet_as(
		(struct manners){ "\"IMPLEMENTATION\" \"x\"\r\n\"SIEVE\" \"y\"\r\nOK \"ready\"\r\n",
				  "OK \"bye\"\r\n", "LOGOUT" },
		PROBE_SIEVE, true, "OK \"ready\"");
}

static void a_server_that_refuses_us_is_down_in_its_own_words(void **state)
{
	(void)state;
	greet_as((struct manners){ "421 4.3.2 no system resources\r\n", "", NULL }, PROBE_SMTP,
		 false, "421 4.3.2 no system resources");
	greet_as((struct manners){ "554 go away\r\n", "", NULL }, PROBE_SMTP, false, "554 go away");
	greet_as((struct manners){ "220-teaser\r\n421 too many\r\n", "", NULL }, PROBE_SMTP, false,
		 "421 too many");
	greet_as((struct manners){ "* BYE go away\r\n", "", NULL }, PROBE_IMAP, false, "* BYE");
	greet_as((struct manners){ "-ERR go away\r\n", "", NULL }, PROBE_POP3, false, "-ERR");
	greet_as((struct manners){ "BYE \"go away\"\r\n", "", NULL }, PROBE_SIEVE, false, "BYE");
	greet_as((struct manners){ "\"SIEVE\" \"y\"\r\nNO \"x\"\r\n", "", NULL }, PROBE_SIEVE,
		 false, "NO");
}

static void garbage_is_down_and_shown_without_control_characters(void **state)
{
	(void)state;
	greet_as((struct manners){ "\x1b[31mSSH-2.0\x07\r\n", "", NULL }, PROBE_SMTP, false,
		 "?[31mSSH-2.0?");
	greet_as((struct manners){ "HTTP/1.1 400 Bad Request\r\n", "", NULL }, PROBE_IMAP, false,
		 "HTTP/1.1 400");
	greet_as((struct manners){ "\r\n", "", NULL }, PROBE_SMTP, false, "");
	greet_as((struct manners){ "2200 not SMTP\r\n", "", NULL }, PROBE_SMTP, false, "2200");
}

static void what_one_protocol_says_is_no_greeting_of_another(void **state)
{
	(void)state;
	greet_as((struct manners){ "+OK ready\r\n", "+OK\r\n", NULL }, PROBE_IMAP, false, "+OK");
	greet_as((struct manners){ "* OK ready\r\n", "* BYE\r\n", NULL }, PROBE_SMTP, false,
		 "* OK");
	greet_as((struct manners){ "220 x\r\n", "221\r\n", NULL }, PROBE_POP3, false, "220");
}

/* ---- postscreen ---- */

static void tease_and_wait(int fd, const void *ctx)
{
	char header[256];

	(void)ctx;
	talker_read_header(fd, header, sizeof(header));
	talker_say(fd, "220-please wait\r\n");
	pause();
}

static void a_server_that_hangs_up_at_the_farewell_is_not_proven(void **state)
{
	(void)state;
	greet_as((struct manners){ "220 mail ESMTP\r\n", NULL, NULL }, PROBE_SMTP, false,
		 "hung up");
	greet_as((struct manners){ "* OK ready\r\n", NULL, NULL }, PROBE_IMAP, false, "hung up");
}

static void a_teaser_is_enough_when_asked_so(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, tease_and_wait, NULL);
	struct probe_job job = job_for(&talker, PROBE_SMTP);

	(void)state;
	job.first_line_is_enough = true;
	run_one(&job, LONG_MS);
	assert_verdict(&job, true, "220-please wait");
	talker_end(&talker);
	talker = talker_start("127.0.0.1", 0, tease_and_wait, NULL);
	job = job_for(&talker, PROBE_SMTP);
	run_one(&job, SHORT_MS);
	assert_verdict(&job, false, "");
	talker_end(&talker);
}

/* ---- servers that do not ---- */

/* As smtpd without the PROXY protocol: greets at once, takes all lines for commands. */
static void answer_every_line(int fd, const void *ctx)
{
	const char *const *words = ctx;
	char line[512];

	talker_say(fd, words[0]);
	for (;;) {
		talker_read_line(fd, line, sizeof(line));
		if (strcmp(line, "QUIT") == 0) {
			talker_say(fd, words[2]);
			return;
		}
		talker_say(fd, words[1]);
	}
}

static void a_server_that_takes_the_header_for_a_command_is_down(void **state)
{
	static const struct {
		enum probe_protocol protocol;
		const char *words[3];
	} servers[] = {
		{ PROBE_SMTP, { "220 plain\r\n", "500 bad syntax\r\n", "221 bye\r\n" } },
		{ PROBE_IMAP, { "* OK plain\r\n", "* BAD\r\n", "* BYE\r\n" } },
		{ PROBE_POP3, { "+OK plain\r\n", "-ERR\r\n", "+OK bye\r\n" } },
		{ PROBE_SIEVE, { "OK \"plain\"\r\n", "NO\r\n", "OK\r\n" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		for (int header = 0; header < PROXY_HEADER_COUNT; header++) {
			struct talker talker =
				talker_start("127.0.0.1", 0, answer_every_line, servers[i].words);
			struct probe_job job = job_for(&talker, servers[i].protocol);

			job.header = (enum proxy_header)header;
			run_one(&job, LONG_MS);
			/* its end may overtake its words */
			assert_false(job.up);
			if (!strstr(job.detail, "header for a command"))
				assert_verdict(&job, false, "hung up");
			talker_end(&talker);
		}
	}
}

static void hang_up(int fd, const void *ctx)
{
	char header[256];

	if (ctx)
		talker_read_header(fd, header, sizeof(header));
}

static void a_server_that_hangs_up_without_a_greeting_is_down(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, hang_up, "after the header");
	struct probe_job job = job_for(&talker, PROBE_SMTP);

	(void)state;
	run_one(&job, LONG_MS);
	assert_verdict(&job, false, "closed without a greeting");
	talker_end(&talker);
	talker = talker_start("127.0.0.1", 0, hang_up, NULL);
	job = job_for(&talker, PROBE_IMAP);
	run_one(&job, LONG_MS);
	assert_false(job.up);
	assert_string_not_equal(job.detail, "");
	talker_end(&talker);
}

/* Half a line is no greeting. */
static void greet_by_halves(int fd, const void *ctx)
{
	char header[256];

	(void)ctx;
	talker_read_header(fd, header, sizeof(header));
	talker_say(fd, "220 half a li");
}

static void a_greeting_that_breaks_off_is_down(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, greet_by_halves, NULL);
	struct probe_job job = job_for(&talker, PROBE_SMTP);

	(void)state;
	run_one(&job, LONG_MS);
	assert_false(job.up);
	talker_end(&talker);
}

static void say_nothing(int fd, const void *ctx)
{
	(void)fd;
	(void)ctx;
	pause();
}

static void silence_is_waited_for_until_the_limit(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, say_nothing, NULL);
	struct probe_job job = job_for(&talker, PROBE_SMTP);
	long start = sandbox_now_ms();

	(void)state;
	run_one(&job, SHORT_MS);
	assert_verdict(&job, false, "no answer in time");
	assert_in_range(sandbox_now_ms() - start, SHORT_MS - 5, SHORT_MS + 5000);
	talker_end(&talker);
}

static void talk_without_end(int fd, const void *ctx)
{
	char piece[1024];

	memset(piece, 'x', sizeof(piece));
	(void)ctx;
	while (send(fd, piece, sizeof(piece), MSG_NOSIGNAL) > 0)
		continue;
}

static void a_line_without_an_end_is_cut_short(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, talk_without_end, NULL);
	struct probe_job job = job_for(&talker, PROBE_SMTP);

	(void)state;
	run_one(&job, LONG_MS);
	assert_verdict(&job, false, "an answer without an end");
	talker_end(&talker);
}

static void tease_without_end(int fd, const void *ctx)
{
	(void)ctx;
	while (send(fd, "220-more\r\n", 10, MSG_NOSIGNAL) > 0)
		continue;
}

static void lines_without_end_are_read_until_the_limit_at_most(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, tease_without_end, NULL);
	struct probe_job job = job_for(&talker, PROBE_SMTP);
	long start = sandbox_now_ms();

	(void)state;
	run_one(&job, SHORT_MS);
	assert_false(job.up);
	assert_true(sandbox_now_ms() - start < SHORT_MS + 5000);
	talker_end(&talker);
}

static void a_long_greeting_is_cut_in_the_detail(void **state)
{
	char greeting[2000];
	struct manners manners = { greeting, "221 bye\r\n", "QUIT" };
	struct talker talker;
	struct probe_job job;

	(void)state;
	memset(greeting, 'y', sizeof(greeting));
	memcpy(greeting, "220 ", 4);
	strcpy(greeting + sizeof(greeting) - 3, "\r\n");
	talker = talker_start("127.0.0.1", 0, read_header_and_greet, &manners);
	job = job_for(&talker, PROBE_SMTP);
	run_one(&job, LONG_MS);
	assert_true(job.up);
	assert_int_equal(strlen(job.detail), PROBE_DETAIL_MAX - 1);
	talker_end(&talker);
}

/* ---- the header that arrives ---- */

static void the_header_names_loopback_of_the_twins_family(void **state)
{
	static const struct manners good = { "220 x\r\n", "221 x\r\n", "QUIT" };
	static const struct {
		const char *address;
		const char *begins;
	} families[] = { { "127.0.0.1", "PROXY TCP4 127.0.0.1 127.0.0.1 " },
			 { "127.0.0.5", "PROXY TCP4 127.0.0.1 127.0.0.5 " },
			 { "::1", "PROXY TCP6 ::1 ::1 " } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct talker talker =
			talker_start(families[i].address, 0, read_header_and_greet, &good);
		struct probe_job job = job_for(&talker, PROBE_SMTP);
		char heard[256], port[16];

		job.address = families[i].address;
		job.header = PROXY_HEADER_V1;
		run_one(&job, LONG_MS);
		assert_verdict(&job, true, "220 x");
		talker_heard(&talker, heard, sizeof(heard));
		assert_memory_equal(heard, families[i].begins, strlen(families[i].begins));
		snprintf(port, sizeof(port), " %u\r\n", talker.port);
		unit_assert_contains(span_from(heard), port);
		talker_end(&talker);
	}
}

static void every_address_means_loopback(void **state)
{
	static const struct manners good = { "220 x\r\n", "221 x\r\n", "QUIT" };
	struct talker talker = talker_start("0.0.0.0", 0, read_header_and_greet, &good);
	struct probe_job job = job_for(&talker, PROBE_SMTP);

	(void)state;
	job.address = "";
	for (int header = 0; header < PROXY_HEADER_COUNT; header++) {
		job.header = (enum proxy_header)header;
		run_one(&job, LONG_MS);
		assert_verdict(&job, true, "220 x");
	}
	talker_end(&talker);
}

static void what_is_no_address_is_said(void **state)
{
	struct probe_job job = { .address = "localhost", .port = 1 };

	(void)state;
	run_one(&job, LONG_MS);
	assert_verdict(&job, false, "localhost");
}

/* ---- implicit TLS ---- */

struct record {
	unsigned char bytes[16];
	size_t n;
};

static void answer_client_hello(int fd, const void *ctx)
{
	const struct record *answer = ctx;
	char header[256];
	unsigned char hello[5], body[2048];
	size_t length;

	talker_read_header(fd, header, sizeof(header));
	talker_read(fd, hello, sizeof(hello));
	length = (size_t)(hello[3] << 8 | hello[4]);
	/* a handshake record of TLS 1.x with a ClientHello that fills it */
	if (hello[0] != 0x16 || hello[1] != 3 || length > sizeof(body))
		_exit(4);
	talker_read(fd, body, length);
	if (body[0] != 1 || (size_t)(body[1] << 16 | body[2] << 8 | body[3]) != length - 4)
		_exit(4);
	for (size_t i = 0; i < answer->n; i++) { /* byte by byte */
		talker_say_bytes(fd, answer->bytes + i, 1);
		usleep(500);
	}
}

static void tls_as(struct record answer, bool up, const char *detail)
{
	struct talker talker = talker_start("127.0.0.1", 0, answer_client_hello, &answer);
	struct probe_job job = job_for(&talker, PROBE_IMAP);

	job.tls = true;
	run_one(&job, LONG_MS);
	assert_verdict(&job, up, detail);
	talker_end(&talker);
}

static void behind_tls_a_handshake_is_up_and_all_else_is_down(void **state)
{
	(void)state;
	tls_as((struct record){ { 0x16, 3, 3, 0, 4, 2, 0, 0, 0 }, 9 }, true, "TLS handshake");
	tls_as((struct record){ { 0x15, 3, 3, 0, 2, 2, 40 }, 7 }, false, "TLS alert 40");
	tls_as((struct record){ "220 mail\r\n", 10 }, false, "no TLS: ");
	tls_as((struct record){ { 0x15, 3, 3 }, 3 }, false, "closed");
	tls_as((struct record){ { 0 }, 0 }, false, "closed");
}

/* ---- connections ---- */

static uint16_t free_port(void)
{
	struct talker talker = talker_start("127.0.0.1", 0, say_nothing, NULL);

	talker_end(&talker);
	return talker.port;
}

static void a_refused_connection_is_said_at_once(void **state)
{
	struct probe_job job = { .address = "127.0.0.1", .port = free_port() };
	long start = sandbox_now_ms();

	(void)state;
	run_one(&job, LONG_MS);
	assert_verdict(&job, false, "refused");
	assert_true(sandbox_now_ms() - start < 5000);
}

static void a_refused_connection_is_tried_until_the_limit_when_asked(void **state)
{
	struct probe_job job = { .address = "127.0.0.1", .port = free_port() };
	long start = sandbox_now_ms();

	(void)state;
	assert_int_equal(probe_run(&job, 1, SHORT_MS, true, -1, NULL), 0);
	assert_verdict(&job, false, "refused");
	assert_true(sandbox_now_ms() - start >= SHORT_MS - 5);
}

struct late {
	uint16_t port;
};

static void start_late(void *ctx)
{
	static const struct manners good = { "220 late\r\n", "221 x\r\n", "QUIT" };
	const struct late *late = ctx;

	usleep(100000);
	talker_start("127.0.0.1", late->port, read_header_and_greet, &good);
	pause();
}

static void a_server_that_comes_up_meanwhile_is_up(void **state)
{
	struct late late = { free_port() };
	struct probe_job job = { .address = "127.0.0.1", .port = late.port };
	pid_t pid = sandbox_spawn(start_late, &late);

	(void)state;
	assert_int_equal(probe_run(&job, 1, LONG_MS, true, -1, NULL), 0);
	assert_verdict(&job, true, "220 late");
	sandbox_end(pid);
}

/* Of the old generation, which waits for a ClientHello, and then of the new one. */
static void be_silent_once(int fd, const void *ctx)
{
	static const struct manners good = { "220 new\r\n", "221 x\r\n", "QUIT" };
	static bool is_new; /* in the server's process */
	char byte;

	(void)ctx;
	while (!is_new && recv(fd, &byte, 1, 0) == 1)
		;
	if (is_new)
		read_header_and_greet(fd, &good);
	is_new = true;
}

static void a_silent_first_connection_is_not_waited_for(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, be_silent_once, NULL);
	struct probe_job job = job_for(&talker, PROBE_SMTP);

	(void)state;
	job.first_line_is_enough = true;
	assert_int_equal(probe_run(&job, 1, LONG_MS, true, -1, NULL), 0);
	assert_verdict(&job, true, "220 new");
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
		talkers[i] =
			talker_start("127.0.0.1", 0, i % 2 ? tease_and_wait : say_nothing, NULL);
		jobs[i] = job_for(&talkers[i], PROBE_SMTP);
		jobs[i].first_line_is_enough = true;
	}
	start = sandbox_now_ms();
	assert_int_equal(probe_run(jobs, JOBS, 2 * SHORT_MS, false, -1, NULL), 0);
	assert_true(sandbox_now_ms() - start < JOBS / 2 * 2 * SHORT_MS);
	for (int i = 0; i < JOBS; i++) {
		assert_verdict(&jobs[i], i % 2, i % 2 ? "220-" : "no answer in time");
		talker_end(&talkers[i]);
	}
	assert_int_equal(probe_run(NULL, 0, LONG_MS, true, -1, NULL), 0);
}

static void all_ends_when_the_master_does(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, say_nothing, NULL);
	struct probe_job job = job_for(&talker, PROBE_SMTP);
	int ended[2];
	long start = sandbox_now_ms();

	(void)state;
	assert_int_equal(pipe2(ended, O_CLOEXEC), 0);
	close(ended[1]); /* readable from now on */
	assert_int_equal(probe_run(&job, 1, LONG_MS, true, ended[0], NULL), 0);
	assert_verdict(&job, false, "ended");
	assert_true(sandbox_now_ms() - start < LONG_MS / 2);
	close(ended[0]);
	talker_end(&talker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_of_each_protocol_that_greets_and_parts_is_up),
		cmocka_unit_test(a_server_that_refuses_us_is_down_in_its_own_words),
		cmocka_unit_test(garbage_is_down_and_shown_without_control_characters),
		cmocka_unit_test(what_one_protocol_says_is_no_greeting_of_another),
		cmocka_unit_test(a_server_that_hangs_up_at_the_farewell_is_not_proven),
		cmocka_unit_test(a_teaser_is_enough_when_asked_so),
		cmocka_unit_test(a_server_that_takes_the_header_for_a_command_is_down),
		cmocka_unit_test(a_server_that_hangs_up_without_a_greeting_is_down),
		cmocka_unit_test(a_greeting_that_breaks_off_is_down),
		cmocka_unit_test(silence_is_waited_for_until_the_limit),
		cmocka_unit_test(a_line_without_an_end_is_cut_short),
		cmocka_unit_test(lines_without_end_are_read_until_the_limit_at_most),
		cmocka_unit_test(a_long_greeting_is_cut_in_the_detail),
		cmocka_unit_test(the_header_names_loopback_of_the_twins_family),
		cmocka_unit_test(every_address_means_loopback),
		cmocka_unit_test(what_is_no_address_is_said),
		cmocka_unit_test(behind_tls_a_handshake_is_up_and_all_else_is_down),
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
