/* SPDX-License-Identifier: MIT */
/* postfix_cases - bodies for the tests of postfix_twins. */
#ifndef TESTS_UNIT_POSTFIX_CASES_H
#define TESTS_UNIT_POSTFIX_CASES_H

#include "unit.h"

#include "patchers/postfix_twins.h"
#include "tests/support/postfix_laws.h"

struct postfix_case {
	const char *master_cf;
	const char *main_cf;                      /* NULL: empty */
	const struct postfix_listener *listeners; /* NULL: the default ones */
	size_t n_listeners;
	bool in_place;
};

/* Each takes a struct postfix_case. */
int postfix_plan_body(const void *ctx, struct buf *out, struct error *err);
/* Our entries in the plan, a line each: their words with one blank between. */
int postfix_ours_body(const void *ctx, struct buf *out, struct error *err);
/* "LISTENER: STOCK (line N, port N) -> SERVICE [ADDRESS]:PORT flags\n" for each twin. */
int postfix_list_body(const void *ctx, struct buf *out, struct error *err);
/* What the planner remarks on; for unit_expect_once(). */
int postfix_notes_body(const void *ctx, struct buf *out, struct error *err);

/* Takes a text. */
int postfix_strip_body(const void *ctx, struct buf *out, struct error *err);

/* Fails the test when the case breaks a law. */
void postfix_expect_laws(const struct postfix_case *c);

/* The words of a twin's fields, and the options that make it one. */
#define SMTPD_FIELDS "inet n - n - - smtpd"
#define SMTPD_TWIN(mark)                                                                           \
	"-o postern_twin_of=" mark " -o syslog_name=postfix/${postern_twin_of}_proxied"            \
	" -o inet_protocols=all -o mynetworks=" \
	" -o smtpd_authorized_xclient_hosts= -o smtpd_authorized_xforward_hosts="                                                    \
	" -o smtpd_upstream_proxy_protocol=haproxy"

#define POSTSCREEN_STOCK                                                                           \
	"smtp inet n - n - 1 postscreen\n"                                                         \
	"smtpd pass - - n - - smtpd\n"
#define PASS_TWIN(mark)                                                                            \
	"-o postern_twin_of=" mark " -o syslog_name=postfix/${postern_twin_of}_proxied"            \
	" -o inet_protocols=all -o mynetworks=" \
	" -o smtpd_authorized_xclient_hosts= -o smtpd_authorized_xforward_hosts="

#endif
