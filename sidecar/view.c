/* SPDX-License-Identifier: MIT */
/* view - what commands print on standard output. */
#include "view.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "printable.h"
#include "protection.h"
#include "settings.h"
#include "survey.h"
#include "table.h"
#include "view_json.h"

#include <errno.h>
#include <stdio.h>

static int print_json(json_t *root, struct error *err)
{
	cleanup_buf struct buf text = BUF_INIT;
	int rc = view_json_print(root, &text, err);

	if (rc == 0)
		fputs(buf_text(&text), stdout);
	return rc;
}

/* ---- the plan ---- */

static const char *twin_state(const struct server *server, const struct twin *twin)
{
	if (twin->is_new)
		return "to be made";
	if (server->n_changes > 0)
		return "to be changed";
	if (twin->is_closed)
		return "closed";
	return server->unproven ? "not reloaded" : "as wanted";
}

static size_t count_twins(const struct survey *r)
{
	size_t n = 0;

	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		n += r->servers[i].n_twins;
	return n;
}

static int print_twins(const struct survey *r, struct error *err)
{
	static const char *const titles[] = { "SERVER", "LISTENER", "STOCK", "PORT",
					      "TWIN",   "TLS",      "STATE", NULL };
	size_t n = count_twins(r), at = 1;
	cleanup_free struct table_row *rows = calloc(n + 1, sizeof(*rows));

	if (!rows)
		return error_set(err, -ENOMEM, "out of memory");
	table_head(&rows[0], titles);
	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct server *server = &r->servers[i];

		for (size_t k = 0; k < server->n_twins; k++) {
			const struct twin *twin = &server->twins[k];
			struct table_row *row = &rows[at++];

			row->colour = twin->is_new || server->n_changes || server->unproven
					      ? TABLE_YELLOW
					      : TABLE_GREEN;
			table_cell(row, 0, "%s", server->kind->name);
			table_cell(row, 1, "%s", twin->listener);
			table_cell(row, 2, "%s", twin->stock);
			table_cell(row, 3, "%u", twin->stock_port);
			table_cell(row, 4, "%u", twin->port);
			table_cell(row, 5, "%s", twin->tls ? "yes" : "no");
			table_cell(row, 6, "%s", twin_state(server, twin));
		}
	}
	table_print(rows, n + 1, 7, 6);
	return 0;
}

static void print_line(const char *label, const char *text)
{
	cleanup_buf struct buf clean = BUF_INIT;

	printable_add(&clean, text);
	printf("%s: %s\n", label, buf_text(&clean));
}

static int plan_for_people(const struct survey *r, const struct settings *settings,
			   struct error *err)
{
	cleanup_buf struct buf networks = BUF_INIT, gate = BUF_INIT;
	int rc = print_twins(r, err);

	if (rc < 0)
		return rc;
	cidr_list_print(&settings->networks, &networks);
	gate_describe(&r->gate, &gate);
	printf("\nmode: %s\ntrusted networks: %s\n", settings->in_place ? "in-place" : "separate",
	       buf_text(&networks));
	printf("protection: empty mynetworks: %s\n", protection_of_mynetworks(settings));
	print_line("protection: gate", buf_text(&gate));
	printf("protection: NetworkPolicy: %s\n", protection_of_policy());
	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		for (size_t k = 0; k < r->servers[i].n_changes; k++)
			print_line("would change", r->servers[i].changes[k].path);
	for (size_t i = 0; i < r->notes.n_items; i++)
		print_line(r->notes.items[i].level == NOTE_WARNING ? "warning" : "notice",
			   r->notes.items[i].text);
	return 0;
}

static json_t *twins_as_json(const struct survey *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct server *server = &r->servers[i];

		for (size_t k = 0; k < server->n_twins; k++) {
			const struct twin *twin = &server->twins[k];

			json_array_append_new(
				list, json_pack("{s:s, s:o, s:o, s:o, s:i, s:i, s:b, s:s}",
						"server", server->kind->name, "listener",
						view_json_text(twin->listener), "stock",
						view_json_text(twin->stock), "address",
						view_json_text(twin->address), "stock_port",
						twin->stock_port, "port", twin->port, "tls",
						twin->tls, "state", twin_state(server, twin)));
		}
	}
	return list;
}

static json_t *servers_as_json(const struct survey *r)
{
	json_t *object = json_object();

	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct server *server = &r->servers[i];
		json_t *changes = json_array();

		for (size_t k = 0; k < server->n_changes; k++)
			json_array_append_new(changes, view_json_text(server->changes[k].path));
		json_object_set_new(object, server->kind->name,
				    json_pack("{s:b, s:b, s:b, s:o}", "enabled", server->enabled,
					      "present", server->present, "running",
					      server->running, "would_change", changes));
	}
	return object;
}

static json_t *networks_as_json(const struct settings *settings)
{
	json_t *list = json_array();
	char text[CIDR_TEXT_MAX];

	for (size_t i = 0; i < settings->networks.n_items; i++)
		json_array_append_new(list,
				      json_string(cidr_print(&settings->networks.items[i], text)));
	return list;
}

int view_plan(const struct survey *r, const struct settings *settings, bool json, struct error *err)
{
	cleanup_buf struct buf gate = BUF_INIT;

	if (!json)
		return plan_for_people(r, settings, err);
	gate_describe(&r->gate, &gate);
	return print_json(json_pack("{s:s, s:o, s:o, s:o, s:{s:s, s:s, s:s}, s:b, s:o}", "mode",
				    settings->in_place ? "in-place" : "separate",
				    "trusted_networks", networks_as_json(settings), "servers",
				    servers_as_json(r), "twins", twins_as_json(r), "protection",
				    "mynetworks", protection_of_mynetworks(settings), "gate",
				    buf_text(&gate), "network_policy", protection_of_policy(),
				    "differs", survey_differs(r), "notes",
				    view_json_notes(&r->notes)),
			  err);
}

/* ---- probe ---- */

static int probe_for_people(const struct view_probe_row *rows, size_t n_rows, struct error *err)
{
	static const char *const titles[] = { "SERVER", "LISTENER", "PORT",   "TLS",
					      "HEADER", "RESULT",   "ANSWER", NULL };
	cleanup_free struct table_row *table = calloc(n_rows + 1, sizeof(*table));

	if (!table)
		return error_set(err, -ENOMEM, "out of memory");
	table_head(&table[0], titles);
	for (size_t i = 0; i < n_rows; i++) {
		struct table_row *row = &table[i + 1];

		row->colour = rows[i].job->up ? TABLE_GREEN : TABLE_RED;
		table_cell(row, 0, "%s", rows[i].server);
		table_cell(row, 1, "%s", rows[i].twin->listener);
		table_cell(row, 2, "%u", rows[i].twin->port);
		table_cell(row, 3, "%s", rows[i].twin->tls ? "yes" : "no");
		table_cell(row, 4, "%s", proxy_header_name(rows[i].job->header));
		table_cell(row, 5, "%s", rows[i].job->up ? "up" : "down");
		table_cell(row, 6, "%s", rows[i].job->detail);
	}
	table_print(table, n_rows + 1, 7, 5);
	return 0;
}

int view_probe(const struct view_probe_row *rows, size_t n_rows, bool json, struct error *err)
{
	json_t *list;

	if (!json)
		return probe_for_people(rows, n_rows, err);
	list = json_array();
	for (size_t i = 0; i < n_rows; i++)
		json_array_append_new(
			list,
			json_pack("{s:s, s:o, s:i, s:b, s:s, s:b, s:o}", "server", rows[i].server,
				  "listener", view_json_text(rows[i].twin->listener), "port",
				  rows[i].twin->port, "tls", rows[i].twin->tls, "header",
				  proxy_header_name(rows[i].job->header), "up", rows[i].job->up,
				  "answer", view_json_text(rows[i].job->detail)));
	return print_json(list, err);
}
