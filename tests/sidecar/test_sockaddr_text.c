/* SPDX-License-Identifier: MIT */
/* sockaddr_text - addresses with a port, as `listen` has them. */
#include "tests/unit/unit.h"

#include "sidecar/sockaddr_text.h"

#include <stdio.h>
#include <sys/socket.h>

/* As it is printed, with its port; "" when it is none. */
static void expect(const char *text, const char *wanted)
{
	struct sockaddr_storage name;
	socklen_t size = sockaddr_text_parse_with_port(text, &name);
	char address[INET6_ADDRSTRLEN], got[INET6_ADDRSTRLEN + 16] = "";

	if (size > 0)
		snprintf(got, sizeof(got), "%s %d", sockaddr_text_print(&name, address),
			 ntohs(name.ss_family == AF_INET
				       ? ((const struct sockaddr_in *)(const void *)&name)->sin_port
				       : ((const struct sockaddr_in6 *)(const void *)&name)
						 ->sin6_port));
	assert_string_equal(got, wanted);
	if (size > 0)
		assert_int_equal(size, name.ss_family == AF_INET ? sizeof(struct sockaddr_in)
								 : sizeof(struct sockaddr_in6));
}

static void the_port_is_behind_the_last_colon(void **state)
{
	(void)state;
	expect("127.0.0.1:9477", "127.0.0.1 9477");
	expect("0.0.0.0:65535", "0.0.0.0 65535");
	expect("[::1]:1", "::1 1");
	expect("[::]:9477", ":: 9477");
	/* Brackets are not asked for. */
	expect("::1:9477", "::1 9477");
	expect("fd00::5:9477", "fd00::5 9477");
	expect(":::9477", ":: 9477");
	expect("[127.0.0.1]:9477", "127.0.0.1 9477");
}

static void anything_else_is_none(void **state)
{
	static const char *const texts[] = {
		"",
		":",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:0",
		"127.0.0.1:65536",
		"127.0.0.1:94x7",
		"127.0.0.1:-1",
		"127.0.0.1:+1",
		"127.0.0.1: 1",
		":9477",
		"[]:9477",
		"[:9477",
		"]:9477",
		"[::1:9477",
		"::1]:9477",
		"[[::1]]:9477",
		"localhost:9477",
		"*:9477",
		"10.0.0.0/8:9477",
		"127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1.127.0.0.1:9477",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect(texts[i], "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_port_is_behind_the_last_colon),
		cmocka_unit_test(anything_else_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
