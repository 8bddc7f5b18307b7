/* SPDX-License-Identifier: MIT */
/*
 * postfix_twins - the master.cf whose services have twins that require the PROXY
 * protocol.
 *
 * The way of the data: text -> strip (what the owner wrote) -> select (the
 * stock entry of each listener, see postfix_select.h) -> render.
 */
#include "postfix_twins.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "inet_service.h"
#include "master_cf.h"
#include "postfix_render.h"
#include "postfix_value.h"

#include <errno.h>

struct planner {
	const struct postfix_twins_request *request;
	const struct postfix_selection *selection;
	struct error *err;
};

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

static char *copy_span(struct span s)
{
	return strndup(s.data ? s.data : "", s.len);
}

static bool stands_already(const struct master_cf *now, const char *service)
{
	for (size_t i = 0; i < now->n_entries; i++)
		if (span_is(master_cf_get(&now->entries[i], MASTER_CF_TYPE), "inet") &&
		    span_is(master_cf_get(&now->entries[i], MASTER_CF_NAME), service) &&
		    postfix_marks_entry_is_ours(&now->entries[i]))
			return true;
	return false;
}

/* 1 or 0; a value that cannot be read is none.  -ENOMEM. */
static int has_implicit_tls(const struct planner *p, const struct master_cf_entry *entry)
{
	cleanup_buf struct buf value = BUF_INIT;
	int rc;

	if (postfix_render_is_postscreen(entry))
		return 0;
	rc = postfix_value_get(p->request->main_cf, entry, span_from("smtpd_tls_wrappermode"),
			       &value, NULL);
	if (rc == -ENOMEM)
		return no_memory(p->err);
	return rc > 0 && strcasecmp(buf_text(&value), "yes") == 0;
}

static int add_twin(const struct planner *p, const struct postfix_selected *s,
		    const struct master_cf *now, struct postfix_plan *plan)
{
	cleanup_free char *listener = strdup(s->listener->name);
	cleanup_free char *stock = copy_span(master_cf_get(s->stock, MASTER_CF_NAME));
	cleanup_free char *service = strdup(s->service);
	cleanup_free char *address = copy_span(inet_service_address(&s->name));
	int tls = has_implicit_tls(p, s->stock);

	if (tls < 0)
		return tls;
	if (!listener || !stock || !service || !address)
		return no_memory(p->err);
	plan->twins[plan->n_twins++] = (struct postfix_twin){
		.listener = steal_pointer(&listener),
		.stock = steal_pointer(&stock),
		.service = steal_pointer(&service),
		.address = steal_pointer(&address),
		.stock_line = s->stock->first_line,
		.stock_port = s->name.port,
		.port = p->selection->in_place ? s->name.port : s->listener->port,
		.postscreen = postfix_render_is_postscreen(s->stock),
		.implicit_tls = tls > 0,
		.is_new = !p->selection->in_place && !stands_already(now, s->service),
	};
	return 0;
}

static int list_twins(const struct planner *p, const struct master_cf *now,
		      struct postfix_plan *plan)
{
	plan->twins =
		calloc(p->selection->n_items ? p->selection->n_items : 1, sizeof(*plan->twins));
	if (!plan->twins)
		return no_memory(p->err);
	for (size_t i = 0; i < p->selection->n_items; i++) {
		int rc = add_twin(p, &p->selection->items[i], now, plan);

		if (rc < 0)
			return rc;
	}
	return 0;
}

void postfix_plan_release(struct postfix_plan *plan)
{
	for (size_t i = 0; i < plan->n_twins; i++) {
		free(plan->twins[i].listener);
		free(plan->twins[i].stock);
		free(plan->twins[i].service);
		free(plan->twins[i].address);
	}
	free(plan->twins);
	buf_release(&plan->text);
	*plan = (struct postfix_plan){ 0 };
}

static int make_plan(const struct planner *p, struct postfix_plan *plan)
{
	CLEANUP(master_cf_release) struct master_cf now = { 0 };
	int rc = 0;

	if (span_contains(p->request->master_cf, POSTFIX_TWIN_MARK))
		rc = master_cf_parse(p->request->master_cf, &now, p->err);
	if (rc == 0)
		rc = list_twins(p, &now, plan);
	if (rc < 0)
		return rc;
	postfix_render(p->selection, &plan->text);
	return buf_check(&plan->text, p->err);
}

int postfix_twins_plan(const struct postfix_twins_request *request, struct postfix_plan *out,
		       struct notes *notes, struct error *err)
{
	CLEANUP(postfix_selection_release) struct postfix_selection selection = { 0 };
	const struct planner planner = { .request = request, .selection = &selection, .err = err };
	cleanup_buf struct buf stripped = BUF_INIT;
	struct postfix_plan plan = { 0 };
	int rc = postfix_twins_strip(request->master_cf, &stripped, err);

	if (rc == 0)
		rc = postfix_select(request, buf_span(&stripped), &selection, notes, err);
	if (rc == 0)
		rc = make_plan(&planner, &plan);
	if (rc < 0) {
		postfix_plan_release(&plan);
		return rc;
	}
	*out = plan;
	return 0;
}
