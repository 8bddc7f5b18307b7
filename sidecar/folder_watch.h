/* SPDX-License-Identifier: MIT */
/*
 * folder_watch - learn by inotify(7) that a file in some folder may be another.
 *
 * Folders are watched, never files: a watch on a file, or on kubelet's
 * "..data", dies with the inode it was set on at the first replacement.  What
 * is told is only "look again".  There is no loop in here: the caller polls
 * folder_watch_fd() and calls folder_watch_read().
 *
 * Order of use: folder_watch_set(), then read the files; folder_watch_read(),
 * then folder_watch_take(), then read the files.  So no change is lost between.
 *
 * What inotify does not tell, and folder_watch_renew() finds out:
 *  - a file system mounted over a folder or over one that leads to it;
 *  - a folder whose parent was renamed, or to which a link leads that was changed;
 *  - a removed folder that some process holds open;
 *  - the target of a dangling link in the path being made.
 *
 * From inotify-tools this takes the names and constants, by its
 * <inotifytools/inotify.h>; that header hands on the C library's
 * <sys/inotify.h> when there is one and has its own copy of the constants for
 * when there is none.  Nothing of libinotifytools is linked.
 */
#ifndef SIDECAR_FOLDER_WATCH_H
#define SIDECAR_FOLDER_WATCH_H

#include "folder_set.h"
#include "patchers/base/buf.h"

#include <stdbool.h>

struct error;

struct folder_watch {
	int fd; /* -1: no inotify to be had; then every request is deaf */
	struct folder_set set;
	unsigned long n_overflows;
};

#define FOLDER_WATCH_INIT                                                                          \
	{                                                                                          \
		.fd = -1, .set = FOLDER_SET_INIT                                                   \
	}

struct folder_watch_counts {
	size_t watches;          /* the kernel's: folders in one place share one */
	size_t deaf;             /* requests */
	unsigned long overflows; /* since folder_watch_init() */
};

/*
 * A descriptor of its own, not blocking, close-on-exec.  -EMFILE names the
 * limit.  After a failure all other functions work, and every request is deaf.
 */
int folder_watch_init(struct folder_watch *watch, struct error *err);
void folder_watch_release(struct folder_watch *watch);

/* To be polled for POLLIN; -1, which poll(2) passes over, without inotify. */
int folder_watch_fd(const struct folder_watch *watch);

/*
 * Watch these folders from now on, and no others.  Watches that stand are
 * kept, with what they were touched by.  Instead of a folder that is missing
 * the nearest one that leads to it is watched for the missing name.  Paths and
 * names are copied.
 *
 * Does nothing when the requests are those of the last time, on the same
 * roots: folder_watch_renew() looks them up again.  -ENOMEM; -E2BIG beyond
 * FOLDER_SET_MAX; -EINVAL for a path that is not absolute or too
 * long: then all is as before.  A folder that cannot be watched is deaf, not
 * an error.
 */
int folder_watch_set(struct folder_watch *watch, const struct folder_request requests[], size_t n,
		     struct error *err);

/* Whether it watches these, on the same roots. */
bool folder_watch_is_of(const struct folder_watch *watch, const struct folder_request requests[],
			size_t n);

/*
 * Look every path up again, and watch what it names now where that is another
 * folder; such a request is touched.  1 when any request is touched, else 0.
 */
int folder_watch_renew(struct folder_watch *watch);

/*
 * Take the events that have come, and renew the watches that they ended.  1
 * when any request is touched, else 0, or an error.  Events that the kernel
 * could not keep touch every request.
 */
int folder_watch_read(struct folder_watch *watch, struct error *err);

/* Whether request i, of those last set, was touched since it was last asked. */
bool folder_watch_take(struct folder_watch *watch, size_t i);

/*
 * Whether changes in the folder of request i may go unnoticed, so that only
 * looking now and then helps.  1, with the reason added unless `reason` is
 * NULL; or 0.
 */
int folder_watch_is_deaf(const struct folder_watch *watch, size_t i, struct buf *reason);

void folder_watch_count(const struct folder_watch *watch, struct folder_watch_counts *out);

#endif
