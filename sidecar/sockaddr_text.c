/* SPDX-License-Identifier: MIT */
/* sockaddr_text - internet addresses as text, and as the kernel has them. */
#include "sockaddr_text.h"

#include "patchers/base/span.h"

#include <string.h>
#include <sys/socket.h>

socklen_t sockaddr_text_parse(const char *address, uint16_t port, struct sockaddr_storage *out)
{
	union {
		struct sockaddr_storage *any;
		struct sockaddr_in *ipv4;
		struct sockaddr_in6 *ipv6;
	} at = { .any = out };

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, address, &at.ipv4->sin_addr) == 1) {
		at.ipv4->sin_family = AF_INET;
		at.ipv4->sin_port = htons(port);
		return sizeof(*at.ipv4);
	}
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET6, address, &at.ipv6->sin6_addr) == 1) {
		at.ipv6->sin6_family = AF_INET6;
		at.ipv6->sin6_port = htons(port);
		return sizeof(*at.ipv6);
	}
	return 0;
}

socklen_t sockaddr_text_parse_with_port(const char *text, struct sockaddr_storage *out)
{
	const char *colon = strrchr(text, ':');
	struct span name = span_between(text, colon ? colon : text);
	char address[INET6_ADDRSTRLEN];
	unsigned long port = 0;

	if (span_starts(name, "[") && span_end(name)[-1] == ']')
		name = span_between(name.data + 1, span_end(name) - 1);
	if (!colon || name.len >= sizeof(address) ||
	    !span_to_number(span_from(colon + 1), UINT16_MAX, &port) || port == 0)
		return 0;
	memcpy(address, name.data, name.len);
	address[name.len] = '\0';
	return sockaddr_text_parse(address, (uint16_t)port, out);
}

const char *sockaddr_text_print(const struct sockaddr_storage *address,
				char out[static INET6_ADDRSTRLEN])
{
	union {
		const struct sockaddr_storage *any;
		const struct sockaddr_in *ipv4;
		const struct sockaddr_in6 *ipv6;
	} at = { .any = address };

	out[0] = '\0';
	if (address->ss_family == AF_INET)
		inet_ntop(AF_INET, &at.ipv4->sin_addr, out, INET6_ADDRSTRLEN);
	else if (address->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &at.ipv6->sin6_addr, out, INET6_ADDRSTRLEN);
	return out;
}
