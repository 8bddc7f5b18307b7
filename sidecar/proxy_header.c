/* SPDX-License-Identifier: MIT */
/* proxy_header - what a balancer sends before the client's first byte, or what stands for it. */
#include "proxy_header.h"

#include <arpa/inet.h>
#include <sys/socket.h>

/* Section 2.2: signature, then version and command, family, length. */
static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
enum { VERSION_2_LOCAL = 0x20, VERSION_2_PROXY = 0x21, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21 };

/* A line for those who read one, no signature for those who look for it, no command for any. */
static const char garbage[] = "\x16\x03\x01 neither a header nor a command \xff\r\n";

static const char *const names[] = { "v1", "v2", "LOCAL", "garbage", "none", "forged" };

_Static_assert(sizeof(names) / sizeof(names[0]) == PROXY_HEADER_COUNT, "a name for each kind");

const char *proxy_header_name(enum proxy_header kind)
{
	return names[kind];
}

/* An address and port, whichever family. */
struct end {
	const void *address;
	size_t bytes;
	in_port_t port; /* network byte order */
};

static struct end end_of(const struct sockaddr *sa)
{
	union {
		const struct sockaddr *any;
		const struct sockaddr_in *ipv4;
		const struct sockaddr_in6 *ipv6;
	} at = { .any = sa };

	if (sa->sa_family == AF_INET6)
		return (struct end){ &at.ipv6->sin6_addr, 16, at.ipv6->sin6_port };
	return (struct end){ &at.ipv4->sin_addr, 4, at.ipv4->sin_port };
}

static void add_v1(const struct sockaddr *source, const struct sockaddr *destination,
		   struct buf *out)
{
	struct end from = end_of(source), to = end_of(destination);
	char from_text[INET6_ADDRSTRLEN] = "", to_text[INET6_ADDRSTRLEN] = "";

	inet_ntop(source->sa_family, from.address, from_text, sizeof(from_text));
	inet_ntop(source->sa_family, to.address, to_text, sizeof(to_text));
	buf_add_format(out, "PROXY TCP%c %s %s %u %u\r\n",
		       source->sa_family == AF_INET6 ? '6' : '4', from_text, to_text,
		       ntohs(from.port), ntohs(to.port));
}

static void add_v2(int command, int family, size_t length, struct buf *out)
{
	buf_add(out, span_make(signature, sizeof(signature) - 1));
	buf_add_char(out, (char)command);
	buf_add_char(out, (char)family);
	buf_add_char(out, (char)(length >> 8));
	buf_add_char(out, (char)length);
}

static void add_bytes(struct buf *out, const void *bytes, size_t n)
{
	buf_add(out, span_make(bytes, n));
}

static void add_v2_addresses(struct end from, struct end to, struct buf *out)
{
	add_v2(VERSION_2_PROXY, from.bytes == sizeof(struct in6_addr) ? FAMILY_TCP6 : FAMILY_TCP4,
	       2 * (from.bytes + sizeof(from.port)), out);
	add_bytes(out, from.address, from.bytes);
	add_bytes(out, to.address, to.bytes);
	add_bytes(out, &from.port, sizeof(from.port));
	add_bytes(out, &to.port, sizeof(to.port));
}

static void add_forged(const struct sockaddr *source, const struct sockaddr *destination,
		       struct buf *out)
{
	const struct in_addr loopback = { htonl(INADDR_LOOPBACK) };
	struct end from = end_of(source);

	from.address = source->sa_family == AF_INET6 ? (const void *)&in6addr_loopback : &loopback;
	add_v2_addresses(from, end_of(destination), out);
}

void proxy_header_add(enum proxy_header kind, const struct sockaddr *source,
		      const struct sockaddr *destination, struct buf *out)
{
	switch (kind) {
	case PROXY_HEADER_V1:
		add_v1(source, destination, out);
		return;
	case PROXY_HEADER_V2:
		add_v2_addresses(end_of(source), end_of(destination), out);
		return;
	case PROXY_HEADER_LOCAL:
		add_v2(VERSION_2_LOCAL, 0, 0, out);
		return;
	case PROXY_HEADER_GARBAGE:
		buf_add(out, span_make(garbage, sizeof(garbage) - 1));
		return;
	case PROXY_HEADER_FORGED:
		add_forged(source, destination, out);
		return;
	case PROXY_HEADER_NONE:
	case PROXY_HEADER_COUNT:
		return;
	}
}
