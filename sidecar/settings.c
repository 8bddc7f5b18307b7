/* SPDX-License-Identifier: MIT */
/* settings - postern.conf(5), read once into a struct that nobody changes. */
#include "settings.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "patchers/inet_service.h"
#include "rootfs.h"
#include "settings_file.h"
#include "textfile.h"

#include <assert.h>
#include <confuse.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

enum { SMTP_TWIN_PORT = 12525, READS_MAX = 8, TEXT_BYTES_MAX = 2 << 20 };

/* Listeners that are there without being named, in order. */
static const char *const postfix_default_listeners[] = { "smtp", "submission", "submissions" };

struct loader {
	const struct settings_request *request;
	const char *path; /* for messages */
	cfg_t *cfg;
	struct settings *out;
	struct notes *notes;
	struct error *err;
};

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

/* "FILE:LINE: " of a section, or what stands for it when it is not in a file. */
static int section_error(const struct loader *l, cfg_t *section, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int section_error(const struct loader *l, cfg_t *section, const char *fmt, ...)
{
	char text[ERROR_MSG_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (section && section->line)
		return error_set(l->err, -EINVAL, "%s:%d: %s", l->path, section->line, text);
	return error_set(l->err, -EINVAL, "%s: %s", l->path, text);
}

/* A mark is a title with '_' for '-', see add_postfix_listener(). */
static bool names_listener(const char *title, const char *name)
{
	while (*title && (*title == *name || (*title == '-' && *name == '_'))) {
		title++;
		name++;
	}
	return *title == *name;
}

static cfg_t *named_listener(cfg_t *server, const char *name)
{
	for (unsigned i = 0; i < cfg_size(server, "listener"); i++) {
		cfg_t *section = cfg_getnsec(server, "listener", i);

		if (names_listener(cfg_title(section), name))
			return section;
	}
	return NULL;
}

/* The twin's port: as given, else the stock port and the offset. */
static int twin_port(const struct loader *l, cfg_t *section, const char *name, uint16_t stock,
		     uint16_t *out)
{
	long offset = cfg_getint(l->cfg, "port-offset");
	long port = stock + offset;

	if (section && cfg_size(section, "port") > 0)
		port = cfg_getint(section, "port");
	else if (strcmp(name, "smtp") == 0 && offset == SETTINGS_PORT_OFFSET)
		port = SMTP_TWIN_PORT; /* 10025 is Amavis's in docker-mailserver */
	if (port > UINT16_MAX)
		return section_error(l, section,
				     "listener %s: %u + port-offset %ld is no port: "
				     "give it a port of its own",
				     name, stock, offset);
	*out = (uint16_t)port;
	return 0;
}

static int add_postfix_listener(struct loader *l, const char *name, cfg_t *section)
{
	struct settings_postfix *postfix = &l->out->postfix;
	struct postfix_listener *listeners, listener = { 0 };
	char *mark;
	int rc;

	if (section && !cfg_getbool(section, "enable"))
		return 0;
	listener.stock_port = port_names_find(l->request->port_names, span_from(name));
	if (listener.stock_port == 0)
		return section_error(l, section, "listener %s: not the name or number of a port",
				     name);
	for (size_t i = 0; i < postfix->n_listeners; i++)
		if (postfix->listeners[i].stock_port == listener.stock_port)
			return section_error(l, section, "listener %s is listener %s: port %u",
					     name, postfix->listeners[i].name, listener.stock_port);
	rc = twin_port(l, section, name, listener.stock_port, &listener.port);
	if (rc < 0)
		return rc;
	listener.trust_mynetworks = section && cfg_getbool(section, "trust-mynetworks");
	listener.adopt = section && cfg_getbool(section, "adopt");
	listeners = reallocarray(postfix->listeners, postfix->n_listeners + 1, sizeof(*listeners));
	if (listeners)
		postfix->listeners = listeners;
	mark = strdup(name);
	if (!listeners || !mark) {
		free(mark);
		return no_memory(l->err);
	}
	for (char *p = mark; *p; p++) /* it becomes part of a syslog name */
		if (*p == '-')
			*p = '_';
	listener.name = mark;
	listeners[postfix->n_listeners++] = listener;
	return 0;
}

/* check_directory() has seen that it fits. */
static void copy_path(char out[SETTINGS_PATH_MAX], const char *path)
{
	size_t n = 0;

	/* One spelling of a path: files are known again by theirs. */
	for (const char *p = path; *p && n < SETTINGS_PATH_MAX - 1; p++)
		if (*p != '/' || (p[1] != '/' && p[1] != '\0'))
			out[n++] = *p;
	out[n] = '\0';
}

static int load_postfix(struct loader *l)
{
	cfg_t *server = cfg_getsec(l->cfg, "postfix");
	size_t n_defaults =
		sizeof(postfix_default_listeners) / sizeof(postfix_default_listeners[0]);
	struct settings_postfix *postfix = &l->out->postfix;
	int rc = 0;

	postfix->enabled = cfg_getbool(server, "enable");
	copy_path(postfix->config_directory, cfg_getstr(server, "config-directory"));
	for (size_t i = 0; i < n_defaults && rc == 0; i++)
		rc = add_postfix_listener(l, postfix_default_listeners[i],
					  named_listener(server, postfix_default_listeners[i]));
	for (unsigned i = 0; i < cfg_size(server, "listener") && rc == 0; i++) {
		cfg_t *section = cfg_getnsec(server, "listener", i);
		bool is_default = false;

		for (size_t k = 0; k < n_defaults; k++)
			is_default = is_default ||
				     strcmp(cfg_title(section), postfix_default_listeners[k]) == 0;
		if (!is_default)
			rc = add_postfix_listener(l, cfg_title(section), section);
	}
	return rc;
}

static int load_dovecot(struct loader *l)
{
	cfg_t *server = cfg_getsec(l->cfg, "dovecot");
	struct settings_dovecot *dovecot = &l->out->dovecot;

	dovecot->enabled = cfg_getbool(server, "enable");
	copy_path(dovecot->config_directory, cfg_getstr(server, "config-directory"));
	dovecot->listeners = calloc(dovecot_n_stocks, sizeof(*dovecot->listeners));
	if (!dovecot->listeners)
		return no_memory(l->err);
	for (size_t i = 0; i < dovecot_n_stocks; i++) {
		const struct dovecot_stock *stock = &dovecot_stocks[i];
		cfg_t *section = named_listener(server, stock->name);
		struct dovecot_listener listener = { .stock = stock };
		int rc;

		if (section && !cfg_getbool(section, "enable"))
			continue;
		rc = twin_port(l, section, stock->name, stock->port, &listener.port);
		if (rc < 0)
			return rc;
		listener.adopt = section && cfg_getbool(section, "adopt");
		dovecot->listeners[dovecot->n_listeners++] = listener;
	}
	return 0;
}

/* Folders of override files: as given, else docker-mailserver's. */
static int load_overrides(struct loader *l)
{
	unsigned n = cfg_size(l->cfg, "overrides");

	l->out->overrides = calloc(n > 0 ? n : 1, sizeof(*l->out->overrides));
	if (!l->out->overrides)
		return no_memory(l->err);
	if (n == 0)
		copy_path(l->out->overrides[l->out->n_overrides++], SETTINGS_DEFAULT_OVERRIDES);
	for (unsigned i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(l->cfg, "overrides", i);

		if (cfg_getbool(section, "enable"))
			copy_path(l->out->overrides[l->out->n_overrides++], cfg_title(section));
	}
	return 0;
}

static int load_watches(struct loader *l)
{
	unsigned n = cfg_size(l->cfg, "watch");

	l->out->watches = calloc(n + 1, sizeof(*l->out->watches));
	if (!l->out->watches)
		return no_memory(l->err);
	for (unsigned i = 0; i < n; i++) {
		cfg_t *section = cfg_getnsec(l->cfg, "watch", i);
		struct settings_watch *watch = &l->out->watches[l->out->n_watches++];

		copy_path(watch->directory, cfg_title(section));
		for (unsigned k = 0; k < cfg_size(section, "reload"); k++) {
			const char *server = cfg_getnstr(section, "reload", k);

			watch->reload_postfix |= strcmp(server, "postfix") == 0;
			watch->reload_dovecot |= strcmp(server, "dovecot") == 0;
		}
		if (!watch->reload_postfix && !watch->reload_dovecot)
			notes_add(l->notes, NOTE_WARNING,
				  "%s:%d: watch \"%s\" reloads nothing: add "
				  "reload = { \"postfix\", \"dovecot\" }",
				  l->path, section->line, watch->directory);
	}
	return 0;
}

/* A listener's name, port and section, whichever server it is of. */
struct claim {
	const char *server;
	const char *name;
	uint16_t port;
	uint16_t stock_port;
};

static struct claim claim_at(const struct settings *s, size_t i)
{
	if (i < s->postfix.n_listeners)
		return (struct claim){ "postfix", s->postfix.listeners[i].name,
				       s->postfix.listeners[i].port,
				       s->postfix.listeners[i].stock_port };
	{
		const struct dovecot_listener *l =
			&s->dovecot.listeners[i - s->postfix.n_listeners];

		assert(l->stock);
		return (struct claim){ "dovecot", l->stock->name, l->port, l->stock->port };
	}
}

static int check_claims(const struct loader *l)
{
	const struct settings *s = l->out;
	size_t n = s->postfix.n_listeners + s->dovecot.n_listeners;

	for (size_t i = 0; i < n && !s->in_place; i++) {
		struct claim a = claim_at(s, i);

		for (size_t k = 0; k < n; k++) {
			struct claim b = claim_at(s, k);
			cfg_t *section = named_listener(cfg_getsec(l->cfg, a.server), a.name);

			if (k > i && a.port == b.port) {
				cfg_t *other = named_listener(cfg_getsec(l->cfg, b.server), b.name);

				return section_error(l, other ? other : section,
						     "%s listener %s and %s listener %s have one "
						     "port, %u",
						     a.server, a.name, b.server, b.name, a.port);
			}
			if (a.port == b.stock_port)
				return section_error(l, section,
						     "%s listener %s: port %u is the stock port of "
						     "%s listener %s",
						     a.server, a.name, a.port, b.server, b.name);
		}
	}
	return 0;
}

/* ---- networks ---- */

static int add_network(struct loader *l, const char *where, struct span text)
{
	char canonical[CIDR_TEXT_MAX];
	bool host_bits = false;
	struct cidr net;
	int rc = cidr_parse(text, &net, &host_bits, l->err);

	if (rc < 0)
		return error_wrap(l->err, rc, "%s", where);
	if (host_bits)
		notes_add(l->notes, NOTE_WARNING,
			  "%s: %.*s has bits set beyond its prefix: taken as %s", where,
			  SPAN_ARG(text), cidr_print(&net, canonical));
	if (net.prefix == 0 && !cfg_getbool(l->cfg, "allow-any-network"))
		return error_set(l->err, -EINVAL,
				 "%s: %.*s trusts every address: anyone could forge a client's "
				 "address; \"allow-any-network = true\" permits it",
				 where, SPAN_ARG(text));
	if (net.prefix == 0)
		notes_add(l->notes, NOTE_WARNING,
			  "%s: %.*s trusts every address: anyone can forge a client's address",
			  where, SPAN_ARG(text));
	return cidr_list_add(&l->out->networks, &net, l->notes, l->err);
}

static int load_environment_networks(struct loader *l)
{
	struct span rest = span_from(l->request->networks);
	int rc = 0;

	while (rc == 0 && rest.len > 0) {
		struct span word = span_take_word(&rest, " ,\t\n");

		if (word.len > 0)
			rc = add_network(l, SETTINGS_NETWORKS_VARIABLE, word);
	}
	return rc;
}

static int load_networks(struct loader *l, const char *file)
{
	unsigned n = cfg_size(l->cfg, "trusted-networks");
	char where[PATH_MAX + 32];
	int rc = 0;

	snprintf(where, sizeof(where), "%s:%d: trusted-networks", file,
		 (int)settings_file_networks_line());
	for (unsigned i = 0; i < n && rc == 0; i++)
		rc = add_network(l, where, span_from(cfg_getnstr(l->cfg, "trusted-networks", i)));
	if (rc == 0 && n == 0 && l->request->networks)
		rc = load_environment_networks(l);
	else if (n > 0 && l->request->networks && l->request->networks[0] != '\0')
		notes_add(l->notes, NOTE_NOTICE,
			  "%s: the environment's " SETTINGS_NETWORKS_VARIABLE " is not used",
			  where);
	if (rc == 0 && l->out->networks.n_items == 0 && l->request->networks_needed)
		return error_set(l->err, -EDESTADDRREQ,
				 "trusted-networks is not set: name the networks of the load "
				 "balancer in %s or in " SETTINGS_NETWORKS_VARIABLE,
				 file);
	return rc;
}

/* ---- load ---- */

static const char *path_of(const struct settings_request *request)
{
	return request->path ? request->path : SETTINGS_DEFAULT_PATH;
}

/*
 * kubelet removes the old generation as soon as "..data" is swapped: who has
 * just followed that link finds nothing.
 */
static int read_text(const struct rootfs *root, const char *path, struct buf *out,
		     struct error *err)
{
	int rc = -ENOENT;

	for (int i = 0; i < READS_MAX && rc == -ENOENT; i++)
		rc = textfile_read(root, path, out, err);
	return rc;
}

int settings_fetch(const struct settings_request *request, struct buf *out, struct error *err)
{
	const char *path = path_of(request);
	struct rootfs own = ROOTFS_INIT;
	struct error why;
	int rc;

	if (request->no_file)
		return 0;
	if (!request->path) {
		rc = read_text(request->root, path, out, &why);
		if (rc == -ENOENT || rc == -ENOTDIR)
			return 0;
	} else {
		rc = rootfs_init(&own, "/", &why);
		if (rc == 0 && path[0] != '/') {
			cleanup_free char *absolute = realpath(path, NULL);

			rc = absolute ? textfile_read(&own, absolute, out, &why)
				      : error_errno(&why, "open %s", path);
		} else if (rc == 0) {
			rc = read_text(&own, path, out, &why);
		}
		rootfs_release(&own);
	}
	if (rc < 0)
		return error_set(err, rc, "%s", why.msg);
	if (out->len > TEXT_BYTES_MAX)
		return error_set(err, -EFBIG, "%s: more than 2 MiB", path);
	return settings_file_check(path, buf_text(out), out->len,
				   request->path || rootfs_is_own(request->root), err);
}

static int load(struct loader *l)
{
	int rc;

	l->out->in_place = strcmp(cfg_getstr(l->cfg, "mode"), "in-place") == 0;
	for (int i = 0; settings_file_gates[i]; i++)
		if (strcmp(cfg_getstr(l->cfg, "gate"), settings_file_gates[i]) == 0)
			l->out->gate = (enum settings_gate)i;
	l->out->resync_s = (unsigned)cfg_getint(l->cfg, "resync");
	snprintf(l->out->listen, sizeof(l->out->listen), "%s", cfg_getstr(l->cfg, "listen"));
	rc = load_networks(l, l->path);
	if (rc == 0)
		rc = load_overrides(l);
	if (rc == 0)
		rc = load_watches(l);
	if (rc == 0)
		rc = load_postfix(l);
	if (rc == 0)
		rc = load_dovecot(l);
	return rc == 0 ? check_claims(l) : rc;
}

int settings_parse(const struct settings_request *request, const char *text, struct settings *out,
		   struct notes *notes, struct error *err)
{
	struct settings settings = { 0 };
	struct loader loader = { .request = request,
				 .path = path_of(request),
				 .out = &settings,
				 .notes = notes,
				 .err = err };
	int rc = settings_file_parse(loader.path, text, &loader.cfg, err);

	if (rc < 0)
		return rc;
	rc = load(&loader);
	cfg_free(loader.cfg);
	if (rc < 0) {
		settings_release(&settings);
		return rc;
	}
	*out = settings;
	return 0;
}

int settings_load(const struct settings_request *request, struct settings *out, struct notes *notes,
		  struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	int rc = settings_fetch(request, &text, err);

	return rc < 0 ? rc : settings_parse(request, buf_text(&text), out, notes, err);
}

void settings_release(struct settings *settings)
{
	for (size_t i = 0; i < settings->postfix.n_listeners; i++) {
		union {
			const char *name;
			void *owned;
		} alias = { .name = settings->postfix.listeners[i].name };

		free(alias.owned);
	}
	free(settings->postfix.listeners);
	free(settings->overrides);
	free(settings->watches);
	free(settings->dovecot.listeners);
	cidr_list_release(&settings->networks);
	*settings = (struct settings){ 0 };
}
