/* SPDX-License-Identifier: MIT */
/* dovecot_networks - the value of haproxy_trusted_networks: ours and the owner's. */
#include "dovecot_networks.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/notes.h"
#include "cidr.h"
#include "dovecot_conf.h"

static const char networks_key[] = "haproxy_trusted_networks";

/* "$haproxy_trusted_networks" (2.3) or "$SET:..." (2.4): what came before. */
static bool names_itself(struct span word)
{
	return span_is(word, "$haproxy_trusted_networks") ||
	       span_is(word, "$SET:haproxy_trusted_networks");
}

struct merge {
	const struct dovecot_conf *conf;
	struct notes *notes;
	struct error *err;
};

/*
 * A word Dovecot cannot read ends the list there: what follows is not trusted
 * now, and must not be because of us.
 */
static int merge_value(struct merge *m, const struct dovecot_setting *setting,
		       struct cidr_list *list)
{
	const char *file = m->conf->files[setting->file].path;
	struct span rest = span_from(setting->value);

	while (rest.len > 0) {
		struct span word = span_trim(span_take_word(&rest, " \t,"), "[]");
		struct error why;
		struct cidr net;
		int rc;

		if (word.len == 0 || names_itself(word))
			continue;
		if (cidr_parse(word, &net, NULL, &why) < 0) {
			notes_add(
				m->notes, NOTE_WARNING,
				"%s:%u: haproxy_trusted_networks: %s: left out, with what follows: "
				"Dovecot reads no further than such a word",
				file, setting->line, why.msg);
			return 0;
		}
		if (net.prefix == 0)
			notes_add(m->notes, NOTE_WARNING,
				  "%s:%u: haproxy_trusted_networks trusts every address", file,
				  setting->line);
		rc = cidr_list_add(list, &net, NULL, m->err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The owner's own list: the last value, and those before it that it takes in. */
static int merge_owner_networks(struct merge *m, struct cidr_list *list)
{
	const struct dovecot_conf *conf = m->conf;
	size_t first = conf->n_settings;
	int rc = 0;

	for (size_t i = conf->n_settings; i-- > 0;) {
		if (strcmp(conf->settings[i].path, networks_key) != 0)
			continue;
		first = i;
		if (!span_contains(span_from(conf->settings[i].value), networks_key))
			break;
	}
	for (size_t i = first; i < conf->n_settings && rc == 0; i++)
		if (strcmp(conf->settings[i].path, networks_key) == 0)
			rc = merge_value(m, &conf->settings[i], list);
	return rc;
}

int dovecot_networks_merge(const struct dovecot_conf *conf, const struct cidr_list *ours,
			   struct buf *out, struct notes *notes, struct error *err)
{
	static const struct cidr loopback[] = {
		{ .bytes = { 127, 0, 0, 1 }, .prefix = 32 },
		{ .is_ipv6 = true, .bytes = { [15] = 1 }, .prefix = 128 },
	};
	CLEANUP(cidr_list_release) struct cidr_list list = { 0 };
	struct merge merge = { .conf = conf, .notes = notes, .err = err };
	int rc = 0;

	for (size_t i = 0; i < ours->n_items && rc == 0; i++)
		rc = cidr_list_add(&list, &ours->items[i], NULL, err);
	if (rc == 0)
		rc = merge_owner_networks(&merge, &list);
	for (size_t i = 0; i < 2 && rc == 0; i++)
		rc = cidr_list_add(&list, &loopback[i], NULL, err);
	if (rc < 0)
		return rc;
	cidr_list_print(&list, out);
	return buf_check(out, err);
}
