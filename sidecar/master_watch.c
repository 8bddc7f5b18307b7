/* SPDX-License-Identifier: MIT */
/* master_watch - follow a server's master process until it ends. */
#include "master_watch.h"

#include "process.h"

#include <errno.h>
#include <event2/event.h>
#include <unistd.h>

static void forget(struct master_watch *m)
{
	if (m->pid == 0)
		return;
	event_del(m->event);
	close(m->fd);
	m->pid = 0;
	m->fd = -1;
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct master_watch *m = arg;
	pid_t pid = m->pid;

	(void)fd;
	(void)what;
	forget(m);
	m->ended(m->arg, m->server, pid);
}

bool master_watch_init(struct master_watch *m, struct event_base *base, size_t server,
		       master_watch_ended *ended, void *arg)
{
	*m = (struct master_watch){
		.fd = -1,
		.server = server,
		.base = base,
		.event = event_new(base, -1, 0, on_end, m),
		.ended = ended,
		.arg = arg,
	};
	return m->event != NULL;
}

void master_watch_release(struct master_watch *m)
{
	forget(m);
	if (m->event)
		event_free(m->event);
	m->event = NULL;
}

bool master_watch_follow(struct master_watch *m, pid_t pid)
{
	int fd;

	if (pid == m->pid)
		return true;
	forget(m);
	if (pid == 0)
		return true;
	fd = process_open(pid);
	if (fd < 0)
		return fd != -ESRCH;
	event_assign(m->event, m->base, fd, EV_READ, on_end, m);
	if (event_add(m->event, NULL) < 0) {
		close(fd);
		return true;
	}
	m->pid = pid;
	m->fd = fd;
	return true;
}
