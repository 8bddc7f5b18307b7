/* SPDX-License-Identifier: MIT */
/* dovecot_in_force - which login listeners a Dovecot configuration opens. */
#include "dovecot_in_force.h"

#include "cidr.h"
#include "dovecot_conf.h"

#include <stdio.h>

const struct dovecot_stock dovecot_stocks[] = {
	{ "imap", "imap-login", "imap", 143, false },
	{ "imaps", "imap-login", "imap", 993, true },
	{ "pop3", "pop3-login", "pop3", 110, false },
	{ "pop3s", "pop3-login", "pop3", 995, true },
	{ "sieve", "managesieve-login", "sieve", 4190, false },
};
const size_t dovecot_n_stocks = sizeof(dovecot_stocks) / sizeof(dovecot_stocks[0]);

enum { PATH_MAX_BYTES = 512 };

/* Whether a list of protocols names one; "$protocols" is what came before. */
static bool list_names(struct span value, const char *protocol, bool before)
{
	bool named = false;

	while (value.len > 0) {
		struct span word = span_take_word(&value, " \t,");

		if (span_is(word, "$protocols"))
			named = named || before;
		else if (span_is(word, protocol) ||
			 (strcmp(protocol, "sieve") == 0 && span_is(word, "managesieve")))
			named = true;
	}
	return named;
}

static bool protocol_is_on(const struct dovecot_conf *conf, const char *protocol)
{
	bool on = false;

	for (size_t i = 0; i < conf->n_settings; i++) {
		const struct dovecot_setting *s = &conf->settings[i];

		if (strcmp(s->path, "protocols") == 0)
			on = list_names(span_from(s->value), protocol, on);
		else if (strncmp(s->path, "protocols/", 10) == 0 &&
			 strcmp(s->path + 10, protocol) == 0)
			on = dovecot_conf_is_yes(s->value);
	}
	return on;
}

const char *dovecot_in_force_get(const struct dovecot_conf *conf, const char *service,
				 const char *listener, const char *key, const char *otherwise)
{
	char path[PATH_MAX_BYTES];

	if (listener)
		snprintf(path, sizeof(path), "service/%s/inet_listener/%s/%s", service, listener,
			 key);
	else
		snprintf(path, sizeof(path), "service/%s/%s", service, key);
	return dovecot_conf_get(conf, path, otherwise);
}

uint16_t dovecot_in_force_port(const char *value)
{
	unsigned long port;

	return span_to_number(span_from(value), UINT16_MAX, &port) ? (uint16_t)port : 0;
}

/* Whether the service's own protocol is served, and it has a program. */
bool dovecot_in_force_service_is_on(const struct dovecot_conf *conf, const char *service,
				    const char *default_protocol)
{
	const char *protocol =
		dovecot_in_force_get(conf, service, NULL, "protocol", default_protocol);
	const char *executable = dovecot_in_force_get(conf, service, NULL, "executable", service);

	return executable[0] != '\0' && (protocol[0] == '\0' || protocol_is_on(conf, protocol));
}

void dovecot_in_force_read(const struct dovecot_conf *conf, const char *service,
			   const char *listener, uint16_t port, bool ssl,
			   struct dovecot_in_force *out)
{
	char path[PATH_MAX_BYTES];
	const char *value;

	*out = (struct dovecot_in_force){ .address = "", .address_key = "address" };
	snprintf(out->service, sizeof(out->service), "%s", service);
	snprintf(out->listener, sizeof(out->listener), "%s", listener);
	snprintf(path, sizeof(path), "service/%s/inet_listener/%s/port", service, listener);
	out->where = dovecot_conf_find(conf, path);
	out->port = out->where ? dovecot_in_force_port(out->where->value) : port;
	value = dovecot_in_force_get(conf, service, listener, "ssl", NULL);
	out->ssl = value ? dovecot_conf_is_yes(value) : ssl;
	value = dovecot_in_force_get(conf, service, listener, "address", NULL);
	if (!value) {
		value = dovecot_in_force_get(conf, service, listener, "listen", NULL);
		out->address_key = "listen";
	}
	if (value)
		out->address = value;
	/* Dovecot opens no TLS listener, and says nothing, when ssl = no. */
	if (out->ssl && strcasecmp(dovecot_conf_get(conf, "ssl", "yes"), "no") == 0)
		out->port = 0;
}

/* The stock listener, or false when it is not open. */
bool dovecot_in_force_stock(const struct dovecot_conf *conf, const struct dovecot_stock *stock,
			    struct dovecot_in_force *out)
{
	dovecot_in_force_read(conf, stock->service, stock->name, stock->port, stock->ssl, out);
	return out->port != 0 &&
	       dovecot_in_force_service_is_on(conf, stock->service, stock->protocol);
}

bool dovecot_in_force_is_loopback(const char *addresses)
{
	struct span rest = span_from(addresses);
	bool any = false;

	while (rest.len > 0) {
		struct span word = span_trim(span_take_word(&rest, " \t,"), "[]");
		struct cidr net;

		if (word.len == 0)
			continue;
		any = true;
		if (span_is(word, "localhost"))
			continue;
		if (cidr_parse(word, &net, NULL, NULL) < 0 || !cidr_is_loopback(&net))
			return false;
	}
	return any;
}

const char *dovecot_in_force_protocol_of(const char *service)
{
	for (size_t i = 0; i < dovecot_n_stocks; i++)
		if (strcmp(dovecot_stocks[i].service, service) == 0)
			return dovecot_stocks[i].protocol;
	return strcmp(service, "submission-login") == 0 ? "submission" : "";
}

/*
 * Take "service/S/inet_listener/L/port" apart; false for any other path.
 */
bool dovecot_in_force_split(const char *path, char service[128], char listener[128])
{
	static const char middle[] = "/inet_listener/", tail[] = "/port";
	const char *at, *end;

	if (strncmp(path, "service/", 8) != 0)
		return false;
	at = strstr(path, middle);
	if (!at || (size_t)(at - path) - 8 >= 128)
		return false;
	end = strrchr(path, '/');
	if (strcmp(end, tail) != 0 || end < at + sizeof(middle) - 1)
		return false;
	snprintf(service, 128, "%.*s", (int)(at - path - 8), path + 8);
	at += sizeof(middle) - 1;
	if ((size_t)(end - at) >= 128)
		return false;
	snprintf(listener, 128, "%.*s", (int)(end - at), at);
	return true;
}

bool dovecot_in_force_has_port(const struct dovecot_conf *conf, uint16_t port)
{
	char service[128], listener[128];

	for (size_t i = 0; i < conf->n_settings; i++) {
		struct dovecot_in_force found;

		if (!dovecot_in_force_split(conf->settings[i].path, service, listener))
			continue;
		dovecot_in_force_read(conf, service, listener, 0, false, &found);
		if (found.port == port)
			return true;
	}
	return false;
}
