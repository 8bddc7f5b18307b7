/* SPDX-License-Identifier: MIT */
/*
 * gate - whether a packet filter keeps everybody but the trusted networks, and this host
 * itself, from the ports that ask for a PROXY header.
 *
 * It is part of a survey: looked at, compared with what is wanted, and made so before
 * a port opens.  While servers are told, the ports of before and after are guarded
 * both.  gate_table says what it looks like in the kernel.
 */
#ifndef SIDECAR_GATE_H
#define SIDECAR_GATE_H

#include "gate_table.h"
#include "listening.h"
#include "netlink.h"
#include "patchers/base/error.h"
#include "settings.h"

struct digest_maker;
struct host;
struct server;

struct gate_request {
	const struct host *host;
	const struct settings *settings;
	const struct server *servers; /* surveyed */
	size_t n_servers;
	struct listening_ports guarded; /* by the look before: may be open still */
	bool revert;                    /* none is wanted */
	bool no_reload;                 /* and servers keep open what they have open */
};

struct gate_ports {
	uint16_t *items;
	size_t n_items;
};

struct gate {
	enum settings_gate mode;
	const struct cidr_list *networks;  /* the settings' */
	struct gate_ports then, meanwhile; /* to be guarded when all is done, and until then */
	struct gate_ports standing;        /* what asks for a header by the files as they are */
	bool keeps_all;                    /* gate_keep_all(): `meanwhile` is for good */
	bool is_seen;                      /* the kernel told what there is; else: */
	struct error unseen_because;
	struct gate_table before; /* as it was found */
	bool is_wanted_now;       /* what there is, is what is wanted when all is done */
	bool was_changed;         /* by gate_guard() */
	struct netlink netlink;
};

#define GATE_INIT                                                                                  \
	{                                                                                          \
		.netlink = NETLINK_INIT                                                            \
	}

void gate_release(struct gate *gate);

/*
 * Compare what is there with what is wanted.  -EINVAL when `gate = "require"` cannot
 * be had here, with the reason; -ENOMEM, and what the kernel says when it fails.
 */
int gate_look(const struct gate_request *request, struct gate *out, struct error *err);

/* Whether there is something to do about it. */
bool gate_differs(const struct gate *gate);

/* What would be done: for survey's digest of an attempt. */
void gate_digest(const struct gate *gate, struct digest_maker *maker);

/*
 * Guard what may be open while servers are told of new files.  1 when the gate had to be
 * changed, 0 when it stands already or none is wanted.  When the kernel cannot have it,
 * `gate = "auto"` goes on without: see unseen_because then.
 */
int gate_guard(struct gate *gate, struct error *err);

/*
 * Guard what is open with the files as they are, when nothing of what is wanted can be
 * put in force.  Else as gate_guard().
 */
int gate_guard_standing(struct gate *gate, struct error *err);

/*
 * A server's files will not be written after all, or what closes with them has not
 * closed yet: nothing is let go of.
 */
void gate_keep_all(struct gate *gate);

/* Guard what is open when all is done.  1 when the gate had to be changed, or 0. */
int gate_settle(struct gate *gate, struct error *err);

/* As it was before gate_guard(), or if it was less then, what guards the files of before. */
int gate_restore(struct gate *gate, struct error *err);

/* Whether every port that asks for a header is guarded now. */
bool gate_is_in_force(const struct gate *gate);

/* The ports that are guarded when all is done; none when the kernel tells nothing.  Borrowed. */
struct listening_ports gate_guarded(const struct gate *gate);

/*
 * What gate_describe() says of `gate = "off"`, and of nothing else: there is no gate, or none
 * to be seen; or the one of before could not be removed.
 */
#define GATE_OFF_TEXT "off"
#define GATE_STANDS_TEXT "off, but what was put up before stands"

/* How far it is, for people: "in force", "not in force: CAP_NET_ADMIN is missing", ... */
void gate_describe(const struct gate *gate, struct buf *out);

#endif
