/* SPDX-License-Identifier: MIT */
/* gate_rules - the gate's rules as expressions of nftables. */
#include "gate_rules.h"

#include "netlink.h"
#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/cidr.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>

enum {
	MASK_BYTES_MAX = 16,
	OFFSET_SOURCE_IPV4 = 12,    /* RFC 791, section 3.1 */
	OFFSET_SOURCE_IPV6 = 8,     /* RFC 8200, section 3 */
	OFFSET_TCP_DESTINATION = 2, /* RFC 9293, section 3.1 */
};

/* ---- expressions ---- */

static netlink_mark expression_begin(struct buf *b, const char *name, netlink_mark *out_element)
{
	*out_element = netlink_nest(b, NFTA_LIST_ELEM);
	netlink_put_text(b, NFTA_EXPR_NAME, name);
	return netlink_nest(b, NFTA_EXPR_DATA);
}

static void expression_end(struct buf *b, netlink_mark data, netlink_mark element)
{
	netlink_nest_end(b, data);
	netlink_nest_end(b, element);
}

static void put_value(struct buf *b, uint16_t type, const void *bytes, size_t len)
{
	netlink_mark nest = netlink_nest(b, type);

	netlink_put(b, NFTA_DATA_VALUE, bytes, len);
	netlink_nest_end(b, nest);
}

static void load_meta(struct buf *b, uint32_t key)
{
	netlink_mark element, data = expression_begin(b, "meta", &element);

	netlink_put_be32(b, NFTA_META_DREG, NFT_REG_1);
	netlink_put_be32(b, NFTA_META_KEY, key);
	expression_end(b, data, element);
}

static void load_payload(struct buf *b, uint32_t base, uint32_t offset, uint32_t len)
{
	netlink_mark element, data = expression_begin(b, "payload", &element);

	netlink_put_be32(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
	netlink_put_be32(b, NFTA_PAYLOAD_BASE, base);
	netlink_put_be32(b, NFTA_PAYLOAD_OFFSET, offset);
	netlink_put_be32(b, NFTA_PAYLOAD_LEN, len);
	expression_end(b, data, element);
}

static void mask(struct buf *b, const uint8_t *bytes, uint32_t len)
{
	static const uint8_t zeros[MASK_BYTES_MAX] = { 0 };
	netlink_mark element, data = expression_begin(b, "bitwise", &element);

	netlink_put_be32(b, NFTA_BITWISE_SREG, NFT_REG_1);
	netlink_put_be32(b, NFTA_BITWISE_DREG, NFT_REG_1);
	netlink_put_be32(b, NFTA_BITWISE_LEN, len);
	put_value(b, NFTA_BITWISE_MASK, bytes, len);
	put_value(b, NFTA_BITWISE_XOR, zeros, len);
	expression_end(b, data, element);
}

static void compare(struct buf *b, const void *bytes, size_t len)
{
	netlink_mark element, data = expression_begin(b, "cmp", &element);

	netlink_put_be32(b, NFTA_CMP_SREG, NFT_REG_1);
	netlink_put_be32(b, NFTA_CMP_OP, NFT_CMP_EQ);
	put_value(b, NFTA_CMP_DATA, bytes, len);
	expression_end(b, data, element);
}

static void compare_byte(struct buf *b, uint8_t value)
{
	compare(b, &value, sizeof(value));
}

static void count(struct buf *b)
{
	netlink_mark element, data = expression_begin(b, "counter", &element);

	expression_end(b, data, element);
}

static void give_verdict(struct buf *b, uint32_t code, const char *chain)
{
	netlink_mark element, data = expression_begin(b, "immediate", &element), value, verdict;

	netlink_put_be32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	value = netlink_nest(b, NFTA_IMMEDIATE_DATA);
	verdict = netlink_nest(b, NFTA_DATA_VERDICT);
	netlink_put_be32(b, NFTA_VERDICT_CODE, code);
	if (chain)
		netlink_put_text(b, NFTA_VERDICT_CHAIN, chain);
	netlink_nest_end(b, verdict);
	netlink_nest_end(b, value);
	expression_end(b, data, element);
}

/* ---- rules ---- */

void gate_rules_for_loopback(struct buf *b)
{
	const uint16_t loopback = ARPHRD_LOOPBACK;

	load_meta(b, NFT_META_IIFTYPE);
	compare(b, &loopback, sizeof(loopback));
	give_verdict(b, NF_ACCEPT, NULL);
}

void gate_rules_for_port(struct buf *b, uint16_t port)
{
	const uint16_t sent = htons(port);

	load_meta(b, NFT_META_L4PROTO);
	compare_byte(b, IPPROTO_TCP);
	load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, OFFSET_TCP_DESTINATION, sizeof(sent));
	compare(b, &sent, sizeof(sent));
	give_verdict(b, (uint32_t)NFT_GOTO, GATE_RULES_CHAIN);
}

void gate_rules_for_network(struct buf *b, const struct cidr *net)
{
	const uint32_t len = net->is_ipv6 ? 16 : 4;
	uint8_t bits[MASK_BYTES_MAX] = { 0 };

	load_meta(b, NFT_META_NFPROTO);
	compare_byte(b, net->is_ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
	if (net->prefix > 0) {
		load_payload(b, NFT_PAYLOAD_NETWORK_HEADER,
			     net->is_ipv6 ? OFFSET_SOURCE_IPV6 : OFFSET_SOURCE_IPV4, len);
		if (net->prefix < len * 8) {
			for (unsigned i = 0; i < net->prefix; i++)
				bits[i / 8] |= (uint8_t)(0x80U >> i % 8);
			mask(b, bits, len);
		}
		compare(b, net->bytes, len);
	}
	give_verdict(b, NF_ACCEPT, NULL);
}

void gate_rules_for_others(struct buf *b)
{
	count(b);
	give_verdict(b, NF_DROP, NULL);
}

/* ---- read ---- */

/* The n-th of a list, counted from 0. */
static bool find_element(struct span list, size_t n, struct span *out)
{
	uint16_t type;

	while (netlink_take(&list, &type, out))
		if (type == NFTA_LIST_ELEM && n-- == 0)
			return true;
	return false;
}

bool gate_rules_find_port(struct span rule, uint16_t *out)
{
	enum { COMPARISON = 3 }; /* among what is written above */
	cleanup_buf struct buf same = BUF_INIT;
	struct span at;

	if (!find_element(rule, COMPARISON, &at) || !netlink_find(at, NFTA_EXPR_DATA, &at) ||
	    !netlink_find(at, NFTA_CMP_DATA, &at) || !netlink_find(at, NFTA_DATA_VALUE, &at) ||
	    at.len != sizeof(*out))
		return false;
	memcpy(out, at.data, sizeof(*out));
	*out = ntohs(*out);
	gate_rules_for_port(&same, *out);
	return !same.failed && netlink_covers(rule, buf_span(&same));
}
