/* SPDX-License-Identifier: MIT */
/*
 * mail_container - the mail host's files, and the container that they are in: find
 * it (target.h), open its root, and follow it until it ends, in an event loop.
 */
#ifndef SIDECAR_MAIL_CONTAINER_H
#define SIDECAR_MAIL_CONTAINER_H

#include "rootfs.h"
#include "target.h"

#include <stdbool.h>

struct error;
struct event;
struct event_base;

struct mail_container {
	struct rootfs root;
	struct target target; /* pidfd -1: nobody's end is waited for */
	struct event_base *base;
	struct event *end;
	void (*ended)(void *arg);
	void *arg;
};

#define MAIL_CONTAINER_INIT                                                                        \
	{                                                                                          \
		.root = ROOTFS_INIT, .target = TARGET_INIT                                         \
	}

/* `ended` is called when the container has ended; forget it then.  False without memory. */
bool mail_container_init(struct mail_container *c, struct event_base *base,
			 void (*ended)(void *arg), void *arg);
void mail_container_release(struct mail_container *c);

/* Open a root that was named; errors of rootfs_init(). */
int mail_container_open(struct mail_container *c, const char *root, struct error *err);

/*
 * 1: found, opened and followed; 0: nobody there yet; or an error of
 * target_find(), or why its end could not be waited for.
 */
int mail_container_find(struct mail_container *c, struct error *err);

/* Whether another container than this one would be found now. */
bool mail_container_is_another_meant(const struct mail_container *c);

/* Close it, and follow it no more. */
void mail_container_forget(struct mail_container *c);

#endif
