/* SPDX-License-Identifier: MIT */
/* postfix_strip - take everything of ours out of a master.cf. */
#include "postfix_marks.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "master_cf.h"
#include "postfix_lines.h"
#include "postfix_twins.h"

#include <errno.h>

/* "#10587 inet ...": the first line of a service, commented out. */
static bool is_commented_service(struct span line)
{
	struct span type = line;

	if (line.len < 2 || line.data[0] != '#' || strchr(POSTFIX_SPACE "#", line.data[1]))
		return false;
	while (type.len > 0 && !strchr(POSTFIX_SPACE, type.data[0]))
		type = span_make(type.data + 1, type.len - 1);
	type = span_trim(type, POSTFIX_SPACE);
	return span_starts(type, "inet ") || span_starts(type, "pass ");
}

/*
 * Somebody who commented out the first line of a twin of ours, and only that,
 * has left its options to the entry above, which is the owner's.
 */
static bool took_over_our_options(const struct master_cf_entry *entry)
{
	struct span rest = entry->raw;

	while (rest.len > 0)
		if (is_commented_service(span_take_line(&rest)))
			return true;
	return false;
}

bool postfix_marks_entry_is_ours(const struct master_cf_entry *entry)
{
	struct span value;

	return master_cf_option(entry, POSTFIX_TWIN_MARK, &value) && !took_over_our_options(entry);
}

/* What in-place mode sets; an option of another name is the owner's. */
static const char *const in_place_names[] = {
	POSTFIX_IN_PLACE_MARK,
	"inet_protocols",
	"mynetworks",
	"postscreen_cache_map",
	"postscreen_upstream_proxy_protocol",
	"smtpd_authorized_xclient_hosts",
	"smtpd_authorized_xforward_hosts",
	"smtpd_service_name",
	"smtpd_upstream_proxy_protocol",
	"syslog_name",
};

static bool option_is_ours(const struct master_cf_arg *arg)
{
	if (arg->flag != 'o' || arg->n_words == 0 ||
	    !span_contains(arg->value, POSTFIX_IN_PLACE_MARK))
		return false;
	for (size_t i = 0; i < sizeof(in_place_names) / sizeof(in_place_names[0]); i++)
		if (span_is(arg->name, in_place_names[i]))
			return true;
	return false;
}

/* From `p` back over blanks on the same line. */
static const char *back_over_blanks(const char *p, const char *start)
{
	while (p > start && p[-1] != '\n' && postfix_lines_is_blank(p[-1]))
		p--;
	return p;
}

static bool ends_line(const char *p, const char *end)
{
	return p == end || *p == '\n' || (*p == '\r' && (p + 1 == end || p[1] == '\n'));
}

static const char *forward_over_blanks(const char *p, const char *end)
{
	while (!ends_line(p, end) && postfix_lines_is_blank(*p))
		p++;
	return p;
}

/*
 * The bytes to cut for the words from `first` to `last`: with the newline
 * before them when they have a line of their own, so that what we put after
 * the entry's last word goes as it came; else with the blanks beside them.
 */
static struct span cut_for(const struct master_cf_entry *entry, const struct master_cf_word *first,
			   const struct master_cf_word *last)
{
	const char *start = first->raw.data, *end = span_end(last->raw);
	const char *before = back_over_blanks(start, entry->raw.data);
	const char *after = forward_over_blanks(end, span_end(entry->raw));

	if (!ends_line(after, span_end(entry->raw)))
		return span_between(start, after);
	if (before > entry->raw.data && before[-1] == '\n') {
		before--;
		if (before > entry->raw.data && before[-1] == '\r' &&
		    after < span_end(entry->raw) && *after == '\r')
			before--;
	}
	return span_between(before, end);
}

/* Whether what follows on the line would be lost at the start of one: a comment, or nothing. */
static bool is_lost_at_start(const char *from, const char *end)
{
	struct span rest = span_between(forward_over_blanks(from, end), end);

	return !ends_line(rest.data, end) && postfix_lines_is_ignored(span_take_line(&rest));
}

/*
 * Behind blanks at the start of a line: go on with the line before.  False when that is a
 * comment, or nothing.
 */
static bool leave_line_start(struct buf *out)
{
	size_t at = out->len;
	struct span before;
	const char *newline;

	while (at > 0 && out->data[at - 1] != '\n' && postfix_lines_is_blank(out->data[at - 1]))
		at--;
	if (at == 0 || out->data[at - 1] != '\n')
		return true;
	before = span_make(out->data, at - 1);
	newline = before.len > 0 ? memrchr(before.data, '\n', before.len) : NULL;
	if (newline)
		before = span_between(newline + 1, span_end(before));
	if (postfix_lines_is_ignored(before))
		return false;
	out->data[at - 1] = ' ';
	out->data[at] = '\0';
	out->len = at;
	return true;
}

/*
 * An entry of the owner's, without the options that in-place mode added.  One that could
 * only go with something else of the owner's stays.  Returns whether any went.
 */
static bool add_stock_entry(struct buf *out, const struct master_cf_entry *entry)
{
	struct master_cf_args at = { 0 };
	struct master_cf_arg arg;
	const char *kept = entry->raw.data;
	bool cut_any = false;

	while (master_cf_next_arg(entry, &at, &arg)) {
		struct span cut;

		if (!option_is_ours(&arg))
			continue;
		cut = cut_for(entry, &entry->words[arg.first_word],
			      &entry->words[arg.first_word + arg.n_words - 1]);
		if (cut.data > kept) {
			buf_add(out, span_between(kept, cut.data));
			kept = cut.data;
		}
		if (is_lost_at_start(span_end(cut), span_end(entry->raw)) && !leave_line_start(out))
			continue;
		if (span_end(cut) > kept)
			kept = span_end(cut);
		cut_any = true;
	}
	buf_add(out, span_between(kept, span_end(entry->raw)));
	return cut_any;
}

/* Comment and blank lines between entries. */
static void add_gap(struct buf *out, struct span gap, size_t *unended_at)
{
	while (gap.len > 0) {
		struct span line = span_take_line(&gap);
		struct span body = span_trim(line, "\r\n");

		if (span_is(body, POSTFIX_COMMENT_UNENDED))
			*unended_at = out->len;
		else if (span_starts(line, POSTFIX_ADOPTED_PREFIX))
			buf_add(out, span_between(line.data + strlen(POSTFIX_ADOPTED_PREFIX),
						  span_end(line)));
		else if (!span_is(body, POSTFIX_COMMENT_FIRST) &&
			 !span_is(body, POSTFIX_COMMENT_SECOND))
			buf_add(out, line);
	}
}

/* *again: an entry ends earlier now, and may be told to be ours by what is left of it. */
static int strip_once(struct span master_cf, enum master_cf_rules rules, struct buf *out,
		      bool *again, struct error *err)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	const char *at = master_cf.data;
	size_t unended_at = 0;
	int rc = master_cf_parse_by(master_cf, rules, &cf, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < cf.n_entries; i++) {
		const struct master_cf_entry *entry = &cf.entries[i];

		add_gap(out, span_between(at, entry->raw.data), &unended_at);
		if (!postfix_marks_entry_is_ours(entry) && add_stock_entry(out, entry))
			*again = true;
		at = span_end(entry->raw);
	}
	add_gap(out, span_between(at, span_end(master_cf)), &unended_at);

	/* The newline we put before our comment, unless something follows it now. */
	if (unended_at > 0 && unended_at == out->len && out->data[out->len - 1] == '\n')
		out->data[--out->len] = '\0';
	return buf_check(out, err);
}

static int strip(struct span master_cf, enum master_cf_rules rules, struct buf *out,
		 struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	bool again = false;
	int rc = strip_once(master_cf, rules, &text, &again, err);

	if (rc < 0)
		return rc;
	while (again) {
		cleanup_buf struct buf next = BUF_INIT;

		again = false;
		rc = strip_once(buf_span(&text), rules, &next, &again, NULL);
		/* What somebody wrote behind the prefix of adopted lines may be anything. */
		if (rc == -EINVAL)
			break;
		if (rc < 0)
			return error_set(err, rc, "out of memory");
		buf_release(&text);
		text = next;
		next = (struct buf)BUF_INIT;
	}
	buf_add(out, buf_span(&text));
	return buf_check(out, err);
}

int postfix_twins_strip(struct span master_cf, struct buf *out, struct error *err)
{
	return strip(master_cf, MASTER_CF_STRICT, out, err);
}

int postfix_twins_strip_loose(struct span master_cf, struct buf *out, struct error *err)
{
	return strip(master_cf, MASTER_CF_LOOSE, out, err);
}
