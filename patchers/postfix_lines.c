/* SPDX-License-Identifier: MIT */
/* postfix_lines - logical lines of main.cf and master.cf. */
#include "postfix_lines.h"

#include "base/error.h"

#include <errno.h>

int postfix_lines_check(struct span text, struct error *err)
{
	const char *nul = text.len > 0 ? memchr(text.data, '\0', text.len) : NULL;
	unsigned line = 1;

	if (!nul)
		return 0;
	for (const char *p = text.data; p < nul; p++)
		line += *p == '\n';
	return error_set(err, -EINVAL, "%u: a NUL byte", line);
}

struct postfix_lines postfix_lines_start(struct span text)
{
	return (struct postfix_lines){ .rest = text, .line = 1 };
}

bool postfix_lines_is_ignored(struct span line)
{
	size_t at = 0;

	while (at < line.len && postfix_lines_is_space(line.data[at]))
		at++;
	return at == line.len || line.data[at] == '#';
}

struct span postfix_lines_skip_ignored(struct span rest)
{
	while (rest.len > 0) {
		struct span ahead = rest;

		if (!postfix_lines_is_ignored(span_take_line(&ahead)))
			break;
		rest = ahead;
	}
	return rest;
}

/* Step over what comes before the next logical line. */
static void skip_to_start(struct postfix_lines *lines)
{
	while (lines->rest.len > 0) {
		struct span ahead = lines->rest;
		struct span line = span_take_line(&ahead);

		if (!postfix_lines_is_space(line.data[0]) && !postfix_lines_is_ignored(line))
			return;
		lines->rest = ahead;
		lines->line++;
	}
}

bool postfix_lines_next(struct postfix_lines *lines, struct postfix_line *out)
{
	struct span ahead;
	unsigned at;

	skip_to_start(lines);
	if (lines->rest.len == 0)
		return false;

	ahead = lines->rest;
	at = lines->line;
	*out = (struct postfix_line){
		.raw = span_take_line(&ahead),
		.first_line = at,
		.last_line = at,
	};
	while (ahead.len > 0) {
		struct span next = span_take_line(&ahead);

		at++;
		if (postfix_lines_is_ignored(next))
			continue;
		if (!postfix_lines_is_space(next.data[0]))
			break;
		out->raw.len = (size_t)(span_end(next) - out->raw.data);
		out->last_line = at;
	}
	lines->rest.data += out->raw.len;
	lines->rest.len -= out->raw.len;
	lines->line = out->last_line + 1;
	return true;
}

void postfix_lines_unfold(struct buf *out, struct span raw)
{
	struct span rest = raw;
	bool first = true;

	while (rest.len > 0) {
		struct span line = span_take_line(&rest);

		if (!first && postfix_lines_is_ignored(line))
			continue;
		first = false;
		if (line.len > 0 && line.data[line.len - 1] == '\n')
			line.len--;
		buf_add(out, line);
	}
}

bool postfix_lines_leave_brace_open(struct span text)
{
	size_t level = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '{')
			level++;
		else if (text.data[i] == '}' && level > 0)
			level--;
	}
	return level > 0;
}
