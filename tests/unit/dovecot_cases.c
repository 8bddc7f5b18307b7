/* SPDX-License-Identifier: MIT */
/* dovecot_cases - bodies for the tests of dovecot_listeners. */
#include "dovecot_cases.h"

#include "patchers/dovecot_reader.h"
#include "tests/support/bundle.h"
#include "tests/support/dovecot_laws.h"

#include <stdlib.h>

enum { OFFSET = 10000, LISTENERS_MAX = 8 };

static const struct dovecot_stock *find_stock(struct span name)
{
	for (size_t i = 0; i < dovecot_n_stocks; i++)
		if (span_is(name, dovecot_stocks[i].name))
			return &dovecot_stocks[i];
	fail_msg("no stock listener \"%.*s\"", SPAN_ARG(name));
	return NULL;
}

static size_t read_listeners(const char *text, struct dovecot_listener *out)
{
	size_t n = 0;

	for (const char *at = text; *at;) {
		size_t name = strcspn(at, ":! "), word = strcspn(at, " ");
		struct dovecot_listener *listener = &out[n++];

		listener->stock = find_stock(span_make(at, name));
		listener->port = (uint16_t)(listener->stock->port + OFFSET);
		if (at[name] == ':')
			listener->port = (uint16_t)strtoul(at + name + 1, NULL, 10);
		listener->adopt = at[word - 1] == '!';
		at += word;
		at += strspn(at, " ");
	}
	return n;
}

static int read_networks(const char *text, struct cidr_list *out, struct error *err)
{
	for (const char *at = text; *at;) {
		size_t word = strcspn(at, " ");
		struct cidr net;
		int rc = cidr_parse(span_make(at, word), &net, NULL, err);

		if (rc == 0)
			rc = cidr_list_add(out, &net, NULL, err);
		if (rc < 0)
			return rc;
		at += word;
		at += strspn(at, " ");
	}
	return 0;
}

static int plan_case(const struct dovecot_case *c, struct dovecot_plan *plan, struct notes *notes,
		     struct error *err)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	CLEANUP(cidr_list_release) struct cidr_list networks = { 0 };
	struct dovecot_listener listeners[LISTENERS_MAX] = { 0 };
	static struct bundle tree;
	struct dovecot_source source = bundle_source(&tree);
	struct dovecot_request request = {
		.conf = &conf,
		.current = &conf,
		.listeners = listeners,
		.networks = &networks,
		.in_place = c->in_place,
		.made_directory = c->made_directory,
	};
	int rc = read_networks(c->networks ? c->networks : "10.0.0.0/8", &networks, err);

	request.n_listeners = read_listeners(
		c->listeners ? c->listeners : "imap imaps pop3 pop3s sieve", listeners);
	bundle_parse(span_from(c->tree), &tree);
	if (rc == 0)
		rc = dovecot_conf_read(&source, DOVECOT_MAIN, NULL, 0, &conf, err);
	return rc < 0 ? rc : dovecot_listeners_plan(&request, plan, notes, err);
}

int dovecot_drop_in_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_plan_release) struct dovecot_plan plan = { 0 };
	int rc = plan_case(ctx, &plan, NULL, err);

	buf_add(out, buf_span(&plan.drop_in));
	return rc < 0 ? rc : buf_check(out, err);
}

int dovecot_list_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_plan_release) struct dovecot_plan plan = { 0 };
	int rc = plan_case(ctx, &plan, NULL, err);

	for (size_t i = 0; i < plan.n_twins; i++) {
		const struct dovecot_twin *t = &plan.twins[i];

		buf_add_format(out, "%s %u -> %u [%s]%s%s\n", t->stock->name, t->stock_port,
			       t->port, t->address, t->ssl ? " ssl" : "", t->is_new ? " new" : "");
	}
	return rc < 0 ? rc : buf_check(out, err);
}

int dovecot_networks_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_plan_release) struct dovecot_plan plan = { 0 };
	int rc = plan_case(ctx, &plan, NULL, err);

	buf_add(out, buf_span(&plan.networks));
	return rc < 0 ? rc : buf_check(out, err);
}

int dovecot_notes_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(dovecot_plan_release) struct dovecot_plan plan = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	int rc = plan_case(ctx, &plan, &notes, err);

	unit_add_notes(out, &notes);
	return rc < 0 ? rc : buf_check(out, err);
}

void dovecot_expect_laws(const struct dovecot_case *c)
{
	static struct bundle tree;
	const char *broken;

	bundle_parse(span_from(c->tree), &tree);
	broken = dovecot_laws_broken(&tree, c->in_place);
	if (broken)
		fail_msg("%s, for\n%s", broken, c->tree);
}
