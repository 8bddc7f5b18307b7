/* SPDX-License-Identifier: MIT */
/*
 * fuzz_proxy_header - two addresses and ports: what is written is what a reader of
 * HAProxy's proxy-protocol.txt takes out of it.
 */
#include "fuzz.h"

#include "patchers/base/cleanup.h"
#include "sidecar/proxy_header.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { V1_BYTES_MAX = 107, V2_HEAD = 16 };

struct end {
	unsigned char address[16];
	uint16_t port; /* of the host's order */
};

static void set(struct sockaddr_storage *out, bool ipv6, const struct end *end)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(end->port) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(end->port) };

	memcpy(&in6.sin6_addr, end->address, 16);
	memcpy(&in.sin_addr, end->address, 4);
	memset(out, 0, sizeof(*out));
	if (ipv6)
		memcpy(out, &in6, sizeof(in6));
	else
		memcpy(out, &in, sizeof(in));
}

/* Section 2.1. */
static void check_v1(struct span header, bool ipv6, const struct end *from, const struct end *to)
{
	char wanted[2 * V1_BYTES_MAX], source[64], destination[64];
	int family = ipv6 ? AF_INET6 : AF_INET;

	inet_ntop(family, from->address, source, sizeof(source));
	inet_ntop(family, to->address, destination, sizeof(destination));
	snprintf(wanted, sizeof(wanted), "PROXY TCP%c %s %s %u %u\r\n", ipv6 ? '6' : '4', source,
		 destination, from->port, to->port);
	fuzz_assert(header.len <= V1_BYTES_MAX && span_is(header, wanted));
}

static unsigned number_at(struct span bytes, size_t at)
{
	return (unsigned)(unsigned char)bytes.data[at] << 8 | (unsigned char)bytes.data[at + 1];
}

/* Section 2.2: `from` as it is to be named. */
static void check_v2(struct span header, bool ipv6, const unsigned char *from,
		     const struct end *source, const struct end *to)
{
	size_t n = ipv6 ? 16 : 4;
	const char *addresses = header.data + V2_HEAD;

	fuzz_assert(header.len == V2_HEAD + 2 * n + 4);
	fuzz_assert(memcmp(header.data, "\r\n\r\n\0\r\nQUIT\n\x21", 13) == 0);
	fuzz_assert(header.data[13] == (ipv6 ? 0x21 : 0x11));
	fuzz_assert(number_at(header, 14) == header.len - V2_HEAD);
	fuzz_assert(memcmp(addresses, from, n) == 0);
	fuzz_assert(memcmp(addresses + n, to->address, n) == 0);
	fuzz_assert(number_at(header, V2_HEAD + 2 * n) == source->port);
	fuzz_assert(number_at(header, V2_HEAD + 2 * n + 2) == to->port);
}

static void check(enum proxy_header kind, struct span header, bool ipv6, const struct end *from,
		  const struct end *to)
{
	static const unsigned char loopback[2][16] = { { 127, 0, 0, 1 }, { [15] = 1 } };

	switch (kind) {
	case PROXY_HEADER_V1:
		check_v1(header, ipv6, from, to);
		return;
	case PROXY_HEADER_V2:
		check_v2(header, ipv6, from->address, from, to);
		return;
	case PROXY_HEADER_FORGED:
		check_v2(header, ipv6, loopback[ipv6], from, to);
		return;
	case PROXY_HEADER_LOCAL:
		fuzz_assert(header.len == V2_HEAD && number_at(header, 14) == 0);
		return;
	case PROXY_HEADER_GARBAGE:
		fuzz_assert(header.len > 0 && !span_starts(header, "PROXY"));
		return;
	case PROXY_HEADER_NONE:
	case PROXY_HEADER_COUNT:
		fuzz_assert(header.len == 0);
		return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct {
		uint8_t family;
		struct end from, to;
	} input = { 0 };
	struct sockaddr_storage from, to;
	bool ipv6;

	memcpy(&input, data, size < sizeof(input) ? size : sizeof(input));
	ipv6 = input.family % 2;
	set(&from, ipv6, &input.from);
	set(&to, ipv6, &input.to);
	for (int kind = 0; kind <= PROXY_HEADER_COUNT; kind++) {
		cleanup_buf struct buf header = BUF_INIT;

		proxy_header_add((enum proxy_header)kind, (struct sockaddr *)&from,
				 (struct sockaddr *)&to, &header);
		check((enum proxy_header)kind, buf_span(&header), ipv6, &input.from, &input.to);
	}
	return 0;
}
