/* SPDX-License-Identifier: MIT */
/* resolver - the addresses of names, by /etc/hosts and by name servers. */
#include "resolver.h"

#include "name_search.h"
#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "sockaddr_text.h"
#include "textfile.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <fcntl.h>
#include <sys/socket.h>

const struct resolver_files resolver_files = { "/etc/resolv.conf", "/etc/hosts" };

/* A name under way. */
struct lookup {
	struct resolver *resolver;
	struct resolver_name *name;
	size_t candidate; /* of name_search */
	unsigned waiting; /* for so many answers on it */
	int trouble;      /* DNS_ERR_*: the last answer that was neither yes nor no, */
	int trouble_here; /* and that for this candidate */
	bool done;
};

struct resolver {
	struct event_base *base;
	struct evdns_base *hosts;   /* knows the file and no server */
	struct evdns_base *servers; /* knows the servers */
	struct event *limit;
	struct buf resolv_conf;
	struct name_search search;
	struct lookup *lookups;
	size_t n_lookups;
	size_t n_open;
};

static void resolver_release(struct resolver *r)
{
	if (r->servers)
		evdns_base_free(r->servers, 0);
	if (r->hosts)
		evdns_base_free(r->hosts, 0);
	/* What was cancelled is told so from the loop, and owns its memory until then. */
	if (r->base)
		event_base_loop(r->base, EVLOOP_NONBLOCK);
	if (r->limit)
		event_free(r->limit);
	if (r->base)
		event_base_free(r->base);
	buf_release(&r->resolv_conf);
	free(r->lookups);
}

static void add_address(struct resolver_name *name, int family, const void *address)
{
	if (name->n_addresses < RESOLVER_ADDRESSES_MAX)
		inet_ntop(family, address, name->addresses[name->n_addresses++], INET6_ADDRSTRLEN);
}

static void add_sockaddr(struct resolver_name *name, const struct sockaddr *address)
{
	union {
		const struct sockaddr *any;
		const struct sockaddr_in *ipv4;
		const struct sockaddr_in6 *ipv6;
	} at = { .any = address };

	if (address->sa_family == AF_INET)
		add_address(name, AF_INET, &at.ipv4->sin_addr);
	else if (address->sa_family == AF_INET6)
		add_address(name, AF_INET6, &at.ipv6->sin6_addr);
}

static int ipv4_first(const void *a, const void *b)
{
	return (strchr(a, ':') != NULL) - (strchr(b, ':') != NULL);
}

static void finish(struct lookup *l, const char *reason, const char *detail)
{
	if (l->done)
		return;
	l->done = true;
	if (reason) {
		l->name->n_addresses = 0;
		snprintf(l->name->reason, sizeof(l->name->reason), "%s%s", reason, detail);
	}
	qsort(l->name->addresses, l->name->n_addresses, INET6_ADDRSTRLEN, ipv4_first);
	if (--l->resolver->n_open == 0)
		event_base_loopbreak(l->resolver->base);
}

/* ---- name servers ---- */

static void ask_next(struct lookup *l);

static void judge(struct lookup *l, int trouble)
{
	if (trouble)
		l->trouble = l->trouble_here = trouble;
	if (--l->waiting > 0)
		return;
	if (l->name->n_addresses > 0 && l->trouble_here)
		finish(l, "only one kind of its addresses could be asked for: ",
		       evdns_err_to_string(l->trouble));
	else if (l->name->n_addresses > 0)
		finish(l, NULL, "");
	else if (l->trouble_here) /* a later domain may hold another host of that name */
		finish(l,
		       "the name servers have no answer: ", evdns_err_to_string(l->trouble_here));
	else
		ask_next(l);
}

static void on_answer(int result, char type, int count, int ttl, void *addresses, void *ctx)
{
	struct lookup *l = ctx;
	int family = type == DNS_IPv6_AAAA ? AF_INET6 : AF_INET;
	size_t bytes = family == AF_INET6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);

	(void)ttl;
	if (l->done)
		return;
	if (result == DNS_ERR_NONE)
		for (int i = 0; i < count; i++)
			add_address(l->name, family, (char *)addresses + (size_t)i * bytes);
	judge(l, result == DNS_ERR_NONE || result == DNS_ERR_NOTEXIST || result == DNS_ERR_NODATA
			 ? 0
			 : result);
}

/* Both kinds of address of the next full name; one that cannot be asked for is not there. */
static void ask_next(struct lookup *l)
{
	struct evdns_base *servers = l->resolver->servers;
	char full[NAME_SEARCH_BYTES];

	while (name_search_candidate(&l->resolver->search, l->name->name, l->candidate, full)) {
		l->candidate++;
		l->trouble_here = 0;
		if (evdns_base_resolve_ipv4(servers, full, DNS_QUERY_NO_SEARCH, on_answer, l))
			l->waiting++;
		if (evdns_base_resolve_ipv6(servers, full, DNS_QUERY_NO_SEARCH, on_answer, l))
			l->waiting++;
		if (l->waiting > 0)
			return;
	}
	if (l->trouble)
		finish(l, "the name servers have no answer: ", evdns_err_to_string(l->trouble));
	else
		finish(l, "there is no such name, or it has no address", "");
}

/* ---- without them ---- */

static void on_host(int result, struct evutil_addrinfo *list, void *ctx)
{
	struct lookup *l = ctx;

	if (result != 0)
		return;
	for (const struct evutil_addrinfo *at = list; at; at = at->ai_next)
		add_sockaddr(l->name, at->ai_addr);
	evutil_freeaddrinfo(list);
	finish(l, NULL, "");
}

/* What stands in the file is told within the call; what does not waits for a server. */
static void look_into_hosts(struct lookup *l)
{
	const struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	size_t length = strlen(l->name->name);
	bool is_full = length > 0 && l->name->name[length - 1] == '.';
	cleanup_free char *name = strndup(l->name->name, length - is_full);
	struct evdns_getaddrinfo_request *request =
		name ? evdns_getaddrinfo(l->resolver->hosts, name, NULL, &hints, on_host, l) : NULL;

	if (request)
		evdns_getaddrinfo_cancel(request);
}

static void begin(struct lookup *l)
{
	struct sockaddr_storage address;

	if (sockaddr_text_parse(l->name->name, 0, &address) > 0) {
		add_sockaddr(l->name, (struct sockaddr *)&address);
		finish(l, NULL, "");
		return;
	}
	look_into_hosts(l);
	if (!l->done)
		ask_next(l);
}

/* ---- the run ---- */

static void on_limit(evutil_socket_t fd, short what, void *ctx)
{
	struct resolver *r = ctx;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < r->n_lookups; i++)
		finish(&r->lookups[i], "the name servers did not answer in time", "");
}

/* The library's own words say nothing that a reason does not. */
static void be_quiet(int is_warning, const char *text)
{
	(void)is_warning;
	(void)text;
}

/* A file that is not there says nothing; nor does the rest of one that cannot be read. */
static void read_search(const char *path, struct resolver *r)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && textfile_read_fd(fd, &r->resolv_conf, path, NULL) < 0)
		buf_clear(&r->resolv_conf);
	name_search_read(buf_span(&r->resolv_conf), &r->search);
}

static int open_resolver(const struct resolver_files *files, struct resolver *r, struct error *err)
{
	evdns_set_log_fn(be_quiet);
	r->base = event_base_new();
	if (r->base) {
		r->hosts = evdns_base_new(r->base, 0);
		r->servers = evdns_base_new(r->base, 0);
		r->limit = evtimer_new(r->base, on_limit, r);
	}
	if (!r->hosts || !r->servers || !r->limit)
		return error_set(err, -ENOMEM, "out of memory");
	read_search(files->resolv_conf, r);
	evdns_base_load_hosts(r->hosts, files->hosts);
	evdns_base_resolv_conf_parse(r->servers, DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC,
				     files->resolv_conf);
	/* Some servers answer in another case than they were asked in. */
	evdns_base_set_option(r->servers, "randomize-case:", "0");
	return 0;
}

int resolver_run(const struct resolver_files *files, struct resolver_name *names, size_t n_names,
		 int limit_ms, struct error *err)
{
	const struct timeval limit = { .tv_sec = limit_ms / 1000,
				       .tv_usec = limit_ms % 1000 * 1000L };
	CLEANUP(resolver_release) struct resolver r = { .n_lookups = n_names, .n_open = n_names };

	if (n_names == 0)
		return 0;
	if (open_resolver(files, &r, err) < 0)
		return -ENOMEM;
	r.lookups = calloc(n_names, sizeof(*r.lookups));
	if (!r.lookups)
		return error_set(err, -ENOMEM, "out of memory");
	evtimer_add(r.limit, &limit);
	for (size_t i = 0; i < n_names; i++) {
		names[i].n_addresses = 0;
		names[i].reason[0] = '\0';
		r.lookups[i] = (struct lookup){ .resolver = &r, .name = &names[i] };
		begin(&r.lookups[i]);
	}
	if (r.n_open > 0)
		event_base_dispatch(r.base);
	return 0;
}
