/* SPDX-License-Identifier: MIT */
/*
 * dovecot_listeners - which of Dovecot's login listeners are in force, and the
 * drop-in that gives each a twin that requires the PROXY protocol.
 */
#include "dovecot_listeners.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/notes.h"
#include "dovecot_conf.h"
#include "dovecot_in_force.h"
#include "dovecot_networks.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#define DROP_IN_FIRST                                                                              \
	"# postern(8): twins of the login listeners that require the PROXY protocol.\n"
#define DROP_IN_SECOND "# Written anew when a listener changes; \"postern revert\" takes it away.\n"
#define DROP_IN_DIRECTORY "# The folder of this file was made by postern too.\n"
#define INCLUDE_MARK "# postern(8)"
#define TWIN_SUFFIX "_proxied"

enum { PATH_MAX_BYTES = 512 };

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

/* ---- the plan ---- */

struct planner {
	const struct dovecot_request *request;
	struct dovecot_plan *plan;
	struct buf switched_off; /* sections that disable a recipe's listeners */
	struct notes *notes;
	struct error *err;
};

static bool has_twins_name(const struct dovecot_in_force *other, const struct dovecot_stock *stock)
{
	size_t n = strlen(stock->name);

	return strcmp(other->service, stock->service) == 0 &&
	       strncmp(other->listener, stock->name, n) == 0 &&
	       strcmp(other->listener + n, TWIN_SUFFIX) == 0;
}

/*
 * A listener of the well-known recipe: it requires PROXY, or has the name that
 * the recipe gives it (one chart's ManageSieve listener lacks haproxy = yes).
 */
static bool is_leftover(const struct dovecot_conf *conf, const struct dovecot_in_force *listener)
{
	static const char tail[] = "proxyprotocol";
	size_t n = strlen(listener->listener);

	/* Dovecot ends a section's name at the next quote: such a one cannot be written. */
	if (strchr(listener->listener, '"') || strchr(listener->service, '"'))
		return false;
	return dovecot_conf_is_yes(dovecot_in_force_get(conf, listener->service, listener->listener,
							"haproxy", "no")) ||
	       (n > sizeof(tail) - 1 &&
		strcmp(listener->listener + n - (sizeof(tail) - 1), tail) == 0);
}

/* In quotes, unless nobody could take it for anything but a word. */
static void add_quoted(struct buf *out, const char *text)
{
	buf_add_char(out, '"');
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, *p);
	}
	buf_add_char(out, '"');
}

static void add_name(struct buf *out, const char *name)
{
	if (name[0] == '\0')
		add_quoted(out, name);
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-') {
			add_quoted(out, name);
			return;
		}
	buf_add_text(out, name);
}

static int conflict(struct planner *p, const struct dovecot_in_force *other,
		    const struct dovecot_listener *listener, const struct dovecot_in_force *stock)
{
	const struct dovecot_conf *conf = p->request->conf;
	bool leftover = is_leftover(conf, other);
	char stock_place[PATH_MAX_BYTES] = "built in";

	if (leftover && listener->adopt) {
		if (has_twins_name(other, listener->stock))
			return 0; /* ours is merged into it, later, and wins */
		buf_add_format(&p->switched_off, "\n# Replaced by ours on port %u.\nservice ",
			       listener->port);
		add_name(&p->switched_off, other->service);
		buf_add_text(&p->switched_off, " {\n  inet_listener ");
		add_name(&p->switched_off, other->listener);
		buf_add_text(&p->switched_off, " {\n    port = 0\n  }\n}\n");
		return 0;
	}
	if (stock->where)
		snprintf(stock_place, sizeof(stock_place), "%s:%u",
			 conf->files[stock->where->file].path, stock->where->line);
	return error_set(p->err, -EADDRINUSE,
			 "%s:%u: inet_listener %s of service %s uses port %u, which is meant for "
			 "the twin of %s (%s)%s",
			 other->where ? conf->files[other->where->file].path : "built in",
			 other->where ? other->where->line : 0, other->listener, other->service,
			 listener->port, listener->stock->name, stock_place,
			 leftover ? "; it looks like a listener of the recipe: \"adopt = true\" in "
				    "the listener replaces it"
				  : "");
}

/* Does any other listener have the port meant for this twin? */
static int check_port(struct planner *p, const struct dovecot_listener *listener,
		      const struct dovecot_in_force *stock)
{
	const struct dovecot_conf *conf = p->request->conf;

	for (size_t i = 0; i < conf->n_settings; i++) {
		char service[128], name[128];
		struct dovecot_in_force other;
		int rc;

		if (dovecot_in_force_port(conf->settings[i].value) != listener->port ||
		    !dovecot_in_force_split(conf->settings[i].path, service, name))
			continue;
		dovecot_in_force_read(conf, service, name, 0, false, &other);
		if (other.where != &conf->settings[i] || other.port != listener->port ||
		    !dovecot_in_force_service_is_on(conf, service,
						    dovecot_in_force_protocol_of(service)))
			continue;
		rc = conflict(p, &other, listener, stock);
		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < dovecot_n_stocks; i++) {
		struct dovecot_in_force other;

		if (dovecot_in_force_stock(conf, &dovecot_stocks[i], &other) && !other.where &&
		    other.port == listener->port)
			return conflict(p, &other, listener, stock);
	}
	return 0;
}

static void copy_key(struct buf *out, const char *key, const char *value)
{
	buf_add_format(out, "    %s = ", key);
	if (strpbrk(value, "#\"'\\"))
		add_quoted(out, value);
	else
		buf_add_text(out, value);
	buf_add_char(out, '\n');
}

static void render_listener(struct planner *p, const struct dovecot_listener *listener,
			    const struct dovecot_in_force *stock)
{
	struct buf *out = &p->plan->drop_in;

	buf_add_format(out, "  inet_listener %s%s {\n", listener->stock->name,
		       p->request->in_place ? "" : TWIN_SUFFIX);
	if (!p->request->in_place) {
		buf_add_format(out, "    port = %u\n", listener->port);
		if (stock->address[0] != '\0')
			copy_key(out, stock->address_key, stock->address);
	}
	buf_add_text(out, "    haproxy = yes\n");
	if (!p->request->in_place && stock->ssl)
		buf_add_text(out, "    ssl = yes\n");
	buf_add_text(out, "  }\n");
}

static char *first_address(const char *addresses)
{
	struct span rest = span_from(addresses);
	struct span word = span_trim(span_take_word(&rest, " \t,"), "[]");

	if (span_is(word, "*") || span_is(word, "::"))
		word.len = 0;
	return strndup(word.data, word.len);
}

uint16_t dovecot_listeners_twin_port(const struct dovecot_conf *conf,
				     const struct dovecot_stock *stock)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", stock->name, TWIN_SUFFIX);
	return dovecot_in_force_port(dovecot_in_force_get(conf, stock->service, name, "port", "0"));
}

static int add_twin(struct planner *p, const struct dovecot_listener *listener,
		    const struct dovecot_in_force *stock)
{
	struct dovecot_twin *twins =
		reallocarray(p->plan->twins, p->plan->n_twins + 1, sizeof(*twins));

	if (!twins)
		return no_memory(p->err);
	p->plan->twins = twins;
	twins += p->plan->n_twins;
	*twins = (struct dovecot_twin){
		.stock = listener->stock,
		.address = first_address(stock->address),
		.stock_port = stock->port,
		.port = p->request->in_place ? stock->port : listener->port,
		.ssl = stock->ssl,
		.is_new = !p->request->in_place &&
			  dovecot_listeners_twin_port(p->request->current, listener->stock) !=
				  listener->port,
	};
	if (!twins->address)
		return no_memory(p->err);
	p->plan->n_twins++;
	return 0;
}

/* Say why a stock listener gets no twin. */
static bool wants_twin(struct planner *p, const struct dovecot_listener *listener,
		       struct dovecot_in_force *stock)
{
	const char *name = listener->stock->name;

	if (!dovecot_in_force_stock(p->request->conf, listener->stock, stock)) {
		notes_add(p->notes, NOTE_NOTICE,
			  "listener %s: Dovecot does not listen for it: no twin", name);
		return false;
	}
	if (dovecot_in_force_is_loopback(stock->address)) {
		notes_add(p->notes, NOTE_NOTICE,
			  "listener %s: it listens on loopback only: no twin", name);
		return false;
	}
	if (dovecot_conf_is_yes(dovecot_in_force_get(p->request->conf, listener->stock->service,
						     name, "haproxy", "no")))
		notes_add(p->notes, NOTE_WARNING,
			  "inet_listener %s has haproxy = yes: the stock port itself requires the "
			  "PROXY protocol",
			  name);
	return true;
}

static bool requires_tls(const struct dovecot_conf *conf, const struct dovecot_stock *stock)
{
	char path[PATH_MAX_BYTES];

	snprintf(path, sizeof(path), "protocol/%s/ssl",
		 dovecot_in_force_protocol_of(stock->service));
	return strcasecmp(dovecot_conf_get(conf, path, dovecot_conf_get(conf, "ssl", "yes")),
			  "required") == 0;
}

/*
 * Dovecot 2.4 takes every connection to a listener with haproxy = yes for a
 * secure one, and lets its client log in without TLS, unless ssl = required.
 */
static void warn_of_log_in_without_tls(struct planner *p)
{
	const struct dovecot_conf *conf = p->request->conf;
	struct buf names = { 0 };

	if (!dovecot_conf_find(conf, "dovecot_config_version") ||
	    dovecot_conf_is_yes(dovecot_conf_get(conf, "auth_allow_cleartext", "no")))
		return;
	for (size_t i = 0; i < p->plan->n_twins; i++) {
		const struct dovecot_twin *twin = &p->plan->twins[i];

		if (!twin->ssl && !requires_tls(conf, twin->stock))
			buf_add_format(&names, "%s%s", names.len > 0 ? ", " : "",
				       twin->stock->name);
	}
	if (names.len > 0)
		notes_add(p->notes, NOTE_WARNING,
			  "ssl = %s: Dovecot 2.4 lets all clients that come with a PROXY header "
			  "log in without TLS (%s); set ssl = required",
			  dovecot_conf_get(conf, "ssl", "yes"), buf_text(&names));
	buf_release(&names);
}

/* All listeners of one service, in one section. */
static int render_service(struct planner *p, const char *service)
{
	bool opened = false;

	for (size_t i = 0; i < p->request->n_listeners; i++) {
		const struct dovecot_listener *listener = &p->request->listeners[i];
		struct dovecot_in_force stock;
		int rc = 0;

		if (strcmp(listener->stock->service, service) != 0 ||
		    !wants_twin(p, listener, &stock))
			continue;
		if (!p->request->in_place)
			rc = check_port(p, listener, &stock);
		if (rc == 0)
			rc = add_twin(p, listener, &stock);
		if (rc < 0)
			return rc;
		if (!opened)
			buf_add_format(&p->plan->drop_in, "\nservice %s {\n", service);
		opened = true;
		render_listener(p, listener, &stock);
	}
	if (opened)
		buf_add_text(&p->plan->drop_in, "}\n");
	return 0;
}

static int make_plan(struct planner *p)
{
	static const char *const services[] = { "imap-login", "pop3-login", "managesieve-login" };
	struct buf *out = &p->plan->drop_in;
	int rc = dovecot_networks_merge(p->request->conf, p->request->networks, &p->plan->networks,
					p->notes, p->err);

	buf_add_text(out, DROP_IN_FIRST DROP_IN_SECOND);
	if (p->request->made_directory)
		buf_add_text(out, DROP_IN_DIRECTORY);
	buf_add_format(out, "haproxy_trusted_networks = %s\n", buf_text(&p->plan->networks));
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]) && rc == 0; i++)
		rc = render_service(p, services[i]);
	if (rc < 0)
		return rc;
	buf_add(out, buf_span(&p->switched_off));
	if (p->plan->n_twins == 0)
		buf_clear(out);
	warn_of_log_in_without_tls(p);
	rc = buf_check(&p->switched_off, p->err);
	return rc == 0 ? buf_check(out, p->err) : rc;
}

int dovecot_listeners_plan(const struct dovecot_request *request, struct dovecot_plan *out,
			   struct notes *notes, struct error *err)
{
	struct dovecot_plan plan = { 0 };
	struct planner p = { .request = request, .plan = &plan, .notes = notes, .err = err };
	int rc = make_plan(&p);

	buf_release(&p.switched_off);
	if (rc < 0) {
		dovecot_plan_release(&plan);
		return rc;
	}
	*out = plan;
	return 0;
}

void dovecot_plan_release(struct dovecot_plan *plan)
{
	for (size_t i = 0; i < plan->n_twins; i++)
		free(plan->twins[i].address);
	free(plan->twins);
	buf_release(&plan->drop_in);
	buf_release(&plan->networks);
	*plan = (struct dovecot_plan){ 0 };
}

/* ---- does it hold? ---- */

/* Whether the setting is there and says `wanted`; else who says otherwise. */
static bool says(const struct dovecot_conf *conf, const char *path, const char *wanted,
		 const struct dovecot_setting **out_undoing)
{
	const struct dovecot_setting *setting = dovecot_conf_find(conf, path);

	if (setting && strcmp(setting->value, wanted) == 0)
		return true;
	*out_undoing = setting;
	return false;
}

/* A list inside "protocol imap { }" or the like counts there instead of ours. */
static bool has_filtered_networks(const struct dovecot_conf *conf,
				  const struct dovecot_setting **out_undoing)
{
	static const char tail[] = "/haproxy_trusted_networks";

	for (size_t i = 0; i < conf->n_settings; i++) {
		const char *path = conf->settings[i].path;
		size_t n = strlen(path);

		if (n >= sizeof(tail) - 1 && strcmp(path + n - (sizeof(tail) - 1), tail) == 0) {
			*out_undoing = &conf->settings[i];
			return true;
		}
	}
	return false;
}

bool dovecot_listeners_hold(const struct dovecot_conf *conf, const struct dovecot_plan *plan,
			    bool in_place, const struct dovecot_setting **out_undoing)
{
	*out_undoing = NULL;
	if (plan->n_twins == 0)
		return true;
	if (!says(conf, "haproxy_trusted_networks", buf_text(&plan->networks), out_undoing) ||
	    has_filtered_networks(conf, out_undoing))
		return false;
	for (size_t i = 0; i < plan->n_twins; i++) {
		const struct dovecot_twin *twin = &plan->twins[i];
		char stem[PATH_MAX_BYTES / 2], path[PATH_MAX_BYTES], port[8];

		snprintf(stem, sizeof(stem), "service/%s/inet_listener/%s%s", twin->stock->service,
			 twin->stock->name, in_place ? "" : TWIN_SUFFIX);
		snprintf(path, sizeof(path), "%s/haproxy", stem);
		if (!says(conf, path, "yes", out_undoing))
			return false;
		if (in_place)
			continue;
		snprintf(path, sizeof(path), "%s/port", stem);
		snprintf(port, sizeof(port), "%u", twin->port);
		if (!says(conf, path, port, out_undoing))
			return false;
	}
	return true;
}

/* ---- the include line ---- */

void dovecot_listeners_add_include(struct span main_conf, const char *drop_in, struct buf *out)
{
	bool unended = main_conf.len > 0 && main_conf.data[main_conf.len - 1] != '\n';

	buf_add(out, main_conf);
	/* A file that had no newline at its end gets none: strip knows by that. */
	buf_add_format(out, "%s!include_try %s " INCLUDE_MARK "%s", unended ? "\n" : "", drop_in,
		       unended ? "" : "\n");
}

void dovecot_listeners_strip_include(struct span main_conf, struct buf *out)
{
	struct span rest = main_conf;

	while (rest.len > 0) {
		struct span line = span_take_line(&rest);
		struct span body = span_trim(line, " \t\r\n");

		if (!span_starts(body, "!include_try ") || body.len < strlen(INCLUDE_MARK) ||
		    memcmp(span_end(body) - strlen(INCLUDE_MARK), INCLUDE_MARK,
			   strlen(INCLUDE_MARK)) != 0) {
			buf_add(out, line);
			continue;
		}
		if (line.data[line.len - 1] != '\n' && out->len > 0 &&
		    out->data[out->len - 1] == '\n')
			out->data[--out->len] = '\0';
	}
}

bool dovecot_listeners_made_directory(struct span drop_in)
{
	return span_contains(drop_in, DROP_IN_DIRECTORY);
}
