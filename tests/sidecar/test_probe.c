/* SPDX-License-Identifier: MIT */
/* probe - what is said of good, bad, silent and endless servers. */
#include "probing.h"
#include "sandbox.h"

#include <sys/socket.h>

/* ---- servers that read the header ---- */

static void greet_as(struct probing_manners manners, enum probe_protocol protocol, bool up,
		     const char *detail)
{
	struct talker talker = talker_start("127.0.0.1", 0, probing_greet, &manners);
	struct probe_job job = probing_job(&talker, protocol);

	probing_run(&job, PROBING_LONG_MS);
	probing_assert(&job, up, detail);
	talker_end(&talker);
}

static void a_server_of_each_protocol_that_greets_and_parts_is_up(void **state)
{
	(void)state;
	greet_as((struct probing_manners){ "220 mail ESMTP\r\n", "221 bye\r\n", "QUIT" },
		 PROBE_SMTP, true, "220 mail ESMTP");
	greet_as((struct probing_manners){ "220-one\r\n220-two\r\n220 three\r\n", "221 bye\r\n",
					   "QUIT" },
		 PROBE_SMTP, true, "220 three");
	greet_as((struct probing_manners){ "* OK [CAPABILITY IMAP4rev1] ready.\r\n",
					   "* BYE\r\na OK\r\n", "a LOGOUT" },
		 PROBE_IMAP, true, "* OK");
	greet_as((struct probing_manners){ "+OK ready\r\n", "+OK bye\r\n", "QUIT" }, PROBE_POP3,
		 true, "+OK");
	greet_as(
		(struct probing_manners){
			"\"IMPLEMENTATION\" \"x\"\r\n\"SIEVE\" \"y\"\r\nOK \"ready\"\r\n",
			"OK \"bye\"\r\n", "LOGOUT" },
		PROBE_SIEVE, true, "OK \"ready\"");
}

static void a_server_that_refuses_us_is_down_in_its_own_words(void **state)
{
	(void)state;
	greet_as((struct probing_manners){ "421 4.3.2 no system resources\r\n", "", NULL },
		 PROBE_SMTP, false, "421 4.3.2 no system resources");
	greet_as((struct probing_manners){ "554 go away\r\n", "", NULL }, PROBE_SMTP, false,
		 "554 go away");
	greet_as((struct probing_manners){ "220-teaser\r\n421 too many\r\n", "", NULL }, PROBE_SMTP,
		 false, "421 too many");
	greet_as((struct probing_manners){ "* BYE go away\r\n", "", NULL }, PROBE_IMAP, false,
		 "* BYE");
	greet_as((struct probing_manners){ "-ERR go away\r\n", "", NULL }, PROBE_POP3, false,
		 "-ERR");
	greet_as((struct probing_manners){ "BYE \"go away\"\r\n", "", NULL }, PROBE_SIEVE, false,
		 "BYE");
	greet_as((struct probing_manners){ "\"SIEVE\" \"y\"\r\nNO \"x\"\r\n", "", NULL },
		 PROBE_SIEVE, false, "NO");
}

static void garbage_is_down_and_shown_without_control_characters(void **state)
{
	(void)state;
	greet_as((struct probing_manners){ "\x1b[31mSSH-2.0\x07\r\n", "", NULL }, PROBE_SMTP, false,
		 "?[31mSSH-2.0?");
	greet_as((struct probing_manners){ "HTTP/1.1 400 Bad Request\r\n", "", NULL }, PROBE_IMAP,
		 false, "HTTP/1.1 400");
	greet_as((struct probing_manners){ "\r\n", "", NULL }, PROBE_SMTP, false, "");
	greet_as((struct probing_manners){ "2200 not SMTP\r\n", "", NULL }, PROBE_SMTP, false,
		 "2200");
}

static void what_one_protocol_says_is_no_greeting_of_another(void **state)
{
	(void)state;
	greet_as((struct probing_manners){ "+OK ready\r\n", "+OK\r\n", NULL }, PROBE_IMAP, false,
		 "+OK");
	greet_as((struct probing_manners){ "* OK ready\r\n", "* BYE\r\n", NULL }, PROBE_SMTP, false,
		 "* OK");
	greet_as((struct probing_manners){ "220 x\r\n", "221\r\n", NULL }, PROBE_POP3, false,
		 "220");
}

/* ---- postscreen ---- */

static void a_server_that_hangs_up_at_the_farewell_is_not_proven(void **state)
{
	(void)state;
	greet_as((struct probing_manners){ "220 mail ESMTP\r\n", NULL, NULL }, PROBE_SMTP, false,
		 "hung up");
	greet_as((struct probing_manners){ "* OK ready\r\n", NULL, NULL }, PROBE_IMAP, false,
		 "hung up");
}

static void a_teaser_is_enough_when_asked_so(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, probing_tease, NULL);
	struct probe_job job = probing_job(&talker, PROBE_SMTP);

	(void)state;
	job.first_line_is_enough = true;
	probing_run(&job, PROBING_LONG_MS);
	probing_assert(&job, true, "220-please wait");
	talker_end(&talker);
	talker = talker_start("127.0.0.1", 0, probing_tease, NULL);
	job = probing_job(&talker, PROBE_SMTP);
	probing_run(&job, PROBING_SHORT_MS);
	probing_assert(&job, false, "");
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
		for (int header = 0; header < PROXY_HEADER_PROPER_COUNT; header++) {
			struct talker talker =
				talker_start("127.0.0.1", 0, answer_every_line, servers[i].words);
			struct probe_job job = probing_job(&talker, servers[i].protocol);

			job.header = (enum proxy_header)header;
			probing_run(&job, PROBING_LONG_MS);
			/* its end may overtake its words */
			assert_false(job.up);
			if (!strstr(job.detail, "header for a command"))
				probing_assert(&job, false, "hung up");
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
	struct probe_job job = probing_job(&talker, PROBE_SMTP);

	(void)state;
	probing_run(&job, PROBING_LONG_MS);
	probing_assert(&job, false, "closed without a greeting");
	talker_end(&talker);
	talker = talker_start("127.0.0.1", 0, hang_up, NULL);
	job = probing_job(&talker, PROBE_IMAP);
	probing_run(&job, PROBING_LONG_MS);
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
	struct probe_job job = probing_job(&talker, PROBE_SMTP);

	(void)state;
	probing_run(&job, PROBING_LONG_MS);
	assert_false(job.up);
	talker_end(&talker);
}

static void silence_is_waited_for_until_the_limit(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, probing_be_silent, NULL);
	struct probe_job job = probing_job(&talker, PROBE_SMTP);
	long start = sandbox_now_ms();

	(void)state;
	probing_run(&job, PROBING_SHORT_MS);
	probing_assert(&job, false, "no answer in time");
	assert_in_range(sandbox_now_ms() - start, PROBING_SHORT_MS - 5, PROBING_SHORT_MS + 5000);
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
	struct probe_job job = probing_job(&talker, PROBE_SMTP);

	(void)state;
	probing_run(&job, PROBING_LONG_MS);
	probing_assert(&job, false, "an answer without an end");
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
	struct probe_job job = probing_job(&talker, PROBE_SMTP);
	long start = sandbox_now_ms();

	(void)state;
	probing_run(&job, PROBING_SHORT_MS);
	assert_false(job.up);
	assert_true(sandbox_now_ms() - start < PROBING_SHORT_MS + 5000);
	talker_end(&talker);
}

static void a_long_greeting_is_cut_in_the_detail(void **state)
{
	char greeting[2000];
	struct probing_manners manners = { greeting, "221 bye\r\n", "QUIT" };
	struct talker talker;
	struct probe_job job;

	(void)state;
	memset(greeting, 'y', sizeof(greeting));
	memcpy(greeting, "220 ", 4);
	strcpy(greeting + sizeof(greeting) - 3, "\r\n");
	talker = talker_start("127.0.0.1", 0, probing_greet, &manners);
	job = probing_job(&talker, PROBE_SMTP);
	probing_run(&job, PROBING_LONG_MS);
	assert_true(job.up);
	assert_int_equal(strlen(job.detail), PROBE_DETAIL_MAX - 1);
	talker_end(&talker);
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
	struct probe_job job = probing_job(&talker, PROBE_IMAP);

	job.tls = true;
	probing_run(&job, PROBING_LONG_MS);
	probing_assert(&job, up, detail);
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
		cmocka_unit_test(behind_tls_a_handshake_is_up_and_all_else_is_down),
	};

	sandbox_enter_private_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
