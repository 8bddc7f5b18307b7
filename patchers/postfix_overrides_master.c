/* SPDX-License-Identifier: MIT */
/* postfix_overrides_master - master.cf with the overrides of postfix-master.cf in force. */
#include "postfix_overrides.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/notes.h"
#include "master_cf.h"
#include "override_law.h"
#include "postfix_lines.h"
#include "postfix_marks.h"

#include <errno.h>
#include <stdlib.h>

/* One option of one service, wanted or to be undone. */
struct setting {
	char *place; /* "SERVICE/TYPE"; owned */
	struct span name;
	const struct postfix_override *override; /* NULL: no line asks for it any more */
};

struct settings {
	struct setting *items;
	size_t n_items;
};

struct editor {
	struct buf text;   /* master.cf as far as it is edited */
	struct buf wanted; /* what is to be written */
	struct settings settings;
	const struct override_record *before;
	struct override_record after;
	struct notes *notes;
	struct error *err;
};

static void release_editor(struct editor *e)
{
	for (size_t i = 0; i < e->settings.n_items; i++)
		free(e->settings.items[i].place);
	free(e->settings.items);
	buf_release(&e->text);
	buf_release(&e->wanted);
	override_record_release(&e->after);
}

/* ---- which options of which services ---- */

static bool is_of(const struct master_cf_entry *entry, struct span service, struct span type)
{
	return span_equal(master_cf_get(entry, MASTER_CF_NAME), service) &&
	       (span_is(type, "*") || span_equal(master_cf_get(entry, MASTER_CF_TYPE), type)) &&
	       !postfix_marks_entry_is_ours(entry);
}

static struct setting *find_setting(struct settings *settings, const char *place, struct span name)
{
	for (size_t i = 0; i < settings->n_items; i++) {
		struct setting *s = &settings->items[i];

		if (strcmp(s->place, place) == 0 && span_equal(s->name, name))
			return s;
	}
	return NULL;
}

/* A later line replaces an earlier one.  Takes `place` over. */
static int add_setting(struct editor *e, char **place, struct span name,
		       const struct postfix_override *override)
{
	struct setting *s = find_setting(&e->settings, *place, name);

	if (s) {
		s->override = override;
		return 0;
	}
	if (e->settings.n_items == OVERRIDE_ITEMS_MAX)
		return error_set(e->err, -E2BIG, "more than %d overridden settings",
				 OVERRIDE_ITEMS_MAX);
	s = reallocarray(e->settings.items, e->settings.n_items + 1, sizeof(*s));
	if (!s)
		return error_set(e->err, -ENOMEM, "out of memory");
	e->settings.items = s;
	s[e->settings.n_items++] = (struct setting){
		.place = steal_pointer(place),
		.name = name,
		.override = override,
	};
	return 0;
}

/* A line may name several entries: duplicates, or services of any type. */
static int add_override(struct editor *e, const struct master_cf *cf,
			const struct postfix_override *override)
{
	bool matched = false;

	for (size_t i = 0; i < cf->n_entries; i++) {
		cleanup_buf struct buf name = BUF_INIT;
		cleanup_free char *place = NULL;
		int rc;

		if (!is_of(&cf->entries[i], override->service, override->type))
			continue;
		matched = true;
		buf_add(&name, override->service);
		buf_add_char(&name, '/');
		buf_add(&name, master_cf_get(&cf->entries[i], MASTER_CF_TYPE));
		rc = buf_check(&name, e->err);
		if (rc < 0)
			return rc;
		place = steal_pointer(&name.data);
		rc = add_setting(e, &place, override->name, override);
		if (rc < 0)
			return rc;
	}
	if (!matched)
		notes_add(e->notes, NOTE_WARNING,
			  "postfix-master.cf:%u: master.cf has no service \"%.*s/%.*s\" of its "
			  "owner's: passed over",
			  override->line, SPAN_ARG(override->service), SPAN_ARG(override->type));
	return 0;
}

/* Those of the record first, so that what goes makes room. */
static int collect(struct editor *e, const struct postfix_overrides *overrides)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	int rc = master_cf_parse(buf_span(&e->text), &cf, e->err);

	for (size_t i = 0; rc == 0 && i < e->before->n_items; i++) {
		const struct override_item *item = &e->before->items[i];
		cleanup_free char *place = NULL;

		if (!strchr(item->place, '/'))
			continue;
		place = strdup(item->place);
		rc = place ? add_setting(e, &place, span_from(item->name), NULL)
			   : error_set(e->err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; rc == 0 && i < overrides->n_items; i++)
		rc = add_override(e, &cf, &overrides->items[i]);
	return rc;
}

/* ---- one option of one entry ---- */

/* Where an option stands, and where another can be added. */
struct spot {
	size_t entry; /* index */
	bool set;     /* an option sets the name, and `value` is its value */
	struct span value;
	size_t word;        /* the word after its -o, or 0 when it has none of its own */
	size_t last_option; /* the last word that belongs to an option, or the command */
};

/* Postfix uses the last of several entries. */
static const struct master_cf_entry *find_entry(const struct master_cf *cf, const char *place)
{
	const char *slash = strrchr(place, '/');
	struct span service = span_between(place, slash), type = span_from(slash + 1);

	for (size_t i = cf->n_entries; i-- > 0;)
		if (is_of(&cf->entries[i], service, type))
			return &cf->entries[i];
	return NULL;
}

/* The index of an argument's word when its value is a whole one, else 0. */
static size_t value_word(const struct master_cf_entry *entry, const struct master_cf_arg *arg)
{
	size_t next = arg->first_word + 1;

	if (arg->has_value && next < entry->n_words &&
	    entry->words[next].text.data == arg->value.data)
		return next;
	return 0;
}

/*
 * Whether a word holds one of the two that are white space for lines and not
 * for words: what it means hangs on what stands after it.
 */
static bool has_odd_space(struct span raw)
{
	return memchr(raw.data, '\v', raw.len) || memchr(raw.data, '\f', raw.len);
}

static struct spot find_spot(const struct master_cf *cf, const struct master_cf_entry *entry,
			     struct span name)
{
	struct spot spot = {
		.entry = (size_t)(entry - cf->entries),
		.last_option = MASTER_CF_COMMAND,
	};
	struct master_cf_args at = { 0 };
	struct master_cf_arg arg;

	while (master_cf_next_arg(entry, &at, &arg) && arg.flag != 0) {
		size_t word = value_word(entry, &arg);

		spot.last_option = word ? word : arg.first_word;
		if (arg.flag != 'o' || !span_equal(arg.name, name))
			continue;
		spot.set = true;
		spot.value = arg.setting;
		/* Else one is added, which wins. */
		spot.word = word && !has_odd_space(entry->words[word].raw) ? word : 0;
	}
	return spot;
}

/* One change of the text, and by how many words its entry grows. */
struct change {
	const char *from, *to; /* in the editor's text */
	const char *separator; /* before `text` */
	struct span text;
	int grown;
};

static struct change plan_put(const struct master_cf_entry *entry, const struct spot *spot,
			      struct span text)
{
	const struct master_cf_word *word =
		&entry->words[spot->word ? spot->word : spot->last_option];

	if (spot->word)
		return (struct change){ word->raw.data, span_end(word->raw), "", text, 0 };
	return (struct change){ span_end(word->raw), span_end(word->raw), "\n    -o ", text, 2 };
}

/*
 * What plan_put() added, with the blanks before it.  When somebody has put
 * comment lines between it and the word before, they and the blanks stay.
 */
static struct change plan_removal(const struct master_cf_entry *entry, const struct spot *spot)
{
	const struct master_cf_word *option = &entry->words[spot->word - 1];
	const char *from = span_end(option[-1].raw);
	bool commented = memchr(from, '#', (size_t)(option->raw.data - from)) != NULL;

	return (struct change){
		.from = commented ? option->raw.data : from,
		.to = span_end(option[1].raw),
		.separator = "",
		.text = span_make("", 0),
		.grown = -2,
	};
}

/*
 * Whether an edit did what it should and nothing else: the entries and their
 * words are the same, but for the words at `spot`.
 */
static bool is_local(const struct master_cf *old, const struct master_cf *new,
		     const struct spot *spot, int grown)
{
	const struct master_cf_entry *a = &old->entries[spot->entry];
	const struct master_cf_entry *b = &new->entries[spot->entry];
	/* The words from `first` to `next` in the old entry became others. */
	size_t first = spot->word ? spot->word - (grown < 0) : spot->last_option + 1;
	size_t next = spot->word ? spot->word + 1 : first;

	if (old->n_entries != new->n_entries)
		return false;
	for (size_t i = 0; i < old->n_entries; i++)
		if (i != spot->entry && !span_equal(old->entries[i].raw, new->entries[i].raw))
			return false;
	if ((ssize_t)b->n_words != (ssize_t)a->n_words + grown)
		return false;
	for (size_t i = 0; i < first; i++)
		if (!span_equal(a->words[i].text, b->words[i].text))
			return false;
	for (size_t i = next; i < a->n_words; i++)
		if (!span_equal(a->words[i].text, b->words[(size_t)((ssize_t)i + grown)].text))
			return false;
	return true;
}

/* In the line of the entry, as for every fault of master.cf. */
static int refuse_change(struct editor *e, const struct master_cf_entry *entry,
			 const struct setting *s)
{
	return error_set(e->err, -EINVAL, "%u: %s: the option %.*s cannot be %s in this entry",
			 entry->first_line, s->place, SPAN_ARG(s->name),
			 s->override ? "set" : "put back");
}

/* Whether the entry's last -o of the name is the one that was put there. */
static bool is_put(const struct master_cf *cf, const struct setting *s)
{
	const struct master_cf_entry *entry = find_entry(cf, s->place);
	struct spot spot;

	if (!entry)
		return false;
	spot = find_spot(cf, entry, s->name);
	return spot.word && (!s->override || span_equal(spot.value, s->override->value));
}

static int make_change(struct editor *e, const struct master_cf *cf, const struct setting *s,
		       const struct spot *spot, const struct change *change)
{
	CLEANUP(master_cf_release) struct master_cf new = { 0 };
	cleanup_buf struct buf next = BUF_INIT;
	struct span whole = buf_span(&e->text);
	struct error why;
	int rc;

	buf_add(&next, span_between(whole.data, change->from));
	buf_add_text(&next, change->separator);
	buf_add(&next, change->text);
	buf_add(&next, span_between(change->to, span_end(whole)));
	rc = buf_check(&next, e->err);
	if (rc < 0)
		return rc;
	rc = master_cf_parse(buf_span(&next), &new, &why);
	if (rc == -ENOMEM)
		return error_set(e->err, rc, "out of memory");
	if (rc < 0 || !is_local(cf, &new, spot, change->grown) ||
	    (change->grown >= 0 && !is_put(&new, s)))
		return refuse_change(e, &cf->entries[spot->entry], s);
	buf_release(&e->text);
	e->text = next;
	next = (struct buf)BUF_INIT;
	return 0;
}

static int act(struct editor *e, const struct master_cf *cf, const struct setting *s,
	       const struct spot *spot, const struct override_decision *decision)
{
	const struct master_cf_entry *entry = &cf->entries[spot->entry];
	const struct master_cf_word *word;
	struct change change;

	if (decision->step == OVERRIDE_LEAVE)
		return 0;
	word = &entry->words[spot->word ? spot->word : spot->last_option];
	/* Options can follow an open brace, once it is replaced: it could not be put back. */
	if (s->override && (has_odd_space(word->raw) ||
			    (spot->word && postfix_lines_leave_brace_open(word->text))))
		return refuse_change(e, entry, s);
	if (decision->step == OVERRIDE_PUT)
		change = plan_put(entry, spot, decision->text);
	else if (spot->word && span_is(entry->words[spot->word - 1].text, "-o"))
		change = plan_removal(entry, spot);
	else
		return refuse_change(e, entry, s);
	return make_change(e, cf, s, spot, &change);
}

static int apply(struct editor *e, const struct setting *s)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	struct override_sight sight = { .place = span_from(s->place), .name = s->name };
	const struct master_cf_entry *entry;
	struct override_decision decision;
	struct spot spot = { 0 };
	int rc = master_cf_parse(buf_span(&e->text), &cf, e->err);

	if (rc < 0)
		return rc;
	entry = find_entry(&cf, s->place);
	if (entry) {
		spot = find_spot(&cf, entry, s->name);
		if (spot.word)
			sight.now = (struct override_view){ true, entry->words[spot.word].raw };
	}
	if (s->override) {
		buf_clear(&e->wanted);
		buf_add(&e->wanted, s->name);
		buf_add_char(&e->wanted, '=');
		buf_add(&e->wanted, s->override->value);
		rc = buf_check(&e->wanted, e->err);
		sight.wanted = (struct override_view){ true, buf_span(&e->wanted) };
		sight.as_wanted = spot.set && span_equal(spot.value, s->override->value);
	}
	if (rc == 0)
		rc = override_decide(&sight, e->before, &decision, &e->after, e->notes, e->err);
	return rc == 0 && entry ? act(e, &cf, s, &spot, &decision) : rc;
}

int postfix_overrides_master(const struct postfix_overrides_request *request, struct buf *out,
			     struct override_record *after, struct notes *notes, struct error *err)
{
	CLEANUP(release_editor)
	struct editor e = {
		.before = request->before,
		.notes = notes,
		.err = err,
	};
	int rc;

	buf_add(&e.text, request->text);
	rc = buf_check(&e.text, err);
	if (rc == 0)
		rc = collect(&e, request->overrides);
	/* Undo first, and what was done last before the rest. */
	for (size_t i = e.settings.n_items; rc == 0 && i-- > 0;)
		if (!e.settings.items[i].override)
			rc = apply(&e, &e.settings.items[i]);
	for (size_t i = 0; rc == 0 && i < e.settings.n_items; i++)
		if (e.settings.items[i].override)
			rc = apply(&e, &e.settings.items[i]);
	return rc < 0 ? rc : override_record_publish(&e.after, buf_span(&e.text), after, out, err);
}
