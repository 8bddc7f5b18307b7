/* SPDX-License-Identifier: MIT */
/* report_survey - what a survey found, as a part of the report of a look. */
#include "report_survey.h"

#include "patchers/base/cleanup.h"
#include "report.h"
#include "server.h"
#include "survey.h"

#include <string.h>

_Static_assert((int)REPORT_SERVERS == (int)SURVEY_SERVERS, "a report is of all servers");

void report_survey_folders(struct report *out, const struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		for (size_t k = 0; k < r->servers[i].n_folders; k++)
			report_want_folder(out, r->servers[i].folders[k].path,
					   r->servers[i].folders[k].names, false,
					   r->servers[i].folders[k].pid_file);
}

static const struct report_twin *find_twin(const struct report *report, size_t server,
					   uint16_t port)
{
	for (size_t i = 0; i < report->n_twins; i++)
		if (report->twins[i].server == server && report->twins[i].port == port)
			return &report->twins[i];
	return NULL;
}

static void report_twin_state(struct report *report, const struct report *previous, size_t i,
			      const struct server *server, const struct twin *twin)
{
	const struct report_twin *known = find_twin(previous, i, twin->port);
	struct report_twin out = {
		.listener = twin->listener,
		.stock = twin->stock,
		.detail = strdupa(twin->detail),
		.stock_port = twin->stock_port,
		.port = twin->port,
		.server = (uint8_t)i,
		.tls = twin->tls,
		.up = twin->up,
	};

	if (!server->running) {
		out.up = false;
		out.detail = strdupa(REPORT_NOT_RUNNING);
	} else if (!twin->probed && server->verified) {
		out.up = true;
		out.detail = known && known->up ? known->detail : strdupa("");
	} else if (!twin->probed) {
		out.up = false;
		out.detail = strdupa("not asked yet");
	}
	report_add_twin(report, &out);
}

/* A server that was left out is as it was, if it is the same process. */
static void report_left_out(struct report *report, const struct report *previous, size_t i,
			    const struct server *server)
{
	struct report_server *out = &report->servers[i];

	out->verified = previous->servers[i].verified && out->running &&
			out->pid == previous->servers[i].pid;
	for (size_t k = 0; k < previous->n_twins; k++) {
		struct report_twin twin = previous->twins[k];

		if (twin.server != i)
			continue;
		if (!out->verified) {
			twin.up = false;
			twin.detail = strdupa(server->running ? "not asked: its server's "
								"configuration cannot be read"
							      : REPORT_NOT_RUNNING);
		}
		report_add_twin(report, &twin);
	}
}

/* But for its reloads, which other attempts of this look may have counted. */
static void report_state(struct report_server *out, const struct report_server *previous,
			 const struct server *server)
{
	*out = (struct report_server){
		.enabled = server->enabled,
		.present = server->present,
		.running = server->running,
		.starting = server->starting,
		.pid = server->running ? server->master.pid : 0,
		.verified = server->running && server->verified,
		.reloads = out->reloads,
		.was_seen = previous->was_seen || server->running,
	};
}

void report_survey_servers(struct report *out, const struct report *previous,
			   const struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		report_state(&out->servers[i], &previous->servers[i], &r->servers[i]);
		out->servers[i].verified = false;
	}
}

void report_survey(struct report *out, const struct report *previous, const struct survey *r)
{
	report_drop_twins(out);
	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct server *server = &r->servers[i];

		report_state(&out->servers[i], &previous->servers[i], server);
		out->servers[i].reloads += server->n_reloads;
		if (server->left_out)
			report_left_out(out, previous, i, server);
		for (size_t k = 0; k < server->n_twins && !server->left_out; k++)
			report_twin_state(out, previous, i, server, &server->twins[k]);
	}
	report_survey_folders(out, r);
}

void report_survey_gate(struct report *out, const struct gate *gate)
{
	const struct listening_ports guarded = gate_guarded(gate);
	cleanup_buf struct buf text = BUF_INIT;

	gate_describe(gate, &text);
	report_set_text(&out->gate, buf_text(&text));
	out->gate_in_force = gate_is_in_force(gate);
	out->n_guarded = guarded.n < REPORT_GUARDED_MAX ? guarded.n : REPORT_GUARDED_MAX;
	for (size_t i = 0; i < out->n_guarded; i++)
		out->guarded[i] = guarded.items[i];
}

void report_keep_protection(struct report *out, const struct report *previous)
{
	report_set_text(&out->mynetworks, previous->mynetworks);
	report_set_text(&out->gate, previous->gate);
	out->gate_in_force = previous->gate_in_force;
	memcpy(out->guarded, previous->guarded, sizeof(out->guarded));
	out->n_guarded = previous->n_guarded;
}

void report_survey_reloads(struct report *out, const struct survey *r)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		out->servers[i].reloads += r->servers[i].n_reloads;
}

void report_servers_of(struct report *out, const struct report *previous)
{
	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		uint32_t reloads = out->servers[i].reloads;

		out->servers[i] = previous->servers[i];
		out->servers[i].reloads = reloads;
	}
	for (size_t i = 0; i < previous->n_twins; i++)
		report_add_twin(out, &previous->twins[i]);
}
