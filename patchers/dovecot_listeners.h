/* SPDX-License-Identifier: MIT */
/*
 * dovecot_listeners - which of Dovecot's login listeners are in force, and the
 * drop-in that gives each a twin that requires the PROXY protocol.
 */
#ifndef PATCHERS_DOVECOT_LISTENERS_H
#define PATCHERS_DOVECOT_LISTENERS_H

#include "base/buf.h"
#include "cidr.h"
#include "dovecot_in_force.h"

#include <stdint.h>

struct dovecot_conf;
struct error;
struct notes;

struct dovecot_listener {
	const struct dovecot_stock *stock;
	uint16_t port; /* of the twin; unused in in-place mode */
	bool adopt;    /* switch off a recipe's listener on our port */
};

struct dovecot_request {
	const struct dovecot_conf *conf;    /* without anything of ours */
	const struct dovecot_conf *current; /* as it is, for `is_new` */
	const struct dovecot_listener *listeners;
	size_t n_listeners;
	const struct cidr_list *networks; /* trusted, loopback not among them */
	bool in_place;
	bool made_directory; /* the drop-in shall say that postern made its folder */
};

struct dovecot_twin {
	const struct dovecot_stock *stock;
	char *address; /* the listener's first own address; "" = Dovecot's default */
	uint16_t stock_port;
	uint16_t port;
	bool ssl;
	bool is_new;
};

struct dovecot_plan {
	struct buf drop_in;  /* empty when there is nothing to twin */
	struct buf networks; /* value of haproxy_trusted_networks */
	struct dovecot_twin *twins;
	size_t n_twins;
};

/*
 * Plan the drop-in.  Networks that the owner trusts elsewhere are merged.
 * -EADDRINUSE, naming both places, when another listener has a twin's port;
 * -ENOMEM.  *out untouched on failure; release with dovecot_plan_release().
 */
int dovecot_listeners_plan(const struct dovecot_request *request, struct dovecot_plan *out,
			   struct notes *notes, struct error *err);
void dovecot_plan_release(struct dovecot_plan *plan);

/* The port that a configuration gives the stock listener's twin; 0: it has none. */
uint16_t dovecot_listeners_twin_port(const struct dovecot_conf *conf,
				     const struct dovecot_stock *stock);

/*
 * Whether `conf`, read with the plan in place, does what the plan says: the
 * drop-in is read, and nothing read after it undoes a value.  *out_undoing is
 * the setting that does, or NULL when the drop-in is not read at all.
 */
struct dovecot_setting;
bool dovecot_listeners_hold(const struct dovecot_conf *conf, const struct dovecot_plan *plan,
			    bool in_place, const struct dovecot_setting **out_undoing);

/* The line that brings the drop-in in where conf.d is not read, or read too early. */
void dovecot_listeners_add_include(struct span main_conf, const char *drop_in, struct buf *out);

/* main_conf without that line. */
void dovecot_listeners_strip_include(struct span main_conf, struct buf *out);

/* Whether a drop-in's text says that postern made the folder it is in. */
bool dovecot_listeners_made_directory(struct span drop_in);

#endif
