/* SPDX-License-Identifier: MIT */
/* watched_folders - the folders that a report names, watched. */
#include "watched_folders.h"

#include "log.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "report.h"

#include <errno.h>
#include <event2/event.h>

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct watched_folders *folders = arg;
	struct error err = { 0 };
	int rc = folder_watch_read(&folders->watch, &err);

	(void)fd;
	(void)what;
	if (rc != 0)
		folders->changed(folders->arg, rc < 0 ? &err : NULL);
}

int watched_folders_hear(struct watched_folders *folders, struct event_base *base,
			 watched_folders_changed *changed, void *arg, struct error *err)
{
	int rc = folder_watch_init(&folders->watch, err);

	if (rc < 0)
		return rc;
	folders->changed = changed;
	folders->arg = arg;
	folders->event = event_new(base, folder_watch_fd(&folders->watch), EV_READ | EV_PERSIST,
				   on_readable, folders);
	if (folders->event && event_add(folders->event, NULL) == 0)
		return 0;
	folder_watch_release(&folders->watch);
	return error_set(err, -ENOMEM, "out of memory: changes are not heard");
}

void watched_folders_release(struct watched_folders *folders)
{
	if (folders->event)
		event_free(folders->event);
	folders->event = NULL;
	folder_watch_release(&folders->watch);
	free(folders->touched);
	folders->touched = NULL;
}

static bool same_names(char *const *a, char *const *b)
{
	if (!a || !b)
		return !a && !b;
	for (; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return !*a && !*b;
}

bool watched_folders_are_same(const struct report *a, const struct report *b)
{
	if (a->n_folders != b->n_folders)
		return false;
	for (size_t i = 0; i < a->n_folders; i++)
		if (strcmp(a->folders[i].path, b->folders[i].path) != 0 ||
		    a->folders[i].is_own != b->folders[i].is_own ||
		    a->folders[i].is_watch != b->folders[i].is_watch ||
		    a->folders[i].pid_file != b->folders[i].pid_file ||
		    !same_names(a->folders[i].names, b->folders[i].names))
			return false;
	return true;
}

static struct folder_request request_of(const struct report_folder *folder,
					const struct rootfs *own, const struct rootfs *root)
{
	union {
		char **in;
		const char *const *out;
	} names = { .in = folder->names };

	return (struct folder_request){
		.root = folder->is_own ? own : root,
		.path = folder->path,
		.names = names.out,
		.pid_file = folder->pid_file,
	};
}

int watched_folders_set(struct watched_folders *folders, const struct report *report,
			const struct rootfs *own, const struct rootfs *root, struct error *err)
{
	cleanup_free struct folder_request *requests =
		calloc(report->n_folders + 1, sizeof(*requests));
	bool *touched = calloc(report->n_folders + 1, sizeof(*touched));
	int rc;

	free(folders->touched); /* its length is that of the folders before */
	folders->touched = touched;
	folders->n = 0;
	folders->is_set = false;
	if (!requests || !touched)
		return error_set(err, -ENOMEM, "out of memory: folders are not watched");
	for (size_t i = 0; i < report->n_folders; i++)
		requests[i] = request_of(&report->folders[i], own, root);
	rc = folder_watch_set(&folders->watch, requests, report->n_folders, err);
	if (rc < 0)
		return rc;
	folders->n = report->n_folders;
	folders->is_set = true;
	return 0;
}

void watched_folders_forget(struct watched_folders *folders)
{
	folder_watch_set(&folders->watch, NULL, 0, NULL);
	free(folders->touched);
	folders->touched = NULL;
	folders->n = 0;
	folders->is_set = false;
}

const bool *watched_folders_touched(struct watched_folders *folders)
{
	for (size_t i = 0; i < folders->n; i++)
		folders->touched[i] = folder_watch_take(&folders->watch, i) || folders->touched[i];
	return folders->is_set ? folders->touched : NULL;
}

void watched_folders_are_looked_at(struct watched_folders *folders)
{
	for (size_t i = 0; i < folders->n; i++)
		folders->touched[i] = false;
}

bool watched_folders_hear_everything(const struct watched_folders *folders)
{
	if (folder_watch_fd(&folders->watch) < 0 || !folders->is_set)
		return false;
	for (size_t i = 0; i < folders->n; i++)
		if (folder_watch_is_deaf(&folders->watch, i, NULL) == 1)
			return false;
	return true;
}

void watched_folders_say_deaf(const struct watched_folders *folders, const struct report *report,
			      unsigned every_s)
{
	for (size_t i = 0; i < folders->n; i++) {
		cleanup_buf struct buf reason = BUF_INIT;

		if (folder_watch_is_deaf(&folders->watch, i, &reason) != 1)
			continue;
		log_warning("%s: changes in it may go unheard: %s; it is looked at every %u s",
			    report->folders[i].path, buf_text(&reason), every_s);
	}
}
