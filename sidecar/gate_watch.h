/* SPDX-License-Identifier: MIT */
/*
 * gate_watch - hear of it when the gate's table is changed, in an event loop.
 *
 * nftables tells all its changes to whoever has CAP_NET_ADMIN and listens; those
 * to other tables, Fail2ban's say, come to nothing here.
 */
#ifndef SIDECAR_GATE_WATCH_H
#define SIDECAR_GATE_WATCH_H

#include "netlink.h"

#include <stdbool.h>

struct event;
struct event_base;

/*
 * The table was changed, or nobody knows whether it was.  `by_look`: by a process with the name
 * of a look; whether one is at work just now the caller knows.
 */
typedef void gate_watch_changed(void *arg, bool by_look);

struct gate_watch {
	struct netlink netlink;
	struct event *readable;
	bool is_touched; /* in the transaction that is being told */
	gate_watch_changed *changed;
	void *arg;
};

#define GATE_WATCH_INIT                                                                            \
	{                                                                                          \
		.netlink = NETLINK_INIT                                                            \
	}

/*
 * Listen from now on.  False when memory has run out.  Where the kernel does not tell,
 * for want of the privilege or of nftables, nothing is ever heard.
 */
bool gate_watch_init(struct gate_watch *w, struct event_base *base, gate_watch_changed *changed,
		     void *arg);
void gate_watch_release(struct gate_watch *w);

#endif
