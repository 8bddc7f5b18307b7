/* SPDX-License-Identifier: MIT */
/* proxy_header - bytes as in HAProxy's proxy-protocol.txt. */
#include "tests/unit/unit.h"

#include "sidecar/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define SIGNATURE "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"

struct header {
	enum proxy_header kind;
	const char *source;
	uint16_t source_port;
	const char *destination;
	uint16_t destination_port;
};

static struct sockaddr_storage address_of(const char *text, uint16_t port)
{
	union {
		struct sockaddr_storage any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} at = { 0 };

	if (inet_pton(AF_INET, text, &at.ipv4.sin_addr) == 1) {
		at.ipv4.sin_family = AF_INET;
		at.ipv4.sin_port = htons(port);
	} else {
		memset(&at, 0, sizeof(at));
		assert_int_equal(inet_pton(AF_INET6, text, &at.ipv6.sin6_addr), 1);
		at.ipv6.sin6_family = AF_INET6;
		at.ipv6.sin6_port = htons(port);
	}
	return at.any;
}

static int add_body(const void *ctx, struct buf *out, struct error *err)
{
	const struct header *h = ctx;
	struct sockaddr_storage source = address_of(h->source, h->source_port);
	struct sockaddr_storage destination = address_of(h->destination, h->destination_port);

	proxy_header_add(h->kind, (struct sockaddr *)&source, (struct sockaddr *)&destination, out);
	return buf_check(out, err);
}

static const struct {
	struct header header;
	struct span bytes;
} cases[] = {
	{ { PROXY_HEADER_V1, "198.51.100.7", 56324, "192.0.2.11", 443 },
	  SPAN_INIT("PROXY TCP4 198.51.100.7 192.0.2.11 56324 443\r\n") },
	{ { PROXY_HEADER_V1, "255.255.255.255", 65535, "255.255.255.255", 65535 },
	  SPAN_INIT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n") },
	{ { PROXY_HEADER_V1, "2001:db8::1", 1, "::1", 10587 },
	  SPAN_INIT("PROXY TCP6 2001:db8::1 ::1 1 10587\r\n") },
	{ { PROXY_HEADER_V1, "2001:db8:1111:2222:3333:4444:5555:6666", 65535, "fd00::ffff:1", 25 },
	  SPAN_INIT(
		  "PROXY TCP6 2001:db8:1111:2222:3333:4444:5555:6666 fd00::ffff:1 65535 25\r\n") },
	{ { PROXY_HEADER_V2, "198.51.100.7", 0x1234, "192.0.2.11", 0xabcd },
	  SPAN_INIT(SIGNATURE "\x21\x11\x00\x0c\xc6\x33\x64\x07\xc0\x00\x02\x0b\x12\x34\xab\xcd") },
	{ { PROXY_HEADER_V2, "2001:db8::1", 0x1234, "::1", 0xabcd },
	  SPAN_INIT(SIGNATURE "\x21\x21\x00\x24"
			      "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
			      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
			      "\x12\x34\xab\xcd") },
	{ { PROXY_HEADER_FORGED, "198.51.100.7", 0x1234, "192.0.2.11", 0xabcd },
	  SPAN_INIT(SIGNATURE "\x21\x11\x00\x0c\x7f\x00\x00\x01\xc0\x00\x02\x0b\x12\x34\xab\xcd") },
	{ { PROXY_HEADER_FORGED, "2001:db8::1", 0x1234, "2001:db8::2", 0xabcd },
	  SPAN_INIT(SIGNATURE "\x21\x21\x00\x24"
			      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
			      "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"
			      "\x12\x34\xab\xcd") },
	{ { PROXY_HEADER_NONE, "127.0.0.1", 1, "127.0.0.1", 2 }, SPAN_INIT("") },
	{ { PROXY_HEADER_LOCAL, "127.0.0.1", 1, "127.0.0.1", 2 },
	  SPAN_INIT(SIGNATURE "\x20\x00\x00\x00") },
	{ { PROXY_HEADER_LOCAL, "::1", 1, "::1", 2 }, SPAN_INIT(SIGNATURE "\x20\x00\x00\x00") },
};

static void each_kind_and_family_is_as_the_specification_has_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		unit_expect_span(add_body, &cases[i].header, cases[i].bytes);
}

static void a_header_is_added_to_what_the_buffer_holds(void **state)
{
	cleanup_buf struct buf out = BUF_INIT;
	struct sockaddr_storage any = address_of("127.0.0.1", 1);

	(void)state;
	buf_add_text(&out, "before");
	proxy_header_add(PROXY_HEADER_LOCAL, (struct sockaddr *)&any, (struct sockaddr *)&any,
			 &out);
	unit_assert_span(buf_span(&out), SPAN_LITERAL("before" SIGNATURE "\x20\x00\x00\x00"));
}

static void each_kind_has_its_name(void **state)
{
	(void)state;
	assert_string_equal(proxy_header_name(PROXY_HEADER_V1), "v1");
	assert_string_equal(proxy_header_name(PROXY_HEADER_V2), "v2");
	assert_string_equal(proxy_header_name(PROXY_HEADER_LOCAL), "LOCAL");
	assert_string_equal(proxy_header_name(PROXY_HEADER_GARBAGE), "garbage");
	assert_string_equal(proxy_header_name(PROXY_HEADER_NONE), "none");
	assert_string_equal(proxy_header_name(PROXY_HEADER_FORGED), "forged");
}

static void garbage_is_a_line_that_begins_neither_header_nor_command(void **state)
{
	cleanup_buf struct buf out = BUF_INIT;
	struct sockaddr_storage any = address_of("::1", 1);

	(void)state;
	proxy_header_add(PROXY_HEADER_GARBAGE, (struct sockaddr *)&any, (struct sockaddr *)&any,
			 &out);
	assert_true(out.len > 2);
	assert_string_equal(span_end(buf_span(&out)) - 2, "\r\n");
	assert_false(span_starts(buf_span(&out), "PROXY"));
	assert_int_not_equal(out.data[0], '\r');
	assert_int_not_equal(memcmp(out.data, "QUIT", 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_and_family_is_as_the_specification_has_it),
		cmocka_unit_test(a_header_is_added_to_what_the_buffer_holds),
		cmocka_unit_test(each_kind_has_its_name),
		cmocka_unit_test(garbage_is_a_line_that_begins_neither_header_nor_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
