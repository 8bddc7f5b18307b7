/* SPDX-License-Identifier: MIT */
/* probe_law - which answer is right for what was sent to whom, and what a wrong one means. */
#include "probe_law.h"

#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"

static const char *const names[] = { "twin", "stock", "shut" };

_Static_assert(sizeof(names) / sizeof(names[0]) == PROBE_LAW_EXPECTED_COUNT, "a name for each");

static const char *const answer_names[] = {
	[PROBE_SERVED] = "served",       [PROBE_RELAYS] = "relays",
	[PROBE_MISREAD] = "misread",     [PROBE_REFUSED] = "refused",
	[PROBE_CLOSED] = "closed",       [PROBE_SILENT] = "silent",
	[PROBE_UNREACHED] = "unreached", [PROBE_IMPOSSIBLE] = "impossible",
};

_Static_assert(sizeof(answer_names) / sizeof(answer_names[0]) == PROBE_ANSWER_COUNT,
	       "a name for each answer");

const char *probe_law_answer_name(enum probe_answer answer)
{
	return answer_names[answer];
}

/* What was sent, as far as it makes a difference. */
enum sent { SENT_HEADER, SENT_NO_HEADER, SENT_FORGED, SENT_COUNT };

static const enum sent kinds[] = {
	[PROXY_HEADER_V1] = SENT_HEADER,      [PROXY_HEADER_V2] = SENT_HEADER,
	[PROXY_HEADER_LOCAL] = SENT_HEADER,   [PROXY_HEADER_GARBAGE] = SENT_NO_HEADER,
	[PROXY_HEADER_NONE] = SENT_NO_HEADER, [PROXY_HEADER_FORGED] = SENT_FORGED,
};

_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == PROXY_HEADER_COUNT, "a kind for each");

#define RIGHT PROBE_LAW_RIGHT
#define NO_TWIN PROBE_LAW_NO_TWIN
#define NO_HEADER PROBE_LAW_NO_HEADER
#define TURNED_AWAY PROBE_LAW_TURNED_AWAY
#define HUNG_UP PROBE_LAW_HUNG_UP
#define NO_GREETING PROBE_LAW_NO_GREETING
#define WANTS_HEADER PROBE_LAW_WANTS_HEADER
#define UNREACHED PROBE_LAW_UNREACHED
#define NOT_SHUT PROBE_LAW_NOT_SHUT
#define OPEN_RELAY PROBE_LAW_OPEN_RELAY
#define NOT_JUDGED PROBE_LAW_NOT_JUDGED

/*
 * Every answer to everything, also what cannot come (only a forged header is
 * asked to relay, and a stock port gets no header): then nothing is proven.
 */
static const enum probe_law_meaning laws[][SENT_COUNT][PROBE_ANSWER_COUNT] = {
	/* served, relays, misread, refused, closed, silent, unreached, impossible */
	[PROBE_LAW_TWIN] = {
		[SENT_HEADER] = { RIGHT, NOT_JUDGED, NO_TWIN, TURNED_AWAY, HUNG_UP, NO_GREETING,
				  UNREACHED, NOT_JUDGED },
		[SENT_NO_HEADER] = { NO_HEADER, NOT_JUDGED, NO_HEADER, RIGHT, RIGHT, RIGHT,
				     UNREACHED, NOT_JUDGED },
		[SENT_FORGED] = { RIGHT, OPEN_RELAY, NO_TWIN, RIGHT, RIGHT, NO_GREETING,
				  UNREACHED, NOT_JUDGED },
	},
	[PROBE_LAW_STOCK] = {
		[SENT_HEADER] = { NOT_JUDGED, NOT_JUDGED, NOT_JUDGED, NOT_JUDGED, NOT_JUDGED,
				  NOT_JUDGED, NOT_JUDGED, NOT_JUDGED },
		[SENT_NO_HEADER] = { RIGHT, NOT_JUDGED, TURNED_AWAY, WANTS_HEADER, WANTS_HEADER,
				     WANTS_HEADER, UNREACHED, NOT_JUDGED },
		[SENT_FORGED] = { NOT_JUDGED, NOT_JUDGED, NOT_JUDGED, NOT_JUDGED, NOT_JUDGED,
				  NOT_JUDGED, NOT_JUDGED, NOT_JUDGED },
	},
	[PROBE_LAW_SHUT] = {
		[SENT_HEADER] = { NOT_SHUT, NOT_JUDGED, NOT_SHUT, NOT_SHUT, RIGHT, RIGHT, RIGHT,
				  NOT_JUDGED },
		[SENT_NO_HEADER] = { NOT_SHUT, NOT_JUDGED, NOT_SHUT, NOT_SHUT, RIGHT, RIGHT,
				     RIGHT, NOT_JUDGED },
		[SENT_FORGED] = { NOT_SHUT, OPEN_RELAY, NOT_SHUT, NOT_SHUT, RIGHT, RIGHT, RIGHT,
				  NOT_JUDGED },
	},
};

/* ADDRESS is where the connection came from. */
static const char *const sentences[] = {
	[RIGHT] = "",
	[NO_TWIN] = "it greets, and takes the header for a command: this is not a twin, the "
		    "Service leads to the stock port, or what is between sends a header already; "
		    "or --timeout is shorter than its postscreen_greet_wait",
	[NO_HEADER] = "it answers without a header: this is not a twin, the Service leads to the "
		      "stock port, or what is between sends a header already",
	[TURNED_AWAY] = "it is there, and turns us away in its own words: they say why, or its log",
	[HUNG_UP] = "it hangs up on a proper header: ADDRESS is not among the trusted networks, "
		    "this is not a twin, or what is between finds no server; see its log, and "
		    "\"postern check\" for whom the twins trust",
	[NO_GREETING] = "no greeting in time: the server is busy, or its postscreen_greet_wait is "
			"longer than --timeout",
	[WANTS_HEADER] = "it is there, and does not greet: a twin does so, which wants a header; "
			 "else its own words or its log say why",
	[UNREACHED] = "no connection: nobody listens there, or a NetworkPolicy or firewall keeps "
		      "ADDRESS out, which is to be let in",
	[NOT_SHUT] = "it answers ADDRESS, which is not trusted: no NetworkPolicy or firewall is in "
		     "force here, or what is between hides where connections come from",
	[OPEN_RELAY] = "whoever gets here and forges a header is a trusted client, and sends mail "
		       "to everybody: let the twin's mynetworks be empty, and keep strangers out",
	[NOT_JUDGED] = "nothing was found out: the answer says why",
};

_Static_assert(sizeof(sentences) / sizeof(sentences[0]) == PROBE_LAW_MEANING_COUNT,
	       "a sentence for each");

const char *probe_law_name(enum probe_law_expected expected)
{
	return names[expected];
}

bool probe_law_sends(enum probe_law_expected expected, enum proxy_header header,
		     enum probe_protocol protocol, bool tls)
{
	if (expected == PROBE_LAW_STOCK)
		return header == PROXY_HEADER_NONE;
	return header != PROXY_HEADER_FORGED || (protocol == PROBE_SMTP && !tls);
}

enum probe_law_meaning probe_law_judge(enum probe_law_expected expected, enum proxy_header header,
				       enum probe_answer answer)
{
	return laws[expected][kinds[header]][answer];
}

void probe_law_explain(enum probe_law_meaning meaning, const char *own_address, struct buf *out)
{
	cleanup_buf struct buf sentence = BUF_INIT;

	buf_add_text(&sentence, sentences[meaning]);
	buf_replace(&sentence, "ADDRESS", own_address[0] ? own_address : "this host");
	buf_add(out, buf_span(&sentence));
	out->failed |= sentence.failed;
}
