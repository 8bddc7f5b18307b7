/* SPDX-License-Identifier: MIT */
/* name_search - under which full names a short one is looked for. */
#include "name_search.h"

#include <stdio.h>

enum { NDOTS_DEFAULT = 1, NDOTS_MAX = 15 };

static const char blanks[] = " \t\r\n";

static void read_domains(struct span rest, size_t most, struct name_search *out)
{
	struct span word;

	/* The last line of either kind counts. */
	out->n_domains = 0;
	while (out->n_domains < most && (word = span_take_word(&rest, blanks)).len > 0) {
		if (word.len > 1 && span_end(word)[-1] == '.')
			word.len--;
		if (!span_is(word, "."))
			out->domains[out->n_domains++] = word;
	}
}

static void read_options(struct span rest, struct name_search *out)
{
	static const char key[] = "ndots:";
	unsigned long number;
	struct span word;

	while ((word = span_take_word(&rest, blanks)).len > 0) {
		if (!span_starts(word, key))
			continue;
		word = span_make(word.data + strlen(key), word.len - strlen(key));
		if (span_to_number(word, (unsigned long)-1, &number))
			out->ndots = number < NDOTS_MAX ? number : NDOTS_MAX;
	}
}

void name_search_read(struct span resolv_conf, struct name_search *out)
{
	*out = (struct name_search){ .ndots = NDOTS_DEFAULT };
	while (resolv_conf.len > 0) {
		struct span line = span_take_line(&resolv_conf);
		struct span word = span_take_word(&line, blanks);

		if (span_is(word, "search"))
			read_domains(line, NAME_SEARCH_DOMAINS_MAX, out);
		else if (span_is(word, "domain"))
			read_domains(line, 1, out);
		else if (span_is(word, "options"))
			read_options(line, out);
	}
}

static unsigned long count_dots(const char *name)
{
	unsigned long n = 0;

	for (; *name; name++)
		n += *name == '.';
	return n;
}

bool name_search_candidate(const struct name_search *search, const char *name, size_t i,
			   char out[static NAME_SEARCH_BYTES])
{
	size_t length = strlen(name);
	bool is_full = length > 0 && name[length - 1] == '.';
	bool itself_first = is_full || count_dots(name) >= search->ndots;
	size_t itself_at = itself_first ? 0 : search->n_domains;

	if (i > (is_full ? 0 : search->n_domains))
		return false;
	if (i == itself_at) {
		snprintf(out, NAME_SEARCH_BYTES, "%.*s", (int)(length - is_full), name);
		return true;
	}
	i -= itself_first;
	snprintf(out, NAME_SEARCH_BYTES, "%s.%.*s", name, (int)search->domains[i].len,
		 search->domains[i].data);
	return true;
}
