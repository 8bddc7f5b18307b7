/* SPDX-License-Identifier: MIT */
/* probe_targets - targets of any hosts, each address of them sent everything, and judged. */
#include "probe_targets.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "sockaddr_text.h"

#include <errno.h>
#include <sys/socket.h>

void probe_targets_release(struct probe_targets *t)
{
	free(t->names);
	free(t->jobs);
	free(t->rows);
	*t = (struct probe_targets)PROBE_TARGETS_INIT;
}

/* Where connections to an address come from: the kernel says so without sending anything. */
static void find_own_address(const char *address, uint16_t port, char out[static INET6_ADDRSTRLEN])
{
	struct sockaddr_storage peer, own = { 0 };
	socklen_t size = sockaddr_text_parse(address, port, &peer), own_size = sizeof(own);
	cleanup_fd int fd = socket(peer.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	out[0] = '\0';
	if (fd >= 0 && connect(fd, (struct sockaddr *)&peer, size) == 0 &&
	    getsockname(fd, (struct sockaddr *)&own, &own_size) == 0)
		sockaddr_text_print(&own, out);
}

/* Who has no way there at all is not let off as one who is to be kept out. */
static enum probe_law_expected expect_of(const struct probe_targets_request *request,
					 const char *own_address)
{
	struct cidr own;

	if (!request->by_address)
		return request->expected;
	if (cidr_parse(span_from(own_address), &own, NULL, NULL) < 0)
		return PROBE_LAW_TWIN;
	return cidr_list_covers(&request->trusted, &own) ? PROBE_LAW_TWIN : PROBE_LAW_SHUT;
}

static int find_addresses(const struct probe_targets_request *request, struct probe_targets *out,
			  struct error *err)
{
	out->names = calloc(request->n_targets, sizeof(*out->names));
	if (!out->names)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < request->n_targets; i++)
		out->names[i].name = request->targets[i].host;
	return resolver_run(&resolver_files, out->names, request->n_targets, request->limit_ms,
			    err);
}

static int make_room(const struct probe_targets_request *request, struct probe_targets *out,
		     struct error *err)
{
	size_t most = 0;

	for (size_t i = 0; i < request->n_targets; i++)
		most += out->names[i].n_addresses * PROXY_HEADER_COUNT;
	if (most > PROBE_TARGETS_ROWS_MAX)
		return error_set(err, -E2BIG,
				 "the targets have more than %d addresses: ask for fewer at once",
				 PROBE_TARGETS_ROWS_MAX / PROXY_HEADER_COUNT);
	out->jobs = calloc(most + 1, sizeof(*out->jobs));
	out->rows = calloc(most + 1, sizeof(*out->rows));
	if (!out->jobs || !out->rows)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static void add_row(const struct probe_targets_request *request,
		    const struct probe_targets_row *row, struct probe_targets *out)
{
	struct probe_targets_row *added = &out->rows[out->n_rows];
	struct probe_job *job = &out->jobs[out->n_rows++];

	*added = *row;
	added->job = job;
	*job = (struct probe_job){
		.address = added->address,
		.is_remote = true,
		.port = row->target->port,
		.protocol = row->target->protocol,
		.tls = row->target->tls,
		.header = row->header,
		/* who is to relay has to be asked, after all of the greeting */
		.first_line_is_enough =
			request->first_line_is_enough && row->header != PROXY_HEADER_FORGED,
	};
}

static void add_rows(const struct probe_targets_request *request, const struct probe_target *target,
		     const char *address, struct probe_targets *out)
{
	struct probe_targets_row row = { .target = target };

	memcpy(row.address, address, sizeof(row.address));
	find_own_address(address, target->port, row.own_address);
	row.expected = expect_of(request, row.own_address);
	for (int i = 0; i < PROXY_HEADER_COUNT; i++) {
		row.header = (enum proxy_header)i;
		if (request->headers[i] &&
		    probe_law_sends(row.expected, row.header, target->protocol, target->tls))
			add_row(request, &row, out);
	}
}

static void judge(struct probe_targets *out, size_t n_targets)
{
	out->is_right = out->n_rows > 0;
	for (size_t i = 0; i < n_targets; i++)
		out->is_right = out->is_right && out->names[i].n_addresses > 0;
	for (size_t i = 0; i < out->n_rows; i++) {
		struct probe_targets_row *row = &out->rows[i];

		row->meaning = probe_law_judge(row->expected, row->header, row->job->answer);
		out->is_right = out->is_right && row->meaning == PROBE_LAW_RIGHT;
	}
}

int probe_targets_run(const struct probe_targets_request *request, struct probe_targets *out,
		      struct error *err)
{
	int rc = find_addresses(request, out, err);

	if (rc == 0)
		rc = make_room(request, out, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < request->n_targets; i++)
		for (size_t k = 0; k < out->names[i].n_addresses; k++)
			add_rows(request, &request->targets[i], out->names[i].addresses[k], out);
	rc = probe_run(out->jobs, out->n_rows, request->limit_ms, false, -1, err);
	if (rc == 0)
		judge(out, request->n_targets);
	return rc;
}
