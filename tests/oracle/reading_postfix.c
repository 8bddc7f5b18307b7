/* SPDX-License-Identifier: MIT */
/* reading_postfix - master.cf and main.cf as postconf(1) prints them, and the plan. */
#include "reading.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "patchers/inet_service.h"
#include "patchers/main_cf.h"
#include "patchers/master_cf.h"
#include "patchers/postfix_lines.h"
#include "patchers/postfix_twins.h"
#include "patchers/postfix_value.h"
#include "tests/support/override_laws.h"

#include <errno.h>

/* ---- master.cf ---- */

static bool has_blank(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (memchr(POSTFIX_BLANKS, s.data[i], strlen(POSTFIX_BLANKS)))
			return true;
	return false;
}

static bool is_braced(struct span s)
{
	return s.len >= 2 && s.data[0] == '{' && s.data[s.len - 1] == '}';
}

/* A value as postconf shows it: in braces only where it must be. */
static void add_value(struct buf *out, struct span value)
{
	bool braces = has_blank(value);

	buf_add_text(out, braces ? "{" : "");
	buf_add(out, value);
	buf_add_text(out, braces ? "}" : "");
}

static struct span without_braces(struct span s)
{
	return is_braced(s) ? span_trim(span_make(s.data + 1, s.len - 2), POSTFIX_SPACE) : s;
}

static void add_option(struct buf *out, const struct master_cf_arg *arg)
{
	cleanup_buf struct buf setting = BUF_INIT;

	if (!is_braced(arg->value)) {
		add_value(out, arg->value);
		return;
	}
	buf_add(&setting, arg->name);
	if (memchr(arg->value.data, '=', arg->value.len)) {
		buf_add_char(&setting, '=');
		buf_add(&setting, arg->setting);
	}
	add_value(out, buf_span(&setting));
}

static void add_arguments(struct buf *out, const struct master_cf_entry *entry)
{
	struct master_cf_args at = { 0 };
	struct master_cf_arg arg;
	size_t flags_of = 0; /* the word whose flags are being printed */
	bool plain = false;

	while (master_cf_next_arg(entry, &at, &arg)) {
		if (!arg.flag) {
			buf_add_char(out, ' ');
			/* postconf forgets the braces of the first word after the options */
			if (plain)
				add_value(out, without_braces(arg.value));
			else
				buf_add(out, without_braces(arg.value));
			plain = true;
			continue;
		}
		if (arg.has_value || flags_of != arg.first_word)
			buf_add_format(out, " -");
		buf_add_char(out, arg.flag);
		flags_of = arg.has_value ? 0 : arg.first_word;
		if (arg.has_value) {
			buf_add_char(out, ' ');
			add_option(out, &arg);
		}
	}
}

/* The columns are postconf's: at least one blank, then up to the goal. */
static void print_entry(struct buf *out, const struct master_cf_entry *entry)
{
	static const size_t goals[MASTER_CF_FIELD_COUNT] = { 0, 11, 17, 25, 33, 41, 49, 57 };
	size_t start = out->len;

	for (int field = 0; field < MASTER_CF_FIELD_COUNT; field++) {
		buf_add_text(out, field > 0 ? " " : "");
		while (out->len - start < goals[field] && !out->failed)
			buf_add_char(out, ' ');
		buf_add(out, master_cf_get(entry, (enum master_cf_field)field));
	}
	add_arguments(out, entry);
	buf_add_char(out, '\n');
}

static void add_service(struct buf *out, const struct master_cf_entry *entry)
{
	buf_add(out, master_cf_get(entry, MASTER_CF_NAME));
	buf_add_char(out, '/');
	buf_add(out, master_cf_get(entry, MASTER_CF_TYPE));
	buf_add_char(out, '/');
}

static void print_fields(struct buf *out, const struct master_cf_entry *entry)
{
	static const char *const names[MASTER_CF_FIELD_COUNT] = {
		"service", "type",   "private",       "unprivileged",
		"chroot",  "wakeup", "process_limit", "command",
	};

	for (int field = 0; field < MASTER_CF_FIELD_COUNT; field++) {
		add_service(out, entry);
		buf_add_format(out, "%s = ", names[field]);
		buf_add(out, master_cf_get(entry, (enum master_cf_field)field));
		if (field == MASTER_CF_COMMAND)
			add_arguments(out, entry);
		buf_add_char(out, '\n');
	}
}

/* In the file's order; an option that a later one replaces is not shown. */
static void print_options(struct buf *out, const struct master_cf_entry *entry)
{
	struct master_cf_args at = { 0 };
	struct master_cf_arg arg;

	while (master_cf_next_arg(entry, &at, &arg)) {
		cleanup_free char *name = strndup(arg.name.data ? arg.name.data : "", arg.name.len);
		struct span value;

		if (arg.flag != 'o' || arg.name.len == 0 || !name ||
		    !master_cf_option(entry, name, &value) || value.data != arg.setting.data)
			continue;
		add_service(out, entry);
		buf_add_format(out, "%s = ", name);
		buf_add(out, value);
		buf_add_char(out, '\n');
	}
}

static int print_master(const char *path, struct buf *out, struct error *err,
			void (*print)(struct buf *, const struct master_cf_entry *))
{
	cleanup_buf struct buf text = BUF_INIT;
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	int rc = reading_file(path, &text, err);

	if (rc == 0)
		rc = master_cf_parse(buf_span(&text), &cf, err);
	for (size_t i = 0; rc == 0 && i < cf.n_entries; i++)
		print(out, &cf.entries[i]);
	return rc;
}

int reading_master(char **args, struct buf *out, struct error *err)
{
	return print_master(args[0], out, err, print_entry);
}

int reading_fields(char **args, struct buf *out, struct error *err)
{
	return print_master(args[0], out, err, print_fields);
}

int reading_options(char **args, struct buf *out, struct error *err)
{
	return print_master(args[0], out, err, print_options);
}

/* ---- main.cf ---- */

static int read_main(const char *path, struct main_cf *out, struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	int rc = reading_file(path, &text, err);

	return rc == 0 ? main_cf_parse(buf_span(&text), out, err) : rc;
}

int reading_value(char **args, struct buf *out, struct error *err)
{
	CLEANUP(main_cf_release) struct main_cf cf = { 0 };
	int rc = read_main(args[0], &cf, err);

	if (rc == 0)
		rc = postfix_value_get(&cf, NULL, span_from(args[1]), out, err);
	if (rc == 0)
		return error_set(err, -ENOENT, "%s is not set", args[1]);
	buf_add_char(out, '\n');
	return rc < 0 ? rc : 0;
}

/* Every assignment, in order, as it stands. */
int reading_assignments(char **args, struct buf *out, struct error *err)
{
	CLEANUP(main_cf_release) struct main_cf cf = { 0 };
	int rc = read_main(args[0], &cf, err);

	for (size_t i = 0; rc == 0 && i < cf.n_parameters; i++) {
		const struct main_cf_parameter *p = &cf.parameters[i];
		struct span last;

		if (!main_cf_lookup(&cf, p->name, &last) || last.data != p->value.data)
			continue;
		buf_add(out, p->name);
		buf_add_text(out, " = ");
		buf_add(out, p->value);
		buf_add_char(out, '\n');
	}
	return rc;
}

/* ---- twins ---- */

static const struct postfix_listener postfix_listeners[] = {
	{ .name = "smtp", .stock_port = 25, .port = 12525 },
	{ .name = "submission", .stock_port = 587, .port = 10587 },
	{ .name = "submissions", .stock_port = 465, .port = 10465 },
};

static int print_plan(const struct postfix_twins_request *request, bool as_table, struct buf *out,
		      struct error *err)
{
	CLEANUP(postfix_plan_release) struct postfix_plan plan = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	int rc = postfix_twins_plan(request, &plan, &notes, err);

	if (rc < 0)
		return rc;
	if (!as_table) {
		buf_add(out, buf_span(&plan.text));
		return 0;
	}
	for (size_t i = 0; i < plan.n_twins; i++) {
		const struct postfix_twin *t = &plan.twins[i];

		buf_add_format(out, "twin %s %s %s %u %u %s %s\n", t->listener, t->stock,
			       t->service, t->stock_port, t->port,
			       t->postscreen ? "postscreen" : "smtpd", t->is_new ? "new" : "there");
	}
	for (size_t i = 0; i < notes.n_items; i++)
		buf_add_format(out, "note %s\n", notes.items[i].text);
	return 0;
}

/* MASTER.CF MAIN.CF SERVICES */
static int plan_twins(char **args, bool in_place, bool as_table, struct buf *out, struct error *err)
{
	cleanup_buf struct buf master = BUF_INIT, services = BUF_INIT;
	CLEANUP(main_cf_release) struct main_cf main_cf = { 0 };
	struct port_names names;
	struct postfix_twins_request request = {
		.main_cf = &main_cf,
		.port_names = &names,
		.listeners = postfix_listeners,
		.n_listeners = sizeof(postfix_listeners) / sizeof(postfix_listeners[0]),
		.in_place = in_place,
	};
	int rc = reading_file(args[0], &master, err);

	if (rc == 0)
		rc = read_main(args[1], &main_cf, err);
	if (rc == 0)
		rc = reading_file(args[2], &services, err);
	if (rc < 0)
		return rc;
	names.services_file = buf_span(&services);
	request.master_cf = buf_span(&master);
	return print_plan(&request, as_table, out, err);
}

int reading_twins(char **args, struct buf *out, struct error *err)
{
	return plan_twins(args, false, false, out, err);
}

int reading_in_place(char **args, struct buf *out, struct error *err)
{
	return plan_twins(args, true, false, out, err);
}

int reading_twin_table(char **args, struct buf *out, struct error *err)
{
	return plan_twins(args, false, true, out, err);
}

int reading_strip(char **args, struct buf *out, struct error *err)
{
	cleanup_buf struct buf master = BUF_INIT;
	int rc = reading_file(args[0], &master, err);

	return rc == 0 ? postfix_twins_strip(buf_span(&master), out, err) : rc;
}

/* ---- overrides ---- */

/* SERVER'S-FILE OVERRIDE-FILE: the first with the second in force. */
static int override_file_by(enum override_kind kind, char **args, struct buf *out,
			    struct error *err)
{
	CLEANUP(override_record_release) struct override_record record = OVERRIDE_RECORD_INIT;
	cleanup_buf struct buf text = BUF_INIT, lines = BUF_INIT;
	int rc = reading_file(args[0], &text, err);

	if (rc == 0)
		rc = reading_file(args[1], &lines, err);
	if (rc == 0)
		rc = override_laws_apply(kind, buf_span(&text), buf_span(&lines), &record, out,
					 NULL, err);
	return rc;
}

int reading_override_main(char **args, struct buf *out, struct error *err)
{
	return override_file_by(OVERRIDE_MAIN_CF, args, out, err);
}

int reading_override_master(char **args, struct buf *out, struct error *err)
{
	return override_file_by(OVERRIDE_MASTER_CF, args, out, err);
}
