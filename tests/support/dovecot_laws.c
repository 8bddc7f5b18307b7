/* SPDX-License-Identifier: MIT */
/* dovecot_laws - what holds for every tree of Dovecot's configuration. */
#include "dovecot_laws.h"

#include "bundle.h"

#include "patchers/base/cleanup.h"
#include "patchers/dovecot_reader.h"
#include "patchers/dovecot_listeners.h"

#include <stdio.h>

enum { OFFSET = 10000, STOCKS_MAX = 8 };

/* A text that may go on after the end of its file: two files are one line then. */
static bool may_run_on(struct span text)
{
	struct span last = text;

	while (text.len > 0)
		last = span_take_line(&text);
	return span_contains(last, "\\");
}

static bool any_may_run_on(const struct dovecot_conf *conf)
{
	for (size_t i = 0; i < conf->n_files; i++)
		if (may_run_on(buf_span(&conf->files[i].text)))
			return true;
	return false;
}

/* Then a drop-in that comes between two files changes what a line of the one is. */
static bool any_file_may_run_on(const struct bundle *tree)
{
	for (size_t i = 0; i < tree->n_files; i++)
		if (may_run_on(tree->files[i].text))
			return true;
	return false;
}

static bool text_ends(const char *text, const char *tail)
{
	size_t n = strlen(text), n_tail = strlen(tail);

	return n >= n_tail && strcmp(text + n - n_tail, tail) == 0;
}

/* "<file" anywhere, and, in 2.4, the value of a key that ends in "_file". */
static bool is_made_absolute(const char *path, const char *from, const char *to)
{
	if (*from == '<' && *to == '<')
		from++, to++;
	else if (!text_ends(path, "_file"))
		return false;
	/* Blanks before it go; a carriage return is one in 2.4 alone. */
	while (*from && strchr(" \t\r\v\f", *from) && !text_ends(to, from))
		from++;
	return *from != '/' && *to == '/' && text_ends(to, from);
}

static bool settings_are_equal(const struct dovecot_setting *a, const struct dovecot_setting *b)
{
	return strcmp(a->path, b->path) == 0 &&
	       (strcmp(a->value, b->value) == 0 || is_made_absolute(a->path, a->value, b->value));
}

/* Copies of all files in one folder mean what the originals do. */
static const char *relocation_broken(const struct dovecot_conf *conf)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf copy = { 0 };
	struct buf texts[BUNDLE_FILES_MAX] = { 0 };
	static struct bundle tree;
	struct dovecot_source source = bundle_source(&tree);
	const char *broken = NULL;
	size_t n = conf->n_files;

	if (n > BUNDLE_FILES_MAX || any_may_run_on(conf))
		return NULL;
	tree.n_files = 0;
	for (size_t i = 0; i < n; i++) {
		char path[BUNDLE_PATH_MAX];

		dovecot_conf_relocate(conf, i, "/copy", &texts[i]);
		snprintf(path, sizeof(path), "/copy/%zu.conf", i);
		bundle_add(&tree, path, buf_span(&texts[i]));
	}
	if (dovecot_conf_read(&source, "/copy/0.conf", NULL, 0, &copy, NULL) < 0)
		broken = "the relocated copy cannot be read";
	else if (copy.n_settings != conf->n_settings)
		broken = "the relocated copy has more or fewer settings";
	for (size_t i = 0; i < conf->n_settings && !broken; i++)
		if (!settings_are_equal(&conf->settings[i], &copy.settings[i]))
			broken = "the relocated copy says something else";
	for (size_t i = 0; i < n; i++)
		buf_release(&texts[i]);
	return broken;
}

static const char *include_broken(struct span main_conf, struct buf *with)
{
	cleanup_buf struct buf back = BUF_INIT;
	cleanup_buf struct buf same = BUF_INIT;

	dovecot_listeners_add_include(main_conf, DOVECOT_DROP_IN, with);
	if (span_contains(main_conf, "postern"))
		return NULL;
	dovecot_listeners_strip_include(buf_span(with), &back);
	if (!span_equal(buf_span(&back), main_conf))
		return "the include line cannot be taken out again";
	dovecot_listeners_strip_include(main_conf, &same);
	return span_equal(buf_span(&same), main_conf) ? NULL
						      : "strip_include changes a foreign file";
}

/* A list of networks inside a filter, "protocol imap { }" say, is the owner's, and wins. */
static bool is_filtered_networks(const struct dovecot_setting *setting)
{
	return setting && text_ends(setting->path, "/haproxy_trusted_networks");
}

/* With the drop-in in place, and read last, the configuration does what the plan says. */
static const char *drop_in_broken(struct bundle *tree, const struct dovecot_plan *plan,
				  bool in_place)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	struct dovecot_source source = bundle_source(tree);
	const struct bundle_file *main_file = bundle_find(tree, DOVECOT_MAIN);
	const struct dovecot_setting *undoing;
	cleanup_buf struct buf with = BUF_INIT;
	const char *broken = include_broken(main_file->text, &with);
	struct dovecot_overlay overlays[] = {
		{ DOVECOT_MAIN, &with },
		{ DOVECOT_DROP_IN, plan->n_twins ? &plan->drop_in : NULL },
	};

	if (broken || plan->n_twins == 0)
		return broken;
	if (any_file_may_run_on(tree))
		return NULL;
	if (dovecot_conf_read(&source, DOVECOT_MAIN, overlays, 2, &conf, NULL) < 0)
		return "the configuration cannot be read with the drop-in in place";
	if (!dovecot_listeners_hold(&conf, plan, in_place, &undoing) &&
	    !is_filtered_networks(undoing))
		return "the drop-in read last does not hold";
	return NULL;
}

const char *dovecot_laws_broken(struct bundle *tree, bool in_place)
{
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	CLEANUP(dovecot_plan_release) struct dovecot_plan plan = { 0 };
	struct dovecot_listener listeners[STOCKS_MAX] = { 0 };
	struct dovecot_source source = bundle_source(tree);
	struct cidr network = { .bytes = { 10 }, .prefix = 8 };
	struct cidr_list networks = { &network, 1 };
	struct dovecot_request request = {
		.conf = &conf,
		.current = &conf,
		.listeners = listeners,
		.n_listeners = dovecot_n_stocks,
		.networks = &networks,
		.in_place = in_place,
	};
	const char *broken;

	for (size_t i = 0; i < dovecot_n_stocks; i++) {
		listeners[i].stock = &dovecot_stocks[i];
		listeners[i].port = (uint16_t)(dovecot_stocks[i].port + OFFSET);
		listeners[i].adopt = true;
	}
	if (dovecot_conf_read(&source, DOVECOT_MAIN, NULL, 0, &conf, NULL) < 0)
		return NULL;
	broken = relocation_broken(&conf);
	if (broken || dovecot_listeners_plan(&request, &plan, NULL, NULL) < 0)
		return broken;
	return drop_in_broken(tree, &plan, in_place);
}
