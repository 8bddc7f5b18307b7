/* SPDX-License-Identifier: MIT */
/* master_cf - read a Postfix master.cf without losing a byte of it. */
#include "master_cf.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "postfix_lines.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Daemon options that take a value: the daemons' common getopt(3) string. */
static const char options_with_value[] = "imnost";

struct reader {
	struct master_cf *cf;
	enum master_cf_rules rules;
	size_t cap_entries;
	size_t cap_words;
	struct error *err;
};

/* Make room for one more in a growing array; NULL when memory has run out. */
static void *grow(void *items, size_t n, size_t *cap, size_t size)
{
	size_t wanted = *cap ? *cap * 2 : 64;
	void *grown;

	if (n < *cap)
		return items;
	grown = reallocarray(items, wanted, size);
	if (grown)
		*cap = wanted;
	return grown;
}

static int add_word(struct reader *r, struct span raw, struct span text)
{
	struct master_cf *cf = r->cf;
	struct master_cf_word *words = grow(cf->words, cf->n_words, &r->cap_words, sizeof(*words));

	if (!words)
		return error_set(r->err, -ENOMEM, "out of memory");
	cf->words = words;
	words[cf->n_words++] = (struct master_cf_word){ .raw = raw, .text = text };
	return 0;
}

/* Where a word ends: at a blank outside braces, comment lines passed over. */
struct word_end {
	const char *end; /* after its last byte */
	bool folded;     /* runs over several lines */
};

static struct word_end find_word_end(const char *start, const char *limit, bool grouping)
{
	struct word_end found = { .end = limit };
	unsigned level = 0;
	const char *p = start;

	while (p < limit) {
		if (*p == '\n') {
			struct span rest = postfix_lines_skip_ignored(span_between(p + 1, limit));

			if (rest.len == 0 || (level == 0 && postfix_lines_is_blank(rest.data[0]))) {
				found.end = p;
				return found;
			}
			found.folded = true;
			p = rest.data;
			continue;
		}
		if (grouping && *p == '{') {
			level++;
		} else if (grouping && *p == '}' && level > 0) {
			level--;
		} else if (level == 0 && postfix_lines_is_blank(*p)) {
			found.end = p;
			return found;
		}
		p++;
	}
	return found;
}

/* Postfix's extpar(): a word that begins with a brace must end with its match. */
static int check_braces(struct span text, struct error *err)
{
	unsigned level = 0;

	if (text.len == 0 || text.data[0] != '{')
		return 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '{')
			level++;
		else if (text.data[i] == '}' && --level == 0 && i + 1 < text.len)
			return error_set(err, -EINVAL, "text after '}' in \"%.*s\"",
					 SPAN_ARG(text));
	}
	if (level > 0)
		return error_set(err, -EINVAL, "missing '}' in \"%.*s\"", SPAN_ARG(text));
	return 0;
}

/* All words of an entry whose lines are `raw`. */
static int read_words(struct reader *r, struct span raw)
{
	const char *p = raw.data, *limit = span_end(raw);
	size_t first_word = r->cf->n_words;

	while (p < limit) {
		/* Braces group words among the arguments only. */
		bool grouping = r->cf->n_words - first_word >= MASTER_CF_FIELD_COUNT;
		struct word_end word;
		struct span text;
		int rc = 0;

		if (*p == '\n') {
			p = postfix_lines_skip_ignored(span_between(p + 1, limit)).data;
			continue;
		}
		if (postfix_lines_is_blank(*p)) {
			p++;
			continue;
		}
		word = find_word_end(p, limit, grouping);
		text = span_between(p, word.end);
		if (word.folded) {
			size_t at = r->cf->unfolded.len;

			postfix_lines_unfold(&r->cf->unfolded, text);
			rc = buf_check(&r->cf->unfolded, r->err);
			if (rc < 0)
				return rc;
			/* Only the length, until the storage stands still: settle_words(). */
			text = span_make(NULL, r->cf->unfolded.len - at);
		}
		if (grouping && !word.folded && r->rules == MASTER_CF_STRICT)
			rc = check_braces(text, r->err);
		if (rc == 0)
			rc = add_word(r, span_between(p, word.end), text);
		if (rc < 0)
			return rc;
		p = word.end;
	}
	return 0;
}

struct field_rule {
	enum master_cf_field field;
	const char *name;
	bool is_flag; /* y, n or -; else a number or - */
};

/* get_bool_ent() and get_int_ent() of Postfix's master_ent.c. */
static const struct field_rule field_rules[] = {
	{ MASTER_CF_PRIVATE, "private", true },        { MASTER_CF_UNPRIV, "unprivileged", true },
	{ MASTER_CF_CHROOT, "chroot", true },          { MASTER_CF_WAKEUP, "wakeup", false },
	{ MASTER_CF_MAXPROC, "process limit", false },
};

/* A number only has to begin with a digit: "60?", and Postfix reads no further. */
static bool field_is_good(const struct field_rule *rule, struct span value)
{
	if (span_is(value, "-"))
		return true;
	if (rule->is_flag)
		return span_is(value, "y") || span_is(value, "n");
	return value.data[0] >= '0' && value.data[0] <= '9';
}

static bool type_is_known(struct span type)
{
	static const char *const types[] = { "inet", "unix", "fifo", "pass", "unix-dgram" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (span_is(type, types[i]))
			return true;
	return false;
}

static bool host_is_good(struct span host)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr parsed;

	if (span_starts(host, "IPv6:"))
		host = span_between(host.data + strlen("IPv6:"), span_end(host));
	if (host.len == 0 || host.len >= 256)
		return false;
	if (memchr(host.data, ':', host.len)) {
		snprintf(address, sizeof(address), "%.*s", (int)host.len, host.data);
		return inet_pton(AF_INET6, address, &parsed) == 1;
	}
	for (size_t i = 0; i < host.len; i++) {
		unsigned char c = (unsigned char)host.data[i];

		if (!isalnum(c) && c < 0x80 && c != '-' && c != '.' && c != '_')
			return false;
	}
	return true;
}

/*
 * What is wrong with the name of an inet service, by the rules of Postfix's
 * host_port.c; NULL when nothing is.  postconf(1) does not look, and master(8)
 * dies of it, also at a reload.
 */
static const char *fault_of_inet_name(struct span name)
{
	bool bracketed = span_starts(name, "[");
	const char *end =
		bracketed ? memchr(name.data, ']', name.len) : memrchr(name.data, ':', name.len);
	struct span port = name;

	if (bracketed && !end)
		return "missing ']'";
	if (end) {
		struct span host = span_between(name.data + bracketed, end);

		port = span_between(end + 1, span_end(name));
		if (bracketed && port.len > 0 && port.data[0] != ':')
			return "text after ']'";
		if (bracketed && port.len > 0)
			port = span_between(port.data + 1, span_end(port));
		if ((bracketed || host.len > 0) && !host_is_good(host))
			return "no host name or address";
	}
	if (port.len == 0)
		return "no port";
	if (isdigit((unsigned char)port.data[0]))
		for (size_t i = 1; i < port.len; i++)
			if (!isdigit((unsigned char)port.data[i]))
				return "text after the port number";
	return NULL;
}

static int check_inet(const struct master_cf_entry *entry, struct span line, struct error *err)
{
	const char *fault = fault_of_inet_name(master_cf_get(entry, MASTER_CF_NAME));

	if (fault)
		return error_set(err, -EINVAL, "bad inet service name, %s: \"%.*s\"", fault,
				 SPAN_ARG(line));
	if (!span_is(master_cf_get(entry, MASTER_CF_PRIVATE), "n"))
		return error_set(err, -EINVAL, "an inet service cannot be private: \"%.*s\"",
				 SPAN_ARG(line));
	return 0;
}

static int check_fields(const struct master_cf_entry *entry, struct error *err)
{
	struct span first = span_trim(entry->raw, POSTFIX_SPACE);
	struct span whole = first;

	first = span_trim(span_take_line(&whole), POSTFIX_SPACE);
	if (entry->n_words < MASTER_CF_FIELD_COUNT)
		return error_set(err, -EINVAL, "bad field count %zu, wanted at least %d: \"%.*s\"",
				 entry->n_words, MASTER_CF_FIELD_COUNT, SPAN_ARG(first));
	if (!type_is_known(master_cf_get(entry, MASTER_CF_TYPE)))
		return error_set(err, -EINVAL, "bad transport type \"%.*s\": \"%.*s\"",
				 SPAN_ARG(master_cf_get(entry, MASTER_CF_TYPE)), SPAN_ARG(first));
	if (span_is(master_cf_get(entry, MASTER_CF_TYPE), "inet")) {
		int rc = check_inet(entry, first, err);

		if (rc < 0)
			return rc;
	}
	if (span_is(master_cf_get(entry, MASTER_CF_COMMAND), "-"))
		return error_set(err, -EINVAL, "no command: \"%.*s\"", SPAN_ARG(first));
	for (size_t i = 0; i < sizeof(field_rules) / sizeof(field_rules[0]); i++) {
		struct span value = master_cf_get(entry, field_rules[i].field);

		if (!field_is_good(&field_rules[i], value))
			return error_set(err, -EINVAL, "bad %s field \"%.*s\": \"%.*s\"",
					 field_rules[i].name, SPAN_ARG(value), SPAN_ARG(first));
	}
	return 0;
}

static int add_entry(struct reader *r, const struct postfix_line *line)
{
	struct master_cf *cf = r->cf;
	struct master_cf_entry *entries =
		grow(cf->entries, cf->n_entries, &r->cap_entries, sizeof(*entries));
	size_t first_word = cf->n_words;
	int rc;

	if (!entries)
		return error_set(r->err, -ENOMEM, "out of memory");
	cf->entries = entries;
	rc = read_words(r, line->raw);
	if (rc < 0)
		return rc;
	/* words may move while they grow: an offset until all are read */
	entries[cf->n_entries++] = (struct master_cf_entry){
		.raw = line->raw,
		.n_words = cf->n_words - first_word,
		.first_line = line->first_line,
		.last_line = line->last_line,
	};
	return 0;
}

static int read_entries(struct reader *r, struct span text)
{
	struct postfix_lines lines = postfix_lines_start(text);
	struct postfix_line line;

	while (postfix_lines_next(&lines, &line)) {
		int rc = add_entry(r, &line);

		if (rc < 0)
			return error_wrap(r->err, rc, "%u", line.first_line);
	}
	return 0;
}

/* Give an entry its words, and folded words their text: neither moves any more. */
static int settle_words(struct master_cf *cf, struct master_cf_entry *entry, size_t first_word,
			size_t *unfolded, enum master_cf_rules rules, struct error *err)
{
	entry->words = cf->words + first_word;
	for (size_t i = 0; i < entry->n_words; i++) {
		struct master_cf_word *word = &cf->words[first_word + i];
		int rc;

		if (word->text.data)
			continue;
		word->text.data = cf->unfolded.data + *unfolded;
		*unfolded += word->text.len;
		rc = i < MASTER_CF_FIELD_COUNT ? 0 : check_braces(word->text, err);
		if (rc < 0 && rules == MASTER_CF_STRICT)
			return rc;
	}
	return 0;
}

static int settle_entries(struct master_cf *cf, enum master_cf_rules rules, struct error *err)
{
	size_t word = 0, unfolded = 0;

	for (size_t i = 0; i < cf->n_entries; i++) {
		struct master_cf_entry *entry = &cf->entries[i];
		int rc = settle_words(cf, entry, word, &unfolded, rules, err);

		if (rc == 0 && rules == MASTER_CF_STRICT)
			rc = check_fields(entry, err);
		if (rc < 0)
			return error_wrap(err, rc, "%u", entry->first_line);
		word += entry->n_words;
	}
	return 0;
}

int master_cf_parse(struct span text, struct master_cf *out, struct error *err)
{
	return master_cf_parse_by(text, MASTER_CF_STRICT, out, err);
}

int master_cf_parse_by(struct span text, enum master_cf_rules rules, struct master_cf *out,
		       struct error *err)
{
	struct master_cf cf = { .text = text };
	struct reader reader = { .cf = &cf, .rules = rules, .err = err };
	int rc = postfix_lines_check(text, err);

	if (rc == 0)
		rc = read_entries(&reader, text);
	if (rc == 0)
		rc = settle_entries(&cf, rules, err);
	if (rc < 0) {
		master_cf_release(&cf);
		return rc;
	}
	*out = cf;
	return 0;
}

void master_cf_release(struct master_cf *cf)
{
	free(cf->entries);
	free(cf->words);
	buf_release(&cf->unfolded);
	*cf = (struct master_cf){ 0 };
}

const struct master_cf_entry *master_cf_find(const struct master_cf *cf, const char *name,
					     const char *type)
{
	for (size_t i = 0; i < cf->n_entries; i++) {
		const struct master_cf_entry *entry = &cf->entries[i];

		if (span_is(master_cf_get(entry, MASTER_CF_NAME), name) &&
		    span_is(master_cf_get(entry, MASTER_CF_TYPE), type))
			return entry;
	}
	return NULL;
}

/* "name=value" or "{ name = value }" as split_nameval() takes it apart. */
static void split_setting(struct master_cf_arg *arg)
{
	struct span text = arg->value;
	const char *equals;

	if (text.len >= 2 && text.data[0] == '{' && text.data[text.len - 1] == '}')
		text = span_make(text.data + 1, text.len - 2);
	equals = text.len > 0 ? memchr(text.data, '=', text.len) : NULL;
	if (!equals) {
		arg->name = span_trim(text, POSTFIX_SPACE);
		return;
	}
	arg->name = span_trim(span_between(text.data, equals), POSTFIX_SPACE);
	arg->setting = span_trim(span_between(equals + 1, span_end(text)), POSTFIX_SPACE);
}

static bool plain_word(struct master_cf_args *at, struct span word, struct master_cf_arg *out)
{
	*out = (struct master_cf_arg){
		.has_value = true,
		.value = word,
		.first_word = MASTER_CF_FIELD_COUNT + at->word,
		.n_words = 1,
	};
	at->word++;
	at->options_ended = true;
	return true;
}

bool master_cf_next_arg(const struct master_cf_entry *entry, struct master_cf_args *at,
			struct master_cf_arg *out)
{
	const struct master_cf_word *args = entry->words + MASTER_CF_FIELD_COUNT;
	size_t n_args = entry->n_words - MASTER_CF_FIELD_COUNT;
	struct master_cf_arg arg = { 0 };
	struct span word;

	if (entry->n_words < MASTER_CF_FIELD_COUNT || at->word >= n_args)
		return false;
	word = args[at->word].text;
	if (at->options_ended || word.data[0] != '-' || word.len < 2 || span_is(word, "--"))
		return plain_word(at, word, out);

	arg.first_word = MASTER_CF_FIELD_COUNT + at->word;
	if (at->letter == 0)
		at->letter = 1;
	arg.flag = word.data[at->letter++];
	arg.n_words = at->letter == 2 ? 1 : 0;
	if (memchr(options_with_value, arg.flag, sizeof(options_with_value) - 1)) {
		if (at->letter < word.len) {
			arg.has_value = true;
			arg.value = span_between(word.data + at->letter, span_end(word));
		} else if (at->word + 1 < n_args) {
			arg.has_value = true;
			arg.value = args[++at->word].text;
			arg.n_words = arg.n_words ? 2 : 0;
		}
		at->letter = word.len;
		if (arg.flag == 'o')
			split_setting(&arg);
	} else if (at->letter < word.len) {
		arg.n_words = 0;
	}
	if (at->letter >= word.len) {
		at->letter = 0;
		at->word++;
	}
	*out = arg;
	return true;
}

bool master_cf_option(const struct master_cf_entry *entry, const char *name, struct span *out)
{
	struct master_cf_args at = { 0 };
	struct master_cf_arg arg;
	bool found = false;

	while (master_cf_next_arg(entry, &at, &arg)) {
		if (arg.flag == 'o' && span_is(arg.name, name)) {
			*out = arg.setting;
			found = true;
		}
	}
	return found;
}
