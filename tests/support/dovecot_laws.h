/* SPDX-License-Identifier: MIT */
/* dovecot_laws - what holds for every tree of Dovecot's configuration. */
#ifndef TESTS_SUPPORT_DOVECOT_LAWS_H
#define TESTS_SUPPORT_DOVECOT_LAWS_H

#include "patchers/base/span.h"

struct bundle;

/* Where a bundle's configuration begins, and where the drop-in goes. */
#define DOVECOT_MAIN "/etc/dovecot/dovecot.conf"
#define DOVECOT_DROP_IN "/etc/dovecot/conf.d/95-postern.conf"

/*
 * The first law that the tree breaks, as a sentence; NULL when all hold.  A
 * tree that cannot be read breaks none.
 */
const char *dovecot_laws_broken(struct bundle *tree, bool in_place);

#endif
