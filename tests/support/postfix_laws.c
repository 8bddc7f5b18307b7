/* SPDX-License-Identifier: MIT */
/* postfix_laws - what holds for every master.cf. */
#include "postfix_laws.h"

#include "patchers/base/cleanup.h"
#include "patchers/master_cf.h"
#include "patchers/postfix_lines.h"
#include "patchers/postfix_marks.h"

#include <errno.h>

const struct postfix_listener postfix_default_listeners[] = {
	{ .name = "smtp", .stock_port = 25, .port = 12525 },
	{ .name = "submission", .stock_port = 587, .port = 10587 },
	{ .name = "submissions", .stock_port = 465, .port = 10465 },
};
const size_t postfix_default_n_listeners =
	sizeof(postfix_default_listeners) / sizeof(postfix_default_listeners[0]);

/* Whether a stretch between entries holds nothing but ignored lines. */
static bool is_ignored(struct span gap)
{
	while (gap.len > 0) {
		struct span line = span_take_line(&gap);

		if (!strchr(POSTFIX_SPACE, line.data[0]) && !postfix_lines_is_ignored(line))
			return false;
	}
	return true;
}

static bool lies_in(struct span inner, const char *from, struct span outer)
{
	return inner.data >= from && span_end(inner) <= span_end(outer) && inner.len > 0;
}

static const char *entry_broken(const struct master_cf_entry *entry)
{
	const char *at = entry->raw.data;
	struct master_cf_args args = { 0 };
	struct master_cf_arg arg;
	size_t words = 0;

	if (entry->first_line > entry->last_line)
		return "an entry ends before it begins";
	for (size_t i = 0; i < entry->n_words; i++) {
		if (!lies_in(entry->words[i].raw, at, entry->raw))
			return "words do not stand one after the other in their entry";
		at = span_end(entry->words[i].raw);
	}
	while (master_cf_next_arg(entry, &args, &arg)) {
		if (arg.first_word < MASTER_CF_FIELD_COUNT ||
		    arg.first_word + arg.n_words > entry->n_words)
			return "an argument's words are not the entry's";
		words += arg.n_words;
	}
	return words > entry->n_words ? "arguments have more words than the entry" : NULL;
}

/* Entries in order, ignored lines between them. */
static const char *index_broken(const struct master_cf *cf)
{
	const char *at = cf->text.data;

	for (size_t i = 0; i < cf->n_entries; i++) {
		const struct master_cf_entry *entry = &cf->entries[i];
		const char *broken = entry_broken(entry);

		if (broken)
			return broken;
		if (!lies_in(entry->raw, at, cf->text))
			return "entries overlap or lie outside the text";
		if (!is_ignored(span_between(at, entry->raw.data)))
			return "text between entries is lost";
		at = span_end(entry->raw);
	}
	return is_ignored(span_between(at, span_end(cf->text))) ? NULL : "text at the end is lost";
}

static const char *twin_broken(const struct master_cf *cf, const struct postfix_twin *twin,
			       bool in_place)
{
	const char *mark = in_place ? POSTFIX_IN_PLACE_MARK : POSTFIX_TWIN_MARK;
	const char *name = twin->postscreen ? "postscreen_upstream_proxy_protocol"
					    : "smtpd_upstream_proxy_protocol";

	const char *broken = "a twin is not in the text";

	/* The owner may have written our mark into another entry of that name. */
	for (size_t i = 0; i < cf->n_entries; i++) {
		const struct master_cf_entry *entry = &cf->entries[i];
		struct span value;

		if (span_is(master_cf_get(entry, MASTER_CF_NAME), twin->service) &&
		    span_is(master_cf_get(entry, MASTER_CF_TYPE), "inet") &&
		    master_cf_option(entry, mark, &value)) {
			if (master_cf_option(entry, name, &value) && value.len > 0)
				return NULL;
			broken = "a twin does not require the PROXY protocol";
		}
	}
	return broken;
}

static const char *twins_broken(const struct postfix_plan *plan, bool in_place)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	const char *broken;

	if (master_cf_parse(buf_span(&plan->text), &cf, NULL) < 0)
		return "the planned text does not parse";
	broken = index_broken(&cf);
	for (size_t i = 0; i < plan->n_twins && !broken; i++)
		broken = twin_broken(&cf, &plan->twins[i], in_place);
	return broken;
}

/* What the plan of `request` says, given what strip makes of its text. */
static const char *plan_broken(const struct postfix_twins_request *request, struct span stripped)
{
	CLEANUP(postfix_plan_release) struct postfix_plan plan = { 0 };
	CLEANUP(postfix_plan_release) struct postfix_plan again = { 0 };
	CLEANUP(postfix_plan_release) struct postfix_plan fresh = { 0 };
	struct postfix_twins_request next = *request;
	cleanup_buf struct buf back = BUF_INIT;
	bool adopts = false;
	int rc = postfix_twins_plan(request, &plan, NULL, NULL);
	const char *broken;

	next.master_cf = stripped;
	if (postfix_twins_plan(&next, &fresh, NULL, NULL) != rc)
		return "plan(strip(x)) fails otherwise than plan(x)";
	if (rc < 0)
		return plan.text.len + plan.n_twins > 0 ? "a failure left a result" : NULL;
	if (!span_equal(buf_span(&fresh.text), buf_span(&plan.text)))
		return "plan(strip(x)) is not plan(x)";
	broken = twins_broken(&plan, request->in_place);
	if (broken)
		return broken;
	if (postfix_twins_strip(buf_span(&plan.text), &back, NULL) < 0)
		return "strip fails on a plan";
	if (!span_equal(buf_span(&back), stripped))
		return "strip(plan(x)) is not strip(x)";
	next.master_cf = buf_span(&plan.text);
	if (postfix_twins_plan(&next, &again, NULL, NULL) < 0)
		return "plan fails on a plan";
	if (!span_equal(buf_span(&again.text), buf_span(&plan.text)))
		return "plan(plan(x)) is not plan(x)";
	for (size_t i = 0; i < again.n_twins; i++)
		if (again.twins[i].is_new)
			return "a twin that stands there is called new";
	for (size_t i = 0; i < request->n_listeners; i++)
		adopts = adopts || request->listeners[i].adopt;
	if (!request->in_place && !adopts &&
	    (plan.text.len < stripped.len ||
	     memcmp(plan.text.data, stripped.data, stripped.len) != 0))
		return "the owner's bytes are not at the front of the plan";
	return NULL;
}

const char *postfix_laws_broken(const struct postfix_twins_request *request)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	cleanup_buf struct buf stripped = BUF_INIT;
	cleanup_buf struct buf twice = BUF_INIT;
	struct span text = request->master_cf;
	struct postfix_plan plan = { 0 };
	const char *broken;

	if (master_cf_parse(text, &cf, NULL) < 0) {
		if (postfix_twins_strip(text, &stripped, NULL) != -EINVAL || stripped.len > 0)
			return "strip takes what does not parse";
		return postfix_twins_plan(request, &plan, NULL, NULL) == -EINVAL
			       ? NULL
			       : "plan takes what does not parse";
	}
	broken = index_broken(&cf);
	if (broken)
		return broken;
	if (postfix_twins_strip(text, &stripped, NULL) < 0)
		return "strip fails on what parses";
	if (!span_contains(text, "postern") && !span_contains(text, POSTFIX_COMMENT_UNENDED) &&
	    !span_equal(buf_span(&stripped), text))
		return "strip changes a text without anything of ours";
	/* What somebody wrote after that prefix by hand may be anything. */
	if (span_contains(text, POSTFIX_ADOPTED_PREFIX) &&
	    postfix_twins_strip(buf_span(&stripped), &twice, NULL) < 0)
		return NULL;
	buf_clear(&twice);
	if (postfix_twins_strip(buf_span(&stripped), &twice, NULL) < 0)
		return "the stripped text does not parse";
	if (!span_equal(buf_span(&stripped), buf_span(&twice)))
		return span_contains(text, POSTFIX_ADOPTED_PREFIX)
			       ? NULL
			       : "strip(strip(x)) is not strip(x)";
	return plan_broken(request, buf_span(&stripped));
}
