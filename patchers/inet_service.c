/* SPDX-License-Identifier: MIT */
/* inet_service - the name of an inet entry in master.cf. */
#include "inet_service.h"

#include "cidr.h"

/* Mail ports as IANA has them, for images without /etc/services. */
static const struct known_port {
	const char *name;
	uint16_t port;
} known_ports[] = {
	{ "smtp", 25 }, { "submission", 587 }, { "submissions", 465 }, { "smtps", 465 },
	{ "lmtp", 24 }, { "ssmtp", 465 },      { "qmqp", 628 },
};

#define FIELD_BLANKS " \t\r\n"

/* One line of services(5): "name port/protocol alias... # comment". */
static uint16_t match_services_line(struct span line, struct span wanted)
{
	const char *hash = line.len > 0 ? memchr(line.data, '#', line.len) : NULL;
	struct span rest = hash ? span_between(line.data, hash) : line;
	struct span name = span_take_word(&rest, FIELD_BLANKS);
	struct span port = span_take_word(&rest, FIELD_BLANKS);
	const char *slash = port.len > 0 ? memchr(port.data, '/', port.len) : NULL;
	bool found = span_equal(name, wanted);
	unsigned long number;

	if (!slash || !span_is(span_between(slash, span_end(port)), "/tcp"))
		return 0;
	if (!span_to_number(span_between(port.data, slash), UINT16_MAX, &number))
		return 0;
	while (!found && rest.len > 0)
		found = span_equal(span_take_word(&rest, FIELD_BLANKS), wanted);
	return found ? (uint16_t)number : 0;
}

uint16_t port_names_find(const struct port_names *names, struct span port)
{
	struct span rest = names->services_file;
	unsigned long number;

	if (span_to_number(port, UINT16_MAX, &number))
		return (uint16_t)number;
	if (port.len == 0)
		return 0;
	for (size_t i = 0; i < sizeof(known_ports) / sizeof(known_ports[0]); i++)
		if (span_is(port, known_ports[i].name))
			return known_ports[i].port;
	/* Only lines with the name's bytes in them are taken apart. */
	while (rest.len > 0) {
		const char *at = memmem(rest.data, rest.len, port.data, port.len);
		const char *start = at;
		uint16_t found;

		if (!at)
			break;
		while (start > rest.data && start[-1] != '\n')
			start--;
		rest = span_between(start, span_end(rest));
		found = match_services_line(span_take_line(&rest), port);
		if (found)
			return found;
	}
	return 0;
}

struct inet_service inet_service_parse(struct span name, const struct port_names *names)
{
	const char *colon = name.len > 0 ? memrchr(name.data, ':', name.len) : NULL;
	struct inet_service service = { .port_text = name };

	if (colon) {
		service.host = span_between(name.data, colon);
		service.port_text = span_between(colon + 1, span_end(name));
	}
	service.port = port_names_find(names, service.port_text);
	return service;
}

struct span inet_service_address(const struct inet_service *service)
{
	static const char tag[] = "IPv6:";
	struct span host = service->host;

	if (host.len >= 2 && host.data[0] == '[' && host.data[host.len - 1] == ']')
		host = span_make(host.data + 1, host.len - 2);
	/* As in an address literal of RFC 5321, 4.1.3; Postfix takes it here, too. */
	if (host.len > sizeof(tag) - 1 && strncasecmp(host.data, tag, sizeof(tag) - 1) == 0)
		host = span_between(host.data + sizeof(tag) - 1, span_end(host));
	return host;
}

bool inet_service_has_address(const struct inet_service *service)
{
	struct cidr net;

	return service->host.len == 0 ||
	       cidr_parse(inet_service_address(service), &net, NULL, NULL) == 0;
}

bool inet_service_is_loopback(const struct inet_service *service)
{
	struct span address = inet_service_address(service);
	struct cidr net;

	if (span_is(address, "localhost"))
		return true;
	return cidr_parse(address, &net, NULL, NULL) == 0 && cidr_is_loopback(&net);
}

static bool is_every_address(const struct cidr *net)
{
	static const uint8_t zero[sizeof(net->bytes)];

	return memcmp(net->bytes, zero, sizeof(zero)) == 0;
}

/* Two host parts, neither empty.  What a host name stands for is not known here. */
static bool hosts_overlap(struct span a, struct span b)
{
	struct cidr x, y;

	if (span_equal(a, b))
		return true;
	if (cidr_parse(a, &x, NULL, NULL) < 0 || cidr_parse(b, &y, NULL, NULL) < 0 ||
	    x.is_ipv6 != y.is_ipv6)
		return false;
	return is_every_address(&x) || is_every_address(&y) ||
	       memcmp(x.bytes, y.bytes, sizeof(x.bytes)) == 0;
}

bool inet_service_overlaps(const struct inet_service *a, const struct inet_service *b)
{
	if (a->port == 0 || a->port != b->port)
		return false;
	return a->host.len == 0 || b->host.len == 0 ||
	       hosts_overlap(inet_service_address(a), inet_service_address(b));
}
