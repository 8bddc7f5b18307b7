/* SPDX-License-Identifier: MIT */
/*
 * folder_set - the folders that folder_watch shall watch: the requests, copied,
 * what each of them hears, and an index by watch descriptor, so that an event
 * finds its requests without asking all.
 *
 * For folder_watch.c; its callers fill in struct folder_request and no more.
 */
#ifndef SIDECAR_FOLDER_SET_H
#define SIDECAR_FOLDER_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;
struct rootfs;

enum { FOLDER_SET_MAX = 65536 };

/*
 * A folder and the names in it that matter.  "..data" always does; other names
 * that begin with ".." never, nor "*.lock" and "*.tmp" (locks of DMS, and of
 * Postfix's way to replace a file) unless they are asked for.
 */
struct folder_request {
	const struct rootfs *root; /* borrowed until the next folder_watch_set() or release */
	const char *path;          /* absolute in the root */
	const char *const *names;  /* NULL ends them; NULL itself: every name */
	bool pid_file;             /* a write counts before the writer closes: daemons keep
				      their pid files open */
};

enum folder_deafness {
	FOLDER_HEARS,
	FOLDER_NO_INOTIFY,
	FOLDER_WATCH_LIMIT,
	FOLDER_FILE_SYSTEM,
	FOLDER_FAILED,
};

/* The part of a path that is a missing name; none when len is 0. */
struct folder_part {
	size_t at, len;
};

struct folder {
	const struct rootfs *root;
	int root_fd; /* what root was when it was set */
	dev_t root_dev;
	ino_t root_ino;
	char *path;
	char **names; /* NULL: every name */
	bool pid_file;

	int watch;                  /* descriptor, -1 none */
	struct folder_part awaited; /* the watch is on the folder that this shall appear in */
	bool lost;                  /* the path is to be looked up again */
	int watch_before;           /* what it had when it was lost */
	int watch_between;          /* what it had while the path was looked up again */
	enum folder_deafness deafness;
	int code; /* negative errno with FOLDER_FAILED */
	bool touched;
};

/* The folders in the caller's order, and the same sorted by watch descriptor. */
struct folder_set {
	struct folder *folders;
	struct folder **by_watch;
	size_t n;
};

#define FOLDER_SET_INIT { .n = 0 }

/* All of them lost, none with a watch.  -EINVAL, -E2BIG or -ENOMEM. */
int folder_set_init(struct folder_set *set, const struct folder_request requests[], size_t n,
		    struct error *err);
void folder_set_release(struct folder_set *set);

/* Whether the set was made of these requests, on the same roots. */
bool folder_set_is_of(const struct folder_set *set, const struct folder_request requests[],
		      size_t n);

/* To be called when watches were given, before folder_set_find(). */
void folder_set_sort(struct folder_set *set);

/* Where in by_watch the folders with this watch begin; n when there is none. */
size_t folder_set_find(const struct folder_set *set, int watch);

/* Whether an event of this name can have changed what the request is about. */
bool folder_name_counts(const struct folder *folder, const char *name);

/* Whether it is the missing name on the way to the folder. */
bool folder_awaits(const struct folder *folder, const char *name);

#endif
