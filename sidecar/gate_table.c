/* SPDX-License-Identifier: MIT */
/* gate_table - the gate as a table of nftables, by netlink. */
#include "gate_table.h"

#include "gate_rules.h"
#include "netlink.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <string.h>

#define CHAIN_INPUT "input"
#define CHAIN_TWINS GATE_RULES_CHAIN

enum {
	PRIORITY = -10, /* before filter's 0: what is dropped here costs nobody else a rule */
	READ_TRIES_MAX = 10,
};

/* ---- the table as lists of rules ---- */

static netlink_mark rule_begin(struct buf *b)
{
	return netlink_nest(b, NFTA_LIST_ELEM);
}

static int plan_table(const struct gate_plan *plan, struct gate_table *out, struct error *err)
{
	netlink_mark rule = rule_begin(&out->input);
	int rc;

	gate_rules_for_loopback(&out->input);
	netlink_nest_end(&out->input, rule);
	for (size_t i = 0; i < plan->n_ports; i++) {
		rule = rule_begin(&out->input);
		gate_rules_for_port(&out->input, plan->ports[i]);
		netlink_nest_end(&out->input, rule);
	}
	for (size_t i = 0; i < plan->networks->n_items; i++) {
		rule = rule_begin(&out->twins);
		gate_rules_for_network(&out->twins, &plan->networks->items[i]);
		netlink_nest_end(&out->twins, rule);
	}
	rule = rule_begin(&out->twins);
	gate_rules_for_others(&out->twins);
	netlink_nest_end(&out->twins, rule);
	rc = buf_check(&out->input, err);
	if (rc == 0)
		rc = buf_check(&out->twins, err);
	out->exists = out->is_whole = plan->n_ports > 0;
	return rc;
}

void gate_table_release(struct gate_table *table)
{
	buf_release(&table->input);
	buf_release(&table->twins);
	*table = (struct gate_table)GATE_TABLE_INIT;
}

bool gate_table_is(const struct gate_table *table, const struct gate_plan *plan)
{
	CLEANUP(gate_table_release) struct gate_table wanted = GATE_TABLE_INIT;

	if (plan_table(plan, &wanted, NULL) < 0)
		return false;
	if (!wanted.exists || !table->exists)
		return wanted.exists == table->exists;
	return table->is_whole &&
	       netlink_covers(buf_span(&table->input), buf_span(&wanted.input)) &&
	       netlink_covers(buf_span(&table->twins), buf_span(&wanted.twins));
}

size_t gate_table_ports(const struct gate_table *table, uint16_t out[GATE_TABLE_PORTS_MAX])
{
	struct span rules = buf_span(&table->input), rule;
	uint16_t type;
	size_t n = 0;

	while (n < GATE_TABLE_PORTS_MAX && netlink_take(&rules, &type, &rule))
		n += gate_rules_find_port(rule, &out[n]);
	return n;
}

/* ---- read ---- */

/* Messages that are sent together. */
struct batch {
	struct netlink *netlink;
	struct buf bytes;
	netlink_mark last;
};

static void batch_release(struct batch *b)
{
	buf_release(&b->bytes);
}

static struct buf *begin(struct batch *b, uint16_t type, uint16_t flags)
{
	b->last = netlink_begin(&b->bytes,
				&(struct netlink_header){
					.type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
					.flags = flags,
					.sequence = ++b->netlink->sequence,
					.family = NFPROTO_INET,
				});
	return &b->bytes;
}

static void end(struct batch *b)
{
	netlink_end(&b->bytes, b->last);
}

static uint16_t kind_of(uint16_t type)
{
	return type & 0xff;
}

static bool find_be32(struct span attributes, uint16_t type, uint32_t *out)
{
	struct span value;

	if (!netlink_find(attributes, type, &value) || value.len != sizeof(*out))
		return false;
	memcpy(out, value.data, sizeof(*out));
	*out = ntohl(*out);
	return true;
}

/* The chain hooks in where ours does. */
static bool is_hooked(struct span chain)
{
	cleanup_buf struct buf wanted = BUF_INIT;
	struct span hook;
	uint32_t policy;

	netlink_put_be32(&wanted, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_IN);
	netlink_put_be32(&wanted, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
	return !wanted.failed && netlink_find(chain, NFTA_CHAIN_HOOK, &hook) &&
	       netlink_covers(hook, buf_span(&wanted)) &&
	       find_be32(chain, NFTA_CHAIN_POLICY, &policy) && policy == NF_ACCEPT &&
	       netlink_is_text(chain, NFTA_CHAIN_TYPE, "filter");
}

static void hear_table(struct gate_table *table, struct span attributes)
{
	uint32_t flags = 0;

	table->exists = true;
	find_be32(attributes, NFTA_TABLE_FLAGS, &flags);
	table->is_whole = (flags & NFT_TABLE_F_DORMANT) == 0;
}

static int hear_rule(struct gate_table *table, struct span attributes, struct error *err)
{
	struct span expressions = span_make("", 0);
	struct buf *rules =
		netlink_is_text(attributes, NFTA_RULE_CHAIN, CHAIN_INPUT)   ? &table->input
		: netlink_is_text(attributes, NFTA_RULE_CHAIN, CHAIN_TWINS) ? &table->twins
									    : NULL;

	if (!rules || !netlink_is_text(attributes, NFTA_RULE_TABLE, GATE_TABLE_NAME))
		return 0;
	netlink_find(attributes, NFTA_RULE_EXPRESSIONS, &expressions);
	netlink_put(rules, NFTA_LIST_ELEM, expressions.data, expressions.len);
	return buf_check(rules, err);
}

static int hear(void *arg, uint16_t type, struct span attributes, struct error *err)
{
	struct gate_table *table = arg;

	if (kind_of(type) == NFT_MSG_NEWTABLE)
		hear_table(table, attributes);
	if (kind_of(type) == NFT_MSG_NEWCHAIN &&
	    netlink_is_text(attributes, NFTA_CHAIN_NAME, CHAIN_INPUT))
		table->is_whole = table->is_whole && is_hooked(attributes);
	return kind_of(type) == NFT_MSG_NEWRULE ? hear_rule(table, attributes, err) : 0;
}

/* A question about one thing; -ENOENT when it is not there. */
static int ask(struct netlink *netlink, uint16_t type, const char *chain, struct gate_table *out,
	       struct error *err)
{
	CLEANUP(batch_release) struct batch question = { .netlink = netlink };
	struct buf *b = begin(&question, type, NLM_F_ACK);

	netlink_put_text(b, NFTA_TABLE_NAME, GATE_TABLE_NAME); /* NFTA_CHAIN_TABLE, too */
	if (chain)
		netlink_put_text(b, NFTA_CHAIN_NAME, chain);
	end(&question);
	return netlink_talk(netlink, b, hear, out, err);
}

static int ask_rules(struct netlink *netlink, struct gate_table *out, struct error *err)
{
	CLEANUP(batch_release) struct batch question = { .netlink = netlink };
	struct buf *b = begin(&question, NFT_MSG_GETRULE, NLM_F_DUMP);

	netlink_put_text(b, NFTA_RULE_TABLE, GATE_TABLE_NAME);
	end(&question);
	return netlink_talk(netlink, b, hear, out, err);
}

static int read_chains(struct netlink *netlink, struct gate_table *out, struct error *err)
{
	static const char *const chains[] = { CHAIN_INPUT, CHAIN_TWINS };
	int rc = 0;

	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]) && rc == 0; i++) {
		rc = ask(netlink, NFT_MSG_GETCHAIN, chains[i], out, err);
		if (rc == -ENOENT) {
			out->is_whole = false;
			rc = 0;
		}
	}
	return rc;
}

static int read_once(struct netlink *netlink, struct gate_table *out, struct error *err)
{
	int rc = ask(netlink, NFT_MSG_GETTABLE, NULL, out, err);

	if (rc == -ENOENT)
		return 0;
	if (rc == -EINVAL) /* so says a kernel without nf_tables of a message that is no batch */
		return error_set(err, -EOPNOTSUPP, "not supported");
	if (rc == 0)
		rc = read_chains(netlink, out, err);
	return rc < 0 ? rc : ask_rules(netlink, out, err);
}

int gate_table_read(struct netlink *netlink, struct gate_table *out, struct error *err)
{
	int rc = -EINTR;

	for (int i = 0; i < READ_TRIES_MAX && rc == -EINTR; i++) {
		CLEANUP(gate_table_release) struct gate_table found = GATE_TABLE_INIT;

		rc = read_once(netlink, &found, err);
		if (rc < 0)
			continue;
		*out = found;
		found = (struct gate_table)GATE_TABLE_INIT;
	}
	return rc;
}

/* ---- written ---- */

static void put_batch_mark(struct batch *b, uint16_t type)
{
	netlink_mark message = netlink_begin(&b->bytes, &(struct netlink_header){
								.type = type,
								.sequence = ++b->netlink->sequence,
								.resource = NFNL_SUBSYS_NFTABLES,
							});

	netlink_end(&b->bytes, message);
}

static void put_table(struct batch *batch, uint16_t type, uint16_t flags)
{
	struct buf *b = begin(batch, type, flags);

	netlink_put_text(b, NFTA_TABLE_NAME, GATE_TABLE_NAME);
	end(batch);
}

static void put_hook(struct buf *b)
{
	netlink_mark hook = netlink_nest(b, NFTA_CHAIN_HOOK);

	netlink_put_be32(b, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_IN);
	netlink_put_be32(b, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
	netlink_nest_end(b, hook);
	netlink_put_be32(b, NFTA_CHAIN_POLICY, NF_ACCEPT);
	netlink_put_text(b, NFTA_CHAIN_TYPE, "filter");
}

static void put_chain(struct batch *batch, const char *name, bool hooks_in)
{
	struct buf *b = begin(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE);

	netlink_put_text(b, NFTA_CHAIN_TABLE, GATE_TABLE_NAME);
	netlink_put_text(b, NFTA_CHAIN_NAME, name);
	if (hooks_in)
		put_hook(b);
	end(batch);
}

static struct buf *begin_rule(struct batch *batch, uint16_t type, uint16_t flags, const char *chain)
{
	struct buf *b = begin(batch, type, flags);

	netlink_put_text(b, NFTA_RULE_TABLE, GATE_TABLE_NAME);
	netlink_put_text(b, NFTA_RULE_CHAIN, chain);
	return b;
}

static void put_rules(struct batch *batch, const char *chain, struct span rules)
{
	struct span expressions;
	uint16_t type;

	while (netlink_take(&rules, &type, &expressions)) {
		struct buf *b =
			begin_rule(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, chain);

		netlink_put(b, NFTA_RULE_EXPRESSIONS | NLA_F_NESTED, expressions.data,
			    expressions.len);
		end(batch);
	}
}

int gate_table_restore(struct netlink *netlink, const struct gate_table *table, struct error *err)
{
	CLEANUP(batch_release) struct batch batch = { .netlink = netlink };

	put_batch_mark(&batch, NFNL_MSG_BATCH_BEGIN);
	/* One that is not there cannot be deleted: so it is made first. */
	put_table(&batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
	put_table(&batch, NFT_MSG_DELTABLE, 0);
	if (table->exists) {
		put_table(&batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
		put_chain(&batch, CHAIN_TWINS, false);
		put_chain(&batch, CHAIN_INPUT, true);
		put_rules(&batch, CHAIN_TWINS, buf_span(&table->twins));
		put_rules(&batch, CHAIN_INPUT, buf_span(&table->input));
	}
	netlink_want_answer(&batch.bytes, batch.last);
	netlink->answer = netlink->sequence;
	put_batch_mark(&batch, NFNL_MSG_BATCH_END);
	return netlink_talk(netlink, &batch.bytes, NULL, NULL, err);
}

int gate_table_write(struct netlink *netlink, const struct gate_plan *plan, struct error *err)
{
	CLEANUP(gate_table_release) struct gate_table wanted = GATE_TABLE_INIT;
	int rc = plan_table(plan, &wanted, err);

	return rc < 0 ? rc : gate_table_restore(netlink, &wanted, err);
}
