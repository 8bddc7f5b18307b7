/* SPDX-License-Identifier: MIT */
/* dovecot_cases - bodies for the tests of dovecot_listeners. */
#ifndef TESTS_UNIT_DOVECOT_CASES_H
#define TESTS_UNIT_DOVECOT_CASES_H

#include "unit.h"

#include "patchers/dovecot_listeners.h"

#define MAIN "==> /etc/dovecot/dovecot.conf <==\n"

struct dovecot_case {
	const char *tree;      /* of a bundle, see tests/support/bundle.h */
	const char *listeners; /* "imap imaps:20993 sieve!"; NULL: all, ports + 10000;
				  a '!' at the end is adopt = true */
	const char *networks;  /* NULL: 10.0.0.0/8 */
	bool in_place;
	bool made_directory;
};

/* Each takes a struct dovecot_case. */
int dovecot_drop_in_body(const void *ctx, struct buf *out, struct error *err);
/* "NAME STOCK_PORT -> PORT [ADDRESS] flags\n" for each twin. */
int dovecot_list_body(const void *ctx, struct buf *out, struct error *err);
int dovecot_networks_body(const void *ctx, struct buf *out, struct error *err);
/* For unit_expect_once(). */
int dovecot_notes_body(const void *ctx, struct buf *out, struct error *err);

/* Fails the test when the case's tree breaks a law. */
void dovecot_expect_laws(const struct dovecot_case *c);

#endif
