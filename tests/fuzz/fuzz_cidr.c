/* SPDX-License-Identifier: MIT */
/* fuzz_cidr - words as networks, and all of them as one list. */
#include "fuzz.h"

#include "patchers/base/cleanup.h"
#include "patchers/cidr.h"

static void check_network(const struct cidr *net)
{
	char text[CIDR_TEXT_MAX];
	bool host_bits = true;
	struct cidr again;

	cidr_print(net, text);
	fuzz_assert(cidr_parse(span_from(text), &again, &host_bits, NULL) == 0);
	fuzz_assert(!host_bits);
	fuzz_assert(memcmp(again.bytes, net->bytes, sizeof(net->bytes)) == 0);
	fuzz_assert(again.prefix == net->prefix && again.is_ipv6 == net->is_ipv6);
	fuzz_assert(cidr_contains(net, net));
	(void)cidr_is_loopback(net);
}

static void check_list(const struct cidr_list *list)
{
	for (size_t i = 0; i < list->n_items; i++)
		for (size_t k = 0; k < list->n_items; k++)
			fuzz_assert(i == k || !cidr_contains(&list->items[i], &list->items[k]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(cidr_list_release) struct cidr_list list = { 0 };
	struct span rest = fuzz_input(data, size);
	cleanup_buf struct buf text = BUF_INIT;

	while (rest.len > 0) {
		struct span line = span_take_line(&rest);
		struct cidr net;

		line = span_trim(line, "\n");
		if (cidr_parse(line, &net, NULL, NULL) < 0)
			continue;
		check_network(&net);
		fuzz_assert(cidr_list_add(&list, &net, NULL, NULL) == 0);
		fuzz_assert(cidr_list_covers(&list, &net));
	}
	check_list(&list);
	cidr_list_print(&list, &text);
	return 0;
}
