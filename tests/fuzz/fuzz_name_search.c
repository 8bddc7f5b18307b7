/* SPDX-License-Identifier: MIT */
/* fuzz_name_search - a name to look for, up to the first line's end, and a resolv.conf(5). */
#include "fuzz.h"

#include "patchers/base/cleanup.h"
#include "sidecar/name_search.h"

enum { NDOTS_MOST = 15 };

static void check_domain(struct span domain, struct span text)
{
	fuzz_assert(domain.len > 0);
	fuzz_assert(domain.data >= text.data && span_end(domain) <= span_end(text));
	for (size_t i = 0; i < domain.len; i++)
		fuzz_assert(!strchr(" \t\r\n", domain.data[i]) || domain.data[i] == '\0');
}

/* Every name is tried once, and begins with what was asked for. */
static void check_candidates(const struct name_search *search, const char *name)
{
	char full[NAME_SEARCH_BYTES];
	size_t length = strlen(name), n = 0, alone = 0;
	bool is_full = length > 0 && name[length - 1] == '.';

	length -= is_full;
	if (length >= NAME_SEARCH_BYTES)
		return;
	for (; name_search_candidate(search, name, n, full); n++) {
		fuzz_assert(n <= NAME_SEARCH_DOMAINS_MAX && strlen(full) < sizeof(full));
		fuzz_assert(strncmp(full, name, length) == 0);
		fuzz_assert(full[length] == '\0' || full[length] == '.');
		alone += full[length] == '\0';
	}
	fuzz_assert(n == (is_full ? 1 : search->n_domains + 1));
	fuzz_assert(alone >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = fuzz_input(data, size), line;
	struct name_search search;
	cleanup_free char *name = NULL;

	line = span_take_line(&text);
	name = fuzz_text(span_trim(line, "\n"));
	if (!name)
		return 0;
	name_search_read(text, &search);
	fuzz_assert(search.n_domains <= NAME_SEARCH_DOMAINS_MAX && search.ndots <= NDOTS_MOST);
	for (size_t i = 0; i < search.n_domains; i++)
		check_domain(search.domains[i], text);
	check_candidates(&search, name);
	return 0;
}
