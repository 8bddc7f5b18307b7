/* SPDX-License-Identifier: MIT */
/* postfix_render - the master.cf that a selection of services makes. */
#include "postfix_render.h"

#include "postfix_marks.h"

#include <stdarg.h>
#include <stdio.h>

bool postfix_render_is_smtpd(const struct master_cf_entry *entry)
{
	return span_is(master_cf_get(entry, MASTER_CF_COMMAND), "smtpd");
}

bool postfix_render_is_postscreen(const struct master_cf_entry *entry)
{
	return span_is(master_cf_get(entry, MASTER_CF_COMMAND), "postscreen");
}

/* Our options for one entry, in order; later ones win over the stock's. */
#define OVERRIDES_MAX 10

struct overrides {
	struct {
		const char *name;
		char value[POSTFIX_OVERRIDE_MAX];
	} items[OVERRIDES_MAX];
	size_t n_items;
};

static void override(struct overrides *o, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void override(struct overrides *o, const char *name, const char *fmt, ...)
{
	va_list ap;

	if (o->n_items == OVERRIDES_MAX)
		return;
	o->items[o->n_items].name = name;
	va_start(ap, fmt);
	vsnprintf(o->items[o->n_items].value, sizeof(o->items[0].value), fmt, ap);
	va_end(ap);
	o->n_items++;
}

/*
 * A value that mentions the mark, and is `value` as long as the mark is there.
 * In place every option of ours must be known by itself; a twin's need not.
 */
static void override_marked(struct overrides *o, const struct postfix_selection *p,
			    const char *name, const char *value)
{
	if (p->in_place)
		override(o, name, "${" POSTFIX_IN_PLACE_MARK "?%s}", value);
	else
		override(o, name, "%s", value);
}

static const char *mark_name(const struct postfix_selection *p)
{
	return p->in_place ? POSTFIX_IN_PLACE_MARK : POSTFIX_TWIN_MARK;
}

static void postscreen_overrides(const struct postfix_selection *p,
				 const struct postfix_selected *s, struct overrides *o)
{
	const char *mark = mark_name(p);
	size_t stem = strlen(s->pass_service) - strlen("_proxied");

	override_marked(o, p, "postscreen_upstream_proxy_protocol", "haproxy");
	if (s->cache_map)
		override(o, "postscreen_cache_map", "%s${%s}_proxied", s->cache_map, mark);
	if (s->cache_map && !p->in_place)
		override(o, "smtpd_service_name", "%s", s->pass_service);
	else /* where nothing else uses the mark, or each option must */
		override(o, "smtpd_service_name", "%.*s${%s?_proxied}", (int)stem, s->pass_service,
			 mark);
}

static void entry_overrides(const struct postfix_selection *p, const struct postfix_selected *s,
			    struct overrides *o)
{
	const char *mark = mark_name(p);

	override(o, mark, "%s", s->mark);
	if (postfix_render_is_smtpd(s->stock))
		override(o, "syslog_name", "postfix/${%s}_proxied", mark);
	override_marked(o, p, "inet_protocols", "all");
	if (!s->listener->trust_mynetworks)
		override_marked(o, p, "mynetworks", "");
	if (postfix_render_is_smtpd(s->stock)) {
		/* These lists, too, give rights to an address that a header claims. */
		override_marked(o, p, "smtpd_authorized_xclient_hosts", "");
		override_marked(o, p, "smtpd_authorized_xforward_hosts", "");
	}
	if (postfix_render_is_smtpd(s->stock))
		override_marked(o, p, "smtpd_upstream_proxy_protocol", "haproxy");
	else
		postscreen_overrides(p, s, o);
}

static void pass_overrides(const struct postfix_selected *s, struct overrides *o)
{
	override(o, POSTFIX_TWIN_MARK, "%s", s->mark);
	override(o, "syslog_name", "postfix/${" POSTFIX_TWIN_MARK "}_proxied");
	override(o, "inet_protocols", "all");
	if (!s->listener->trust_mynetworks)
		override(o, "mynetworks", "%s", "");
	override(o, "smtpd_authorized_xclient_hosts", "%s", "");
	override(o, "smtpd_authorized_xforward_hosts", "%s", "");
}

static bool is_overridden(const struct overrides *o, struct span name)
{
	for (size_t i = 0; i < o->n_items; i++)
		if (span_is(name, o->items[i].name))
			return true;
	return false;
}

static void add_overrides(struct buf *out, const struct overrides *o)
{
	for (size_t i = 0; i < o->n_items; i++)
		buf_add_format(out, "    -o %s=%s\n", o->items[i].name, o->items[i].value);
}

/*
 * A blank before the value, as postconf(1) has it; but a word of its own that begins with
 * a brace has to end with the match, and what stood behind its flag at once had not.
 */
static bool stands_alone(const struct master_cf_arg *arg)
{
	return arg->n_words == 2 || arg->value.len == 0 || arg->value.data[0] != '{';
}

static void add_argument(struct buf *out, const struct master_cf_arg *arg)
{
	buf_add_text(out, "    ");
	if (arg->flag)
		buf_add_format(out, "-%c", arg->flag);
	if (arg->flag && arg->has_value && stands_alone(arg))
		buf_add_char(out, ' ');
	if (arg->has_value)
		buf_add(out, arg->value);
	buf_add_char(out, '\n');
}

/*
 * A copy of `entry` under another name, its options replaced by ours; laid out
 * as postconf(1) does it, so that its edits of other things leave no difference.
 */
static void add_twin(struct buf *out, const struct master_cf_entry *entry, const char *name,
		     const struct overrides *o)
{
	struct master_cf_args at = { 0 };
	struct master_cf_arg arg;
	bool options_added = false;

	buf_add_format(out, "%-10s", name);
	for (int field = MASTER_CF_TYPE; field < MASTER_CF_FIELD_COUNT; field++) {
		struct span value = master_cf_get(entry, (enum master_cf_field)field);
		size_t width = field == MASTER_CF_COMMAND ? 0 : field == MASTER_CF_TYPE ? 5 : 7;

		buf_add_char(out, ' ');
		buf_add(out, value);
		for (size_t n = value.len; n < width; n++)
			buf_add_char(out, ' ');
	}
	buf_add_char(out, '\n');
	while (master_cf_next_arg(entry, &at, &arg)) {
		if (!arg.flag && !options_added) { /* ours go before plain words */
			add_overrides(out, o);
			options_added = true;
		}
		if (arg.flag != 'o' || !is_overridden(o, arg.name))
			add_argument(out, &arg);
	}
	if (!options_added)
		add_overrides(out, o);
}

/* Each line of the entry as a comment that strip turns back. */
static void add_adopted(struct buf *out, const struct master_cf_entry *entry)
{
	struct span rest = entry->raw;

	while (rest.len > 0) {
		buf_add_text(out, POSTFIX_ADOPTED_PREFIX);
		buf_add(out, span_take_line(&rest));
	}
}

/* The entry with our options right after its last word. */
static void add_in_place(const struct postfix_selection *p, struct buf *out,
			 const struct master_cf_entry *entry)
{
	const char *end = span_end(entry->words[entry->n_words - 1].raw);

	buf_add(out, span_between(entry->raw.data, end));
	for (size_t i = 0; i < p->n_items; i++) {
		struct overrides o = { 0 };

		if (p->items[i].stock != entry)
			continue;
		entry_overrides(p, &p->items[i], &o);
		for (size_t k = 0; k < o.n_items; k++)
			buf_add_format(out, "\n    -o %s=%s", o.items[k].name, o.items[k].value);
	}
	buf_add(out, span_between(end, span_end(entry->raw)));
}

static void render_owner(const struct postfix_selection *p, struct buf *out)
{
	const char *at = p->cf.text.data;

	for (size_t i = 0; i < p->cf.n_entries; i++) {
		const struct master_cf_entry *entry = &p->cf.entries[i];

		buf_add(out, span_between(at, entry->raw.data));
		if (p->fates[i] == FATE_ADOPT)
			add_adopted(out, entry);
		else if (p->fates[i] == FATE_IN_PLACE)
			add_in_place(p, out, entry);
		else
			buf_add(out, entry->raw);
		at = span_end(entry->raw);
	}
	buf_add(out, span_between(at, span_end(p->cf.text)));
}

static void render_comment(struct buf *out)
{
	bool unended = out->len > 0 && out->data[out->len - 1] != '\n';

	if (unended)
		buf_add_char(out, '\n');
	buf_add_text(out, POSTFIX_COMMENT_FIRST "\n" POSTFIX_COMMENT_SECOND "\n");
	if (unended)
		buf_add_text(out, POSTFIX_COMMENT_UNENDED "\n");
}

static void render_twins(const struct postfix_selection *p, struct buf *out)
{
	bool commented = false;

	for (size_t i = 0; i < p->n_items; i++) {
		const struct postfix_selected *s = &p->items[i];
		struct overrides o = { 0 };

		if (!commented && (!p->in_place || s->pass)) {
			render_comment(out);
			commented = true;
		}
		if (!p->in_place) {
			entry_overrides(p, s, &o);
			add_twin(out, s->stock, s->service, &o);
		}
		if (s->pass) {
			o.n_items = 0;
			pass_overrides(s, &o);
			add_twin(out, s->pass, s->pass_service, &o);
		}
	}
}

void postfix_render(const struct postfix_selection *selection, struct buf *out)
{
	render_owner(selection, out);
	render_twins(selection, out);
}
