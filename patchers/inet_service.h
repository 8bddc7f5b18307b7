/* SPDX-License-Identifier: MIT */
/*
 * inet_service - the name of an inet entry in master.cf: "port" or
 * "host:port", by number or by a name of services(5), "[::1]:port" for IPv6
 * (master(5)).
 */
#ifndef PATCHERS_INET_SERVICE_H
#define PATCHERS_INET_SERVICE_H

#include "base/span.h"

#include <stdint.h>

/*
 * Port numbers by name.  `services_file` is the text of /etc/services, empty
 * when there is none; the mail ports are known without it, as they are to
 * Postfix 3.10 (known_tcp_ports).
 */
struct port_names {
	struct span services_file;
};

struct inet_service {
	struct span host; /* as written, with its brackets; empty: all addresses */
	struct span port_text;
	uint16_t port; /* 0: the name is not known */
};

/* The number of a port given by name or number; 0 when it has none. */
uint16_t port_names_find(const struct port_names *names, struct span port);

/* Take a master.cf inet name apart. */
struct inet_service inet_service_parse(struct span name, const struct port_names *names);

/* Whether the host part is an address of this host alone (127.0.0.0/8, ::1). */
bool inet_service_is_loopback(const struct inet_service *service);

/*
 * Whether both could not be bound at once: the same port, and the same host
 * or a host part that stands for every address.
 */
bool inet_service_overlaps(const struct inet_service *a, const struct inet_service *b);

/* Whether the host part is an address, or absent: not a name to be resolved. */
bool inet_service_has_address(const struct inet_service *service);

/* The host part without brackets and "IPv6:", for inet_pton(3). */
struct span inet_service_address(const struct inet_service *service);

#endif
