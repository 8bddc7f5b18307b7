/* SPDX-License-Identifier: MIT */
/* dialect - what servers of a protocol say at the beginning and at the end. */
#include "dialect.h"

#include <string.h>

struct dialect {
	const char *greeting; /* how the line that ends a good greeting begins */
	const char *teaser;   /* how an earlier line of it begins */
	const char *farewell; /* what we send */
	const char *answer;   /* how a good answer begins */
};

/* Of ManageSieve, capabilities come before the final OK; BYE and NO are refusals. */
static const struct dialect dialects[] = {
	[PROBE_SMTP] = { "220 ", "220-", "QUIT\r\n", "221" },
	[PROBE_IMAP] = { "* OK", "* OK", "a LOGOUT\r\n", "* BYE" },
	[PROBE_POP3] = { "+OK", "+OK", "QUIT\r\n", "+OK" },
	[PROBE_SIEVE] = { "OK", "\"", "LOGOUT\r\n", "OK" },
};

static bool starts(const char *line, const char *prefix)
{
	return strncmp(line, prefix, strlen(prefix)) == 0;
}

enum dialect_greeting dialect_greeting_of(enum probe_protocol protocol, const char *line)
{
	if (starts(line, dialects[protocol].greeting))
		return DIALECT_GREETS;
	return starts(line, dialects[protocol].teaser) ? DIALECT_MORE : DIALECT_OTHER;
}

const char *dialect_farewell(enum probe_protocol protocol)
{
	return dialects[protocol].farewell;
}

bool dialect_parts(enum probe_protocol protocol, const char *line)
{
	return starts(line, dialects[protocol].answer);
}

/*
 * Nothing in these is to be refused for another reason than that it is foreign:
 * an address literal is always a good name of a client, the null sender is one
 * that every server takes (RFC 5321, 4.5.5), and the domain is one that nobody
 * can have (RFC 2606).
 */
static const struct {
	const char *ipv4, *ipv6;
} requests[] = {
	{ "HELO [127.0.0.1]\r\n", "HELO [IPv6:::1]\r\n" },
	{ "MAIL FROM:<>\r\n", "MAIL FROM:<>\r\n" },
	{ "RCPT TO:<postern@relay.invalid>\r\n", "RCPT TO:<postern@relay.invalid>\r\n" },
};

const char *dialect_relay_request(unsigned step, bool is_ipv6)
{
	if (step >= sizeof(requests) / sizeof(requests[0]))
		return NULL;
	return is_ipv6 ? requests[step].ipv6 : requests[step].ipv4;
}

enum dialect_reply dialect_relay_reply(unsigned step, const char *line)
{
	if (strlen(line) > 3 && line[3] == '-')
		return DIALECT_REPLY_MORE;
	if (starts(line, "2"))
		return DIALECT_REPLY_YES;
	/* 500 to 504 are of syntax and sequence (RFC 5321, 4.2.2): ours is right. */
	if (step == 0 && starts(line, "50"))
		return DIALECT_REPLY_UNASKED;
	return DIALECT_REPLY_NO;
}
