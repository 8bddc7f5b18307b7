/* SPDX-License-Identifier: MIT */
/* probe_law - which answer is right for what was sent to whom, and what a wrong one means. */
#ifndef SIDECAR_PROBE_LAW_H
#define SIDECAR_PROBE_LAW_H

#include "probe.h"

struct buf;

/* What a port is to be for us. */
enum probe_law_expected {
	PROBE_LAW_TWIN,  /* it requires a header, and trusts us */
	PROBE_LAW_STOCK, /* it takes none */
	PROBE_LAW_SHUT,  /* it is not for us */
	PROBE_LAW_EXPECTED_COUNT
};

enum probe_law_meaning {
	PROBE_LAW_RIGHT,
	PROBE_LAW_NO_TWIN,      /* it takes the header for a command */
	PROBE_LAW_NO_HEADER,    /* it does without one */
	PROBE_LAW_TURNED_AWAY,  /* it speaks to us, and will not have us */
	PROBE_LAW_HUNG_UP,      /* it ends what is proper */
	PROBE_LAW_NO_GREETING,  /* it is too slow */
	PROBE_LAW_WANTS_HEADER, /* it is a twin */
	PROBE_LAW_UNREACHED,    /* there is no way to it */
	PROBE_LAW_NOT_SHUT,     /* it can be reached by those who must not */
	PROBE_LAW_OPEN_RELAY,   /* it believes whoever says that he is its own host */
	PROBE_LAW_NOT_JUDGED,   /* nothing is known */
	PROBE_LAW_MEANING_COUNT
};

/* "twin", "stock", "shut". */
const char *probe_law_name(enum probe_law_expected expected);

/* "served", "relays", "misread", ... */
const char *probe_law_answer_name(enum probe_answer answer);

/*
 * Whether it is worth sending: a stock port gets nothing, and whether a forged
 * header relays is seen where SMTP is spoken in the clear.
 */
bool probe_law_sends(enum probe_law_expected expected, enum proxy_header header,
		     enum probe_protocol protocol, bool tls);

enum probe_law_meaning probe_law_judge(enum probe_law_expected expected, enum proxy_header header,
				       enum probe_answer answer);

/*
 * Add what it means and what is to be done, for a connection that came from
 * `own_address`; nothing when it is right.
 */
void probe_law_explain(enum probe_law_meaning meaning, const char *own_address, struct buf *out);

#endif
