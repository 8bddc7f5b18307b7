/* SPDX-License-Identifier: MIT */
/* signal_names - signals by name and number, and which is turned into which. */
#include "signal_names.h"

#include "patchers/base/error.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>

/* By number: a name we print, with "SIG". */
static const char *const names[] = {
	[SIGHUP] = "SIGHUP",       [SIGINT] = "SIGINT",       [SIGQUIT] = "SIGQUIT",
	[SIGILL] = "SIGILL",       [SIGTRAP] = "SIGTRAP",     [SIGABRT] = "SIGABRT",
	[SIGBUS] = "SIGBUS",       [SIGFPE] = "SIGFPE",       [SIGKILL] = "SIGKILL",
	[SIGUSR1] = "SIGUSR1",     [SIGSEGV] = "SIGSEGV",     [SIGUSR2] = "SIGUSR2",
	[SIGPIPE] = "SIGPIPE",     [SIGALRM] = "SIGALRM",     [SIGTERM] = "SIGTERM",
	[SIGSTKFLT] = "SIGSTKFLT", [SIGCHLD] = "SIGCHLD",     [SIGCONT] = "SIGCONT",
	[SIGSTOP] = "SIGSTOP",     [SIGTSTP] = "SIGTSTP",     [SIGTTIN] = "SIGTTIN",
	[SIGTTOU] = "SIGTTOU",     [SIGURG] = "SIGURG",       [SIGXCPU] = "SIGXCPU",
	[SIGXFSZ] = "SIGXFSZ",     [SIGVTALRM] = "SIGVTALRM", [SIGPROF] = "SIGPROF",
	[SIGWINCH] = "SIGWINCH",   [SIGIO] = "SIGIO",         [SIGPWR] = "SIGPWR",
	[SIGSYS] = "SIGSYS",
};

enum { N_NAMES = sizeof(names) / sizeof(names[0]) };

/* Second names that signal(7) has. */
static const struct {
	const char *name;
	int sig;
} aliases[] = { { "IOT", SIGIOT }, { "CLD", SIGCLD }, { "POLL", SIGPOLL } };

static const char prefix[] = "SIG";

enum { PREFIX_BYTES = sizeof(prefix) - 1 };

static bool is_same_word(struct span text, const char *word)
{
	return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

static bool starts_with_word(struct span text, const char *word)
{
	return text.len >= strlen(word) && strncasecmp(text.data, word, strlen(word)) == 0;
}

static struct span without_first(struct span text, size_t n)
{
	return span_make(text.data + n, text.len - n);
}

/* RTMIN, RTMIN+n, RTMAX, RTMAX-n; 0 for anything else. */
static int real_time_signal(struct span text)
{
	static const size_t word_bytes = sizeof("RTMIN") - 1;
	bool from_below = starts_with_word(text, "RTMIN");
	unsigned long n = 0;

	if (!from_below && !starts_with_word(text, "RTMAX"))
		return 0;
	text = without_first(text, word_bytes);
	if (text.len > 0 &&
	    (text.data[0] != (from_below ? '+' : '-') ||
	     !span_to_number(without_first(text, 1), SIGNAL_MAX - SIGNAL_RTMIN, &n)))
		return 0;
	return from_below ? SIGNAL_RTMIN + (int)n : SIGNAL_MAX - (int)n;
}

int signal_from_name(struct span text)
{
	unsigned long number;

	if (span_to_number(text, SIGNAL_MAX, &number))
		return (int)number;
	if (starts_with_word(text, prefix))
		text = without_first(text, PREFIX_BYTES);
	for (int sig = 1; sig < N_NAMES; sig++)
		if (is_same_word(text, names[sig] + PREFIX_BYTES))
			return sig;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (is_same_word(text, aliases[i].name))
			return aliases[i].sig;
	return real_time_signal(text);
}

const char *signal_name(int sig, char room[SIGNAL_NAME_BYTES])
{
	if (sig > 0 && sig < N_NAMES)
		return names[sig];
	if (sig > SIGNAL_RTMIN && sig <= SIGNAL_MAX)
		snprintf(room, SIGNAL_NAME_BYTES, "SIGRTMIN+%d", sig - SIGNAL_RTMIN);
	else
		snprintf(room, SIGNAL_NAME_BYTES, sig == SIGNAL_RTMIN ? "SIGRTMIN" : "%d", sig);
	return room;
}

bool signal_is_forwarded(int sig)
{
	return sig != SIGKILL && sig != SIGSTOP && sig != SIGCHLD;
}

void signal_rewrites_init(struct signal_rewrites *rewrites)
{
	for (int sig = 0; sig <= SIGNAL_MAX; sig++)
		rewrites->to[sig] = (unsigned char)sig;
}

static int add_one(struct signal_rewrites *rewrites, struct span text, struct error *err)
{
	const char *colon = memchr(text.data, ':', text.len);
	struct span left, right;
	int from, to;

	if (!colon)
		return error_set(err, -EINVAL, "\"%.*s\": wanted FROM:TO", SPAN_ARG(text));
	left = span_between(text.data, colon);
	right = span_between(colon + 1, span_end(text));
	from = signal_from_name(left);
	to = signal_from_name(right);
	if (from == 0)
		return error_set(err, -EINVAL, "\"%.*s\" is no signal", SPAN_ARG(left));
	if (!signal_is_forwarded(from))
		return error_set(err, -EINVAL, "\"%.*s\" is never forwarded", SPAN_ARG(left));
	if (to == 0 && !span_is(right, "0"))
		return error_set(err, -EINVAL, "\"%.*s\" is no signal, nor 0", SPAN_ARG(right));
	rewrites->to[from] = (unsigned char)to;
	return 0;
}

int signal_rewrites_add(struct signal_rewrites *rewrites, const char *text, struct error *err)
{
	struct signal_rewrites added = *rewrites;
	struct span rest = span_from(text);

	for (;;) {
		const char *comma = memchr(rest.data, ',', rest.len);
		struct span one = comma ? span_between(rest.data, comma) : rest;
		int rc = add_one(&added, one, err);

		if (rc < 0)
			return rc;
		if (!comma)
			break;
		rest = span_between(comma + 1, span_end(rest));
	}
	*rewrites = added;
	return 0;
}
