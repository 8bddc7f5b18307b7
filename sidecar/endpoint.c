/* SPDX-License-Identifier: MIT */
/* endpoint - tell what a running postern knows, over HTTP. */
#include "endpoint.h"

#include "local_socket.h"
#include "log.h"
#include "metrics.h"
#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "sockaddr_text.h"
#include "spare_memory.h"
#include "state.h"
#include "timer.h"
#include "view_status.h"

#include <errno.h>
#include <fcntl.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Nobody sends us more than a request line and a few headers. */
enum { HEADERS_BYTES_MAX = 8192, BODY_BYTES_MAX = 1024, TIMEOUT_S = 10, BACKLOG = 128 };

/* With that many descriptors in use, `listen` has a pause: the rest is for our own work. */
enum { DESCRIPTORS_MAX = 128, PAUSE_S = 1 };

/* What cannot be opened is tried again after that, and after each look. */
enum { AGAIN_S = 10 };

struct endpoint {
	struct event_base *base;
	const struct state *state;
	struct evhttp *local;            /* at the socket in the file system */
	struct evhttp *network;          /* at `listen` */
	struct evconnlistener *listener; /* of network; NULL: none */
	struct event *resume;            /* listening, after a pause or in vain */
	char *address;                   /* of network, as wanted */
	char *path;                      /* of local */
	bool is_open;                    /* local serves there */
	char *said;                      /* why it does not, once said; NULL: nothing was */
};

static void reply(struct evhttp_request *request, int code, const char *type, struct span text)
{
	struct evbuffer *out = evbuffer_new();

	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Cache-Control", "no-store");
	if (!out || evbuffer_add(out, text.data, text.len) < 0)
		code = HTTP_INTERNAL;
	evhttp_send_reply(request, code, NULL, out);
	if (out)
		evbuffer_free(out);
}

static void on_health(struct evhttp_request *request, void *arg)
{
	(void)arg;
	reply(request, HTTP_OK, "text/plain", span_from("live\n"));
}

static void on_ready(struct evhttp_request *request, void *arg)
{
	const struct endpoint *e = arg;
	const struct report *report = &e->state->report;
	cleanup_buf struct buf why = BUF_INIT, text = BUF_INIT;
	bool ready = state_is_ready(e->state, &why);

	buf_add_format(&text, "%s%s\n", ready ? "ready" : "not ready: ", buf_text(&why));
	if (report->outcome == REPORT_REFUSED || report->outcome == REPORT_FAILED)
		buf_add_format(&text, "%s: %s\n", report_outcome_name(report->outcome),
			       report->reason ? report->reason : "");
	reply(request, ready ? HTTP_OK : HTTP_SERVUNAVAIL, "text/plain", buf_span(&text));
}

static void on_metrics(struct evhttp_request *request, void *arg)
{
	const struct endpoint *e = arg;
	cleanup_buf struct buf text = BUF_INIT;

	metrics_print(e->state, &text);
	reply(request, text.failed ? HTTP_INTERNAL : HTTP_OK,
	      "text/plain; version=0.0.4; charset=utf-8", buf_span(&text));
}

static void on_status(struct evhttp_request *request, void *arg)
{
	const struct endpoint *e = arg;
	cleanup_buf struct buf text = BUF_INIT;
	int rc = view_status_json(e->state, &text, NULL);

	reply(request, rc < 0 ? HTTP_INTERNAL : HTTP_OK, "application/json", buf_span(&text));
}

static bool set_answers(struct evhttp *http, struct endpoint *e, bool with_status)
{
	return evhttp_set_cb(http, "/healthz", on_health, e) == 0 &&
	       evhttp_set_cb(http, "/readyz", on_ready, e) == 0 &&
	       evhttp_set_cb(http, "/metrics", on_metrics, e) == 0 &&
	       (!with_status || evhttp_set_cb(http, "/status", on_status, e) == 0);
}

/* NULL: out of memory, and errno says so. */
static struct evhttp *make_server(struct endpoint *e, bool with_status)
{
	struct evhttp *http = evhttp_new(e->base);

	if (!http)
		return NULL;
	evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(http, HEADERS_BYTES_MAX);
	evhttp_set_max_body_size(http, BODY_BYTES_MAX);
	evhttp_set_timeout(http, TIMEOUT_S);
	if (set_answers(http, e, with_status))
		return http;
	evhttp_free(http);
	errno = ENOMEM;
	return NULL;
}

/*
 * Serve whom a listening socket brings, which is taken, and closed when that fails.  NULL: out of
 * memory, and errno says so.  A listener that there was no memory to have heard hears nobody, and
 * libevent does not tell: it is enabled once more, which changes nothing for one that hears.
 */
static struct evconnlistener *accept_at(struct endpoint *e, struct evhttp *http, int fd)
{
	struct evconnlistener *listener = evconnlistener_new(
		e->base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE, 0, fd);
	struct evhttp_bound_socket *bound = listener ? evhttp_bind_listener(http, listener) : NULL;

	if (bound && evconnlistener_enable(listener) == 0)
		return listener;
	if (bound)
		evhttp_del_accept_socket(http, bound);
	else if (listener)
		evconnlistener_free(listener);
	else
		close(fd);
	errno = ENOMEM;
	return NULL;
}

/* ---- too many connections ---- */

/* A new descriptor has the lowest free number: all below it are in use. */
static bool descriptors_are_short(void)
{
	cleanup_fd int lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	struct rlimit limit = { .rlim_cur = (rlim_t)2 * DESCRIPTORS_MAX };

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	return lowest < 0 || lowest >= DESCRIPTORS_MAX || (rlim_t)lowest >= limit.rlim_cur / 2;
}

/* Nobody is let in until there are descriptors and memory again: the kernel keeps them waiting. */
static void pause_if_short(struct endpoint *e)
{
	if (!e->listener)
		return;
	if (!descriptors_are_short() && !spare_memory_is_short() &&
	    evconnlistener_enable(e->listener) == 0)
		return;
	evconnlistener_disable(e->listener);
	timer_set(e->resume, PAUSE_S * 1000UL);
}

/* Unless a pause is over before. */
static void open_later(struct endpoint *e)
{
	if (!evtimer_pending(e->resume, NULL))
		timer_set(e->resume, AGAIN_S * 1000UL);
}

/* Somebody has connected.  NULL: libevent makes what it needs. */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
	(void)base;
	pause_if_short(arg);
	return NULL;
}

/* ---- the socket in the file system ---- */

/* EAGAIN: whoever serves is behind with it. */
static bool is_served(const struct sockaddr_un *name)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 &&
	       (connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0 || errno == EAGAIN);
}

/* The socket of one that was killed is in the way; anything else is not ours to remove. */
static int make_room(const char *path, struct error *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0; /* bind(2) will say */
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, -EEXIST, "%s: it is there, and is no socket", path);
	return unlink(path) < 0 ? error_errno(err, "remove %s", path) : 0;
}

static int make_folder(const char *path, struct error *err)
{
	char *folder = strdupa(path), *slash = strrchr(folder, '/');

	if (!slash || slash == folder)
		return 0;
	*slash = '\0';
	slash = strrchr(folder, '/');
	if (slash && slash != folder) { /* /run, where an image has none */
		*slash = '\0';
		mkdir(folder, 0755);
		*slash = '/';
	}
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return error_errno(err, "make %s", folder);
	return 0;
}

static int open_socket(const char *path, struct error *err)
{
	struct sockaddr_un name;
	cleanup_fd int fd = -1;
	mode_t mask;
	int rc = local_socket_name(path, &name, err);

	if (rc == 0)
		rc = make_folder(path, err);
	if (rc < 0)
		return rc;
	if (is_served(&name))
		return error_set(err, -EADDRINUSE, "%s: another postern serves there", path);
	rc = make_room(path, err);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, "make a socket");
	mask = umask(0177);
	rc = bind(fd, (const struct sockaddr *)&name, sizeof(name));
	if (rc < 0)
		rc = error_errno(err, "%s", path);
	umask(mask);
	if (rc == 0 && listen(fd, BACKLOG) < 0)
		rc = error_errno(err, "%s", path);
	return rc < 0 ? rc : steal_fd(&fd);
}

static int open_local(struct endpoint *e, struct error *err)
{
	int fd = open_socket(e->path, err);

	if (fd < 0)
		return fd;
	return accept_at(e, e->local, fd) ? 0 : error_set(err, -ENOMEM, "out of memory");
}

void endpoint_open(struct endpoint *e)
{
	struct error err = { 0 };

	if (e->is_open)
		return;
	if (open_local(e, &err) < 0) {
		if (!e->said || strcmp(e->said, err.msg) != 0)
			log_warning("status cannot be asked for: %s", err.msg);
		report_set_text(&e->said, err.msg);
		open_later(e);
		return;
	}
	e->is_open = true;
	if (e->said)
		log_notice("status can be asked for at %s", e->path);
	free(steal_pointer(&e->said));
}

/* ---- the network ---- */

/*
 * Listening at an address with its port; -1 and errno.
 * evhttp_bind_socket() would do that, and keep the port when it gets no memory afterwards.
 */
static int listen_at(const char *address)
{
	struct sockaddr_storage name;
	socklen_t size = sockaddr_text_parse_with_port(address, &name);
	cleanup_fd int fd = -1;
	int on = 1;

	errno = EINVAL;
	if (size == 0)
		return -1;
	fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&name, size) < 0 || listen(fd, BACKLOG) < 0)
		return -1;
	return steal_fd(&fd);
}

static bool open_network(struct endpoint *e, const char *address)
{
	int fd = listen_at(address);

	e->listener = fd < 0 ? NULL : accept_at(e, e->network, fd);
	if (!e->listener)
		return false;
	evhttp_set_bevcb(e->network, on_connection, e);
	return true;
}

static void close_network(struct endpoint *e)
{
	if (e->network)
		evhttp_free(e->network);
	e->network = NULL;
	e->listener = NULL;
}

void endpoint_listen(struct endpoint *e, const char *address)
{
	bool is_known; /* then that it is served was tried before, in vain */

	is_known = address && e->address && strcmp(e->address, address) == 0;
	if (!address || (is_known && (e->network || address[0] == '\0')))
		return;
	close_network(e);
	if (!is_known)
		report_set_text(&e->address, address);
	if (address[0] == '\0')
		return;
	e->network = make_server(e, false);
	if (!e->network || !open_network(e, address)) {
		if (!is_known)
			log_error("listen = \"%s\": %s; metrics are not served", address,
				  strerror(errno));
		close_network(e);
		open_later(e);
		return;
	}
	log_notice("metrics, /healthz and /readyz at http://%s/", address);
}

/* ---- the whole ---- */

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct endpoint *e = arg;

	(void)fd;
	(void)what;
	endpoint_open(e);
	endpoint_listen(e, e->address);
	pause_if_short(e);
}

struct endpoint *endpoint_new(struct event_base *base, const struct state *state, const char *path)
{
	struct endpoint *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->base = base;
	e->state = state;
	e->resume = evtimer_new(base, on_resume, e);
	e->local = make_server(e, true);
	e->path = strdup(path);
	if (e->resume && e->local && e->path)
		return e;
	endpoint_free(e);
	return NULL;
}

void endpoint_free(struct endpoint *e)
{
	if (!e)
		return;
	if (e->local)
		evhttp_free(e->local);
	close_network(e);
	if (e->resume)
		event_free(e->resume);
	if (e->is_open && e->path)
		unlink(e->path);
	free(e->path);
	free(e->said);
	free(e->address);
	free(e);
}
