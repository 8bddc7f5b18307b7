/* SPDX-License-Identifier: MIT */
/* cmd_probe - speak PROXY to each twin and say what answered. */
#include "command.h"
#include "inputs.h"
#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "ports.h"
#include "printable.h"
#include "status_client.h"
#include "survey.h"
#include "view.h"

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
	OPTION_COUNT
};

const struct command_option cmd_probe_options[] = {
	[OPTION_JSON] = { "json", NULL, "for programs" },
	[OPTION_HEADER] = { "header", "v1|v2|local", "send this one only (default: all three)" },
	[OPTION_TIMEOUT] = { "timeout", "SECONDS", "how long to wait for answers (default: 15)" },
	[OPTION_QUICK] = { "quick", NULL,
			   "be content with the first line that postscreen greets with" },
	[OPTION_LIVE] = { "live", NULL, "instead: does the running postern answer?" },
	[OPTION_READY] = { "ready", NULL, "instead: has it proven every enabled twin?" },
	[OPTION_COUNT] = { 0 },
};

enum { TIMEOUT_S = 15, TIMEOUT_S_MAX = 600 };

struct probing {
	bool headers[PROXY_HEADER_COUNT];
	unsigned long timeout_s;
	bool quick;
	bool json;
};

static bool read_options(const char **values, struct probing *out)
{
	const char *header = values[OPTION_HEADER];

	*out = (struct probing){ .timeout_s = TIMEOUT_S,
				 .quick = values[OPTION_QUICK] != NULL,
				 .json = values[OPTION_JSON] != NULL };
	for (int i = 0; i < PROXY_HEADER_COUNT; i++)
		out->headers[i] =
			!header || strcasecmp(header, proxy_header_name((enum proxy_header)i)) == 0;
	if (!out->headers[0] && !out->headers[1] && !out->headers[2]) {
		log_error("probe: --header %s: wanted v1, v2 or local", header);
		return false;
	}
	if (values[OPTION_TIMEOUT] &&
	    (!span_to_number(span_from(values[OPTION_TIMEOUT]), TIMEOUT_S_MAX, &out->timeout_s) ||
	     out->timeout_s == 0)) {
		log_error("probe: --timeout %s: wanted seconds from 1 to %d",
			  values[OPTION_TIMEOUT], TIMEOUT_S_MAX);
		return false;
	}
	return true;
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
		for (size_t k = 0; k < server->n_twins * PROXY_HEADER_COUNT; k++) {
			const struct twin *twin = &server->twins[k / PROXY_HEADER_COUNT];
			enum proxy_header header = (enum proxy_header)(k % PROXY_HEADER_COUNT);

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
	size_t most = (r->servers[0].n_twins + r->servers[1].n_twins) * PROXY_HEADER_COUNT;
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

int cmd_probe(const struct command *self, const struct command_globals *globals, int argc,
	      char **argv)
{
	CLEANUP(host_release) struct host host = HOST_INIT;
	CLEANUP(inputs_release) struct inputs inputs = INPUTS_INIT;
	CLEANUP(survey_release) struct survey r = SURVEY_INIT;
	struct survey_request request = { .host = &host,
					  .settings = &inputs.settings,
					  .overrides = &inputs.overrides };
	const char *values[OPTION_COUNT];
	struct probing probing;
	CLEANUP(notes_release) struct notes notes = NOTES_INIT;
	struct error err = { 0 };
	bool all_up = false;
	int rc;

	if (!command_parse(self, argc, argv, values) || !read_options(values, &probing))
		return EXIT_USAGE;
	if (values[OPTION_READY])
		return ask(globals, "/readyz");
	if (values[OPTION_LIVE])
		return ask(globals, "/healthz");
	rc = command_open(globals, COMMAND_NEEDS_PORTS, &host, &inputs, &notes);
	command_log_notes(&notes);
	if (rc != 0)
		return rc;
	rc = survey_take(&request, &r, &err);
	if (rc == 0)
		rc = probe(&r, &probing, &all_up, &err);
	if (rc < 0)
		return command_fail(&err);
	return all_up ? EXIT_DONE : EXIT_FAILED;
}
