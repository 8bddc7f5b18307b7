/* SPDX-License-Identifier: MIT */
/* dovecot_networks - the value of haproxy_trusted_networks: ours and the owner's. */
#ifndef PATCHERS_DOVECOT_NETWORKS_H
#define PATCHERS_DOVECOT_NETWORKS_H

#include "base/buf.h"

struct cidr_list;
struct dovecot_conf;
struct error;
struct notes;

/*
 * Add to out: our networks, those that the owner's configuration trusts, and
 * 127.0.0.1 and ::1, so that postern can verify its listeners.  Ours come
 * first; what the owner wrote counts as far as Dovecot reads it, and what is
 * left out goes to notes.  0 or -ENOMEM.
 */
int dovecot_networks_merge(const struct dovecot_conf *conf, const struct cidr_list *ours,
			   struct buf *out, struct notes *notes, struct error *err);

#endif
