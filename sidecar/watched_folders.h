/* SPDX-License-Identifier: MIT */
/*
 * watched_folders - the folders that a report names, watched (folder_watch.h): in
 * which of them something has happened since the last look, and where nothing
 * would be heard.
 */
#ifndef SIDECAR_WATCHED_FOLDERS_H
#define SIDECAR_WATCHED_FOLDERS_H

#include "folder_watch.h"

struct event;
struct event_base;
struct report;
struct rootfs;

/* Something has happened in a folder; or hearing of it failed: why, else NULL. */
typedef void watched_folders_changed(void *arg, const struct error *err);

struct watched_folders {
	struct folder_watch watch;
	struct event *event;
	watched_folders_changed *changed;
	void *arg;
	bool *touched; /* n of them; NULL: none is watched */
	size_t n;
};

#define WATCHED_FOLDERS_INIT                                                                       \
	{                                                                                          \
		.watch = FOLDER_WATCH_INIT                                                         \
	}

/*
 * Begin to hear, in this loop, from folders that are watched.  Without it, or
 * when it fails (errors of folder_watch_init()), all are deaf and the rest works.
 */
int watched_folders_hear(struct watched_folders *folders, struct event_base *base,
			 watched_folders_changed *changed, void *arg, struct error *err);
void watched_folders_release(struct watched_folders *folders);

/*
 * Watch those of the report.  1: other ones than before, so what has changed in
 * them before that is to be looked at again; 0: the same ones.  Paths are in `root`, or in `own`
 * for those that say so; both are borrowed. Errors of folder_watch_set(): then none counts as
 * watched.
 */
int watched_folders_set(struct watched_folders *folders, const struct report *report,
			const struct rootfs *own, const struct rootfs *root, struct error *err);

/* Watch none. */
void watched_folders_forget(struct watched_folders *folders);

/*
 * In which something has happened since watched_folders_are_looked_at(), one for
 * each of the report; NULL when none is watched: it may be all.
 */
const bool *watched_folders_touched(struct watched_folders *folders);
void watched_folders_are_looked_at(struct watched_folders *folders);

/* Whether no change can go unheard. */
bool watched_folders_hear_everything(const struct watched_folders *folders);

/* Log where one may, of the folders of that report, and that they are looked at every so often. */
void watched_folders_say_deaf(const struct watched_folders *folders, const struct report *report,
			      unsigned every_s);

#endif
