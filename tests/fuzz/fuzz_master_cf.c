/* SPDX-License-Identifier: MIT */
/*
 * fuzz_master_cf - the laws of reading, twins and strip.  Text after a line
 * "==> main.cf" is main.cf.
 */
#include "fuzz.h"

#include "patchers/base/cleanup.h"
#include "patchers/inet_service.h"
#include "patchers/main_cf.h"
#include "tests/support/postfix_laws.h"

static void check(struct span master_cf, const struct main_cf *main_cf, bool in_place, bool adopt)
{
	static const struct port_names port_names = { { 0 } };
	struct postfix_listener listeners[8];
	struct postfix_twins_request request = {
		.master_cf = master_cf,
		.main_cf = main_cf,
		.port_names = &port_names,
		.listeners = listeners,
		.n_listeners = postfix_default_n_listeners,
		.in_place = in_place,
	};

	for (size_t i = 0; i < request.n_listeners; i++) {
		listeners[i] = postfix_default_listeners[i];
		listeners[i].adopt = adopt;
		listeners[i].trust_mynetworks = adopt && i == 0;
	}
	fuzz_law(postfix_laws_broken(&request));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char divider[] = "==> main.cf\n";
	CLEANUP(main_cf_release) struct main_cf main_cf = { 0 };
	struct span text = fuzz_input(data, size), main_text = span_from("");
	const char *at =
		size > 0 ? memmem(text.data, text.len, divider, sizeof(divider) - 1) : NULL;

	if (at) {
		main_text = span_between(at + sizeof(divider) - 1, span_end(text));
		text = span_between(text.data, at);
	}
	if (main_cf_parse(main_text, &main_cf, NULL) < 0)
		return 0;
	check(text, &main_cf, false, false);
	check(text, &main_cf, false, true);
	check(text, &main_cf, true, false);
	return 0;
}
