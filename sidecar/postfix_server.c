/* SPDX-License-Identifier: MIT */
/* postfix_server - Postfix: main.cf, master.cf, postconf(1), its master(8). */
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/base/notes.h"
#include "patchers/main_cf.h"
#include "patchers/master_cf.h"
#include "patchers/postfix_twins.h"
#include "patchers/postfix_value.h"
#include "ports.h"
#include "server.h"
#include "settings.h"
#include "textfile.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>

struct postfix {
	char *master_cf_path;
	char *main_cf_path;
	struct buf main_cf_text;
	struct main_cf main_cf;
	struct buf candidate; /* the master.cf wanted, also when it is there already */
};

static void release_own(void *own)
{
	struct postfix *postfix = own;

	free(postfix->master_cf_path);
	free(postfix->main_cf_path);
	buf_release(&postfix->main_cf_text);
	main_cf_release(&postfix->main_cf);
	buf_release(&postfix->candidate);
	free(postfix);
}

static struct postfix *make_own(const char *directory)
{
	struct postfix *postfix = calloc(1, sizeof(*postfix));

	if (!postfix)
		return NULL;
	if (asprintf(&postfix->master_cf_path, "%s/master.cf", directory) < 0)
		postfix->master_cf_path = NULL;
	if (asprintf(&postfix->main_cf_path, "%s/main.cf", directory) < 0)
		postfix->main_cf_path = NULL;
	if (!postfix->master_cf_path || !postfix->main_cf_path) {
		release_own(postfix);
		return NULL;
	}
	return postfix;
}

static int read_main_cf(const struct host *host, struct postfix *postfix, struct error *err)
{
	int rc = textfile_read(&host->root, postfix->main_cf_path, &postfix->main_cf_text, err);

	if (rc < 0)
		return rc;
	rc = main_cf_parse(buf_span(&postfix->main_cf_text), &postfix->main_cf, err);
	return rc < 0 ? error_wrap(err, rc, "%s", postfix->main_cf_path) : 0;
}

/* queue_directory/process_id_directory/master.pid, see master(8). */
static int find_master(const struct host *host, struct server *server, struct error *err)
{
	const struct postfix *postfix = server->own;
	cleanup_buf struct buf path = BUF_INIT;
	int rc = postfix_value_get(&postfix->main_cf, NULL, span_from("queue_directory"), &path,
				   err);

	if (rc >= 0) {
		buf_add_char(&path, '/');
		rc = postfix_value_get(&postfix->main_cf, NULL, span_from("process_id_directory"),
				       &path, err);
	}
	buf_add_text(&path, "/master.pid");
	if (rc >= 0)
		rc = buf_check(&path, err);
	if (rc < 0)
		return error_wrap(err, rc, "%s", postfix->main_cf_path);
	rc = master_process_find(&host->root, buf_text(&path), "master", &server->master, err);
	server->running = rc == 1;
	return rc < 0 ? rc : 0;
}

static int add_twins(struct server *server, const struct postfix_plan *plan, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; i < plan->n_twins && rc == 0; i++) {
		const struct postfix_twin *t = &plan->twins[i];
		struct twin twin = {
			.listener = t->listener,
			.stock = t->stock,
			.address = t->address,
			.stock_port = t->stock_port,
			.port = t->port,
			.protocol = PROBE_SMTP,
			.tls = t->implicit_tls,
			.is_new = t->is_new,
		};

		rc = server_add_twin(server, &twin, err);
	}
	return rc;
}

static bool has_port(const struct host *host, const struct master_cf *cf, uint16_t port)
{
	for (size_t i = 0; i < cf->n_entries; i++)
		if (span_is(master_cf_get(&cf->entries[i], MASTER_CF_TYPE), "inet") &&
		    inet_service_parse(master_cf_get(&cf->entries[i], MASTER_CF_NAME),
				       &host->port_names)
				    .port == port)
			return true;
	return false;
}

/* Our ports in the present file that the candidate has no more. */
static int find_closing(const struct host *host, struct server *server, struct span now,
			struct error *err)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	CLEANUP(master_cf_release) struct master_cf wanted = { 0 };
	const struct postfix *postfix = server->own;
	int rc;

	if (!span_contains(now, POSTFIX_TWIN_MARK))
		return 0;
	rc = master_cf_parse(now, &cf, err);
	if (rc == 0)
		rc = master_cf_parse(buf_span(&postfix->candidate), &wanted, err);
	for (size_t i = 0; i < cf.n_entries && rc == 0; i++) {
		const struct master_cf_entry *entry = &cf.entries[i];
		struct inet_service name;

		if (!span_is(master_cf_get(entry, MASTER_CF_TYPE), "inet") ||
		    !postfix_marks_entry_is_ours(entry))
			continue;
		name = inet_service_parse(master_cf_get(entry, MASTER_CF_NAME), &host->port_names);
		if (!has_port(host, &wanted, name.port))
			rc = server_add_closing(server, name.port, err);
	}
	return rc;
}

/* The master.cf wanted, into `wanted`. */
static int plan_master_cf(const struct host *host, const struct settings *settings, bool revert,
			  struct server *server, struct span now, struct buf *wanted,
			  struct notes *notes, struct error *err)
{
	const struct postfix *postfix = server->own;
	const struct postfix_twins_request request = {
		.master_cf = now,
		.main_cf = &postfix->main_cf,
		.port_names = &host->port_names,
		.listeners = settings->postfix.listeners,
		.n_listeners = settings->postfix.n_listeners,
		.in_place = settings->in_place,
	};
	struct postfix_plan plan = { 0 };
	int rc;

	if (revert || !settings->postfix.enabled)
		return postfix_twins_strip_loose(now, wanted, err);
	rc = postfix_twins_plan(&request, &plan, notes, err);
	if (rc < 0)
		return rc;
	rc = add_twins(server, &plan, err);
	*wanted = plan.text;
	plan.text = (struct buf)BUF_INIT;
	postfix_plan_release(&plan);
	return rc;
}

static int survey(const struct host *host, const struct settings *settings, bool revert,
		  struct server *server, struct notes *notes, struct error *err)
{
	struct postfix *postfix = make_own(settings->postfix.config_directory);
	cleanup_buf struct buf now = BUF_INIT, wanted = BUF_INIT;
	int rc;

	server->kind = &postfix_server;
	server->enabled = settings->postfix.enabled;
	server->own = postfix;
	if (!postfix)
		return error_set(err, -ENOMEM, "out of memory");
	rc = textfile_read(&host->root, postfix->master_cf_path, &now, err);
	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0; /* no Postfix here */
	if (rc < 0)
		return rc;
	server->present = true;
	if (!server->enabled && !span_contains(buf_span(&now), "postern"))
		return 0; /* switched off, and nothing of ours: not to be read */
	rc = read_main_cf(host, postfix, err);
	if (rc == 0)
		rc = find_master(host, server, err);
	if (rc < 0)
		return rc;
	rc = plan_master_cf(host, settings, revert, server, buf_span(&now), &wanted, notes, err);
	if (rc < 0)
		return error_set(err, rc, "%s:%s", postfix->master_cf_path,
				 strdupa(err ? err->msg : ""));
	buf_add(&postfix->candidate, buf_span(&wanted));
	rc = buf_check(&postfix->candidate, err);
	if (rc == 0)
		rc = server_add_change(server, postfix->master_cf_path, true, &now, true, &wanted,
				       err);
	if (rc < 0 || server->n_changes == 0)
		return rc;
	rc = find_closing(host, server, buf_span(&server->changes[0].old_text), err);
	return revert ? 0 : rc; /* then it is only for knowing when the ports are closed */
}

/* postconf(1) lets a value pass that ends every daemon and the master. */
static int judge_protocols(const struct postfix *postfix, struct error *err)
{
	cleanup_buf struct buf value = BUF_INIT;
	struct span rest;
	int rc = postfix_value_get(&postfix->main_cf, NULL, span_from("inet_protocols"), &value,
				   err);

	if (rc < 0)
		return error_wrap(err, rc, "%s", postfix->main_cf_path);
	rest = buf_span(&value);
	while (rest.len > 0) {
		struct span word = span_take_word(&rest, " ,\t\r\n");

		if (word.len > 0 && !span_is(word, "all") && !span_is(word, "ipv4") &&
		    !span_is(word, "ipv6"))
			return error_set(err, -EINVAL, "%s: unknown inet_protocols value \"%.*s\"",
					 postfix->main_cf_path, SPAN_ARG(word));
	}
	return 0;
}

/* 0; 1 when the tool is not there; -EINVAL with its words. */
static int run_judge(const struct host *host, const struct postfix *postfix,
		     const char *const command[], struct error *err)
{
	cleanup_buf struct buf said = BUF_INIT;
	struct span words;
	int rc = tool_run(&host->root, command, &said, err);

	if (rc == -ENOENT)
		return 1;
	if (rc <= 0)
		return rc;
	buf_replace(&said, HOST_JUDGE_DIRECTORY "/main.cf", postfix->main_cf_path);
	buf_replace(&said, HOST_JUDGE_DIRECTORY "/master.cf", postfix->master_cf_path);
	words = span_trim(buf_span(&said), " \r\n");
	return error_set(err, -EINVAL, "%s does not accept the configuration: %.*s", command[0],
			 SERVER_WORDS(words));
}

static int judge(const struct host *host, const struct server *server, struct error *err)
{
	static const char *const services[] = { "postconf", "-c", HOST_JUDGE_DIRECTORY, "-M",
						NULL };
	/*
	 * postconf(1) takes values as they are.  Every other program reads and
	 * checks all common parameters first, as the master does at a reload: this
	 * one does nothing else, an inline table asked for a key.
	 */
	static const char *const parameters[] = { "postmap",  "-c", HOST_JUDGE_DIRECTORY, "-q", "a",
						  "static:b", NULL };
	const struct postfix *postfix = server->own;
	int rc = judge_protocols(postfix, err);

	if (rc == 0)
		rc = server_write_candidate(host, "main.cf", buf_span(&postfix->main_cf_text), err);
	if (rc == 0)
		rc = server_write_candidate(host, "master.cf", buf_span(&postfix->candidate), err);
	if (rc < 0)
		return rc;
	rc = run_judge(host, postfix, services, err);
	return rc == 0 ? run_judge(host, postfix, parameters, err) : rc;
}

/* Whether the master listens on some port of an entry with the same host part. */
static bool host_is_served(const struct host *host, const struct master_cf *cf, struct span name,
			   pid_t owner)
{
	for (size_t i = 0; i < cf->n_entries; i++) {
		struct inet_service other;

		if (!span_is(master_cf_get(&cf->entries[i], MASTER_CF_TYPE), "inet"))
			continue;
		other = inet_service_parse(master_cf_get(&cf->entries[i], MASTER_CF_NAME),
					   &host->port_names);
		if (span_equal(other.host, name) && ports_is_open(other.port, owner))
			return true;
	}
	return false;
}

/* Could the master bind this entry?  What it holds already, it keeps. */
static int check_entry(const struct host *host, const struct master_cf *cf, struct span name,
		       pid_t owner, struct error *err)
{
	struct inet_service service = inet_service_parse(name, &host->port_names);
	char address[64];

	if (service.port == 0)
		return error_set(err, -EINVAL,
				 "it names no known port: Postfix would end at a reload");
	if (owner > 0 && ports_is_open(service.port, owner))
		return 0;
	if (!inet_service_has_address(&service)) {
		/* A name: whether it can be resolved here, only who has done so knows. */
		if (owner == 0 || host_is_served(host, cf, service.host, owner))
			return 0;
		return error_set(err, -EINVAL,
				 "nobody has resolved this host yet: Postfix would end "
				 "at a reload if it cannot; reload it yourself first");
	}
	snprintf(address, sizeof(address), "%.*s", (int)inet_service_address(&service).len,
		 inet_service_address(&service).data);
	return ports_check(address, service.port, owner, err);
}

/*
 * All inet services of the candidate: one that cannot be bound ends the master
 * at the reload, whoever wrote it.
 */
static int check_ports(const struct host *host, const struct server *server, struct error *err)
{
	CLEANUP(master_cf_release) struct master_cf cf = { 0 };
	const struct postfix *postfix = server->own;
	pid_t owner = server->running ? server->master.pid : 0;
	int rc = master_cf_parse(buf_span(&postfix->candidate), &cf, err);

	for (size_t i = 0; i < cf.n_entries && rc == 0; i++) {
		const struct master_cf_entry *entry = &cf.entries[i];
		struct span name = master_cf_get(entry, MASTER_CF_NAME);

		if (!span_is(master_cf_get(entry, MASTER_CF_TYPE), "inet"))
			continue;
		rc = check_entry(host, &cf, name, owner, err);
		if (rc < 0)
			return error_wrap(err, rc, "%s: \"%.*s inet\"", postfix->master_cf_path,
					  SPAN_ARG(name));
	}
	return rc;
}

const struct server_kind postfix_server = {
	.name = "postfix",
	.survey = survey,
	.judge = judge,
	.check_ports = check_ports,
	.strip = postfix_twins_strip_loose,
	.release_own = release_own,
};
