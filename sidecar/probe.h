/* SPDX-License-Identifier: MIT */
/*
 * probe - speak PROXY to servers and say what answers.
 *
 * Each job is one connection: header, then the server's greeting, then a
 * farewell whose answer tells a server that read the header from one that took
 * it for a command.  Behind implicit TLS a ClientHello is sent instead, and
 * the first record of the answer judged (RFC 8446, 5.1).  After a forged header
 * SMTP is asked to relay, before the farewell.  All jobs run at once.
 */
#ifndef SIDECAR_PROBE_H
#define SIDECAR_PROBE_H

#include "dialect.h"
#include "proxy_header.h"

#include <stdint.h>

struct error;

/* What came of a connection, whether that was wanted or not. */
enum probe_answer {
	PROBE_SERVED,     /* greeted, and answered the farewell; relayed nothing */
	PROBE_RELAYS,     /* took a message for another's domain from a forged header */
	PROBE_MISREAD,    /* greeted, and then took the header for a command, or went away */
	PROBE_REFUSED,    /* said something that is no greeting */
	PROBE_CLOSED,     /* closed or reset without a word */
	PROBE_SILENT,     /* said nothing in time */
	PROBE_UNREACHED,  /* there was no connection */
	PROBE_IMPOSSIBLE, /* nothing could be tried: no socket, no memory, no address */
	PROBE_ANSWER_COUNT
};

enum { PROBE_DETAIL_MAX = 256 };

struct probe_job {
	/* what to do */
	const char *address; /* where the server listens; "" for every address of this host */
	/*
	 * False: the twin is this host's; connect from 127.0.0.1 or ::1, which Dovecot
	 * trusts, and name that as the client.  True: connect from where the way there
	 * begins, and name a client that nobody is (RFC 5737, RFC 3849).
	 */
	bool is_remote;
	uint16_t port;
	enum probe_protocol protocol;
	bool tls; /* implicit */
	enum proxy_header header;
	/*
	 * postscreen makes a new client wait for seconds before its greeting
	 * is complete: be content with the first line of it.
	 */
	bool first_line_is_enough;
	/* what came of it */
	bool up; /* PROBE_SERVED */
	enum probe_answer answer;
	char detail[PROBE_DETAIL_MAX]; /* what the server said, or why not */
};

/*
 * For how long a failing job is tried again: a server that was told to reload
 * answers as before for a moment.
 */
enum { PROBE_RETRY_MS = 3000 };

/*
 * Run all jobs for `limit_ms` at most.  With `retry` a job that fails is tried
 * again, after growing pauses, until PROBE_RETRY_MS are over: a verdict of "up"
 * is final, one of "down" is not.  `give_up_fd`, when not -1, ends everything
 * as soon as it is readable (the master's pidfd).  0, or -ENOMEM; what each
 * job found is in its fields.
 */
int probe_run(struct probe_job *jobs, size_t n_jobs, int limit_ms, bool retry, int give_up_fd,
	      struct error *err);

#endif
