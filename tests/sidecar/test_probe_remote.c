/* SPDX-License-Identifier: MIT */
/* probe - what is told of servers elsewhere, whatever was sent to them. */
#include "probing.h"
#include "sandbox.h"

#include "sidecar/probe_law.h"

#include <stdio.h>
#include <sys/socket.h>

/* A limit that is reached, after all that is said has come. */
enum { ENOUGH_MS = 2000 };

static struct probe_job remote_job(const struct talker *talker, enum proxy_header header)
{
	struct probe_job job = probing_job(talker, PROBE_SMTP);

	job.is_remote = true;
	job.header = header;
	return job;
}

static void expect_answer(talker_behaviour *behave, const void *ctx, struct probe_job how,
			  enum probe_answer wanted, const char *detail)
{
	struct talker talker = talker_start("127.0.0.1", 0, behave, ctx);

	how.address = "127.0.0.1";
	how.port = talker.port;
	probing_run(&how, wanted == PROBE_SILENT ? PROBING_SHORT_MS : PROBING_LONG_MS);
	if (how.answer != wanted)
		fail_msg("%s: \"%s\"", probe_law_answer_name(how.answer), how.detail);
	probing_assert(&how, wanted == PROBE_SERVED, detail);
	talker_end(&talker);
}

static struct probe_job sent(enum proxy_header header)
{
	const struct talker nobody = { 0 };

	return remote_job(&nobody, header);
}

/* ---- who it says the client is ---- */

static void the_header_names_a_client_that_nobody_is(void **state)
{
	static const struct probing_manners good = { "220 x\r\n", "221 x\r\n", "QUIT" };
	static const struct {
		const char *address;
		const char *begins;
	} families[] = { { "127.0.0.1", "PROXY TCP4 192.0.2.1 127.0.0.1 40000 " },
			 { "::1", "PROXY TCP6 2001:db8::1 ::1 40000 " } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct talker talker = talker_start(families[i].address, 0, probing_greet, &good);
		struct probe_job job = remote_job(&talker, PROXY_HEADER_V1);
		char heard[256];

		job.address = families[i].address;
		probing_run(&job, PROBING_LONG_MS);
		probing_assert(&job, true, "220 x");
		talker_heard(&talker, heard, sizeof(heard));
		assert_memory_equal(heard, families[i].begins, strlen(families[i].begins));
		talker_end(&talker);
	}
}

/* ---- without a header ---- */

static void greet_at_once(int fd, const void *ctx)
{
	const struct probing_manners *m = ctx;
	char line[64];

	talker_say(fd, m->greeting);
	talker_read_line(fd, line, sizeof(line));
	talker_say(fd, strcmp(line, m->farewell) == 0 ? m->answer : "999 what?\r\n");
}

static void who_sends_nothing_hears_the_greeting_of_a_stock_port(void **state)
{
	static const struct probing_manners smtp = { "220 x\r\n", "221 x\r\n", "QUIT" };
	static const struct probing_manners sieve = { "\"SIEVE\" \"\"\r\nOK \"x\"\r\n", "OK\r\n",
						      "LOGOUT" };
	struct probe_job job = sent(PROXY_HEADER_NONE);

	(void)state;
	expect_answer(greet_at_once, &smtp, job, PROBE_SERVED, "220 x");
	job.protocol = PROBE_SIEVE;
	expect_answer(greet_at_once, &sieve, job, PROBE_SERVED, "OK \"x\"");
}

/* Reads what comes, says something or nothing, and ends. */
static void read_and_say(int fd, const void *ctx)
{
	char bytes[256];

	if (recv(fd, bytes, sizeof(bytes), 0) < 0)
		return;
	talker_say(fd, ctx);
}

static void close_at_once(int fd, const void *unused)
{
	(void)fd;
	(void)unused;
}

static void reset(int fd, const void *unused)
{
	const struct linger at_once = { .l_onoff = 1 };

	(void)unused;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

static void say_late_and_go(int fd, const void *ctx)
{
	usleep(200000);
	talker_say(fd, ctx);
}

static void each_way_to_turn_away_who_sends_no_header_has_its_name(void **state)
{
	static const enum proxy_header headers[] = { PROXY_HEADER_GARBAGE, PROXY_HEADER_NONE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		struct probe_job job = sent(headers[i]);

		expect_answer(close_at_once, NULL, job, PROBE_CLOSED, "");
		expect_answer(reset, NULL, job, PROBE_CLOSED, "");
		expect_answer(probing_be_silent, NULL, job, PROBE_SILENT, "no answer in time");
		expect_answer(say_late_and_go, "", job, PROBE_CLOSED, "");
	}
	expect_answer(say_late_and_go, "421 4.3.2 No system resources\r\n", sent(PROXY_HEADER_NONE),
		      PROBE_REFUSED, "421 4.3.2");
	expect_answer(read_and_say, "421 4.3.2 No system resources\r\n", sent(PROXY_HEADER_GARBAGE),
		      PROBE_REFUSED, "421 4.3.2");
}

static void garbage_is_sent_as_it_is(void **state)
{
	static const struct probing_manners commands = { "220 x\r\n", "221 x\r\n", "QUIT" };

	(void)state;
	expect_answer(greet_at_once, &commands, sent(PROXY_HEADER_GARBAGE), PROBE_MISREAD, "");
}

/* ---- the difference between a word and none ---- */

static void half_a_line_is_a_word(void **state)
{
	(void)state;
	expect_answer(read_and_say, "4", sent(PROXY_HEADER_V1), PROBE_REFUSED, "");
	expect_answer(read_and_say, "\xff\x01\x02", sent(PROXY_HEADER_V2), PROBE_REFUSED, "");
	expect_answer(read_and_say, "", sent(PROXY_HEADER_V2), PROBE_CLOSED, "");
}

static void say_and_wait(int fd, const void *ctx)
{
	talker_say(fd, ctx);
	pause();
}

static void who_begins_to_greet_and_falls_silent_has_greeted(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, say_and_wait, "220-wait\r\n");
	struct probe_job job = remote_job(&talker, PROXY_HEADER_NONE);

	(void)state;
	probing_run(&job, ENOUGH_MS);
	assert_int_equal(job.answer, PROBE_MISREAD);
	talker_end(&talker);
	talker = talker_start("127.0.0.1", 0, say_and_wait, "half a li");
	job = remote_job(&talker, PROXY_HEADER_NONE);
	probing_run(&job, ENOUGH_MS);
	assert_int_equal(job.answer, PROBE_REFUSED);
	talker_end(&talker);
	expect_answer(read_and_say, "220-wait\r\n421 busy\r\n", sent(PROXY_HEADER_V1),
		      PROBE_MISREAD, "421 busy");
}

static void the_first_line_is_enough_when_asked_so(void **state)
{
	struct probe_job job = sent(PROXY_HEADER_NONE);

	(void)state;
	job.first_line_is_enough = true;
	expect_answer(say_and_wait, "220-wait\r\n", job, PROBE_SERVED, "220-wait");
}

static void what_is_no_connection_is_told_from_what_is_closed(void **state)
{
	struct talker talker = talker_start("127.0.0.1", 0, close_at_once, NULL);
	struct probe_job job = remote_job(&talker, PROXY_HEADER_V1);

	(void)state;
	talker_end(&talker);
	probing_run(&job, PROBING_LONG_MS);
	assert_int_equal(job.answer, PROBE_UNREACHED);
	probing_assert(&job, false, "refused");
	job.address = "192.0.2.9"; /* no route in this network */
	probing_run(&job, PROBING_LONG_MS);
	assert_int_equal(job.answer, PROBE_UNREACHED);
	probing_assert(&job, false, "unreachable");
	job.address = "localhost";
	probing_run(&job, PROBING_LONG_MS);
	assert_int_equal(job.answer, PROBE_IMPOSSIBLE);
}

/* ---- implicit TLS ---- */

static void say_handshake(int fd, const void *ctx)
{
	unsigned char first[6];

	(void)ctx;
	talker_read(fd, first, sizeof(first));
	talker_say(fd, first[0] == 0x16 && first[5] == 1 ? "\x16\x03\x03" : "no TLS\r\n");
}

static void behind_tls_nothing_but_a_hello_is_sent_without_a_header(void **state)
{
	struct probe_job job = sent(PROXY_HEADER_NONE);

	(void)state;
	job.tls = true;
	expect_answer(say_handshake, NULL, job, PROBE_SERVED, "TLS handshake");
	expect_answer(read_and_say, "421 no\r\n", job, PROBE_REFUSED, "no TLS: 421");
	expect_answer(read_and_say, "\x15\x03\x03\x01\x02\x02\x28", job, PROBE_REFUSED, "");
	expect_answer(read_and_say, "", job, PROBE_CLOSED, "");
}

/* ---- relaying ---- */

/* One reply to each line, the first of them unasked; NULL ends the connection. */
static void converse(int fd, const void *ctx)
{
	const char *const *replies = ctx;
	char header[256], line[128];

	talker_read_header(fd, header, sizeof(header));
	for (; *replies; replies++) {
		talker_say(fd, *replies);
		talker_read_line(fd, line, sizeof(line));
		if (line[0] == '\0')
			return; /* the end of the stream */
		talker_pass_on(line, strlen(line));
		talker_pass_on("\n", 1);
	}
}

static void assert_conversation(const char *const *replies, enum probe_answer wanted,
				const char *detail, const char *said)
{
	struct talker talker = talker_start("127.0.0.1", 0, converse, replies);
	struct probe_job job = remote_job(&talker, PROXY_HEADER_FORGED);
	char heard[512];

	probing_run(&job, PROBING_LONG_MS);
	if (job.answer != wanted)
		fail_msg("%s: \"%s\"", probe_law_answer_name(job.answer), job.detail);
	probing_assert(&job, wanted == PROBE_SERVED, detail);
	talker_heard(&talker, heard, sizeof(heard));
	assert_string_equal(heard, said);
	talker_end(&talker);
}

#define HELO "HELO [127.0.0.1]\n"
#define MAIL "MAIL FROM:<>\n"
#define RCPT "RCPT TO:<postern@relay.invalid>\n"
#define REPLIES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void a_refusal_at_any_step_is_no_relaying(void **state)
{
	(void)state;
	assert_conversation(REPLIES("220-a\r\n220 b\r\n", "250-a\r\n250 b\r\n", "250 ok\r\n",
				    "554 5.7.1 Relay access denied\r\n", "221 bye\r\n"),
			    PROBE_SERVED, "554 5.7.1 Relay", HELO MAIL RCPT "QUIT\n");
	assert_conversation(REPLIES("220 a\r\n", "250 b\r\n", "250 ok\r\n", "450 4.3.2 later\r\n"),
			    PROBE_SERVED, "450 4.3.2", HELO MAIL RCPT "QUIT\n");
	assert_conversation(REPLIES("220 a\r\n", "250 b\r\n", "530 STARTTLS first\r\n"),
			    PROBE_SERVED, "530", HELO MAIL "QUIT\n");
	assert_conversation(REPLIES("220 a\r\n", "554 no\r\n"), PROBE_SERVED, "554", HELO "QUIT\n");
}

static void a_recipient_that_is_taken_is_relaying_and_no_message_follows(void **state)
{
	(void)state;
	assert_conversation(
		REPLIES("220 a\r\n", "250 b\r\n", "250 ok\r\n", "250 ok\r\n", "221 bye\r\n"),
		PROBE_RELAYS, "250 ok", HELO MAIL RCPT "QUIT\n");
	/* a verdict stays, whatever comes of the farewell */
	assert_conversation(REPLIES("220 a\r\n", "250 b\r\n", "250 ok\r\n", "251 ok\r\n"),
			    PROBE_RELAYS, "251 ok", HELO MAIL RCPT "QUIT\n");
}

static void what_is_no_verdict_on_relaying_is_none(void **state)
{
	static const char *const silent[] = { "220 a\r\n", "250 b\r\n", "", "", NULL };
	struct talker talker = talker_start("127.0.0.1", 0, converse, silent);
	struct probe_job job = remote_job(&talker, PROXY_HEADER_FORGED);

	(void)state;
	probing_run(&job, ENOUGH_MS);
	assert_int_equal(job.answer, PROBE_MISREAD);
	talker_end(&talker);
	assert_conversation(REPLIES("220 a\r\n", "500 5.5.2 what?\r\n"), PROBE_MISREAD,
			    "header for a command: 500", HELO);
	assert_conversation(REPLIES("220 a\r\n", "250 b\r\n"), PROBE_MISREAD, "hung up", HELO MAIL);
	assert_conversation(REPLIES("554 no\r\n"), PROBE_REFUSED, "554", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_header_names_a_client_that_nobody_is),
		cmocka_unit_test(who_sends_nothing_hears_the_greeting_of_a_stock_port),
		cmocka_unit_test(each_way_to_turn_away_who_sends_no_header_has_its_name),
		cmocka_unit_test(garbage_is_sent_as_it_is),
		cmocka_unit_test(half_a_line_is_a_word),
		cmocka_unit_test(who_begins_to_greet_and_falls_silent_has_greeted),
		cmocka_unit_test(the_first_line_is_enough_when_asked_so),
		cmocka_unit_test(what_is_no_connection_is_told_from_what_is_closed),
		cmocka_unit_test(behind_tls_nothing_but_a_hello_is_sent_without_a_header),
		cmocka_unit_test(a_refusal_at_any_step_is_no_relaying),
		cmocka_unit_test(a_recipient_that_is_taken_is_relaying_and_no_message_follows),
		cmocka_unit_test(what_is_no_verdict_on_relaying_is_none),
	};

	sandbox_enter_private_network();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
