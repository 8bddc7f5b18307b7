/* SPDX-License-Identifier: MIT */
/* gate_watch - hear of it when the gate's table is changed. */
#include "gate_watch.h"

#include "gate_table.h"
#include "worker.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

enum { HEARD_AT_ONCE_MAX = 64 }; /* then the loop gets its turn */

/* The number of the process is there too, as one of the machine's: it does not say whose. */
static bool is_by_look(struct span generation)
{
	return netlink_is_text(generation, NFTA_GEN_PROC_NAME, WORKER_LOOK_NAME);
}

/* Each transaction ends with its generation. */
static int hear(void *arg, uint16_t type, struct span attributes, struct error *err)
{
	struct gate_watch *w = arg;
	bool was_touched = w->is_touched;

	(void)err;
	if (type >> 8 != NFNL_SUBSYS_NFTABLES)
		return 0;
	/* The table is the first attribute of everything in it: NFTA_RULE_TABLE and so on. */
	w->is_touched =
		(type & 0xff) != NFT_MSG_NEWGEN &&
		(was_touched || netlink_is_text(attributes, NFTA_TABLE_NAME, GATE_TABLE_NAME));
	if ((type & 0xff) == NFT_MSG_NEWGEN && was_touched)
		w->changed(w->arg, is_by_look(attributes));
	return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct gate_watch *w = arg;

	(void)fd;
	(void)what;
	for (int i = 0; i < HEARD_AT_ONCE_MAX; i++) {
		int rc = netlink_hear(&w->netlink, hear, w);

		if (rc == -EAGAIN)
			return;
		if (rc < 0) { /* -ENOBUFS: some of it is lost */
			w->is_touched = false;
			w->changed(w->arg, false);
			return;
		}
	}
}

static bool listens(struct gate_watch *w)
{
	static const int group = NFNLGRP_NFTABLES;

	return netlink_open(&w->netlink, NETLINK_NETFILTER, NULL) == 0 &&
	       setsockopt(w->netlink.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
			  sizeof(group)) == 0 &&
	       evutil_make_socket_nonblocking(w->netlink.fd) == 0;
}

bool gate_watch_init(struct gate_watch *w, struct event_base *base, gate_watch_changed *changed,
		     void *arg)
{
	*w = (struct gate_watch){ .netlink = NETLINK_INIT, .changed = changed, .arg = arg };
	if (!listens(w)) {
		netlink_close(&w->netlink);
		return true;
	}
	w->readable = event_new(base, w->netlink.fd, EV_READ | EV_PERSIST, on_readable, w);
	return w->readable && event_add(w->readable, NULL) == 0;
}

void gate_watch_release(struct gate_watch *w)
{
	if (w->readable)
		event_free(w->readable);
	w->readable = NULL;
	netlink_close(&w->netlink);
}
