/* SPDX-License-Identifier: MIT */
/*
 * postfix_ports - whether Postfix's master could bind all that a master.cf names.
 *
 * One inet service that cannot be bound ends the master at the reload, whoever
 * wrote it.
 */
#ifndef SIDECAR_POSTFIX_PORTS_H
#define SIDECAR_POSTFIX_PORTS_H

#include "patchers/base/span.h"

#include <sys/types.h>

struct error;
struct port_names;

/*
 * `owner` is the master that runs, or 0: what it holds already, it keeps.  0, or
 * the error of ports_check() with the entry's name before it; -EINVAL for a
 * port or a host whose name only the master could look up.
 */
int postfix_ports_check(struct span master_cf, const struct port_names *names, pid_t owner,
			struct error *err);

#endif
