/* SPDX-License-Identifier: MIT */
/*
 * postfix_select - which services of a master.cf get a twin.
 *
 * Select (the stock entry of each listener, its twin's name), then check (ports
 * and names that are taken).
 */
#include "postfix_select.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/notes.h"
#include "inet_service.h"
#include "main_cf.h"
#include "master_cf.h"
#include "postfix_lines.h"
#include "postfix_marks.h"
#include "postfix_render.h"
#include "postfix_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

/* Bytes of a map's type and path. */
enum { CACHE_MAP_MAX = POSTFIX_OVERRIDE_MAX - 112 };

struct selector {
	const struct postfix_twins_request *request;
	struct postfix_selection *selection;
	struct notes *notes;
	struct error *err;
};

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

static bool is_inet(const struct master_cf_entry *entry)
{
	return span_is(master_cf_get(entry, MASTER_CF_TYPE), "inet");
}

static struct inet_service service_of(const struct selector *p, const struct master_cf_entry *entry)
{
	return inet_service_parse(master_cf_get(entry, MASTER_CF_NAME), p->request->port_names);
}

/* ---- select ---- */

/* A later entry for the same address and port: Postfix uses the last one. */
static const struct master_cf_entry *later_duplicate(const struct selector *p, size_t index,
						     const struct inet_service *name)
{
	for (size_t i = p->selection->cf.n_entries; i-- > index + 1;) {
		const struct master_cf_entry *entry = &p->selection->cf.entries[i];
		struct inet_service other;

		if (!is_inet(entry))
			continue;
		other = service_of(p, entry);
		if (other.port == name->port && span_equal(other.host, name->host))
			return entry;
	}
	return NULL;
}

static char *numbered(const char *stem, unsigned number, const char *tail)
{
	char *out = NULL;
	int n = number < 2 ? asprintf(&out, "%s%s", stem, tail)
			   : asprintf(&out, "%s_%u%s", stem, number, tail);

	return n < 0 ? NULL : out;
}

static int add_selected(struct selector *p, const struct postfix_listener *listener,
			const struct master_cf_entry *stock, unsigned number)
{
	struct postfix_selected *s =
		reallocarray(p->selection->items, p->selection->n_items + 1, sizeof(*s));
	int n;

	if (!s)
		return no_memory(p->err);
	p->selection->items = s;
	s += p->selection->n_items;
	*s = (struct postfix_selected){
		.listener = listener,
		.stock = stock,
		.name = service_of(p, stock),
		.mark = numbered(listener->name, number, ""),
		.pass_service = numbered("smtpd", number, "_proxied"),
	};
	p->selection->n_items++;
	if (p->selection->in_place)
		n = asprintf(&s->service, "%.*s", (int)master_cf_get(stock, MASTER_CF_NAME).len,
			     master_cf_get(stock, MASTER_CF_NAME).data);
	else if (s->name.host.len > 0)
		n = asprintf(&s->service, "%.*s:%u", (int)s->name.host.len, s->name.host.data,
			     listener->port);
	else
		n = asprintf(&s->service, "%u", listener->port);
	if (n < 0)
		s->service = NULL;
	if (!s->mark || !s->pass_service || !s->service)
		return no_memory(p->err);
	return 0;
}

/*
 * Whether every argument is an option, and complete, so that options added
 * after them are read as such.  Daemons refuse most of what is not.
 */
static bool options_are_complete(const struct master_cf_entry *entry)
{
	struct master_cf_args at = { 0 };
	struct master_cf_arg arg;

	while (master_cf_next_arg(entry, &at, &arg))
		if (!isalpha((unsigned char)arg.flag) ||
		    (!arg.has_value && memchr("imnost", arg.flag, 6)) ||
		    (arg.has_value && postfix_lines_leave_brace_open(arg.value)))
			return false;
	return true;
}

/* Why an entry on a listener's stock port gets no twin; NULL when it gets one. */
static const char *reason_against(const struct master_cf_entry *entry,
				  const struct inet_service *name)
{
	if (inet_service_is_loopback(name))
		return "it listens on loopback only";
	if (!postfix_render_is_smtpd(entry) && !postfix_render_is_postscreen(entry))
		return "its command is neither smtpd nor postscreen";
	if (!options_are_complete(entry))
		return "its arguments are not options that others can follow";
	return NULL;
}

static int select_listener(struct selector *p, const struct postfix_listener *listener)
{
	unsigned number = 0;
	bool seen = false;

	for (size_t i = 0; i < p->selection->cf.n_entries; i++) {
		const struct master_cf_entry *entry = &p->selection->cf.entries[i], *later;
		struct inet_service name;
		const char *reason;
		int rc;

		if (!is_inet(entry))
			continue;
		name = service_of(p, entry);
		if (name.port != listener->stock_port)
			continue;
		seen = true;
		reason = reason_against(entry, &name);
		if (reason) {
			notes_add(p->notes, NOTE_NOTICE,
				  "master.cf:%u: service \"%.*s\" gets no twin: %s",
				  entry->first_line, SPAN_ARG(master_cf_get(entry, MASTER_CF_NAME)),
				  reason);
			continue;
		}
		later = later_duplicate(p, i, &name);
		if (later) {
			notes_add(p->notes, NOTE_WARNING,
				  "master.cf:%u: port %u is declared again on line %u, which "
				  "Postfix uses",
				  entry->first_line, name.port, later->first_line);
			continue;
		}
		rc = add_selected(p, listener, entry, ++number);
		if (rc < 0)
			return rc;
	}
	if (!seen)
		notes_add(p->notes, NOTE_NOTICE,
			  "listener %s: master.cf has no service on port %u: no twin",
			  listener->name, listener->stock_port);
	return 0;
}

/* ---- postscreen ---- */

/* Length of "type:" or "proxy:type:" at the front of a map's value; 0: none. */
static size_t map_type_length(struct span value)
{
	size_t n = 0;

	while (n < value.len && (value.data[n] == '_' || value.data[n] == '-' ||
				 (value.data[n] >= '0' && value.data[n] <= '9') ||
				 (value.data[n] >= 'a' && value.data[n] <= 'z')))
		n++;
	return n < value.len && value.data[n] == ':' ? n + 1 : 0;
}

/*
 * The twin's own cache map: the stock one's type and path with our suffix.
 * Not through the proxymap service, which serves only maps that main.cf names.
 * A memcache is made to be shared, and no map at all is left so: NULL then.
 */
static int own_cache_map(struct selector *p, struct postfix_selected *s)
{
	cleanup_buf struct buf expanded = BUF_INIT;
	struct span value;
	int rc = postfix_value_get(p->request->main_cf, s->stock, span_from("postscreen_cache_map"),
				   &expanded, p->err);

	if (rc < 0)
		return error_wrap(p->err, rc, "%u: postscreen_cache_map", s->stock->first_line);
	value = span_trim(buf_span(&expanded), POSTFIX_SPACE);
	if (span_starts(value, "proxy:"))
		value = span_between(value.data + strlen("proxy:"), span_end(value));
	if (value.len == 0 || span_starts(value, "memcache:"))
		return 0;
	if (map_type_length(value) == 0)
		return error_set(p->err, -EINVAL,
				 "%u: postscreen_cache_map \"%.*s\" has no database type",
				 s->stock->first_line, SPAN_ARG(value));
	for (size_t i = 0; i < value.len; i++)
		if (strchr(POSTFIX_SPACE "{}$", value.data[i]))
			return error_set(p->err, -EINVAL,
					 "%u: postscreen_cache_map \"%.*s\" has a blank, brace or "
					 "dollar sign in it",
					 s->stock->first_line, SPAN_ARG(value));
	if (value.len > CACHE_MAP_MAX)
		return error_set(p->err, -ENAMETOOLONG,
				 "%u: postscreen_cache_map is longer than %d", s->stock->first_line,
				 CACHE_MAP_MAX);
	if (asprintf(&s->cache_map, "%.*s_", (int)value.len, value.data) < 0) {
		s->cache_map = NULL;
		return no_memory(p->err);
	}
	return 0;
}

/* Of several entries of one name Postfix uses the last. */
static const struct master_cf_entry *find_last_pass(const struct master_cf *cf, const char *name)
{
	for (size_t i = cf->n_entries; i-- > 0;)
		if (span_is(master_cf_get(&cf->entries[i], MASTER_CF_TYPE), "pass") &&
		    span_is(master_cf_get(&cf->entries[i], MASTER_CF_NAME), name))
			return &cf->entries[i];
	return NULL;
}

static int find_pass(struct selector *p, struct postfix_selected *s)
{
	cleanup_buf struct buf target = BUF_INIT;
	int rc = postfix_value_get(p->request->main_cf, s->stock, span_from("smtpd_service_name"),
				   &target, p->err);

	if (rc < 0)
		return error_wrap(p->err, rc, "%u: smtpd_service_name", s->stock->first_line);
	s->pass = find_last_pass(&p->selection->cf, buf_text(&target));
	if (!s->pass)
		return error_set(p->err, -ENOENT,
				 "%u: postscreen hands over to \"%s pass\", which master.cf lacks",
				 s->stock->first_line, buf_text(&target));
	if (!options_are_complete(s->pass))
		return error_set(p->err, -EINVAL,
				 "%u: \"%s pass\", which postscreen on line %u hands over to, has "
				 "arguments that are not options that others can follow",
				 s->pass->first_line, buf_text(&target), s->stock->first_line);
	return 0;
}

static int complete_postscreen(struct selector *p, struct postfix_selected *s)
{
	const struct master_cf_entry *taken;
	int rc = find_pass(p, s);

	if (rc == 0)
		rc = own_cache_map(p, s);
	if (rc < 0)
		return rc;
	taken = master_cf_find(&p->selection->cf, s->pass_service, "pass");
	if (taken)
		return error_set(p->err, -EEXIST,
				 "%u: \"%s pass\" is the name of the twin behind postscreen "
				 "(line %u), and taken",
				 taken->first_line, s->pass_service, s->stock->first_line);
	return 0;
}

/* ---- check ---- */

/* An entry that the well-known user-patches.sh recipe made. */
static bool is_leftover(const struct master_cf_entry *entry)
{
	struct span value;

	if (postfix_render_is_smtpd(entry))
		return master_cf_option(entry, "smtpd_upstream_proxy_protocol", &value);
	if (postfix_render_is_postscreen(entry))
		return master_cf_option(entry, "postscreen_upstream_proxy_protocol", &value);
	return false;
}

static int check_port(struct selector *p, const struct postfix_selected *s)
{
	struct inet_service twin =
		inet_service_parse(span_from(s->service), p->request->port_names);

	for (size_t i = 0; i < p->selection->cf.n_entries; i++) {
		const struct master_cf_entry *entry = &p->selection->cf.entries[i];
		struct inet_service other;

		if (!is_inet(entry))
			continue;
		other = service_of(p, entry);
		if (!inet_service_overlaps(&twin, &other))
			continue;
		if (is_leftover(entry) && s->listener->adopt) {
			p->selection->fates[i] = FATE_ADOPT;
			continue;
		}
		return error_set(p->err, -EADDRINUSE,
				 "%u: \"%.*s inet\" uses port %u, which is meant for the twin of "
				 "\"%.*s inet\" (line %u)%s",
				 entry->first_line, SPAN_ARG(master_cf_get(entry, MASTER_CF_NAME)),
				 twin.port, SPAN_ARG(master_cf_get(s->stock, MASTER_CF_NAME)),
				 s->stock->first_line,
				 is_leftover(entry) ? "; it looks like an entry of the "
						      "user-patches.sh recipe: \"adopt = true\" "
						      "in the listener replaces it"
						    : "");
	}
	return 0;
}

/* The owner set PROXY on the stock service: its own port is no plain one. */
static void warn_about_proxied_stock(struct selector *p, const struct postfix_selected *s)
{
	cleanup_buf struct buf value = BUF_INIT;
	const char *name = postfix_render_is_postscreen(s->stock)
				   ? "postscreen_upstream_proxy_protocol"
				   : "smtpd_upstream_proxy_protocol";

	if (postfix_value_get(p->request->main_cf, s->stock, span_from(name), &value, NULL) > 0 &&
	    value.len > 0)
		notes_add(p->notes, NOTE_WARNING,
			  "master.cf:%u: \"%.*s inet\" has %s = %s: the stock port itself requires "
			  "the PROXY protocol",
			  s->stock->first_line, SPAN_ARG(master_cf_get(s->stock, MASTER_CF_NAME)),
			  name, buf_text(&value));
}

static void warn_about_loopback_only(struct selector *p)
{
	cleanup_buf struct buf value = BUF_INIT;

	if (p->selection->n_items > 0 &&
	    postfix_value_get(p->request->main_cf, NULL, span_from("inet_interfaces"), &value,
			      NULL) > 0 &&
	    (strcmp(buf_text(&value), "loopback-only") == 0 ||
	     strcmp(buf_text(&value), "localhost") == 0))
		notes_add(
			p->notes, NOTE_WARNING,
			"main.cf: inet_interfaces = %s: Postfix, and so its twins, can be reached "
			"from this host only",
			buf_text(&value));
}

static int select_and_check(struct selector *p)
{
	for (size_t i = 0; i < p->request->n_listeners; i++) {
		int rc = select_listener(p, &p->request->listeners[i]);

		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < p->selection->n_items; i++) {
		struct postfix_selected *s = &p->selection->items[i];
		int rc = postfix_render_is_postscreen(s->stock) ? complete_postscreen(p, s) : 0;

		if (rc == 0 && p->selection->in_place)
			p->selection->fates[s->stock - p->selection->cf.entries] = FATE_IN_PLACE;
		else if (rc == 0)
			rc = check_port(p, s);
		if (rc < 0)
			return rc;
		warn_about_proxied_stock(p, s);
	}
	warn_about_loopback_only(p);
	return 0;
}

int postfix_select(const struct postfix_twins_request *request, struct span stripped,
		   struct postfix_selection *out, struct notes *notes, struct error *err)
{
	struct selector selector = {
		.request = request,
		.selection = out,
		.notes = notes,
		.err = err,
	};
	int rc = master_cf_parse(stripped, &out->cf, err);

	if (rc < 0)
		return rc;
	out->in_place = request->in_place;
	out->fates = calloc(out->cf.n_entries ? out->cf.n_entries : 1, sizeof(*out->fates));
	if (!out->fates)
		return no_memory(err);
	return select_and_check(&selector);
}

void postfix_selection_release(struct postfix_selection *selection)
{
	for (size_t i = 0; i < selection->n_items; i++) {
		free(selection->items[i].mark);
		free(selection->items[i].service);
		free(selection->items[i].pass_service);
		free(selection->items[i].cache_map);
	}
	free(selection->items);
	free(selection->fates);
	master_cf_release(&selection->cf);
	*selection = (struct postfix_selection){ 0 };
}
