/* SPDX-License-Identifier: MIT */
/* postfix_laws - what holds for every master.cf, see patchers/postfix_twins.h. */
#ifndef TESTS_SUPPORT_POSTFIX_LAWS_H
#define TESTS_SUPPORT_POSTFIX_LAWS_H

#include "patchers/postfix_twins.h"

/* The three listeners that postern has by default. */
extern const struct postfix_listener postfix_default_listeners[];
extern const size_t postfix_default_n_listeners;

/*
 * The first law that planning twins as `request` says breaks, as a sentence;
 * NULL when all hold.  A master.cf that cannot be read breaks none.
 */
const char *postfix_laws_broken(const struct postfix_twins_request *request);

#endif
