/* SPDX-License-Identifier: MIT */
/* follow - a running server is told of its files, and follows them. */
#include "follow.h"

#include "generation.h"
#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "ports.h"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

enum {
	VERIFY_LIMIT_MS = 10000,
	WAIT_MS = 3000,
	STEP_MS = 2,
};

static int tell(struct server *server, struct error *err)
{
	int rc = master_process_reload(&server->master, err);

	if (rc < 0)
		return rc;
	server->n_reloads++;
	log_notice("%s: reloaded (process %d)", server->kind->name, (int)server->master.pid);
	return 0;
}

/* Not for ever, and not an error: see server->still_open. */
static void await_closed(struct server *server, const uint16_t *ports, size_t n_ports)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	size_t at = 0;

	for (int waited = 0; waited < WAIT_MS && at < n_ports; waited += STEP_MS) {
		struct listening seen;

		ports_look(ports, n_ports, server->master.pid, &seen);
		while (at < n_ports && !ports_was_open(&seen, ports[at]))
			at++;
		if (at < n_ports)
			nanosleep(&step, NULL);
	}
	if (at == n_ports)
		return;
	log_warning("%s: port %u is still open", server->kind->name, ports[at]);
	server->still_open = true;
}

int follow_reload(struct server *server, struct error *err)
{
	struct generation old;
	int rc;

	generation_take(server->master.pid, server->kind->greeters, &old);
	rc = tell(server, err);
	if (rc < 0)
		return rc;
	generation_await(server->master.pid, &old);
	await_closed(server, server->closing, server->n_closing);
	return 0;
}

void follow_untold(struct server *server, struct listening_ports ports)
{
	uint16_t port = ports_find_held(ports.items, ports.n, server->kind->programs);

	if (port != 0)
		log_warning("%s: port %u is still open", server->kind->name, port);
	else if (server->starting && server->n_changes > 0 && ports.n > 0)
		log_warning("%s: port %u may open yet", server->kind->name, ports.items[0]);
	else
		return;
	server->still_open = true;
}

int follow_reload_back(struct server *server, struct error *err)
{
	int rc = tell(server, err);

	for (size_t i = 0; i < server->n_twins && rc == 0; i++)
		if (server->twins[i].is_new)
			await_closed(server, &server->twins[i].port, 1);
	return rc;
}

/*
 * Wait until the master listens for every twin, and keep the addresses it has
 * chosen: which they are hangs on more settings than the twin's own.
 */
static void await_open(const struct server *server, struct probe_job *jobs,
		       char (*addresses)[PORTS_ADDRESS_MAX])
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	size_t at = 0;

	for (int waited = 0; waited < WAIT_MS && at < server->n_twins; waited += STEP_MS) {
		struct listening seen;

		server_look_at_twins(server, &seen);
		while (at < server->n_twins &&
		       ports_address_of(&seen, jobs[at].port, addresses[at])) {
			jobs[at].address = addresses[at];
			at++;
		}
		if (at < server->n_twins && !master_process_is_alive(&server->master))
			break;
		if (at < server->n_twins)
			nanosleep(&step, NULL);
	}
}

int follow_verify(struct server *server, struct error *err)
{
	cleanup_free struct probe_job *jobs = calloc(server->n_twins, sizeof(*jobs));
	cleanup_free char(*addresses)[PORTS_ADDRESS_MAX] =
		calloc(server->n_twins, sizeof(*addresses));
	cleanup_buf struct buf down = BUF_INIT;
	int rc;

	server->verified = server->n_twins == 0;
	if (server->verified)
		return 0;
	if (!jobs || !addresses)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < server->n_twins; i++)
		jobs[i] = (struct probe_job){
			.address = server->twins[i].address,
			.port = server->twins[i].port,
			.protocol = server->twins[i].protocol,
			.tls = server->twins[i].tls,
			.header = PROXY_HEADER_LOCAL,
			/*
			 * In place the old generation greets alike until it is gone:
			 * there postscreen has to come to the end of its greeting.
			 */
			.first_line_is_enough =
				server->twins[i].port != server->twins[i].stock_port,
		};
	await_open(server, jobs, addresses);
	rc = probe_run(jobs, server->n_twins, VERIFY_LIMIT_MS, true, server->master.pidfd, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < server->n_twins; i++) {
		struct twin *twin = &server->twins[i];

		twin->probed = true;
		twin->up = jobs[i].up;
		snprintf(twin->detail, sizeof(twin->detail), "%s", jobs[i].detail);
		if (!twin->up)
			buf_add_format(&down, "%sport %u (%s): %s", down.len > 0 ? "; " : "",
				       twin->port, twin->listener, twin->detail);
	}
	if (down.len > 0)
		return error_set(err, -EIO, "%s", buf_text(&down));
	server->verified = true;
	log_notice("%s: %zu twin%s answer%s", server->kind->name, server->n_twins,
		   server->n_twins == 1 ? "" : "s", server->n_twins == 1 ? "s" : "");
	return 0;
}
