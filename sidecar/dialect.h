/* SPDX-License-Identifier: MIT */
/* dialect - what servers of a protocol say at the beginning and at the end. */
#ifndef SIDECAR_DIALECT_H
#define SIDECAR_DIALECT_H

#include <stdbool.h>

/* Named for `probe`, whose jobs have one. */
enum probe_protocol { PROBE_SMTP, PROBE_IMAP, PROBE_POP3, PROBE_SIEVE };

/* What a line means for a greeting. */
enum dialect_greeting {
	DIALECT_MORE,   /* it belongs to one, and another line follows */
	DIALECT_GREETS, /* it ends a good one */
	DIALECT_OTHER,  /* a refusal, or another protocol */
};

enum dialect_greeting dialect_greeting_of(enum probe_protocol protocol, const char *line);

/* What we say to part, its end of line included. */
const char *dialect_farewell(enum probe_protocol protocol);

/* Whether a line answers our farewell, and not something that came before it. */
bool dialect_parts(enum probe_protocol protocol, const char *line);

/*
 * SMTP: what a stranger says, in this order, who wants a message sent to
 * another's domain.  NULL from the last one on.  No message is ever sent.
 */
const char *dialect_relay_request(unsigned step, bool is_ipv6);

enum dialect_reply {
	DIALECT_REPLY_MORE,    /* not the reply's last line */
	DIALECT_REPLY_YES,     /* 2xx */
	DIALECT_REPLY_NO,      /* not for us, or not now */
	DIALECT_REPLY_UNASKED, /* of what we never said: a header taken for commands */
};

/* What a line of a reply to that step means. */
enum dialect_reply dialect_relay_reply(unsigned step, const char *line);

#endif
