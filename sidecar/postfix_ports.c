/* SPDX-License-Identifier: MIT */
/* postfix_ports - whether Postfix's master could bind all that a master.cf names. */
#include "postfix_ports.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/inet_service.h"
#include "patchers/master_cf.h"
#include "ports.h"

#include <errno.h>
#include <stdio.h>

struct check {
	struct master_cf cf;
	const struct port_names *names;
	pid_t owner;
	struct listening seen; /* on the ports of the entries */
};

static void check_release(struct check *c)
{
	master_cf_release(&c->cf);
}

/* Whether the entry is an inet service, and which. */
static bool service_of(const struct check *c, size_t i, struct inet_service *out)
{
	const struct master_cf_entry *entry = &c->cf.entries[i];

	if (!span_is(master_cf_get(entry, MASTER_CF_TYPE), "inet"))
		return false;
	*out = inet_service_parse(master_cf_get(entry, MASTER_CF_NAME), c->names);
	return true;
}

/* What is beyond the limit is taken for closed, and looked at when it cannot be bound. */
static void look(struct check *c)
{
	uint16_t ports[LISTENING_MAX];
	size_t n = 0;

	for (size_t i = 0; i < c->cf.n_entries && n < LISTENING_MAX; i++) {
		struct inet_service service;

		if (service_of(c, i, &service))
			ports[n++] = service.port;
	}
	ports_look(ports, n, c->owner, &c->seen);
}

/* Whether the master listens on some port of an entry with the same host part. */
static bool host_is_served(const struct check *c, struct span name)
{
	for (size_t i = 0; i < c->cf.n_entries; i++) {
		struct inet_service other;

		if (service_of(c, i, &other) && span_equal(other.host, name) &&
		    ports_was_open(&c->seen, other.port))
			return true;
	}
	return false;
}

/* Could the master bind this entry?  What it holds already, it keeps. */
static int check_service(const struct check *c, const struct inet_service *service,
			 struct error *err)
{
	struct span text = inet_service_address(service);
	char address[64];

	if (service->port == 0)
		return error_set(err, -EINVAL,
				 "it names no known port: Postfix would end at a reload");
	if (ports_was_open(&c->seen, service->port))
		return 0;
	if (!inet_service_has_address(service)) {
		/* A name: whether it can be resolved here, only who has done so knows. */
		if (c->owner == 0 || host_is_served(c, service->host))
			return 0;
		return error_set(err, -EINVAL,
				 "nobody has resolved this host yet: Postfix would end "
				 "at a reload if it cannot; reload it yourself first");
	}
	snprintf(address, sizeof(address), "%.*s", (int)text.len, text.data);
	return ports_check(address, service->port, c->owner, err);
}

int postfix_ports_check(struct span master_cf, const struct port_names *names, pid_t owner,
			struct error *err)
{
	CLEANUP(check_release) struct check c = { .names = names, .owner = owner };
	int rc = master_cf_parse(master_cf, &c.cf, err);

	if (rc == 0)
		look(&c);
	for (size_t i = 0; i < c.cf.n_entries && rc == 0; i++) {
		struct inet_service service;

		if (!service_of(&c, i, &service))
			continue;
		rc = check_service(&c, &service, err);
		if (rc < 0)
			return error_wrap(
				err, rc, "\"%.*s inet\"",
				SPAN_ARG(master_cf_get(&c.cf.entries[i], MASTER_CF_NAME)));
	}
	return rc;
}
