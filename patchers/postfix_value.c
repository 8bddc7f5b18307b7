/* SPDX-License-Identifier: MIT */
/* postfix_value - the value of a parameter as a service sees it. */
#include "postfix_value.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "main_cf.h"
#include "master_cf.h"
#include "postfix_lines.h"

#include <ctype.h>
#include <errno.h>

/* What a value may refer to before we take it for a loop or a bomb. */
enum { DEPTH_MAX = 20, NESTING_MAX = 100, REFERENCES_MAX = 1000 };

/* Defaults that other values refer to, Postfix 3.7 to 3.10 on Debian. */
static const struct default_value {
	const char *name;
	const char *value;
} defaults[] = {
	{ "config_directory", "/etc/postfix" },
	{ "daemon_directory", "/usr/lib/postfix/sbin" },
	{ "data_directory", "/var/lib/postfix" },
	{ "default_cache_db_type", "btree" },
	{ "default_database_type", "hash" },
	{ "inet_interfaces", "all" },
	{ "inet_protocols", "all" },
	{ "postscreen_cache_map", "btree:$data_directory/postscreen_cache" },
	{ "process_id_directory", "pid" },
	{ "queue_directory", "/var/spool/postfix" },
	{ "smtpd_service_name", "smtpd" },
	{ "smtpd_tls_wrappermode", "no" },
};

struct scope {
	const struct main_cf *main_cf;
	const struct master_cf_entry *entry;
	unsigned depth;   /* of names */
	unsigned nesting; /* of names and braces */
	unsigned references;
	struct error *err;
};

static int expand(struct scope *scope, struct span text, struct buf *out);

static bool lookup(const struct scope *scope, struct span name, struct span *out)
{
	struct master_cf_args at = { 0 };
	struct master_cf_arg arg;
	bool found = false;

	while (scope->entry && master_cf_next_arg(scope->entry, &at, &arg)) {
		if (arg.flag == 'o' && span_equal(arg.name, name)) {
			*out = arg.setting;
			found = true;
		}
	}
	if (found || main_cf_lookup(scope->main_cf, name, out))
		return true;
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		if (span_is(name, defaults[i].name)) {
			*out = span_from(defaults[i].value);
			return true;
		}
	}
	return false;
}

/* 1 and its expanded value, or 0. */
static int get(struct scope *scope, struct span name, struct buf *out)
{
	struct span value;
	int rc;

	if (!lookup(scope, name, &value))
		return 0;
	if (scope->depth >= DEPTH_MAX || ++scope->references > REFERENCES_MAX)
		return error_set(scope->err, -ELOOP, "parameter \"%.*s\" refers to itself",
				 SPAN_ARG(name));
	scope->depth++;
	rc = expand(scope, value, out);
	scope->depth--;
	return rc < 0 ? rc : 1;
}

static size_t name_length(struct span s)
{
	size_t n = 0;

	while (n < s.len && (isalnum((unsigned char)s.data[n]) || s.data[n] == '_'))
		n++;
	return n;
}

/* The text inside the brace that s begins with; *after is what follows. */
static bool take_braced(struct span s, char open, char close, struct span *inside,
			struct span *after)
{
	unsigned level = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] == open)
			level++;
		else if (s.data[i] == close && --level == 0) {
			*inside = span_make(s.data + 1, i - 1);
			*after = span_between(s.data + i + 1, span_end(s));
			return true;
		}
	}
	return false;
}

static int syntax_error(struct scope *scope, struct span at)
{
	return error_set(scope->err, -EINVAL, "cannot read \"${%.*s}\"", SPAN_ARG(at));
}

static struct span skip_blanks(struct span s)
{
	size_t n = 0;

	while (n < s.len && memchr(POSTFIX_BLANKS, s.data[n], strlen(POSTFIX_BLANKS)))
		n++;
	return span_between(s.data + n, span_end(s));
}

/* "{text}" at the front of *rest; blanks inside the braces count. */
static bool take_operand(struct span *rest, struct span *out)
{
	struct span start = skip_blanks(*rest), after;

	if (start.len == 0 || start.data[0] != '{' || !take_braced(start, '{', '}', out, &after))
		return false;
	*rest = skip_blanks(after);
	return true;
}

/* "{text}", or a bare text up to the end: the branch of a conditional. */
static int take_branch(struct scope *scope, struct span *rest, struct span *out)
{
	struct span start = skip_blanks(*rest);

	if (start.len > 0 && start.data[0] == '{')
		return take_operand(rest, out) ? 0 : syntax_error(scope, *rest);
	*out = *rest;
	*rest = span_make(span_end(*rest), 0);
	return 0;
}

static bool compare(struct span operator, struct span left, struct span right)
{
	size_t n = left.len < right.len ? left.len : right.len;
	unsigned long a, b;
	int order;

	if (span_to_number(left, 0x7fffffff, &a) && span_to_number(right, 0x7fffffff, &b))
		order = (a > b) - (a < b);
	else {
		order = n > 0 ? memcmp(left.data, right.data, n) : 0;
		if (order == 0)
			order = (left.len > right.len) - (left.len < right.len);
	}
	if (span_is(operator, "=="))
		return order == 0;
	if (span_is(operator, "!="))
		return order != 0;
	if (span_is(operator, "<"))
		return order < 0;
	if (span_is(operator, "<="))
		return order <= 0;
	if (span_is(operator, ">"))
		return order > 0;
	return order >= 0;
}

/* {left} operator {right}, at the front of *rest. */
static int expand_comparison(struct scope *scope, struct span *rest, bool *out)
{
	static const char *const operators[] = { "==", "!=", "<=", ">=", "<", ">" };
	cleanup_buf struct buf left = BUF_INIT, right = BUF_INIT;
	struct span whole = *rest, operands[2];
	const char *relation = NULL;
	int rc;

	if (!take_operand(rest, &operands[0]))
		return syntax_error(scope, whole);
	for (size_t i = 0; !relation && i < sizeof(operators) / sizeof(operators[0]); i++)
		if (span_starts(*rest, operators[i]))
			relation = operators[i];
	if (!relation)
		return syntax_error(scope, whole);
	*rest = span_between(rest->data + strlen(relation), span_end(*rest));
	if (!take_operand(rest, &operands[1]))
		return syntax_error(scope, whole);
	rc = expand(scope, operands[0], &left);
	if (rc == 0)
		rc = expand(scope, operands[1], &right);
	if (rc == 0)
		*out = compare(span_from(relation), buf_span(&left), buf_span(&right));
	return rc;
}

/* "?then", "?{then}:{otherwise}" or ":otherwise". */
static int expand_conditional(struct scope *scope, bool holds, struct span rest, struct buf *out)
{
	struct span branches[2] = { { 0 }, { 0 } }, whole = rest; /* [holds] */
	int rc = 0;

	if (rest.data[0] == '?') {
		rest = span_between(rest.data + 1, span_end(rest));
		rc = take_branch(scope, &rest, &branches[true]);
	}
	if (rc == 0 && rest.len > 0 && rest.data[0] == ':') {
		rest = span_between(rest.data + 1, span_end(rest));
		rc = take_branch(scope, &rest, &branches[false]);
	}
	if (rc < 0)
		return rc;
	if (rest.len > 0)
		return syntax_error(scope, whole);
	return expand(scope, branches[holds], out);
}

/* What stands between ${ and }. */
static int expand_braced(struct scope *scope, struct span inside, struct buf *out)
{
	struct span rest = skip_blanks(inside), name = { 0 }, value;
	bool is_name = rest.len == 0 || rest.data[0] != '{';
	bool holds = false;
	int rc = 0;

	if (is_name) {
		name = span_make(rest.data, name_length(rest));
		rest = skip_blanks(span_between(span_end(name), span_end(rest)));
		/* The value as it is written, though it may expand to nothing. */
		holds = lookup(scope, name, &value) && value.len > 0;
	} else {
		rc = expand_comparison(scope, &rest, &holds);
	}
	if (rc < 0)
		return rc;
	if (rest.len > 0 && rest.data[0] != '?' && rest.data[0] != ':')
		return syntax_error(scope, inside);
	if (rest.len > 0)
		return expand_conditional(scope, holds, rest, out);
	if (is_name)
		rc = get(scope, name, out);
	else
		buf_add_text(out, holds ? "true" : "");
	return rc < 0 ? rc : 0;
}

static int expand_reference(struct scope *scope, struct span *text, struct buf *out)
{
	struct span rest = span_between(text->data + 1, span_end(*text));
	struct span inside;
	int rc;

	if (rest.len > 0 && rest.data[0] == '$') { /* $$ is a dollar sign */
		buf_add_char(out, '$');
		*text = span_between(rest.data + 1, span_end(rest));
		return 0;
	}
	if (rest.len > 0 && (rest.data[0] == '{' || rest.data[0] == '(')) {
		char close = rest.data[0] == '{' ? '}' : ')';

		if (!take_braced(rest, rest.data[0], close, &inside, text))
			return error_set(scope->err, -EINVAL, "missing '%c' in \"%.*s\"", close,
					 SPAN_ARG(rest));
		if (inside.len == 0)
			return error_set(scope->err, -EINVAL, "a '$' without a name");
		return expand_braced(scope, inside, out);
	}
	inside = span_make(rest.data, name_length(rest));
	if (inside.len == 0)
		return error_set(scope->err, -EINVAL, "a '$' without a name");
	*text = span_between(span_end(inside), span_end(rest));
	rc = get(scope, inside, out);
	return rc < 0 ? rc : 0;
}

static int expand(struct scope *scope, struct span text, struct buf *out)
{
	int rc = 0;

	if (scope->nesting >= NESTING_MAX)
		return error_set(scope->err, -ELOOP, "a value nests too deeply: \"%.*s\"",
				 SPAN_ARG(text));
	scope->nesting++;
	while (text.len > 0 && rc == 0) {
		const char *dollar = memchr(text.data, '$', text.len);

		buf_add(out, dollar ? span_between(text.data, dollar) : text);
		if (!dollar)
			break;
		text = span_between(dollar, span_end(text));
		rc = expand_reference(scope, &text, out);
	}
	scope->nesting--;
	return rc < 0 ? rc : buf_check(out, scope->err);
}

int postfix_value_get(const struct main_cf *main_cf, const struct master_cf_entry *entry,
		      struct span name, struct buf *out, struct error *err)
{
	struct scope scope = { .main_cf = main_cf, .entry = entry, .err = err };

	return get(&scope, name, out);
}
