/* SPDX-License-Identifier: MIT */
/*
 * postfix_render - the master.cf that a selection of services makes.
 *
 * Between postfix_select.c, which selects and checks, and the text: nothing
 * here can be refused any more.
 */
#ifndef PATCHERS_POSTFIX_RENDER_H
#define PATCHERS_POSTFIX_RENDER_H

#include "base/buf.h"
#include "inet_service.h"
#include "master_cf.h"
#include "postfix_listener.h"

/* Bytes of an option's value that we write, its NUL too. */
enum { POSTFIX_OVERRIDE_MAX = 512 };

/* One stock service that gets a twin. */
struct postfix_selected {
	const struct postfix_listener *listener;
	const struct master_cf_entry *stock;
	const struct master_cf_entry *pass; /* what postscreen hands over to */
	struct inet_service name;
	char *mark;         /* value of the mark: the listener, "_2" from the second on */
	char *service;      /* the twin's name, or the stock one in place */
	char *pass_service; /* the pass twin's name */
	char *cache_map;    /* postscreen's own map; NULL: the stock one can be shared */
};

/* What becomes of an owner's entry. */
enum postfix_fate { FATE_KEEP, FATE_ADOPT, FATE_IN_PLACE };

struct postfix_selection {
	struct master_cf cf;      /* of the owner's text */
	enum postfix_fate *fates; /* by entry */
	struct postfix_selected *items;
	size_t n_items;
	bool in_place;
};

bool postfix_render_is_smtpd(const struct master_cf_entry *entry);
bool postfix_render_is_postscreen(const struct master_cf_entry *entry);

/* Add the whole master.cf to out: the owner's bytes, and ours. */
void postfix_render(const struct postfix_selection *selection, struct buf *out);

#endif
