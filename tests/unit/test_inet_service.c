/* SPDX-License-Identifier: MIT */
/* inet_service - the name of an inet entry in master.cf. */
#include "unit.h"

#include "patchers/inet_service.h"

static const char services_file[] = "# Network services\n"
				    "smtp\t\t25/tcp\t\tmail\n"
				    "tacacs 49/udp\n"
				    "\n"
				    "imap2 143/tcp imap # Interim Mail\n"
				    "sieve 4190/tcp # ManageSieve\n"
				    "  indented 7777/tcp\n"
				    "odd 1234/tcpx\n"
				    "big 70000/tcp\n"
				    "submission 9999/tcp\n"
				    "last 65535/tcp";

static struct port_names names(void)
{
	return (struct port_names){ SPAN_LITERAL(services_file) };
}

static void a_nul_byte_in_services_is_a_byte_like_others(void **state)
{
	static const char text[] = "foo\t1/tcp \0zzz\nzzz 2/tcp\n";
	struct port_names with = { { text, sizeof(text) - 1 } };

	(void)state;
	assert_int_equal(port_names_find(&with, span_from("zzz")), 2);
}

static void ports_are_found_by_number_or_name(void **state)
{
	static const struct {
		const char *text;
		uint16_t with_file;
		uint16_t without;
	} cases[] = {
		{ "25", 25, 25 },
		{ "025", 25, 25 },
		{ "65535", 65535, 65535 },
		{ "0", 0, 0 },
		{ "65536", 0, 0 },
		{ "smtp", 25, 25 },
		{ "submission", 587, 587 },
		{ "submissions", 465, 465 },
		{ "smtps", 465, 465 },
		{ "lmtp", 24, 24 },
		{ "Submission", 0, 0 },
		{ "mail", 25, 0 },
		{ "imap", 143, 0 },
		{ "imap2", 143, 0 },
		{ "sieve", 4190, 0 },
		{ "tacacs", 0, 0 },
		{ "Interim", 0, 0 },
		{ "indented", 7777, 0 },
		{ "odd", 0, 0 },
		{ "big", 0, 0 },
		{ "last", 65535, 0 },
		{ "", 0, 0 },
		{ "#", 0, 0 },
		{ "25x", 0, 0 },
	};
	struct port_names with = names(), without = { { 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint16_t found = port_names_find(&with, span_from(cases[i].text));
		uint16_t known = port_names_find(&without, span_from(cases[i].text));

		if (found != cases[i].with_file || known != cases[i].without)
			fail_msg("\"%s\": %u with, %u without a file", cases[i].text, found, known);
	}
}

static void names_come_apart_at_the_last_colon(void **state)
{
	static const struct {
		const char *name;
		const char *host;
		const char *address;
		uint16_t port;
		bool loopback;
	} cases[] = {
		{ "smtp", "", "", 25, false },
		{ "12525", "", "", 12525, false },
		{ "192.0.2.1:submission", "192.0.2.1", "192.0.2.1", 587, false },
		{ "127.0.0.1:10025", "127.0.0.1", "127.0.0.1", 10025, true },
		{ "127.9.9.9:25", "127.9.9.9", "127.9.9.9", 25, true },
		{ "[::1]:25", "[::1]", "::1", 25, true },
		{ "::1:25", "::1", "::1", 25, true },
		{ "[2001:db8::1]:587", "[2001:db8::1]", "2001:db8::1", 587, false },
		{ "localhost:25", "localhost", "localhost", 25, true },
		{ "mail.example.org:25", "mail.example.org", "mail.example.org", 25, false },
		{ "0.0.0.0:25", "0.0.0.0", "0.0.0.0", 25, false },
		{ ":25", "", "", 25, false },
		{ "nosuch", "", "", 0, false },
	};
	struct port_names none = { { 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct inet_service s = inet_service_parse(span_from(cases[i].name), &none);

		unit_assert_span(s.host, span_from(cases[i].host));
		unit_assert_span(inet_service_address(&s), span_from(cases[i].address));
		assert_int_equal(s.port, cases[i].port);
		if (inet_service_is_loopback(&s) != cases[i].loopback)
			fail_msg("%s: loopback?", cases[i].name);
	}
}

static void overlap_needs_one_port_and_a_common_address(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool overlap;
	} cases[] = {
		{ "25", "smtp", true },
		{ "25", "26", false },
		{ "25", "192.0.2.1:25", true },
		{ "192.0.2.1:25", "192.0.2.2:25", false },
		{ "192.0.2.1:smtp", "192.0.2.1:25", true },
		{ "[::1]:25", "::1:25", true },
		{ "0.0.0.0:25", "192.0.2.1:25", true },
		{ "[::]:25", "[2001:db8::1]:25", true },
		{ "0.0.0.0:25", "25", true },
		{ "0.0.0.0:25", "[2001:db8::1]:25", false },
		{ "[2001:db8::1]:25", "[2001:db8:0::1]:25", true },
		{ "nosuch", "nosuch", false },
	};
	struct port_names none = { { 0 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct inet_service a = inet_service_parse(span_from(cases[i].a), &none);
		struct inet_service b = inet_service_parse(span_from(cases[i].b), &none);

		if (inet_service_overlaps(&a, &b) != cases[i].overlap ||
		    inet_service_overlaps(&b, &a) != cases[i].overlap)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_nul_byte_in_services_is_a_byte_like_others),
		cmocka_unit_test(ports_are_found_by_number_or_name),
		cmocka_unit_test(names_come_apart_at_the_last_colon),
		cmocka_unit_test(overlap_needs_one_port_and_a_common_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
