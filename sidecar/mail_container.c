/* SPDX-License-Identifier: MIT */
/* mail_container - find the mail host's container and follow it until it ends. */
#include "mail_container.h"

#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"

#include <event2/event.h>

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct mail_container *c = arg;

	(void)fd;
	(void)what;
	c->ended(c->arg);
}

bool mail_container_init(struct mail_container *c, struct event_base *base,
			 void (*ended)(void *arg), void *arg)
{
	*c = (struct mail_container)MAIL_CONTAINER_INIT;
	c->base = base;
	c->end = event_new(base, -1, 0, on_end, c);
	c->ended = ended;
	c->arg = arg;
	return c->end != NULL;
}

void mail_container_release(struct mail_container *c)
{
	mail_container_forget(c);
	if (c->end)
		event_free(c->end);
	c->end = NULL;
}

int mail_container_open(struct mail_container *c, const char *root, struct error *err)
{
	return rootfs_init(&c->root, root, err);
}

static int follow(struct mail_container *c, struct error *err)
{
	if (c->target.pidfd < 0)
		return 1; /* our own root */
	event_assign(c->end, c->base, c->target.pidfd, EV_READ, on_end, c);
	if (event_add(c->end, NULL) < 0)
		return error_errno(err, "wait for the end of process %d", (int)c->target.anchor);
	return 1;
}

int mail_container_find(struct mail_container *c, struct error *err)
{
	int rc = target_find(&c->target, err);

	/* Its number may be another's by now: open the root, and see then. */
	if (rc == 1 &&
	    (rootfs_init(&c->root, c->target.root, err) < 0 || !target_is_alive(&c->target)))
		rc = 0;
	if (rc == 1)
		rc = follow(c, err);
	if (rc != 1)
		mail_container_forget(c);
	return rc;
}

bool mail_container_is_another_meant(const struct mail_container *c)
{
	CLEANUP(target_release) struct target now = TARGET_INIT;

	return target_find(&now, NULL) == 1 && now.anchor != c->target.anchor;
}

void mail_container_forget(struct mail_container *c)
{
	rootfs_release(&c->root);
	if (c->end)
		event_del(c->end); /* before its descriptor is closed */
	target_release(&c->target);
}
