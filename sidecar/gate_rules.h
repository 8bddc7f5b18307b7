/* SPDX-License-Identifier: MIT */
/*
 * gate_rules - the gate's rules as expressions of nftables (linux/netfilter/nf_tables.h,
 * "enum nft_list_attributes" and "enum nft_*_attributes").
 *
 * Each is added to a buffer as a list of expressions, for NFTA_RULE_EXPRESSIONS.
 */
#ifndef SIDECAR_GATE_RULES_H
#define SIDECAR_GATE_RULES_H

#include "patchers/base/span.h"

#include <stdint.h>

struct buf;
struct cidr;

/* The chain in which it is decided who may come in. */
#define GATE_RULES_CHAIN "twins"

/* What comes over loopback is accepted, whatever address it claims. */
void gate_rules_for_loopback(struct buf *b);

/* A TCP port is decided upon in GATE_RULES_CHAIN. */
void gate_rules_for_port(struct buf *b, uint16_t port);

/* A network is accepted. */
void gate_rules_for_network(struct buf *b, const struct cidr *net);

/* Everybody else is counted and dropped. */
void gate_rules_for_others(struct buf *b);

/* Whether this is a rule of gate_rules_for_port(), as the kernel tells it, and for which port. */
bool gate_rules_find_port(struct span rule, uint16_t *out);

#endif
