/* SPDX-License-Identifier: MIT */
/*
 * gate_table - the gate as a table of nftables, by netlink (linux/netfilter/nf_tables.h).
 *
 *   table inet postern {
 *     chain input {
 *       type filter hook input priority filter - 10; policy accept;
 *       iiftype loopback accept
 *       tcp dport 12525 goto twins        (for each port)
 *     }
 *     chain twins {
 *       ip saddr 10.42.0.0/16 accept      (for each network)
 *       counter drop
 *     }
 *   }
 *
 * All of it is replaced in one transaction, and nothing but it is touched.  What a chain
 * accepts here the tables of others still judge: an accept ends no more than its own chain.
 */
#ifndef SIDECAR_GATE_TABLE_H
#define SIDECAR_GATE_TABLE_H

#include "patchers/base/buf.h"
#include "patchers/cidr.h"

#include <stdint.h>

struct error;
struct netlink;

#define GATE_TABLE_NAME "postern"

/* Who may connect where.  Without ports there is no table. */
struct gate_plan {
	const uint16_t *ports;
	size_t n_ports;
	const struct cidr_list *networks;
};

/* The table as the kernel has it. */
struct gate_table {
	bool exists;
	bool is_whole; /* its chains are ours, and nobody has put it to sleep */
	/* Its rules as attributes of nf_tables, each in one of NFTA_LIST_ELEM. */
	struct buf input, twins;
};

#define GATE_TABLE_INIT                                                                            \
	{                                                                                          \
		0                                                                                  \
	}

void gate_table_release(struct gate_table *table);

/*
 * What is in the kernel of this network namespace, by a socket of NETLINK_NETFILTER.
 * -EPERM without CAP_NET_ADMIN, -EPROTONOSUPPORT or -EOPNOTSUPP where there is no nftables.
 */
int gate_table_read(struct netlink *netlink, struct gate_table *out, struct error *err);

/* Whether the table says just this. */
bool gate_table_is(const struct gate_table *table, const struct gate_plan *plan);

enum { GATE_TABLE_PORTS_MAX = 256 };

/* The ports that it guards, how many of them: as many as there is room for. */
size_t gate_table_ports(const struct gate_table *table, uint16_t out[GATE_TABLE_PORTS_MAX]);

/*
 * Replace the table; without ports, remove it.  Errors of gate_table_read().
 *
 * Closing the socket afterwards waits until the kernel has forgotten the old table (8 ms,
 * measured on Linux 6.18; the change itself takes 0.2): when all else is done.
 */
int gate_table_write(struct netlink *netlink, const struct gate_plan *plan, struct error *err);

/* The table again as it was read; if there was none, none. */
int gate_table_restore(struct netlink *netlink, const struct gate_table *table, struct error *err);

#endif
