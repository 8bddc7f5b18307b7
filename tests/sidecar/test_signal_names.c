/* SPDX-License-Identifier: MIT */
/* signal_names - names and numbers both ways, and rewriting. */
#include "tests/unit/unit.h"

#include "sidecar/signal_names.h"

#include <signal.h>

static int from(const char *text)
{
	return signal_from_name(span_from(text));
}

static void every_name_leads_back_to_its_number(void **state)
{
	char room[SIGNAL_NAME_BYTES];

	(void)state;
	for (int sig = 1; sig <= SIGNAL_MAX; sig++) {
		const char *name = signal_name(sig, room);

		assert_int_equal(from(name), sig);
		if (strncmp(name, "SIG", 3) == 0)
			assert_int_equal(from(name + 3), sig);
	}
}

/* Against the C library's own names. */
static void names_are_those_of_the_system(void **state)
{
	char room[SIGNAL_NAME_BYTES];

	(void)state;
	for (int sig = 1; sig < 32; sig++) {
		assert_non_null(sigabbrev_np(sig));
		assert_int_equal(from(sigabbrev_np(sig)), sig);
	}
	assert_int_equal(SIGNAL_RTMIN, SIGRTMIN);
	assert_int_equal(SIGNAL_MAX, SIGRTMAX);
	assert_string_equal(signal_name(SIGTERM, room), "SIGTERM");
	assert_string_equal(signal_name(SIGRTMIN, room), "SIGRTMIN");
	assert_string_equal(signal_name(SIGRTMIN + 3, room), "SIGRTMIN+3");
	assert_string_equal(signal_name(SIGRTMAX, room), "SIGRTMIN+30");
	assert_string_equal(signal_name(32, room), "32");
}

static void names_are_taken_in_every_form(void **state)
{
	static const struct {
		const char *text;
		int sig;
	} cases[] = {
		{ "TERM", SIGTERM },
		{ "SIGTERM", SIGTERM },
		{ "sigterm", SIGTERM },
		{ "15", SIGTERM },
		{ "015", SIGTERM },
		{ "Hup", SIGHUP },
		{ "IOT", SIGABRT },
		{ "CLD", SIGCHLD },
		{ "POLL", SIGIO },
		{ "IO", SIGIO },
		{ "RTMIN", 34 },
		{ "SIGRTMIN+0", 34 },
		{ "rtmin+30", 64 },
		{ "RTMAX", 64 },
		{ "RTMAX-30", 34 },
		{ "SIGRTMAX-2", 62 },
		{ "64", 64 },
		{ "32", 32 },
		/* and these are none */
		{ "", 0 },
		{ "0", 0 },
		{ "65", 0 },
		{ "-1", 0 },
		{ "+1", 0 },
		{ " 15", 0 },
		{ "15 ", 0 },
		{ "15a", 0 },
		{ "SIG", 0 },
		{ "SIG15", 0 },
		{ "SIGSIGTERM", 0 },
		{ "TER", 0 },
		{ "TERMS", 0 },
		{ "RTMIN+31", 0 },
		{ "RTMAX-31", 0 },
		{ "RTMIN-1", 0 },
		{ "RTMAX+1", 0 },
		{ "RTMIN+", 0 },
		{ "RTMIN3", 0 },
		{ "RTMIN+1x", 0 },
		{ "RT", 0 },
		{ "99999999999999999999", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (from(cases[i].text) != cases[i].sig)
			fail_msg("\"%s\" is %d", cases[i].text, from(cases[i].text));
}

static void only_three_are_never_forwarded(void **state)
{
	(void)state;
	for (int sig = 1; sig <= SIGNAL_MAX; sig++)
		assert_int_equal(signal_is_forwarded(sig),
				 sig != SIGKILL && sig != SIGSTOP && sig != SIGCHLD);
}

static void rewriting_begins_with_every_signal_as_itself(void **state)
{
	struct signal_rewrites r;

	(void)state;
	signal_rewrites_init(&r);
	for (int sig = 1; sig <= SIGNAL_MAX; sig++)
		assert_int_equal(r.to[sig], sig);
}

static void rewrites_are_added_and_the_last_counts(void **state)
{
	struct signal_rewrites r;
	struct error err = { 0 };

	(void)state;
	signal_rewrites_init(&r);
	assert_int_equal(signal_rewrites_add(&r, "TERM:INT,SIGINT:15", &err), 0);
	assert_int_equal(r.to[SIGTERM], SIGINT);
	assert_int_equal(r.to[SIGINT], SIGTERM);
	assert_int_equal(signal_rewrites_add(&r, "WINCH:0", &err), 0);
	assert_int_equal(r.to[SIGWINCH], 0);
	assert_int_equal(signal_rewrites_add(&r, "term:quit,TERM:KILL", &err), 0);
	assert_int_equal(r.to[SIGTERM], SIGKILL);
	assert_int_equal(signal_rewrites_add(&r, "RTMIN+1:RTMAX", &err), 0);
	assert_int_equal(r.to[35], 64);
	/* to itself */
	assert_int_equal(signal_rewrites_add(&r, "WINCH:WINCH", &err), 0);
	assert_int_equal(r.to[SIGWINCH], SIGWINCH);
	assert_int_equal(r.to[SIGHUP], SIGHUP);
	assert_string_equal(err.msg, "");
}

static void malformed_rewrites_change_nothing_and_are_named(void **state)
{
	static const struct {
		const char *text, *named;
	} cases[] = {
		{ "", "FROM:TO" },
		{ "TERM", "\"TERM\": wanted FROM:TO" },
		{ "15", "FROM:TO" },
		{ ":", "\"\" is no signal" },
		{ "TERM:", "\"\" is no signal" },
		{ ":TERM", "\"\" is no signal" },
		{ "15::2", "\":2\"" },
		{ "15:2:3", "\"2:3\"" },
		{ "15:derp", "\"derp\"" },
		{ "derp:15", "\"derp\"" },
		{ "15:12a", "\"12a\"" },
		{ "15:-1", "\"-1\"" },
		{ "15:65", "\"65\"" },
		{ "0:15", "\"0\" is no signal" },
		{ "65:15", "\"65\"" },
		{ "TERM:00", "\"00\"" },
		{ "KILL:TERM", "\"KILL\" is never forwarded" },
		{ "STOP:0", "\"STOP\" is never forwarded" },
		{ "17:TERM", "\"17\" is never forwarded" },
		{ "TERM:INT,", "\"\": wanted FROM:TO" },
		{ ",TERM:INT", "\"\": wanted FROM:TO" },
		{ "TERM:INT,HUP:derp", "\"derp\"" },
		{ "TERM:INT HUP:INT", "\"INT HUP:INT\"" },
	};
	struct signal_rewrites before, r;

	(void)state;
	signal_rewrites_init(&before);
	before.to[SIGTERM] = SIGQUIT;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { 0 };

		r = before;
		assert_int_equal(signal_rewrites_add(&r, cases[i].text, &err), -EINVAL);
		assert_memory_equal(&r, &before, sizeof(r));
		unit_assert_contains(span_from(err.msg), cases[i].named);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_leads_back_to_its_number),
		cmocka_unit_test(names_are_those_of_the_system),
		cmocka_unit_test(names_are_taken_in_every_form),
		cmocka_unit_test(only_three_are_never_forwarded),
		cmocka_unit_test(rewriting_begins_with_every_signal_as_itself),
		cmocka_unit_test(rewrites_are_added_and_the_last_counts),
		cmocka_unit_test(malformed_rewrites_change_nothing_and_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
