/* SPDX-License-Identifier: MIT */
/* golden_request - what a golden case asks for. */
#include "golden_request.h"

#include "tests/support/postfix_laws.h"

#include <stdio.h>

enum { OFFSET = 10000 };

static bool add_network(struct golden_request *r, const char *text)
{
	struct cidr net;

	return cidr_parse(span_from(text), &net, NULL, NULL) == 0 &&
	       cidr_list_add(&r->networks, &net, NULL, NULL) == 0;
}

static bool add_listener(struct golden_request *r, const char *name, uint16_t port)
{
	for (size_t i = 0; i < postfix_default_n_listeners; i++) {
		if (strcmp(postfix_default_listeners[i].name, name) == 0) {
			r->postfix[r->n_postfix] = postfix_default_listeners[i];
			if (port)
				r->postfix[r->n_postfix].port = port;
			r->n_postfix++;
			return true;
		}
	}
	for (size_t i = 0; i < dovecot_n_stocks; i++) {
		if (strcmp(dovecot_stocks[i].name, name) == 0) {
			r->dovecot[r->n_dovecot++] = (struct dovecot_listener){
				.stock = &dovecot_stocks[i],
				.port = port ? port : (uint16_t)(dovecot_stocks[i].port + OFFSET),
			};
			return true;
		}
	}
	return false;
}

static void fill_defaults(struct golden_request *r)
{
	if (r->networks.n_items == 0) {
		add_network(r, "10.42.0.0/16");
		add_network(r, "fd00:42::/48");
	}
	if (r->n_postfix + r->n_dovecot > 0)
		return;
	for (size_t i = 0; i < postfix_default_n_listeners; i++)
		add_listener(r, postfix_default_listeners[i].name, 0);
	for (size_t i = 0; i < dovecot_n_stocks; i++)
		add_listener(r, dovecot_stocks[i].name, 0);
}

bool golden_request_read(struct span text, struct golden_request *out)
{
	bool adopt = false, trust = false, good = true;

	*out = (struct golden_request){ 0 };
	while (text.len > 0 && good) {
		struct span line = span_trim(span_take_line(&text), "\n");
		char copy[128], word[64];
		unsigned port;

		snprintf(copy, sizeof(copy), "%.*s", SPAN_ARG(line));
		if (line.len == 0 || copy[0] == '#')
			continue;
		if (strcmp(copy, "in-place") == 0)
			out->in_place = true;
		else if (strcmp(copy, "adopt") == 0)
			adopt = true;
		else if (strcmp(copy, "trust-mynetworks") == 0)
			trust = true;
		else if (sscanf(copy, "network %63s", word) == 1)
			good = add_network(out, word);
		else if (sscanf(copy, "listener %63s %u", word, &port) == 2)
			good = add_listener(out, word, (uint16_t)port);
		else
			good = false;
		if (!good)
			fprintf(stderr, "a request that cannot be read: %s\n", copy);
	}
	fill_defaults(out);
	for (size_t i = 0; i < out->n_postfix; i++) {
		out->postfix[i].adopt = adopt;
		out->postfix[i].trust_mynetworks = trust;
	}
	for (size_t i = 0; i < out->n_dovecot; i++)
		out->dovecot[i].adopt = adopt;
	return good;
}

void golden_request_release(struct golden_request *request)
{
	cidr_list_release(&request->networks);
}
