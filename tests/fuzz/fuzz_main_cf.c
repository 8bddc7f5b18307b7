/* SPDX-License-Identifier: MIT */
/* fuzz_main_cf - read a main.cf, write it down again, expand every value. */
#include "fuzz.h"

#include "patchers/base/cleanup.h"
#include "patchers/main_cf.h"
#include "patchers/postfix_value.h"

#include <errno.h>

/* One line each; what has no name cannot be written so. */
static void write_down(const struct main_cf *cf, struct buf *out)
{
	for (size_t i = 0; i < cf->n_parameters; i++) {
		if (cf->parameters[i].name.len == 0)
			continue;
		buf_add(out, cf->parameters[i].name);
		buf_add_text(out, " = ");
		buf_add(out, cf->parameters[i].value);
		buf_add_char(out, '\n');
	}
}

static void check_round_trip(const struct main_cf *cf)
{
	CLEANUP(main_cf_release) struct main_cf again = { 0 };
	cleanup_buf struct buf text = BUF_INIT;
	size_t k = 0;

	write_down(cf, &text);
	fuzz_assert(main_cf_parse(buf_span(&text), &again, NULL) == 0);
	for (size_t i = 0; i < cf->n_parameters; i++) {
		if (cf->parameters[i].name.len == 0)
			continue;
		fuzz_assert(k < again.n_parameters);
		fuzz_assert(span_equal(again.parameters[k].name, cf->parameters[i].name));
		fuzz_assert(span_equal(again.parameters[k].value, cf->parameters[i].value));
		k++;
	}
	fuzz_assert(k == again.n_parameters);
}

static void check_value(const struct main_cf *cf, struct span name)
{
	cleanup_buf struct buf value = BUF_INIT;
	struct span raw;
	int rc = postfix_value_get(cf, NULL, name, &value, NULL);

	fuzz_assert(main_cf_lookup(cf, name, &raw));
	fuzz_assert(rc == 1 || rc == -ELOOP || rc == -EINVAL);
	if (rc == 1 && !span_contains(raw, "$"))
		fuzz_assert(span_equal(buf_span(&value), raw));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(main_cf_release) struct main_cf cf = { 0 };
	enum { PARAMETERS_MAX = 100 };

	if (main_cf_parse(fuzz_input(data, size), &cf, NULL) < 0)
		return 0;
	check_round_trip(&cf);
	for (size_t i = 0; i < cf.n_parameters && i < PARAMETERS_MAX; i++)
		check_value(&cf, cf.parameters[i].name);
	return 0;
}
