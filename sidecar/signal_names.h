/* SPDX-License-Identifier: MIT */
/*
 * signal_names - signals by name and number, and which is turned into which.
 *
 * Names are those of signal(7), with or without "SIG", in any case; real-time
 * signals are RTMIN+n and RTMAX-n as kill(1) counts them (RTMIN is 34).
 */
#ifndef SIDECAR_SIGNAL_NAMES_H
#define SIDECAR_SIGNAL_NAMES_H

#include "patchers/base/span.h"

struct error;

enum {
	SIGNAL_MAX = 64,        /* of the kernel: _NSIG */
	SIGNAL_RTMIN = 34,      /* the C library keeps 32 and 33 to itself */
	SIGNAL_NAME_BYTES = 16, /* room for any name */
};

/* 1 to SIGNAL_MAX for a name or a number; 0 when it is neither. */
int signal_from_name(struct span text);

/* "SIGTERM", "SIGRTMIN+3", "32"; in `room` unless it is a constant.  For 1 to SIGNAL_MAX. */
const char *signal_name(int sig, char room[SIGNAL_NAME_BYTES]);

/* Whether CMD can be given it on its behalf: all but SIGKILL, SIGSTOP and SIGCHLD. */
bool signal_is_forwarded(int sig);

/* Signal n is forwarded as to[n]; 0: not at all. */
struct signal_rewrites {
	unsigned char to[SIGNAL_MAX + 1];
};

/* Every signal stays itself. */
void signal_rewrites_init(struct signal_rewrites *rewrites);

/*
 * "FROM:TO", several with commas between; the last one of a FROM counts.
 * Rewriting happens once: TERM:INT,INT:TERM swaps.  0 or -EINVAL, then
 * *rewrites is as before.
 */
int signal_rewrites_add(struct signal_rewrites *rewrites, const char *text, struct error *err);

#endif
