/* SPDX-License-Identifier: MIT */
/*
 * master_cf - read a Postfix master.cf without losing a byte of it.
 *
 * A logical entry starts at a line whose first character is not white space
 * and goes on over every line that begins with white space.  Blank lines and
 * comment lines inside it do not end it and are not part of its words
 * (master(5); readlline(3) in Postfix's util library).  Comment lines after
 * its last word belong to nobody: they are left where they are.
 *
 * The index is read-only and borrows the text.  An edit is a splice into a new
 * buffer, which is parsed again: there is no tree to keep in step.
 */
#ifndef PATCHERS_MASTER_CF_H
#define PATCHERS_MASTER_CF_H

#include "base/buf.h"
#include "base/span.h"

struct error;

/* The eight fields that every entry has; "-" stands for the default. */
enum master_cf_field {
	MASTER_CF_NAME,
	MASTER_CF_TYPE,
	MASTER_CF_PRIVATE,
	MASTER_CF_UNPRIV,
	MASTER_CF_CHROOT,
	MASTER_CF_WAKEUP,
	MASTER_CF_MAXPROC,
	MASTER_CF_COMMAND,
	MASTER_CF_FIELD_COUNT
};

/*
 * One word.  `raw` is where it stands in the file; `text` is what Postfix
 * reads: the same bytes, or a copy without line ends and comments when a
 * braced word runs over several lines.
 */
struct master_cf_word {
	struct span raw;
	struct span text;
};

struct master_cf_entry {
	/* Whole lines, from the entry's first to the one with its last word. */
	struct span raw;
	const struct master_cf_word *words; /* fields, then arguments */
	size_t n_words;
	unsigned first_line;
	unsigned last_line;
};

struct master_cf {
	struct span text;
	struct master_cf_entry *entries;
	size_t n_entries;
	struct master_cf_word *words; /* storage of all entries' words */
	size_t n_words;
	struct buf unfolded; /* storage of words that span lines */
};

/*
 * Index `text`, which must outlive *out.  Returns 0; -EINVAL, with the line
 * and the offending text in err, for an entry that master(8) would refuse
 * (fewer than eight fields, unknown type, bad flag or number, unbalanced
 * brace) or for a NUL byte; -ENOMEM.  *out is untouched on failure; release
 * it with master_cf_release().
 */
int master_cf_parse(struct span text, struct master_cf *out, struct error *err);

/* How much an entry must be worth. */
enum master_cf_rules {
	MASTER_CF_STRICT, /* what master(8) accepts */
	MASTER_CF_LOOSE,  /* anything that has words: an entry may lack fields */
};

/* master_cf_parse() by other rules; a loose entry's fields may not be got. */
int master_cf_parse_by(struct span text, enum master_cf_rules rules, struct master_cf *out,
		       struct error *err);
void master_cf_release(struct master_cf *cf);

/* What the entry's field holds. */
static inline struct span master_cf_get(const struct master_cf_entry *entry,
					enum master_cf_field field)
{
	return entry->words[field].text;
}

/* First entry with this name and type, or NULL.  Borrowed. */
const struct master_cf_entry *master_cf_find(const struct master_cf *cf, const char *name,
					     const char *type);

/*
 * One argument of the command, as the daemons' getopt(3) sees it: an option
 * letter with or without a value, or a plain word once the options have ended.
 */
struct master_cf_arg {
	char flag; /* 'o', 'v', ...; 0 for a plain word */
	bool has_value;
	struct span value;   /* of -o: "name=value" or "{ name = value }" as written */
	struct span name;    /* of -o: trimmed, without braces; else empty */
	struct span setting; /* of -o: its value, trimmed, without braces */
	size_t first_word;   /* index into entry->words where it begins, ... */
	size_t n_words;      /* ... and how many words are its own alone: 0 when
				it shares its first word with another flag */
};

/* Where to begin: a struct master_cf_args zeroed. */
struct master_cf_args {
	size_t word;   /* offset into the arguments */
	size_t letter; /* offset into a word of several flags; 0 = new word */
	bool options_ended;
};

/* Step to the next argument; false at the end. */
bool master_cf_next_arg(const struct master_cf_entry *entry, struct master_cf_args *at,
			struct master_cf_arg *out);

/*
 * The value that the entry's last -o for `name` sets (Postfix takes the last
 * of several).  False when it sets none.
 */
bool master_cf_option(const struct master_cf_entry *entry, const char *name, struct span *out);

#endif
