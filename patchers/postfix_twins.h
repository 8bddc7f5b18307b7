/* SPDX-License-Identifier: MIT */
/*
 * postfix_twins - which services of a master.cf get a twin that requires the
 * PROXY protocol, and the master.cf that has them.
 *
 * Our entries are known by an option inside them that they also use,
 * "-o postern_twin_of=NAME", never by comments: postconf(1) moves comments
 * from one entry to another.  In in-place mode the options that we add to a
 * stock entry each mention "postern_in_place", so that one can be told from
 * the owner's wherever postconf(1) puts it.  What `adopt` replaces is commented
 * out line by line, so that it can come back byte for byte.
 *
 * Three laws, held by tests: strip(plan(x)) = strip(x); plan(plan(x)) =
 * plan(x); and every byte outside our entries, options and comment stays.
 */
#ifndef PATCHERS_POSTFIX_TWINS_H
#define PATCHERS_POSTFIX_TWINS_H

#include "base/buf.h"
#include "postfix_marks.h"
#include "postfix_select.h"

#include <stdint.h>

struct error;
struct notes;

/* One port that speaks PROXY, as planned. */
struct postfix_twin {
	char *listener; /* the listener's name */
	char *stock;    /* the stock entry's name in master.cf */
	char *service;  /* the twin's name in master.cf */
	char *address;  /* host part without brackets; "" = every address */
	unsigned stock_line;
	uint16_t stock_port;
	uint16_t port;
	bool postscreen;
	bool implicit_tls; /* smtpd_tls_wrappermode = yes */
	bool is_new;       /* not yet in the master.cf that was read */
};

struct postfix_plan {
	struct buf text; /* the master.cf wanted */
	struct postfix_twin *twins;
	size_t n_twins;
};

/*
 * Plan the twins.  Listeners without a stock service, and whatever else is
 * left alone, go to notes.  -EINVAL for a master.cf that master(8) would
 * refuse; -EADDRINUSE, naming both lines, when a twin's port belongs to
 * another entry; -EEXIST when the pass twin's name does; -ENOENT when
 * postscreen's smtpd is missing; -ENOMEM.  Messages begin with "LINE: ".
 * *out is untouched on failure; release with postfix_plan_release().
 */
int postfix_twins_plan(const struct postfix_twins_request *request, struct postfix_plan *out,
		       struct notes *notes, struct error *err);
void postfix_plan_release(struct postfix_plan *plan);

/* Add `master_cf` without anything of ours to out: what `revert` writes. */
int postfix_twins_strip(struct span master_cf, struct buf *out, struct error *err);

/* The same for a master.cf that master(8) would refuse: what is ours goes all the same. */
int postfix_twins_strip_loose(struct span master_cf, struct buf *out, struct error *err);

#endif
