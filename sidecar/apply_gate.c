/* SPDX-License-Identifier: MIT */
/* apply_gate - the gate, while a survey is made to come true. */
#include "apply_gate.h"

#include "follow.h"
#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "ports.h"
#include "survey.h"

#include <errno.h>

static void say_gate(const struct gate_ports *ports)
{
	cleanup_buf struct buf text = BUF_INIT;

	for (size_t i = 0; i < ports->n_items; i++)
		buf_add_format(&text, "%s%u", i > 0 ? ", " : "", ports->items[i]);
	if (ports->n_items == 0)
		log_notice("gate: removed");
	else
		log_notice("gate: only trusted networks and this host reach the ports %s",
			   buf_text(&text));
}

int apply_gate_before(struct survey *r, struct error *err)
{
	const bool was_seen = r->gate.is_seen;
	int rc = gate_guard(&r->gate, err);

	if (rc > 0)
		say_gate(&r->gate.meanwhile);
	if (rc == 0 && was_seen && !r->gate.is_seen) /* it can be seen, and not be changed */
		notes_add(&r->notes, NOTE_WARNING, "gate: not in force: %s",
			  r->gate.unseen_because.msg);
	return rc < 0 ? rc : 0;
}

int apply_gate_standing(struct survey *r, struct error *err)
{
	int rc = gate_guard_standing(&r->gate, err);

	if (rc > 0)
		say_gate(&r->gate.standing);
	if (rc == 0 && r->gate.standing.n_items > 0 && !r->gate.is_seen)
		return error_set(err, -EPERM, "%s", r->gate.unseen_because.msg);
	return rc < 0 ? rc : 0;
}

void apply_gate_settle(struct survey *r)
{
	struct error err;
	const bool was_changed = r->gate.was_changed, was_seen = r->gate.is_seen;
	int rc;

	for (size_t i = 0; i < SURVEY_SERVERS; i++)
		if (r->servers[i].still_open)
			gate_keep_all(&r->gate);
	rc = gate_settle(&r->gate, &err);
	if (rc < 0)
		log_warning("%s", err.msg);
	if (was_seen && !r->gate.is_seen)
		notes_add(&r->notes, NOTE_WARNING, "gate: it stays as it was: %s",
			  r->gate.unseen_because.msg);
	if (rc > 0 && !was_changed)
		say_gate(r->gate.keeps_all ? &r->gate.meanwhile : &r->gate.then);
}

void apply_gate_restore(struct survey *r)
{
	const bool was_changed = r->gate.was_changed;
	struct error err;

	if (gate_restore(&r->gate, &err) < 0)
		log_error("%s could not be put back", err.msg);
	else if (was_changed)
		log_notice("gate: the previous state is back");
}

static bool has_port(const struct gate_ports *ports, uint16_t port)
{
	for (size_t i = 0; i < ports->n_items; i++)
		if (ports->items[i] == port)
			return true;
	return false;
}

static bool is_of_another(const struct survey *r, const struct server *server, uint16_t port)
{
	struct listening seen;

	for (size_t i = 0; i < SURVEY_SERVERS; i++) {
		const struct server *other = &r->servers[i];

		if (other == server || !other->running)
			continue;
		ports_look(&port, 1, other->master.pid, &seen);
		if (ports_was_open(&seen, port))
			return true;
	}
	return false;
}

void apply_gate_look_at_untold(const struct survey *r, struct server *server)
{
	const struct gate *gate = &r->gate;
	uint16_t ports[LISTENING_MAX];
	size_t n = 0;

	for (size_t i = 0; i < gate->standing.n_items && n < LISTENING_MAX && gate->is_seen; i++)
		if (!has_port(&gate->then, gate->standing.items[i]) &&
		    !is_of_another(r, server, gate->standing.items[i]))
			ports[n++] = gate->standing.items[i];
	follow_untold(server, (struct listening_ports){ ports, n });
}
