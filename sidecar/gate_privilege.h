/* SPDX-License-Identifier: MIT */
/* gate_privilege - the right to filter packets, given up where no gate is wanted. */
#ifndef SIDECAR_GATE_PRIVILEGE_H
#define SIDECAR_GATE_PRIVILEGE_H

struct report;

/*
 * After each look.  The first one that ends well decides for the life of this
 * process, and says so: `gate = "off"` means no CAP_NET_ADMIN any more.  By then the
 * look has taken away what an earlier postern may have left.
 */
void gate_privilege_heed(const struct report *report);

#endif
