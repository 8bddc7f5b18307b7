/* SPDX-License-Identifier: MIT */
/*
 * test_golden - inputs and expected outputs as files.
 *
 * postfix/NAME.in is a master.cf, with NAME.main.cf and NAME.request where
 * the defaults will not do; NAME.out is the master.cf planned, NAME.report the
 * twins and remarks, or the refusal.  dovecot/NAME.in is a bundle (see
 * tests/support/bundle.h) and NAME.out its drop-in.  The laws are checked on
 * every case too.  POSTERN_GOLDEN_UPDATE=1 writes the expected files anew.
 */
#include "golden_files.h"
#include "golden_request.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "patchers/dovecot_reader.h"
#include "patchers/inet_service.h"
#include "patchers/main_cf.h"
#include "tests/support/bundle.h"
#include "tests/support/dovecot_laws.h"
#include "tests/support/postfix_laws.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static void add_notes(struct buf *report, const struct notes *notes)
{
	for (size_t i = 0; i < notes->n_items; i++)
		buf_add_format(report, "%s: %s\n",
			       notes->items[i].level == NOTE_WARNING ? "warning" : "notice",
			       notes->items[i].text);
}

static bool compare(const char *directory, const char *name, struct span out,
		    const struct buf *report, const char *broken)
{
	bool good = golden_compare(directory, name, "out", out);

	good = golden_compare(directory, name, "report", buf_span(report)) && good;
	if (broken)
		fprintf(stderr, "law broken: %s\n", broken);
	return good && !broken;
}

static void report_twins(struct buf *report, const struct postfix_plan *plan)
{
	for (size_t i = 0; i < plan->n_twins; i++) {
		const struct postfix_twin *t = &plan->twins[i];

		buf_add_format(report,
			       "twin: %s, line %u, \"%s\" on port %u: \"%s\" on port %u%s%s\n",
			       t->listener, t->stock_line, t->stock, t->stock_port, t->service,
			       t->port, t->postscreen ? ", postscreen" : "",
			       t->implicit_tls ? ", implicit TLS" : "");
	}
}

static bool run_postfix(const char *directory, const char *name)
{
	static const struct port_names port_names = { { 0 } };
	CLEANUP(main_cf_release) struct main_cf main_cf = { 0 };
	CLEANUP(golden_request_release) struct golden_request asked = { 0 };
	CLEANUP(postfix_plan_release) struct postfix_plan plan = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	cleanup_buf struct buf in = BUF_INIT, main_text = BUF_INIT, ask = BUF_INIT;
	cleanup_buf struct buf report = BUF_INIT;
	struct postfix_twins_request request = { .main_cf = &main_cf, .port_names = &port_names };
	struct error err;

	golden_read(directory, name, "in", &in);
	golden_read(directory, name, "main.cf", &main_text);
	golden_read(directory, name, "request", &ask);
	if (!golden_request_read(buf_span(&ask), &asked) ||
	    main_cf_parse(buf_span(&main_text), &main_cf, NULL) < 0)
		return false;
	request.master_cf = buf_span(&in);
	request.listeners = asked.postfix;
	request.n_listeners = asked.n_postfix;
	request.in_place = asked.in_place;
	if (postfix_twins_plan(&request, &plan, &notes, &err) < 0)
		buf_add_format(&report, "refused: master.cf:%s\n", err.msg);
	report_twins(&report, &plan);
	add_notes(&report, &notes);
	return compare(directory, name, buf_span(&plan.text), &report,
		       postfix_laws_broken(&request));
}

static bool run_dovecot(const char *directory, const char *name)
{
	static struct bundle tree;
	CLEANUP(golden_request_release) struct golden_request asked = { 0 };
	CLEANUP(dovecot_conf_release) struct dovecot_conf conf = { 0 };
	CLEANUP(dovecot_plan_release) struct dovecot_plan plan = { 0 };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	cleanup_buf struct buf in = BUF_INIT, ask = BUF_INIT, report = BUF_INIT;
	struct dovecot_source source = bundle_source(&tree);
	struct dovecot_request request = { .conf = &conf, .current = &conf };
	struct error err;
	int rc;

	golden_read(directory, name, "in", &in);
	golden_read(directory, name, "request", &ask);
	if (!golden_request_read(buf_span(&ask), &asked))
		return false;
	request.listeners = asked.dovecot;
	request.n_listeners = asked.n_dovecot;
	request.networks = &asked.networks;
	request.in_place = asked.in_place;
	bundle_parse(buf_span(&in), &tree);
	rc = dovecot_conf_read(&source, DOVECOT_MAIN, NULL, 0, &conf, &err);
	if (rc == 0)
		rc = dovecot_listeners_plan(&request, &plan, &notes, &err);
	if (rc < 0)
		buf_add_format(&report, "refused: %s\n", err.msg);
	for (size_t i = 0; i < plan.n_twins; i++)
		buf_add_format(&report, "twin: %s on port %u: port %u%s\n",
			       plan.twins[i].stock->name, plan.twins[i].stock_port,
			       plan.twins[i].port, plan.twins[i].ssl ? ", implicit TLS" : "");
	add_notes(&report, &notes);
	return compare(directory, name, buf_span(&plan.drop_in), &report,
		       dovecot_laws_broken(&tree, asked.in_place));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *folder;
		golden_run *run;
	} kinds[] = { { "postfix", run_postfix }, { "dovecot", run_dovecot } };
	unsigned n = 0, failed = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: test_golden DIRECTORY\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char directory[PATH_MAX];
		unsigned before = n;

		snprintf(directory, sizeof(directory), "%s/%s", argv[1], kinds[i].folder);
		failed += golden_each(directory, kinds[i].run, &n);
		failed += n == before; /* a folder without cases is none of ours */
	}
	fprintf(stderr, "%u golden cases, %u failed\n", n, failed);
	return failed ? 1 : 0;
}
