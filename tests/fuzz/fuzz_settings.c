/* SPDX-License-Identifier: MIT */
/*
 * fuzz_settings - a postern.conf: what is taken is within range, what is refused says where.
 * Text after a line "==> environment" is the environment's networks.
 */
#include "fuzz.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "patchers/inet_service.h"
#include "sidecar/settings.h"

#include <ctype.h>
#include <errno.h>

#define CONF "/etc/p.conf"

enum { RESYNC_MAX = 86400, NAME_MAX_BYTES = 32, UNTOUCHED = 0x5a, ONE_IN = 4 };

/* ---- what is taken ---- */

/* Absolute, and one spelling of it: "/" itself is "". */
static void check_path(const char *path)
{
	size_t n = strlen(path);

	fuzz_assert(n < SETTINGS_PATH_MAX && (n == 0 || path[0] == '/'));
	fuzz_assert(n == 0 || path[n - 1] != '/');
	fuzz_assert(!strstr(path, "//"));
	for (const char *p = path; *p; p++)
		fuzz_assert(!iscntrl((unsigned char)*p));
}

/* It becomes part of a syslog name in master.cf. */
static void check_name(const char *name)
{
	size_t n = strlen(name);

	fuzz_assert(n > 0 && n <= NAME_MAX_BYTES);
	for (size_t i = 0; i < n; i++)
		fuzz_assert(isalnum((unsigned char)name[i]) || name[i] == '_');
}

static void check_listeners(const struct settings *s)
{
	enum { MOST = 4096 };
	uint16_t ports[MOST], stocks[MOST];
	size_t n = 0, n_postfix = s->postfix.n_listeners;

	fuzz_assert(s->dovecot.n_listeners <= dovecot_n_stocks);
	for (size_t i = 0; i < n_postfix && n < MOST; i++) {
		const struct postfix_listener *l = &s->postfix.listeners[i];

		check_name(l->name);
		ports[n] = l->port;
		stocks[n++] = l->stock_port;
	}
	for (size_t i = 0; i < s->dovecot.n_listeners && n < MOST; i++) {
		ports[n] = s->dovecot.listeners[i].port;
		stocks[n++] = s->dovecot.listeners[i].stock->port;
	}
	for (size_t i = 0; i < n; i++) {
		fuzz_assert(ports[i] > 0 && stocks[i] > 0);
		for (size_t k = 0; k < n && !s->in_place; k++) {
			fuzz_assert(i == k || ports[i] != ports[k]);
			fuzz_assert(ports[i] != stocks[k]);
		}
	}
}

static void check_networks(const struct settings *s, bool any_allowed)
{
	for (size_t i = 0; i < s->networks.n_items; i++) {
		fuzz_assert(any_allowed || s->networks.items[i].prefix > 0);
		for (size_t k = 0; k < s->networks.n_items; k++)
			fuzz_assert(i == k ||
				    !cidr_contains(&s->networks.items[i], &s->networks.items[k]));
	}
}

static void check_listen(const char *listen)
{
	const char *colon = strrchr(listen, ':');
	unsigned long port;
	struct cidr net;

	if (listen[0] == '\0')
		return;
	fuzz_assert(colon && strlen(listen) < SETTINGS_ENDPOINT_MAX);
	fuzz_assert(span_to_number(span_from(colon + 1), UINT16_MAX, &port) && port > 0);
	fuzz_assert(cidr_parse(span_trim(span_between(listen, colon), "[]"), &net, NULL, NULL) ==
		    0);
}

static void check_taken(const struct settings *s, const char *text)
{
	check_networks(s, strstr(text, "allow-any-network") != NULL);
	check_listen(s->listen);
	check_path(s->postfix.config_directory);
	check_path(s->dovecot.config_directory);
	check_listeners(s);
	fuzz_assert(s->resync_s <= RESYNC_MAX && s->gate <= SETTINGS_GATE_OFF);
	for (size_t i = 0; i < s->n_overrides; i++)
		check_path(s->overrides[i]);
	for (size_t i = 0; i < s->n_watches; i++)
		check_path(s->watches[i].directory);
}

/* ---- what is refused ---- */

static void check_refused(int rc, const struct error *err, const char *text)
{
	unsigned long lines = 1, line;
	const char *after = err->msg + strlen(CONF ":");
	size_t digits;

	fuzz_assert(err->code == rc && err->msg[0] != '\0');
	if (rc == -EDESTADDRREQ)
		return;
	fuzz_assert(rc == -EINVAL);
	if (strncmp(err->msg, SETTINGS_NETWORKS_VARIABLE ": ",
		    strlen(SETTINGS_NETWORKS_VARIABLE ": ")) == 0)
		return;
	fuzz_assert(strncmp(err->msg, CONF ":", strlen(CONF ":")) == 0);
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	digits = strspn(after, "0123456789");
	if (digits > 0)
		fuzz_assert(span_to_number(span_make(after, digits), lines, &line) && line > 0);
	else
		fuzz_assert(after[0] == ' ');
}

/* ---- twice: neither what was read before nor a comment has a say ---- */

static bool are_equal(const struct settings *a, const struct settings *b)
{
	if (a->networks.n_items != b->networks.n_items || a->in_place != b->in_place ||
	    a->gate != b->gate || a->resync_s != b->resync_s || strcmp(a->listen, b->listen) != 0 ||
	    a->n_overrides != b->n_overrides || a->n_watches != b->n_watches ||
	    a->postfix.enabled != b->postfix.enabled ||
	    a->postfix.n_listeners != b->postfix.n_listeners ||
	    a->dovecot.enabled != b->dovecot.enabled ||
	    a->dovecot.n_listeners != b->dovecot.n_listeners)
		return false;
	for (size_t i = 0; i < a->postfix.n_listeners; i++)
		if (a->postfix.listeners[i].port != b->postfix.listeners[i].port ||
		    strcmp(a->postfix.listeners[i].name, b->postfix.listeners[i].name) != 0)
			return false;
	return true;
}

static int load(const char *text, const char *networks, struct settings *out, struct error *err)
{
	static const struct port_names port_names = { { 0 } };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	const struct settings_request request = {
		.path = CONF,
		.networks = networks,
		.port_names = &port_names,
		.networks_needed = networks != NULL,
	};

	return settings_parse(&request, text, out, &notes, err);
}

static bool keeps_comments;

void __real_settings_text_blank_comments(char *text);
void __wrap_settings_text_blank_comments(char *text);

void __wrap_settings_text_blank_comments(char *text)
{
	if (!keeps_comments)
		__real_settings_text_blank_comments(text);
}

/*
 * What libconfuse takes with its comments means the same without them.  What it refuses
 * may be taken: it knows no comment between a key and its value.
 */
static void check_again(const char *text, const char *networks, const struct settings *first,
			int rc)
{
	struct settings again = { 0 };
	int rc_again;

	/* It costs as much as all the rest; and the line of our own key is what it is known by. */
	if (strlen(text) % ONE_IN != 0 || strstr(text, "postern-end"))
		return;
	keeps_comments = true;
	rc_again = load(text, networks, &again, NULL);
	keeps_comments = false;
	fuzz_assert(rc_again < 0 || rc == 0);
	if (rc_again == 0) {
		fuzz_assert(are_equal(first, &again));
		settings_release(&again);
	}
}

static void check(const char *text, const char *networks)
{
	struct settings settings, before;
	struct error err = { 0 };
	int rc;

	memset(&settings, UNTOUCHED, sizeof(settings));
	memset(&before, UNTOUCHED, sizeof(before));
	rc = load(text, networks, &settings, &err);
	if (rc < 0) {
		fuzz_assert(memcmp(&settings, &before, sizeof(settings)) == 0);
		check_refused(rc, &err, text);
		check_again(text, networks, NULL, rc);
		return;
	}
	fuzz_assert(rc == 0);
	check_taken(&settings, text);
	check_again(text, networks, &settings, rc);
	settings_release(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char divider[] = "==> environment\n";
	cleanup_free char *text = fuzz_text(fuzz_input(data, size));
	char *networks;

	if (!text)
		return 0;
	networks = strstr(text, divider);
	if (networks) {
		*networks = '\0';
		networks += sizeof(divider) - 1;
	}
	check(text, networks);
	return 0;
}
