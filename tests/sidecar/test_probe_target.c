/* SPDX-License-Identifier: MIT */
/* probe_target - what LISTENER=HOST:PORT may be, and what it may not. */
#include "tests/unit/unit.h"

#include "sidecar/probe_target.h"

#include "patchers/base/error.h"

static void assert_target(const char *text, const char *listener, enum probe_protocol protocol,
			  bool tls, const char *host, uint16_t port)
{
	struct probe_target target;
	struct error err = { 0 };

	if (probe_target_parse(text, &target, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(target.listener, listener);
	assert_int_equal(target.protocol, protocol);
	assert_int_equal(target.tls, tls);
	assert_string_equal(target.host, host);
	assert_int_equal(target.port, port);
}

static void each_listener_has_its_protocol(void **state)
{
	(void)state;
	assert_target("smtp=h:25", "smtp", PROBE_SMTP, false, "h", 25);
	assert_target("submission=h:1", "submission", PROBE_SMTP, false, "h", 1);
	assert_target("submissions=h:1", "submissions", PROBE_SMTP, true, "h", 1);
	assert_target("imap=h:1", "imap", PROBE_IMAP, false, "h", 1);
	assert_target("imaps=h:1", "imaps", PROBE_IMAP, true, "h", 1);
	assert_target("pop3=h:1", "pop3", PROBE_POP3, false, "h", 1);
	assert_target("pop3s=h:1", "pop3s", PROBE_POP3, true, "h", 1);
	assert_target("sieve=h:65535", "sieve", PROBE_SIEVE, false, "h", 65535);
}

static void a_host_is_a_name_or_an_address_of_either_family(void **state)
{
	(void)state;
	assert_target("smtp=mail.example.test:25", "smtp", PROBE_SMTP, false, "mail.example.test",
		      25);
	assert_target("smtp=mail-proxy.ns.svc.:25", "smtp", PROBE_SMTP, false, "mail-proxy.ns.svc.",
		      25);
	assert_target("smtp=a_b:25", "smtp", PROBE_SMTP, false, "a_b", 25);
	assert_target("smtp=192.0.2.1:25", "smtp", PROBE_SMTP, false, "192.0.2.1", 25);
	assert_target("smtp=[2001:db8::1]:25", "smtp", PROBE_SMTP, false, "2001:db8::1", 25);
}

static void assert_refused(const char *text, const char *reason)
{
	struct probe_target target = { .port = 7 };
	struct error err = { 0 };

	if (probe_target_parse(text, &target, &err) == 0)
		fail_msg("%s: taken", text);
	unit_assert_contains(span_from(err.msg), reason);
	unit_assert_contains(span_from(err.msg), text);
	assert_int_equal(target.port, 7);
}

static void what_is_no_target_is_said_with_what_is_wanted(void **state)
{
	static const char *const shapeless[] = { "", "smtp", "smtp=", "smtp=h", "h:25", "a:b=c" };
	static const char *const listeners[] = { "=h:25", "smpt=h:25", "SMTP=h:25", "smtp =h:25" };
	static const char *const hosts[] = { "smtp=:25",      "smtp= h:25",   "smtp=..:25",
					     "smtp=.h:25",    "smtp=a..b:25", "smtp=::1:25",
					     "smtp=[::1:25",  "smtp=[h]:25",  "smtp=[127.0.0.1]:25",
					     "smtp=[]:25",    "smtp=h/x:25",  "smtp=h\n:25",
					     "smtp=imap=h:25" };
	static const char *const ports[] = {
		"smtp=h:",   "smtp=h:0",   "smtp=h:65536", "smtp=h:-1",
		"smtp=h:+1", "smtp=h:25x", "smtp=[::1]:p", "smtp=h: 25"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shapeless); i++)
		assert_refused(shapeless[i], "wanted LISTENER=HOST:PORT");
	for (size_t i = 0; i < ARRAY_SIZE(listeners); i++)
		assert_refused(listeners[i], "wanted smtp, submission");
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		assert_refused(hosts[i], "wanted a name, an IPv4 address");
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		assert_refused(ports[i], "wanted a port");
}

static void a_name_has_a_length(void **state)
{
	char text[5 + 254 + 3 + 1] = "smtp=";
	struct probe_target target;

	(void)state;
	memset(text + 5, 'a', 253);
	strcpy(text + 5 + 253, ":25");
	assert_int_equal(probe_target_parse(text, &target, NULL), 0);
	memset(text + 5, 'a', 254);
	strcpy(text + 5 + 254, ":25");
	assert_refused(text, "wanted a name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_listener_has_its_protocol),
		cmocka_unit_test(a_host_is_a_name_or_an_address_of_either_family),
		cmocka_unit_test(what_is_no_target_is_said_with_what_is_wanted),
		cmocka_unit_test(a_name_has_a_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
