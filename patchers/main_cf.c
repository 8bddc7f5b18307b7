/* SPDX-License-Identifier: MIT */
/* main_cf - read the parameters of a Postfix main.cf. */
#include "main_cf.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "postfix_lines.h"

#include <errno.h>
#include <stdlib.h>

static int add_parameter(struct main_cf *cf, size_t *cap, size_t start, unsigned line,
			 struct error *err)
{
	if (cf->n_parameters == *cap) {
		size_t wanted = *cap ? *cap * 2 : 64;
		struct main_cf_parameter *grown =
			reallocarray(cf->parameters, wanted, sizeof(*grown));

		if (!grown)
			return error_set(err, -ENOMEM, "out of memory");
		cf->parameters = grown;
		*cap = wanted;
	}
	/* Lengths for now: `logical` may still move, see settle(). */
	cf->parameters[cf->n_parameters++] = (struct main_cf_parameter){
		.name = span_make(NULL, cf->logical.len - start),
		.line = line,
	};
	return 0;
}

/* Take the logical lines apart, now that their storage stands still. */
static void settle(struct main_cf *cf)
{
	const char *at = buf_text(&cf->logical);
	size_t kept = 0;

	for (size_t i = 0; i < cf->n_parameters; i++) {
		struct main_cf_parameter p = cf->parameters[i];
		struct span line = span_make(at, p.name.len);
		const char *equals = memchr(line.data, '=', line.len);

		at += line.len;
		if (!equals)
			continue;
		p.name = span_trim(span_between(line.data, equals), POSTFIX_SPACE);
		p.value = span_trim(span_between(equals + 1, span_end(line)), POSTFIX_SPACE);
		cf->parameters[kept++] = p;
	}
	cf->n_parameters = kept;
}

int main_cf_parse(struct span text, struct main_cf *out, struct error *err)
{
	struct main_cf cf = { 0 };
	struct postfix_lines lines = postfix_lines_start(text);
	struct postfix_line line;
	size_t cap = 0;
	int rc = postfix_lines_check(text, err);

	while (rc == 0 && postfix_lines_next(&lines, &line)) {
		size_t start = cf.logical.len;

		postfix_lines_unfold(&cf.logical, line.raw);
		rc = buf_check(&cf.logical, err);
		if (rc == 0)
			rc = add_parameter(&cf, &cap, start, line.first_line, err);
	}
	if (rc < 0) {
		main_cf_release(&cf);
		return rc;
	}
	settle(&cf);
	*out = cf;
	return 0;
}

void main_cf_release(struct main_cf *cf)
{
	free(cf->parameters);
	buf_release(&cf->logical);
	*cf = (struct main_cf){ 0 };
}

bool main_cf_lookup(const struct main_cf *cf, struct span name, struct span *out)
{
	for (size_t i = cf->n_parameters; i-- > 0;) {
		if (span_equal(cf->parameters[i].name, name)) {
			*out = cf->parameters[i].value;
			return true;
		}
	}
	return false;
}
