/* SPDX-License-Identifier: MIT */
/*
 * dovecot_in_force - which login listeners a Dovecot configuration opens.
 *
 * Built-in listeners count without being mentioned; a protocol that is not in
 * `protocols`, a port of 0, an empty executable, or TLS under "ssl = no" closes
 * them, silently (measured with Dovecot 2.3 and 2.4).
 */
#ifndef PATCHERS_DOVECOT_IN_FORCE_H
#define PATCHERS_DOVECOT_IN_FORCE_H

#include "base/span.h"

#include <stdint.h>

struct dovecot_conf;
struct dovecot_setting;

/* A stock listener by its Dovecot name, and where it lives when nothing is set. */
struct dovecot_stock {
	const char *name;     /* "imaps" */
	const char *service;  /* "imap-login" */
	const char *protocol; /* "imap" */
	uint16_t port;
	bool ssl;
};

/* The five stock listeners: imap, imaps, pop3, pop3s, sieve. */
extern const struct dovecot_stock dovecot_stocks[];
extern const size_t dovecot_n_stocks;

/* A listener of any service, as far as ports go. */
struct dovecot_in_force {
	char service[128];
	char listener[128];
	uint16_t port;
	bool ssl;
	const char *address; /* its own `address` (2.3) or `listen` (2.4); "" = none */
	const char *address_key;
	const struct dovecot_setting *where; /* of its port; NULL: built in */
};

/*
 * The value of a service's key, or with `listener` of one of its
 * inet_listeners'; `otherwise` when nothing sets it.  Borrowed.
 */
const char *dovecot_in_force_get(const struct dovecot_conf *conf, const char *service,
				 const char *listener, const char *key, const char *otherwise);

/* A port's number; 0 for what is none. */
uint16_t dovecot_in_force_port(const char *value);

/* The protocol that a service serves when nothing is set; "" for none. */
const char *dovecot_in_force_protocol_of(const char *service);

/* Whether the service's protocol is served, and it has a program. */
bool dovecot_in_force_service_is_on(const struct dovecot_conf *conf, const char *service,
				    const char *default_protocol);

/* A listener as configured; `port` and `ssl` are what holds when nothing is set. */
void dovecot_in_force_read(const struct dovecot_conf *conf, const char *service,
			   const char *listener, uint16_t port, bool ssl,
			   struct dovecot_in_force *out);

/* The stock listener, or false when it is not open. */
bool dovecot_in_force_stock(const struct dovecot_conf *conf, const struct dovecot_stock *stock,
			    struct dovecot_in_force *out);

/* Whether a list of addresses, not empty, is loopback throughout. */
bool dovecot_in_force_is_loopback(const char *addresses);

/* Take "service/S/inet_listener/L/port" apart; false for any other path. */
bool dovecot_in_force_split(const char *path, char service[128], char listener[128]);

/* Whether a listener of any service that is set in the configuration has the port. */
bool dovecot_in_force_has_port(const struct dovecot_conf *conf, uint16_t port);

#endif
