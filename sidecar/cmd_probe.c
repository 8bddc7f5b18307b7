/* SPDX-License-Identifier: MIT */
/* cmd_probe - speak PROXY to each twin, or to any listener anywhere, and say what answered. */
#include "command.h"
#include "inputs.h"
#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "ports.h"
#include "printable.h"
#include "probe_targets.h"
#include "status_client.h"
#include "survey.h"
#include "view.h"
#include "view_targets.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

enum {
	OPTION_JSON,
	OPTION_HEADER,
	OPTION_TIMEOUT,
	OPTION_QUICK,
	OPTION_LIVE,
	OPTION_READY,
	OPTION_EXPECT,
	OPTION_TRUSTED,
	OPTION_COUNT
};

const struct command_option cmd_probe_options[] = {
	[OPTION_JSON] = { "json", NULL, "for programs" },
	[OPTION_HEADER] = { "header", "v1|v2|local",
			    "send this one only (default: all three); to targets also "
			    "garbage|none|forged" },
	[OPTION_TIMEOUT] = { "timeout", "SECONDS", "how long to wait for answers (default: 15)" },
	[OPTION_QUICK] = { "quick", NULL,
			   "be content with the first line that postscreen greets with" },
	[OPTION_LIVE] = { "live", NULL, "instead: does the running postern answer?" },
	[OPTION_READY] = { "ready", NULL, "instead: has it proven every enabled twin?" },
	[OPTION_EXPECT] = { "expect", "WHAT",
			    "what targets (LISTENER=HOST:PORT...) are: twin (default), stock, "
			    "shut, "
			    "auto" },
	[OPTION_TRUSTED] = { "trusted", "NETWORKS",
			     "with auto: a target is a twin for us when we come from one of these, "
			     "else shut" },
	[OPTION_COUNT] = { 0 },
};

enum { TIMEOUT_S = 15, TIMEOUT_S_MAX = 600 };

/* The options, and the rest of the line. */
struct probing {
	const char *values[OPTION_COUNT];
	bool headers[PROXY_HEADER_COUNT];
	unsigned long timeout_s;
	bool quick;
	bool json;
	char **targets;
	size_t n_targets;
};

static bool keep_value(void *arg, int which, const char *value)
{
	struct probing *p = arg;

	p->values[which] = value;
	return true;
}

static bool read_header(struct probing *p)
{
	const char *header = p->values[OPTION_HEADER];
	int n_known = p->n_targets > 0 ? PROXY_HEADER_COUNT : PROXY_HEADER_PROPER_COUNT;
	bool is_known = false;

	for (int i = 0; i < n_known; i++) {
		p->headers[i] =
			!header || strcasecmp(header, proxy_header_name((enum proxy_header)i)) == 0;
		is_known = is_known || p->headers[i];
	}
	if (!header)
		p->headers[PROXY_HEADER_FORGED] = p->n_targets > 0 && !p->quick;
	if (!is_known)
		log_error("probe: --header %s: wanted v1, v2 or local%s", header,
			  p->n_targets > 0 ? ", garbage, none or forged" : "");
	return is_known;
}

static bool read_timeout(struct probing *p)
{
	const char *timeout = p->values[OPTION_TIMEOUT];

	p->timeout_s = TIMEOUT_S;
	if (!timeout ||
	    (span_to_number(span_from(timeout), TIMEOUT_S_MAX, &p->timeout_s) && p->timeout_s > 0))
		return true;
	log_error("probe: --timeout %s: wanted seconds from 1 to %d", timeout, TIMEOUT_S_MAX);
	return false;
}

/* Which options go with targets, and which do not. */
static bool fits(const struct probing *p)
{
	bool for_targets = p->values[OPTION_EXPECT] || p->values[OPTION_TRUSTED];
	bool for_running = p->values[OPTION_LIVE] || p->values[OPTION_READY];

	if (p->n_targets == 0 && for_targets)
		log_error("probe: --expect and --trusted are of targets: LISTENER=HOST:PORT");
	else if (p->n_targets > 0 && for_running)
		log_error("probe: --live and --ready ask the running postern, not a target");
	else
		return true;
	return false;
}

static bool read_line(const struct command *self, int argc, char **argv, struct probing *p)
{
	int first;

	*p = (struct probing){ 0 };
	first = command_parse_each(self, argc, argv, keep_value, p);
	if (first < 0)
		return false;
	p->targets = argv + first;
	p->n_targets = (size_t)(argc - first);
	p->quick = p->values[OPTION_QUICK] != NULL;
	p->json = p->values[OPTION_JSON] != NULL;
	return fits(p) && read_header(p) && read_timeout(p);
}

/* A job for each twin and header. */
static size_t make_jobs(const struct survey *r, const struct probing *p, struct probe_job *jobs,
			char (*addresses)[PORTS_ADDRESS_MAX], struct view_probe_row *rows)
{
	size_t n = 0;

	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct server *server = &r->servers[i];
		struct listening seen;

		server_look_at_twins(server, &seen);
		for (size_t k = 0; k < server->n_twins * PROXY_HEADER_PROPER_COUNT; k++) {
			const struct twin *twin = &server->twins[k / PROXY_HEADER_PROPER_COUNT];
			enum proxy_header header =
				(enum proxy_header)(k % PROXY_HEADER_PROPER_COUNT);

			if (!p->headers[header])
				continue;
			jobs[n] = (struct probe_job){
				.address = twin->address,
				.port = twin->port,
				.protocol = twin->protocol,
				.tls = twin->tls,
				.header = header,
				.first_line_is_enough = p->quick,
			};
			/* Where its master really listens, if that is to be seen. */
			if (ports_address_of(&seen, twin->port, addresses[n]))
				jobs[n].address = addresses[n];
			rows[n] = (struct view_probe_row){ server->kind->name, twin, &jobs[n] };
			n++;
		}
	}
	return n;
}

static int probe(const struct survey *r, const struct probing *p, bool *all_up, struct error *err)
{
	size_t most = (r->servers[0].n_twins + r->servers[1].n_twins) * PROXY_HEADER_PROPER_COUNT;
	cleanup_free struct probe_job *jobs = calloc(most + 1, sizeof(*jobs));
	cleanup_free struct view_probe_row *rows = calloc(most + 1, sizeof(*rows));
	cleanup_free char(*addresses)[PORTS_ADDRESS_MAX] = calloc(most + 1, sizeof(*addresses));
	size_t n;
	int rc;

	if (!jobs || !rows || !addresses)
		return error_set(err, -ENOMEM, "out of memory");
	n = make_jobs(r, p, jobs, addresses, rows);
	rc = probe_run(jobs, n, (int)p->timeout_s * 1000, false, -1, err);
	if (rc < 0)
		return rc;
	*all_up = n > 0;
	for (size_t i = 0; i < n; i++)
		*all_up = *all_up && jobs[i].up;
	if (n == 0)
		log_notice("there is no twin to probe");
	return view_probe(rows, n, p->json, err);
}

/* An answer of some lines, for people. */
static int print_lines(char *text, struct error *err)
{
	cleanup_buf struct buf clean = BUF_INIT;

	for (char *end; *text; text = end) {
		end = strchrnul(text, '\n');
		if (*end)
			*end++ = '\0';
		printable_add(&clean, text);
		buf_add_char(&clean, '\n');
	}
	fputs(buf_text(&clean), stdout);
	return buf_check(&clean, err);
}

/* Ask the running postern, for Kubernetes' probes. */
static int ask(const struct command_globals *globals, const char *path)
{
	cleanup_buf struct buf answer = BUF_INIT;
	struct error err = { 0 };
	int rc = status_client_get(globals->socket, path, &answer, &err);

	if (rc < 0)
		return command_fail(&err);
	if (answer.data && print_lines(answer.data, &err) < 0)
		return command_fail(&err);
	return rc == 200 ? EXIT_DONE : EXIT_FAILED;
}

/* Of this host. */
static int probe_twins(const struct command_globals *globals, const struct probing *p)
{
	CLEANUP(host_release) struct host host = HOST_INIT;
	CLEANUP(inputs_release) struct inputs inputs = INPUTS_INIT;
	CLEANUP(survey_release) struct survey r = SURVEY_INIT;
	struct survey_request request = { .host = &host,
					  .settings = &inputs.settings,
					  .overrides = &inputs.overrides };
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	struct error err = { 0 };
	bool all_up = false;
	int rc = command_open(globals, COMMAND_NEEDS_PORTS, &host, &inputs, &notes);

	command_log_notes(&notes);
	if (rc != 0)
		return rc;
	rc = survey_take(&request, &r, &err);
	if (rc == 0)
		rc = probe(&r, p, &all_up, &err);
	if (rc < 0)
		return command_fail(&err);
	return all_up ? EXIT_DONE : EXIT_FAILED;
}

/* ---- targets ---- */

static int read_targets(const struct probing *p, struct probe_target *targets, struct error *err)
{
	for (size_t i = 0; i < p->n_targets; i++)
		if (probe_target_parse(p->targets[i], &targets[i], err) < 0)
			return -EINVAL;
	return 0;
}

static int read_expected(const char *word, struct probe_targets_request *request, struct error *err)
{
	if (!word)
		return 0; /* a twin */
	request->by_address = strcmp(word, "auto") == 0;
	if (request->by_address)
		return 0;
	for (int i = 0; i < PROBE_LAW_EXPECTED_COUNT; i++) {
		request->expected = (enum probe_law_expected)i;
		if (strcmp(word, probe_law_name(request->expected)) == 0)
			return 0;
	}
	return error_set(err, -EINVAL, "--expect %s: wanted twin, stock, shut or auto", word);
}

static int read_trusted(const char *text, struct probe_targets_request *request, struct error *err)
{
	struct span rest = span_from(text ? text : ""), word;
	struct cidr network;
	int rc = 0;

	if (request->by_address != (text != NULL))
		return error_set(err, -EINVAL, "--expect auto and --trusted go together");
	while (rc == 0 && (word = span_take_word(&rest, ", \t\n")).len > 0) {
		rc = cidr_parse(word, &network, NULL, err);
		if (rc == 0)
			rc = cidr_list_add(&request->trusted, &network, NULL, err);
	}
	if (rc < 0)
		return error_wrap(err, rc, "--trusted");
	if (text && request->trusted.n_items == 0)
		return error_set(err, -EINVAL, "--trusted: wanted networks, separated by commas");
	return 0;
}

static int read_request(const struct probing *p, struct probe_target *targets,
			struct probe_targets_request *request, struct error *err)
{
	int rc = read_targets(p, targets, err);

	if (rc == 0)
		rc = read_expected(p->values[OPTION_EXPECT], request, err);
	return rc == 0 ? read_trusted(p->values[OPTION_TRUSTED], request, err) : rc;
}

static int show_targets(const struct probe_targets *found, size_t n_targets, bool json,
			struct error *err)
{
	for (size_t i = 0; i < n_targets; i++)
		if (found->names[i].n_addresses == 0)
			log_error("probe: %s: %s", found->names[i].name, found->names[i].reason);
	if (found->n_rows == 0)
		log_notice("there is nothing to send");
	return view_targets(found, json, err);
}

static void release_trusted(struct probe_targets_request *request)
{
	cidr_list_release(&request->trusted);
}

static int probe_others(const struct probing *p)
{
	cleanup_free struct probe_target *targets = calloc(p->n_targets, sizeof(*targets));
	CLEANUP(probe_targets_release) struct probe_targets found = PROBE_TARGETS_INIT;
	CLEANUP(release_trusted)
	struct probe_targets_request request = {
		.targets = targets,
		.n_targets = p->n_targets,
		.first_line_is_enough = p->quick,
		.limit_ms = (int)p->timeout_s * 1000,
	};
	struct error err = { 0 };
	int rc;

	memcpy(request.headers, p->headers, sizeof(request.headers));
	rc = targets ? read_request(p, targets, &request, &err)
		     : error_set(&err, -ENOMEM, "out of memory");
	if (rc < 0) {
		log_error("probe: %s", err.msg);
		return rc == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
	}
	command_shed_privileges(0); /* it hears strangers, and needs none for that */
	rc = probe_targets_run(&request, &found, &err);
	if (rc == 0)
		rc = show_targets(&found, p->n_targets, p->json, &err);
	if (rc < 0)
		return command_fail(&err);
	return found.is_right ? EXIT_DONE : EXIT_FAILED;
}

int cmd_probe(const struct command *self, const struct command_globals *globals, int argc,
	      char **argv)
{
	struct probing p;

	if (!read_line(self, argc, argv, &p))
		return EXIT_USAGE;
	if (p.values[OPTION_READY])
		return ask(globals, "/readyz");
	if (p.values[OPTION_LIVE])
		return ask(globals, "/healthz");
	return p.n_targets > 0 ? probe_others(&p) : probe_twins(globals, &p);
}
