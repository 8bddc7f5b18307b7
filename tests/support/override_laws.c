/* SPDX-License-Identifier: MIT */
/* override_laws - what holds for every server file and any two override files. */
#include "override_laws.h"

#include "patchers/base/cleanup.h"
#include "patchers/main_cf.h"
#include "patchers/master_cf.h"
#include "patchers/postfix_lines.h"
#include "patchers/postfix_marks.h"

#include <errno.h>

static int read_override(enum override_kind kind, struct span override,
			 struct postfix_overrides *out, struct notes *notes, struct error *err)
{
	return kind == OVERRIDE_MAIN_CF ? postfix_overrides_read_main(override, out, err)
					: postfix_overrides_read_master(override, out, notes, err);
}

static int plan(enum override_kind kind, struct span text, struct span override,
		const struct override_record *before, struct buf *out,
		struct override_record *after, struct notes *notes, struct error *err)
{
	CLEANUP(postfix_overrides_release) struct postfix_overrides overrides = { 0 };
	struct postfix_overrides_request request = {
		.text = text,
		.overrides = &overrides,
		.before = before,
	};
	int rc = read_override(kind, override, &overrides, notes, err);

	if (rc < 0)
		return rc;
	return kind == OVERRIDE_MAIN_CF
		       ? postfix_overrides_main(&request, out, after, notes, err)
		       : postfix_overrides_master(&request, out, after, notes, err);
}

int override_laws_apply(enum override_kind kind, struct span text, struct span override,
			struct override_record *record, struct buf *out, struct notes *notes,
			struct error *err)
{
	CLEANUP(override_record_release) struct override_record after = OVERRIDE_RECORD_INIT;
	CLEANUP(override_record_release) struct override_record again = OVERRIDE_RECORD_INIT;
	cleanup_buf struct buf printed = BUF_INIT;
	int rc = plan(kind, text, override, record, out, &after, notes, err);

	if (rc == 0)
		rc = override_record_print(&after, &printed, err);
	if (rc == 0)
		rc = override_record_parse(buf_span(&printed), &again, err);
	if (rc < 0)
		return rc;
	override_record_release(record);
	*record = again;
	again = (struct override_record)OVERRIDE_RECORD_INIT;
	return 0;
}

/* ---- laws ---- */

/* A file and what is remembered of it. */
struct state {
	struct buf text;
	struct override_record record;
};

static void release_state(struct state *s)
{
	buf_release(&s->text);
	override_record_release(&s->record);
}

static bool same_record(const struct override_record *a, const struct override_record *b)
{
	cleanup_buf struct buf left = BUF_INIT, right = BUF_INIT;

	return override_record_print(a, &left, NULL) == 0 &&
	       override_record_print(b, &right, NULL) == 0 &&
	       span_equal(buf_span(&left), buf_span(&right));
}

/* Apply to `text` with the record of `from`. */
static int next(enum override_kind kind, struct span text, struct span override,
		const struct override_record *record, struct state *out)
{
	return plan(kind, text, override, record, &out->text, &out->record, NULL, NULL);
}

/*
 * After a step from `old`, which `original` became: doing it again, or doing it
 * after a crash and then undoing it.  Settles the record.
 */
static const char *step_broken(enum override_kind kind, struct span old, struct span original,
			       struct span override, struct state *now)
{
	CLEANUP(release_state) struct state again = { 0 }, crashed = { 0 }, undone = { 0 };

	if (next(kind, old, override, &now->record, &crashed) < 0)
		return "a step cannot be done again after a crash";
	if (!span_equal(buf_span(&crashed.text), buf_span(&now->text)))
		return "a step after a crash gives another text";
	if (next(kind, buf_span(&crashed.text), span_from(""), &crashed.record, &undone) < 0)
		return "cannot undo after a crash";
	if (!span_equal(buf_span(&undone.text), original))
		return "undoing after a crash does not restore the file";
	if (next(kind, buf_span(&now->text), override, &now->record, &again) < 0)
		return "a step cannot be done twice";
	if (!span_equal(buf_span(&again.text), buf_span(&now->text)))
		return "twice is not once";
	override_record_settle(&now->record);
	return same_record(&again.record, &now->record)
		       ? NULL
		       : "the second record is not the settled one";
}

static bool main_has(struct span text, const struct postfix_override *o)
{
	CLEANUP(main_cf_release) struct main_cf cf = { 0 };
	struct span value, left, right, wanted = o->value;

	if (main_cf_parse(text, &cf, NULL) < 0 || !main_cf_lookup(&cf, o->name, &value))
		return false;
	do {
		left = span_take_word(&value, POSTFIX_BLANKS);
		right = span_take_word(&wanted, POSTFIX_BLANKS);
	} while (left.len > 0 && span_equal(left, right));
	return span_equal(left, right);
}

/* Also true when the service is not there, or is a twin. */
static bool master_has(struct span text, const struct postfix_override *o)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	cleanup_free char *name = strndup(o->name.data, o->name.len);
	struct span value;

	if (!name || master_cf_parse(text, &cf, NULL) < 0)
		return false;
	for (size_t i = cf.n_entries; i-- > 0;) {
		if (!span_equal(master_cf_get(&cf.entries[i], MASTER_CF_NAME), o->service) ||
		    !span_equal(master_cf_get(&cf.entries[i], MASTER_CF_TYPE), o->type) ||
		    postfix_marks_entry_is_ours(&cf.entries[i]))
			continue;
		return master_cf_option(&cf.entries[i], name, &value) &&
		       span_equal(value, o->value);
	}
	return true;
}

/* Whether a later line speaks of the same. */
static bool is_replaced(const struct postfix_overrides *all, size_t index)
{
	const struct postfix_override *o = &all->items[index];

	for (size_t i = index + 1; i < all->n_items; i++)
		if (span_equal(all->items[i].name, o->name) &&
		    span_equal(all->items[i].service, o->service) &&
		    (span_equal(all->items[i].type, o->type) || span_is(all->items[i].type, "*")))
			return true;
	return false;
}

static bool in_force(enum override_kind kind, struct span text, struct span override)
{
	CLEANUP(postfix_overrides_release) struct postfix_overrides all = { 0 };

	if (read_override(kind, override, &all, NULL, NULL) < 0)
		return false;
	for (size_t i = 0; i < all.n_items; i++) {
		if (is_replaced(&all, i) || span_is(all.items[i].type, "*"))
			continue;
		if (!(kind == OVERRIDE_MAIN_CF ? main_has : master_has)(text, &all.items[i]))
			return false;
	}
	return true;
}

/* Undo `now` while somebody has written before and after what is ours. */
static const char *foreign_broken(enum override_kind kind, struct span text,
				  const struct state *now)
{
	static const char head[] = "# somebody\n";
	const char *tail = kind == OVERRIDE_MAIN_CF ? "somebody_x = 1\n"
						    : "somebody unix - - n - - smtp\n  -o a=b\n";
	cleanup_buf struct buf edited = BUF_INIT, wanted = BUF_INIT;
	CLEANUP(release_state) struct state undone = { 0 };
	bool ended = now->text.len == 0 || now->text.data[now->text.len - 1] == '\n';

	buf_add_text(&edited, head);
	buf_add(&edited, buf_span(&now->text));
	buf_add_text(&edited, ended ? tail : "");
	buf_add_text(&wanted, head);
	buf_add(&wanted, text);
	buf_add_text(&wanted, ended ? tail : "");
	if (next(kind, buf_span(&edited), span_from(""), &now->record, &undone) < 0)
		return "cannot undo between foreign edits";
	return span_equal(buf_span(&undone.text), buf_span(&wanted)) ? NULL
								     : "a foreign edit is lost";
}

static const char *undo_broken(enum override_kind kind, struct span text, const struct state *now)
{
	CLEANUP(release_state) struct state undone = { 0 };
	const char *broken;

	if (next(kind, buf_span(&now->text), span_from(""), &now->record, &undone) < 0)
		return "cannot undo";
	if (!span_equal(buf_span(&undone.text), text))
		return "undoing does not restore the file";
	broken = step_broken(kind, buf_span(&now->text), text, span_from(""), &undone);
	if (!broken && undone.record.n_items > 0)
		broken = "something is remembered of nothing";
	return broken ? broken : foreign_broken(kind, text, now);
}

/* Apply to `from`, which `original` became; a refusal breaks no law. */
static const char *apply_broken(enum override_kind kind, struct span from, struct span original,
				struct span override, const struct override_record *record,
				struct state *out)
{
	const char *broken;

	if (next(kind, from, override, record, out) < 0)
		return out->text.len + out->record.n_items > 0 ? "a failure left a result" : NULL;
	if (!in_force(kind, buf_span(&out->text), override))
		return "an override is not in force";
	broken = step_broken(kind, from, original, override, out);
	return broken ? broken : undo_broken(kind, original, out);
}

const char *override_laws_broken(enum override_kind kind, struct span text, struct span first,
				 struct span second)
{
	CLEANUP(release_state) struct state one = { 0 }, two = { 0 };
	static const struct override_record nothing = OVERRIDE_RECORD_INIT;
	const char *broken = apply_broken(kind, text, text, first, &nothing, &one);

	if (broken)
		return broken;
	if (one.text.len == 0) { /* refused */
		buf_add(&one.text, text);
		if (one.text.failed)
			return NULL;
	}
	return apply_broken(kind, buf_span(&one.text), text, second, &one.record, &two);
}
