/* SPDX-License-Identifier: MIT */
/* gate - who may reach the ports that ask for a PROXY header. */
#include "gate.h"

#include "digest.h"
#include "network.h"
#include "server.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>

void gate_release(struct gate *gate)
{
	free(gate->then.items);
	free(gate->meanwhile.items);
	free(gate->standing.items);
	gate_table_release(&gate->before);
	netlink_close(&gate->netlink);
	*gate = (struct gate)GATE_INIT;
}

/* ---- which ports ---- */

static bool has_port(const uint16_t *ports, size_t n, uint16_t port)
{
	for (size_t i = 0; i < n; i++)
		if (ports[i] == port)
			return true;
	return false;
}

/* In ascending order: the same ports make the same table. */
static int add_port(struct gate_ports *ports, uint16_t port, struct error *err)
{
	uint16_t *items;
	size_t at;

	if (has_port(ports->items, ports->n_items, port))
		return 0;
	items = reallocarray(ports->items, ports->n_items + 1, sizeof(*items));
	if (!items)
		return error_set(err, -ENOMEM, "out of memory");
	ports->items = items;
	for (at = ports->n_items++; at > 0 && items[at - 1] > port; at--)
		items[at] = items[at - 1];
	items[at] = port;
	return 0;
}

static int add_ports(struct gate_ports *ports, const uint16_t *more, size_t n, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = add_port(ports, more[i], err);
	return rc;
}

/* What closes with the new files is guarded until it has, and where they are not written. */
static int add_ports_of(struct gate *gate, const struct server *server, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; i < server->n_twins && rc == 0; i++)
		rc = add_port(&gate->then, server->twins[i].port, err);
	if (rc == 0 && server->n_changes == 0)
		rc = add_ports(&gate->then, server->closing, server->n_closing, err);
	return rc;
}

static int add_standing_ports(struct gate *gate, const struct server *server, struct error *err)
{
	int rc = add_ports(&gate->standing, server->closing, server->n_closing, err);

	for (size_t i = 0; i < server->n_twins && rc == 0; i++)
		if (!server->twins[i].is_new)
			rc = add_port(&gate->standing, server->twins[i].port, err);
	return rc;
}

/* Whether the files say what becomes of it: it closes with them, or is a stock port again. */
static bool is_settled(const struct gate_request *request, uint16_t port)
{
	for (size_t i = 0; i < request->n_servers; i++) {
		const struct server *server = &request->servers[i];

		if (server->n_changes > 0 && has_port(server->closing, server->n_closing, port))
			return true;
		for (size_t k = 0; k < server->n_twins; k++)
			if (server->twins[k].stock_port == port)
				return true;
	}
	return false;
}

static bool is_listening(const struct listening *seen, uint16_t port)
{
	for (size_t i = 0; i < seen->n; i++)
		if (seen->items[i].port == port)
			return true;
	return false;
}

/*
 * What is guarded stays so as long as somebody listens there and no file says what
 * becomes of it; of a server that could not be read nobody knows what it will open.
 */
static int add_known_ports(const struct gate_request *request, struct gate *gate,
			   const uint16_t *known, size_t n, struct error *err)
{
	bool is_any_unread = false;
	struct listening seen;
	int rc = 0;

	for (size_t i = 0; i < request->n_servers; i++)
		is_any_unread |= request->servers[i].left_out || request->servers[i].unread;
	listening_find((struct listening_ports){ known, n }, &seen);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (!is_settled(request, known[i]) &&
		    (is_any_unread || is_listening(&seen, known[i])))
			rc = add_port(&gate->then, known[i], err);
	return rc;
}

/*
 * What the table guards, and what it guarded after the look before, as many as there is room
 * for: somebody may have deleted it.
 */
static size_t find_known_ports(const struct gate_request *request, const struct gate *gate,
			       uint16_t known[GATE_TABLE_PORTS_MAX])
{
	const struct listening_ports *guarded = &request->guarded;
	size_t n = gate_table_ports(&gate->before, known);

	for (size_t i = 0; i < guarded->n && n < GATE_TABLE_PORTS_MAX; i++)
		if (!has_port(known, n, guarded->items[i]))
			known[n++] = guarded->items[i];
	return n;
}

static int find_ports(const struct gate_request *request, struct gate *gate, struct error *err)
{
	uint16_t known[GATE_TABLE_PORTS_MAX];
	size_t n = find_known_ports(request, gate, known);
	int rc = 0;

	if (gate->mode == SETTINGS_GATE_OFF)
		return 0;
	for (size_t i = 0; i < request->n_servers && rc == 0; i++) {
		if (!request->revert)
			rc = add_ports_of(gate, &request->servers[i], err);
		if (rc == 0)
			rc = add_standing_ports(gate, &request->servers[i], err);
	}
	if (rc == 0 && !request->revert)
		rc = add_known_ports(request, gate, known, n, err);
	if (rc == 0 && request->revert && request->no_reload)
		rc = add_ports(&gate->then, known, n, err);
	if (rc == 0)
		rc = add_ports(&gate->standing, known, n, err);
	if (rc == 0)
		rc = add_ports(&gate->meanwhile, gate->then.items, gate->then.n_items, err);
	if (rc == 0)
		rc = add_ports(&gate->meanwhile, gate->standing.items, gate->standing.n_items, err);
	return rc;
}

/* ---- what there is ---- */

/* What no second attempt cures. */
static bool is_lasting(int rc)
{
	static const int codes[] = { EPERM,        EACCES, EPROTONOSUPPORT, EOPNOTSUPP,
				     EAFNOSUPPORT, ENOSYS, ENOENT,          ESRCH };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (rc == -codes[i])
			return true;
	return false;
}

static void cannot(struct gate *gate, int rc, const struct error *why)
{
	const bool was_seen = gate->is_seen; /* looking takes the same right as changing */

	gate->is_seen = false;
	if (rc == -EPERM)
		error_set(&gate->unseen_because, rc,
			  was_seen ? "another program owns the table inet " GATE_TABLE_NAME
				   : "CAP_NET_ADMIN is missing");
	else
		error_set(&gate->unseen_because, rc, "this kernel's nftables refuse it (%s)",
			  why->msg);
}

/*
 * The filter would be ours, and the ports another network's: 1, 0, or a negative errno
 * when nobody can tell now.
 */
static int is_elsewhere(const struct gate_request *request)
{
	const struct rootfs *root = &request->host->root;
	int pid, rc = 0;

	if (rootfs_is_own(root))
		return 0;
	for (size_t i = 0; i < request->n_servers; i++) {
		const struct server *server = &request->servers[i];

		if (!server->running && !server->starting)
			continue;
		rc = network_is_of(server->master.pid);
		if (rc != -ESRCH) /* else it ended meanwhile */
			return rc < 0 ? rc : !rc;
	}
	if (sscanf(root->path, "/proc/%d/root", &pid) == 1)
		rc = network_is_of(pid);
	return rc < 0 && rc != -ESRCH ? rc : rc != 1;
}

static int see(const struct gate_request *request, struct gate *gate, struct error *err)
{
	struct error why;
	int rc = is_elsewhere(request);

	if (rc < 0)
		return error_code(err, rc, "gate: which network the servers are in");
	if (rc > 0) {
		error_set(&gate->unseen_because, -EXDEV,
			  "no process of that root shares this network");
		return 0;
	}
	rc = netlink_open(&gate->netlink, NETLINK_NETFILTER, &why);
	if (rc == 0)
		rc = gate_table_read(&gate->netlink, &gate->before, &why);
	if (rc < 0 && !is_lasting(rc)) {
		if (err)
			*err = why;
		return error_wrap(err, rc, "gate");
	}
	if (rc < 0)
		cannot(gate, rc, &why);
	else
		gate->is_seen = true;
	return 0;
}

/* ---- what is wanted ---- */

static struct gate_plan plan_of(const struct gate *gate, const struct gate_ports *ports)
{
	return (struct gate_plan){ .ports = ports->items,
				   .n_ports = ports->n_items,
				   .networks = gate->networks };
}

/*
 * Without networks, which revert does without, nobody knows whom to let in: what there is stays
 * as long as there is something to guard.
 */
static bool stands(const struct gate *gate, const struct gate_ports *ports)
{
	const struct gate_plan plan = plan_of(gate, ports);

	return (plan.n_ports > 0 && plan.networks->n_items == 0) ||
	       gate_table_is(&gate->before, &plan);
}

/* What is to be guarded when all is done. */
static const struct gate_ports *at_end(const struct gate *gate)
{
	return gate->keeps_all ? &gate->meanwhile : &gate->then;
}

static int refuse(const struct gate *gate, struct error *err)
{
	return error_set(err, -EINVAL, "gate = \"require\": the ports are not opened: %s",
			 gate->unseen_because.msg);
}

int gate_look(const struct gate_request *request, struct gate *out, struct error *err)
{
	int rc;

	gate_release(out);
	out->mode = request->settings->gate;
	out->networks = &request->settings->networks;
	rc = see(request, out, err);
	if (rc == 0)
		rc = find_ports(request, out, err);
	if (rc < 0)
		return rc;
	out->is_wanted_now = out->is_seen && stands(out, at_end(out));
	if (out->mode == SETTINGS_GATE_REQUIRE && !out->is_seen && out->then.n_items > 0)
		return refuse(out, err);
	return 0;
}

bool gate_differs(const struct gate *gate)
{
	return gate->is_seen && !gate->is_wanted_now;
}

void gate_digest(const struct gate *gate, struct digest_maker *maker)
{
	digest_add_number(maker, gate->mode);
	digest_add_number(maker, gate->is_seen);
	digest_add_number(maker, gate_differs(gate));
	for (size_t i = 0; i < gate->then.n_items; i++)
		digest_add_number(maker, gate->then.items[i]);
	for (size_t i = 0; gate->networks && i < gate->networks->n_items; i++) {
		char text[CIDR_TEXT_MAX];

		digest_add_text(maker, cidr_print(&gate->networks->items[i], text));
	}
}

/* ---- made so ---- */

static int write_plan(struct gate *gate, const struct gate_ports *ports, struct error *err)
{
	const struct gate_plan plan = plan_of(gate, ports);
	struct error why = { 0 };
	int rc = gate_table_write(&gate->netlink, &plan, &why);

	if (rc == 0)
		return 1;
	if (!is_lasting(rc)) {
		if (err)
			*err = why;
		return error_wrap(err, rc, "gate");
	}
	cannot(gate, rc, &why);
	return gate->mode == SETTINGS_GATE_REQUIRE ? refuse(gate, err) : 0;
}

int gate_guard(struct gate *gate, struct error *err)
{
	int rc;

	if (!gate->is_seen || gate->meanwhile.n_items == 0 || stands(gate, &gate->meanwhile))
		return 0;
	rc = write_plan(gate, &gate->meanwhile, err);
	gate->was_changed = rc == 1;
	gate->is_wanted_now = rc == 1 && gate->meanwhile.n_items == at_end(gate)->n_items;
	return rc;
}

int gate_guard_standing(struct gate *gate, struct error *err)
{
	int rc;

	if (!gate->is_seen || gate->standing.n_items == 0 || stands(gate, &gate->standing))
		return 0;
	rc = write_plan(gate, &gate->standing, err);
	gate->is_wanted_now = false;
	return rc;
}

void gate_keep_all(struct gate *gate)
{
	gate->keeps_all = true;
	gate->is_wanted_now = gate->is_seen && stands(gate, at_end(gate));
}

int gate_settle(struct gate *gate, struct error *err)
{
	int rc;

	if (!gate_differs(gate))
		return 0;
	rc = write_plan(gate, at_end(gate), err);
	gate->is_wanted_now = rc == 1;
	return rc;
}

/* Whether it guarded all that asks for a header by the files of before. */
static bool was_enough(const struct gate *gate)
{
	uint16_t known[GATE_TABLE_PORTS_MAX];
	size_t n = gate_table_ports(&gate->before, known);

	for (size_t i = 0; i < gate->standing.n_items; i++)
		if (!has_port(known, n, gate->standing.items[i]))
			return false;
	return true;
}

int gate_restore(struct gate *gate, struct error *err)
{
	const struct gate_plan standing = plan_of(gate, &gate->standing);
	int rc;

	if (!gate->was_changed)
		return 0;
	rc = was_enough(gate) ? gate_table_restore(&gate->netlink, &gate->before, err)
			      : gate_table_write(&gate->netlink, &standing, err);
	gate->was_changed = rc < 0;
	gate->is_wanted_now = rc == 0 && stands(gate, at_end(gate));
	return rc < 0 ? error_wrap(err, rc, "gate") : 0;
}

/* ---- told ---- */

bool gate_is_in_force(const struct gate *gate)
{
	return gate->is_wanted_now && at_end(gate)->n_items > 0;
}

struct listening_ports gate_guarded(const struct gate *gate)
{
	if (!gate->is_seen)
		return (struct listening_ports){ NULL, 0 };
	return (struct listening_ports){ at_end(gate)->items, at_end(gate)->n_items };
}

void gate_describe(const struct gate *gate, struct buf *out)
{
	if (gate->mode == SETTINGS_GATE_OFF)
		buf_add_text(out, gate->before.exists && !gate->is_wanted_now ? GATE_STANDS_TEXT
									      : GATE_OFF_TEXT);
	else if (!gate->is_seen)
		buf_add_format(out, "not in force: %s", gate->unseen_because.msg);
	else if (at_end(gate)->n_items == 0)
		buf_add_text(out, "nothing to guard");
	else
		buf_add_text(out, gate->is_wanted_now ? "in force" : "not in force yet");
}
