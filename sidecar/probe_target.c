/* SPDX-License-Identifier: MIT */
/* probe_target - a listener of any host, as LISTENER=HOST:PORT names it. */
#include "probe_target.h"

#include "patchers/base/error.h"
#include "patchers/base/span.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#define WANTED "wanted LISTENER=HOST:PORT"
enum { NAME_BYTES_MAX = 253 }; /* RFC 1035, 2.3.4, as text */

static const struct {
	const char *name;
	enum probe_protocol protocol;
	bool tls;
} listeners[] = {
	{ "smtp", PROBE_SMTP, false },       { "submission", PROBE_SMTP, false },
	{ "submissions", PROBE_SMTP, true }, { "imap", PROBE_IMAP, false },
	{ "imaps", PROBE_IMAP, true },       { "pop3", PROBE_POP3, false },
	{ "pop3s", PROBE_POP3, true },       { "sieve", PROBE_SIEVE, false },
};

static bool find_listener(struct span name, struct probe_target *out)
{
	for (size_t i = 0; i < sizeof(listeners) / sizeof(listeners[0]); i++) {
		if (!span_is(name, listeners[i].name))
			continue;
		out->listener = listeners[i].name;
		out->protocol = listeners[i].protocol;
		out->tls = listeners[i].tls;
		return true;
	}
	return false;
}

static bool is_name(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";

	return text[0] != '\0' && text[0] != '.' && text[strspn(text, allowed)] == '\0' &&
	       !strstr(text, "..");
}

/* A name, an IPv4 address, or an IPv6 address in brackets. */
static bool read_host(struct span text, struct probe_target *out)
{
	unsigned char address[sizeof(struct in6_addr)];
	bool in_brackets = text.len > 2 && text.data[0] == '[' && span_end(text)[-1] == ']';

	if (in_brackets)
		text = span_make(text.data + 1, text.len - 2);
	if (text.len > NAME_BYTES_MAX)
		return false;
	snprintf(out->host, sizeof(out->host), "%.*s", (int)text.len, text.data);
	return in_brackets ? inet_pton(AF_INET6, out->host, address) == 1 : is_name(out->host);
}

int probe_target_parse(const char *text, struct probe_target *out, struct error *err)
{
	const char *equals = strchr(text, '='), *colon = strrchr(text, ':');
	struct probe_target found = { 0 };
	unsigned long port;

	if (!equals || !colon || colon < equals)
		return error_set(err, -EINVAL, "\"%s\": " WANTED, text);
	if (!find_listener(span_between(text, equals), &found))
		return error_set(err, -EINVAL,
				 "\"%s\": wanted smtp, submission, submissions, imap, imaps, pop3, "
				 "pop3s or sieve before \"=\"",
				 text);
	if (!read_host(span_between(equals + 1, colon), &found))
		return error_set(err, -EINVAL,
				 "\"%s\": wanted a name, an IPv4 address, or an IPv6 address in "
				 "brackets before the port",
				 text);
	if (!span_to_number(span_from(colon + 1), UINT16_MAX, &port) || port == 0)
		return error_set(err, -EINVAL, "\"%s\": wanted a port from 1 to %d", text,
				 UINT16_MAX);
	found.port = (uint16_t)port;
	*out = found;
	return 0;
}
