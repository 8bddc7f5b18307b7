/* SPDX-License-Identifier: MIT */
/*
 * fuzz_services - two names of inet services in master.cf, a line each, and a text of
 * services(5), which is the mail container's.
 */
#include "fuzz.h"

#include "patchers/inet_service.h"

static bool is_within(struct span part, struct span whole)
{
	return part.len == 0 || (part.data >= whole.data && span_end(part) <= span_end(whole));
}

static struct inet_service check_name(struct span name, const struct port_names *names)
{
	struct inet_service s = inet_service_parse(name, names);
	unsigned long number;

	fuzz_assert(is_within(s.host, name) && is_within(s.port_text, name));
	fuzz_assert(s.host.len + s.port_text.len <= name.len);
	fuzz_assert(s.port == port_names_find(names, s.port_text));
	if (span_to_number(s.port_text, UINT16_MAX, &number))
		fuzz_assert(s.port == number);
	fuzz_assert(is_within(inet_service_address(&s), s.host));
	if (inet_service_is_loopback(&s))
		fuzz_assert(s.host.len > 0 && (inet_service_has_address(&s) ||
					       span_is(inet_service_address(&s), "localhost")));
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = fuzz_input(data, size);
	struct span first = span_trim(span_take_line(&text), "\n");
	struct span second = span_trim(span_take_line(&text), "\n");
	const struct port_names names = { .services_file = text };
	struct inet_service a = check_name(first, &names);
	struct inet_service b = check_name(second, &names);

	fuzz_assert(inet_service_overlaps(&a, &b) == inet_service_overlaps(&b, &a));
	if (a.port != b.port)
		fuzz_assert(!inet_service_overlaps(&a, &b));
	if (a.port != 0)
		fuzz_assert(inet_service_overlaps(&a, &a));
	/* Who has lost /etc/services knows the mail ports all the same. */
	fuzz_assert(port_names_find(&(struct port_names){ { 0 } }, span_from("smtp")) == 25);
	return 0;
}
