/* SPDX-License-Identifier: MIT */
/* postfix_cases - bodies for the tests of postfix_twins. */
#include "postfix_cases.h"

#include "patchers/inet_service.h"
#include "patchers/main_cf.h"
#include "patchers/master_cf.h"
#include "patchers/postfix_marks.h"

static const struct port_names port_names = { SPAN_INIT("imap 143/tcp\n") };

static struct postfix_twins_request request_of(const struct postfix_case *c,
					       const struct main_cf *main_cf)
{
	return (struct postfix_twins_request){
		.master_cf = span_from(c->master_cf),
		.main_cf = main_cf,
		.port_names = &port_names,
		.listeners = c->listeners ? c->listeners : postfix_default_listeners,
		.n_listeners = c->listeners ? c->n_listeners : postfix_default_n_listeners,
		.in_place = c->in_place,
	};
}

static int plan_case(const struct postfix_case *c, struct postfix_plan *plan, struct notes *notes,
		     struct error *err)
{
	CLEANUP(main_cf_release) struct main_cf main_cf = { 0 };
	struct postfix_twins_request request = request_of(c, &main_cf);
	int rc = main_cf_parse(span_from(c->main_cf ? c->main_cf : ""), &main_cf, err);

	return rc < 0 ? rc : postfix_twins_plan(&request, plan, notes, err);
}

int postfix_plan_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(postfix_plan_release) struct postfix_plan plan = { 0 };
	int rc = plan_case(ctx, &plan, NULL, err);

	buf_add(out, buf_span(&plan.text));
	return rc < 0 ? rc : buf_check(out, err);
}

static void add_words(struct buf *out, const struct master_cf_entry *entry)
{
	for (size_t i = 0; i < entry->n_words; i++) {
		if (i > 0)
			buf_add_char(out, ' ');
		buf_add(out, entry->words[i].text);
	}
	buf_add_char(out, '\n');
}

int postfix_ours_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(postfix_plan_release) struct postfix_plan plan = { 0 };
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	int rc = plan_case(ctx, &plan, NULL, err);

	if (rc == 0)
		rc = master_cf_parse(buf_span(&plan.text), &cf, err);
	for (size_t i = 0; i < cf.n_entries; i++)
		if (postfix_marks_entry_is_ours(&cf.entries[i]))
			add_words(out, &cf.entries[i]);
	return rc < 0 ? rc : buf_check(out, err);
}

int postfix_list_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(postfix_plan_release) struct postfix_plan plan = { 0 };
	int rc = plan_case(ctx, &plan, NULL, err);

	for (size_t i = 0; i < plan.n_twins; i++) {
		const struct postfix_twin *t = &plan.twins[i];

		buf_add_format(out, "%s: %s (line %u, port %u) -> %s [%s]:%u%s%s%s\n", t->listener,
			       t->stock, t->stock_line, t->stock_port, t->service, t->address,
			       t->port, t->postscreen ? " postscreen" : "",
			       t->implicit_tls ? " tls" : "", t->is_new ? " new" : "");
	}
	return rc < 0 ? rc : buf_check(out, err);
}

int postfix_notes_body(const void *ctx, struct buf *out, struct error *err)
{
	CLEANUP(postfix_plan_release) struct postfix_plan plan = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	int rc = plan_case(ctx, &plan, &notes, err);

	unit_add_notes(out, &notes);
	return rc < 0 ? rc : buf_check(out, err);
}

int postfix_strip_body(const void *ctx, struct buf *out, struct error *err)
{
	return postfix_twins_strip(span_from(ctx), out, err);
}

void postfix_expect_laws(const struct postfix_case *c)
{
	CLEANUP(main_cf_release) struct main_cf main_cf = { 0 };
	struct postfix_twins_request request = request_of(c, &main_cf);
	const char *broken;

	assert_int_equal(main_cf_parse(span_from(c->main_cf ? c->main_cf : ""), &main_cf, NULL), 0);
	broken = postfix_laws_broken(&request);
	if (broken)
		fail_msg("%s, for\n%s", broken, c->master_cf);
}
